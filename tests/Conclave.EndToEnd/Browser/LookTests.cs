using Microsoft.Playwright;
using static Conclave.Tests.Json;

namespace Conclave.EndToEnd.Browser;

/// <summary>What things look like.</summary>
[Collection(BrowserServer.Name)]
public sealed class LookTests(BrowserServer browser)
{
    private readonly string _name = Drawings.NewName();

    [Fact]
    public async Task OwnActivities_HaveTheirIconAndColour_InToolboxAndCanvas()
    {
        var own = Activity("ValidateJson", "own");
        own["type"] = "Conclave.ValidateJson";
        var id = await browser.Server.DrawAsync(_name, [own, Write("elsas")]);
        await browser.VisitAsync("author", async person =>
        {
            await person.OpenEditorAsync(id);
            var icon = person.Editor.Node("own").Locator(".activity-icon > svg");
            Assert.Contains("data:image/svg+xml", await StyleOfAsync(icon, "maskImage"), StringComparison.Ordinal);
            Assert.Equal("rgb(15, 118, 110)", await StyleOfAsync(person.Editor.Node("own").Locator(".activity-icon"), "backgroundColor"));
            Assert.Equal("none", await StyleOfAsync(person.Editor.Node("elsas").Locator(".activity-icon > svg"), "maskImage"));
            var entry = await person.Editor.FindInToolboxAsync("Validate JSON");
            Assert.Equal("rgb(15, 118, 110)", await StyleOfAsync(entry, "borderLeftColor"));
            Assert.Contains("data:image/svg+xml", await StyleOfAsync(entry.Locator("svg").First, "maskImage"), StringComparison.Ordinal);
            await person.ShootAsync("icons");
        });
    }

    [Fact]
    public async Task ActivityOfAVersionThatIsNotThere_OpensInTheEditor_AndItsRunInTheViewer()
    {
        var later = Write("later");
        later["version"] = 7;
        var id = await browser.Server.DrawAsync(_name, [later]);
        await browser.Server.PublishDraftAsync(id);
        var instance = await browser.Server.StartAsync(id);
        await browser.Server.UntilAsync(instance, "Finished");
        await browser.VisitAsync("author", async person =>
        {
            await person.OpenEditorAsync(id);
            await person.Editor.SelectAsync("later");
            await person.Editor.Control("Text").WaitForAsync();
            await person.Page.GotoAsync($"/designer/instances/{instance}");
            await person.Page.GetByText("- Completed").First.WaitForAsync();
            await person.Editor.Node("later").Locator(".activity-label").ClickAsync();
            await person.ShootAsync("run");
        });
    }

    [Theory]
    [InlineData(420)]
    [InlineData(1280)]
    public async Task Pages_OfAnyWidth_LieOverNothing(int width)
    {
        var id = await browser.Server.DrawAsync(_name, [Write("first")]);
        await browser.Server.PublishDraftAsync(id);
        var instance = await browser.Server.StartAsync(id);
        await browser.Server.UntilAsync(instance, "Finished");
        await browser.VisitAsync("root", async person =>
        {
            foreach (var (name, path, there) in ((string, string, string)[])
                [
                    ("account", "/account", "main"),
                    ("users", "/account/users", "main"),
                    ("list", "/designer", "#view .mud-table-body tr"),
                    ("editor", $"/designer/workflows/{id}", ".x6-node"),
                    ("instances", "/designer/instances", "#view .mud-table-body tr"),
                    ("instance", $"/designer/instances/{instance}", ".x6-node"),
                ])
            {
                await person.Page.GotoAsync(path);
                await person.Page.Locator(there).First.WaitForAsync();
                await person.ShootAsync(name);
                Assert.Equal("", await person.Page.EvaluateAsync<string>(Collisions));
            }
        }, $"{nameof(Pages_OfAnyWidth_LieOverNothing)}-{width}", width, 800);
        await browser.VisitAsync(null, async person =>
        {
            await person.Page.GotoAsync("/sign-in");
            await person.ShootAsync("sign-in");
            Assert.Equal("", await person.Page.EvaluateAsync<string>(Collisions));
        }, $"{nameof(Pages_OfAnyWidth_LieOverNothing)}-{width}-nobody", width, 800);
    }

    // The page is not wider than the window, and parts of its bars do not lie over each other.
    private const string Collisions = """
        () => {
          const found = [];
          if (document.documentElement.scrollWidth > innerWidth) found.push('the page is wider than the window');
          for (const bar of document.querySelectorAll('.page-bar, .mud-table-toolbar')) {
            const parts = [...bar.children].map(part => [part, part.getBoundingClientRect()]).filter(([, box]) => box.width > 1 && box.height > 1);
            for (const [i, [a, one]] of parts.entries()) {
              if (one.left < -1) found.push(`${a.className} begins outside`);
              for (const [b, two] of parts.slice(i + 1)) {
                if (one.left < two.right - 1 && two.left < one.right - 1 && one.top < two.bottom - 1 && two.top < one.bottom - 1)
                  found.push(`${a.className} lies over ${b.className}`);
              }
            }
          }
          return found.join('\n');
        }
        """;

    private static Task<string> StyleOfAsync(ILocator place, string property) =>
        place.EvaluateAsync<string>("(element, property) => getComputedStyle(element)[property]", property);

    [Fact]
    public async Task Editor_WhenTheTextEditorComesLast_WaitsForIt()
    {
        var name = Drawings.NewName();
        var id = await browser.Server.DrawAsync(name, [Write("first", "one")]);
        await browser.VisitAsync("author", async person =>
        {
            await person.Page.RouteAsync("**/vs/editor.api-*.js", async route =>
            {
                await person.Page.WaitForFunctionAsync("() => customElements.get('elsa-workflow-definition-editor')");
                await route.ContinueAsync();
            });
            await person.OpenEditorAsync(id);
            await person.Editor.Node("first").WaitForAsync();
        });
    }
}

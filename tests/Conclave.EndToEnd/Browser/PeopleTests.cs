using System.Threading.Channels;
using Microsoft.Playwright;
using static Conclave.Tests.Json;
using static Microsoft.Playwright.Assertions;

namespace Conclave.EndToEnd.Browser;

/// <summary>Several people, and people who may not do everything.</summary>
[Collection(BrowserServer.Name)]
public sealed class PeopleTests(BrowserServer browser)
{
    private readonly string _name = Drawings.NewName();

    [Fact]
    public async Task TwoAuthors_OnOneWorkflow_TheSecondIsTold_AndNothingIsLost()
    {
        var id = await browser.Server.DrawAsync(_name, [Write("first", "one")]);
        await browser.VisitAsync("root", first => browser.VisitAsync("author", async second =>
        {
            await first.OpenEditorAsync(id);
            await second.OpenEditorAsync(id);
            await first.Editor.SelectAsync("first");
            await first.Editor.FillAsync("Text", "of the first");
            await browser.Server.UntilTextAsync(id, "of the first");

            second.Watcher.Expect("^400 POST /elsa/api/workflow-definitions$");
            second.Watcher.Expect("^message: .*root");
            await second.Editor.SelectAsync("first");
            await second.Editor.FillAsync("Text", "of the second");
            await second.Page.Locator(".mud-snackbar", new() { HasText = "root" }).First.WaitForAsync();
            await second.ShootAsync("told");

            Assert.Equal("of the first", (await browser.Server.DraftAsync(id)).TextOf("first"));
            await second.GoToAsync("Workflows");
            var kept = await second.FindAsync($"{_name} (copy of author");
            await kept.GetByText(_name).First.ClickAsync();
            await second.Editor.WaitAsync();
            await second.Editor.SelectAsync("first");
            await Expect(second.Editor.Control("Text").Locator("input").First).ToHaveValueAsync("of the second");
        }), test: nameof(TwoAuthors_OnOneWorkflow_TheSecondIsTold_AndNothingIsLost));
    }

    [Fact]
    public async Task Viewer_SeesEverything_AndChangesNothing()
    {
        var id = await browser.Server.DrawAsync(_name, [Write("first", "one")]);
        await browser.Server.PublishDraftAsync(id);
        var instance = await browser.Server.StartAsync(id);
        await browser.Server.UntilAsync(instance, "Finished");
        await browser.VisitAsync("viewer", async person =>
        {
            await person.OpenListAsync();
            var row = await person.FindAsync(_name);
            await Expect(person.Page.Locator("#tools").GetByRole(AriaRole.Button, new() { Name = "Upload" })).ToBeDisabledAsync();
            await person.ShootAsync("list");
            await row.GetByText(_name).First.ClickAsync();
            await person.Editor.Node("first").WaitForAsync();
            await Expect(person.Page.Locator("#reading")).ToHaveTextAsync("Read-only: your account may look at workflows, not change them.");
            // Studio's toolbox is there all the same, but nothing can be taken out of it.
            await Expect(person.Page.Locator("[draggable=true]").First).ToHaveCSSAsync("pointer-events", "none");
            foreach (var tool in (string[])["Undo", "Paste", "Duplicate"])
                await Expect(person.Page.Locator("#tools").GetByRole(AriaRole.Button, new() { Name = tool, Exact = true })).ToBeDisabledAsync();
            await person.ShootAsync("workflow");
            await person.UseToolAsync("JSON");
            await person.Dialog.Locator(".monaco-editor").First.WaitForAsync();
            await Expect(person.Dialog.GetByRole(AriaRole.Button, new() { Name = "Save draft" })).ToBeDisabledAsync();
            await person.AnswerAsync("Close");
            await person.GoToAsync("Instances");
            await person.Rows.Filter(new() { HasText = instance }).WaitForAsync();
            await person.Rows.Filter(new() { HasText = instance }).GetByText(instance).ClickAsync();
            await person.Page.GetByText("- Completed").First.WaitForAsync();
            await person.ShootAsync("instance");
        });
    }

    [Fact]
    public async Task Delete_OfWhatIsInUse_SaysWhatUsesIt()
    {
        var id = await browser.Server.DrawAsync(_name, [Event("wait")]);
        await browser.Server.PublishDraftAsync(id);
        var instance = await browser.Server.StartAsync(id);
        await browser.Server.UntilAsync(instance, "Suspended");
        await browser.VisitAsync("author", async person =>
        {
            person.Watcher.Expect("^400 DELETE /elsa/api/workflow-definitions/");
            await person.OpenListAsync();
            var row = await person.FindAsync(_name);
            await person.ChooseAsync(row, "Delete");
            await person.AnswerAsync("Delete");
            await Expect(person.Message).ToContainTextAsync("instance");
            await person.ShootAsync("refused");
            await row.WaitForAsync();
        });
    }

    [Fact]
    public async Task Server_ThatIsAway_IsTold_AndForgottenWhenItIsBack()
    {
        var id = await browser.Server.DrawAsync(_name, [Write("first", "one")]);
        await browser.VisitAsync("author", async person =>
        {
            person.Watcher.Expect("ERR_INTERNET_DISCONNECTED");
            person.Watcher.Allow("^(console|exception|message|error bar)");
            await person.OpenEditorAsync(id);
            await person.Editor.SelectAsync("first");
            await person.Page.Context.SetOfflineAsync(true);
            await person.Editor.FillAsync("Text", "while it was away");
            await Expect(person.Message).ToContainTextAsync("does not answer");
            await person.ShootAsync("away");
            await person.Page.Context.SetOfflineAsync(false);
            // Studio tries again by itself.
            await browser.Server.UntilTextAsync(id, "while it was away");
            await Expect(person.Message).ToBeHiddenAsync();
        });
    }

    [Fact]
    public async Task Server_ThatIsSlow_EditsMadeWhileItSaves_AreKept()
    {
        var id = await browser.Server.DrawAsync(_name, [Write("first", "one")]);
        await browser.VisitAsync("author", async person =>
        {
            var saves = Channel.CreateUnbounded<IRoute>();
            await person.Page.RouteAsync(
                "**/elsa/api/workflow-definitions", route => route.Request.Method == "POST" ? saves.Writer.WriteAsync(route).AsTask() : route.ContinueAsync());
            await person.OpenEditorAsync(id);
            await AddAsync("Variables", "variable", "Greeting");
            var save = await saves.Reader.ReadAsync();
            await AddAsync("Input/Output", "input", "Who");
            await save.ContinueAsync();
            save = await saves.Reader.ReadAsync();
            await AddAsync("Input/Output", "output", "Answer");
            await save.ContinueAsync();
            var others = ContinueAsync();

            await person.Editor.SelectAsync("first");
            await person.Editor.FillAsync("Text", "the last edit");
            await browser.Server.UntilTextAsync(id, "the last edit");
            var draft = await browser.Server.DraftAsync(id);
            Assert.Equal(("Greeting", "Who", "Answer"), (Name("variables"), Name("inputs"), Name("outputs")));
            await person.Editor.ClickCanvasAsync(300, 420);
            await person.Editor.OpenTabAsync("Input/Output");
            await person.Page.GetByRole(AriaRole.Cell, new() { Name = "Who" }).WaitForAsync();
            await person.Page.GetByRole(AriaRole.Cell, new() { Name = "Answer" }).WaitForAsync();
            await person.Editor.OpenTabAsync("Variables");
            await person.Page.GetByRole(AriaRole.Cell, new() { Name = "Greeting" }).WaitForAsync();
            saves.Writer.Complete();
            await others;

            async Task AddAsync(string tab, string what, string name)
            {
                await person.Editor.OpenTabAsync(tab);
                await person.Page.GetByRole(AriaRole.Button, new() { Name = $"Add {what}" }).ClickAsync();
                await person.FillDialogAsync("Name", name);
                await person.AnswerAsync("Ok");
            }

            async Task ContinueAsync()
            {
                await foreach (var other in saves.Reader.ReadAllAsync())
                    await other.ContinueAsync();
            }

            string? Name(string list) => draft[list]!.AsArray().SingleOrDefault()?["name"]?.GetValue<string>();
        });
    }
}

using System.Text.RegularExpressions;
using Conclave.EndToEnd.Accounts;
using Microsoft.Playwright;

namespace Conclave.EndToEnd.Browser;

/// <summary>A person in front of the browser.</summary>
internal sealed class Visitor(IPage page, Watcher watcher, ServerProcess server, string folder)
{
    private int _shots;

    public IPage Page => page;

    public Watcher Watcher => watcher;

    public ServerProcess Server => server;

    /// <summary>Where the screenshots are.</summary>
    public string Folder => folder;

    /// <summary>The editor, when it is shown.</summary>
    public Editor Editor { get; } = new(page);

    /// <summary>Rows of the list that is shown.</summary>
    public ILocator Rows => page.Locator("#view .mud-table-body tr");

    /// <summary>Studio's dialog, or the page's.</summary>
    public ILocator Dialog => page.Locator(".mud-dialog, dialog.page-dialog").Last;

    /// <summary>What the page says under its bar.</summary>
    public ILocator Message => page.Locator("#message");

    public static async Task SignInAsync(IPage page, string who)
    {
        await page.GotoAsync("/sign-in");
        await page.FillAsync("[name=userName]", who);
        await page.FillAsync("[name=password]", AccountServer.Password);
        await page.ClickAsync("button[type=submit]");
        // The session is there with the answer; whoever needs the page that it leads to waits for what that page shows.
        // Not WaitForURLAsync: where the address has changed before it looks, it waits for a state of the page that has gone by.
        await Assertions.Expect(page).Not.ToHaveURLAsync(new Regex("/sign-in"));
    }

    /// <param name="name">What it shows.</param>
    /// <param name="whole">Whether it has what one has to scroll for, too.</param>
    public async Task ShootAsync(string name, bool whole = false)
    {
        // Playwright scrolls what it clicks into view, also in panes that a person cannot scroll.
        await page.EvaluateAsync("() => { for (let e = document.querySelector('.x6-graph'); e; e = e.parentElement) e.scrollTop = 0; }");
        await page.ScreenshotAsync(new() { Path = Path.Combine(folder, $"{++_shots:00}-{name}.png"), Animations = ScreenshotAnimations.Disabled, FullPage = whole });
    }

    public async Task OpenListAsync()
    {
        await page.GotoAsync("/designer");
        await page.GetByRole(AriaRole.Button, new() { Name = "Create workflow" }).Or(page.GetByText("No workflow definitions found")).First.WaitForAsync();
    }

    /// <summary>Opens the editor by its address, and waits until what is drawn is there.</summary>
    public async Task OpenEditorAsync(string definitionId)
    {
        await page.GotoAsync($"/designer/workflows/{definitionId}");
        await Editor.WaitAsync();
    }

    /// <summary>Presses a button of the page's bar.</summary>
    public Task UseToolAsync(string label) => page.Locator("#tools").GetByRole(AriaRole.Button, new() { Name = label, Exact = true }).ClickAsync();

    public Task GoToAsync(string section) => page.Locator(".page-bar nav").GetByText(section).ClickAsync();

    /// <summary>Presses a button of the dialog, and waits until it has gone.</summary>
    public async Task AnswerAsync(string label)
    {
        var dialogs = page.Locator(".mud-dialog, dialog.page-dialog");
        await Dialog.GetByRole(AriaRole.Button, new() { Name = label, Exact = true }).ClickAsync();
        await Assertions.Expect(dialogs).ToHaveCountAsync(0);
    }

    /// <summary>Types into a field of the dialog.</summary>
    public async Task FillDialogAsync(string label, string text)
    {
        var field = Dialog.Locator(".mud-input-control", new() { Has = page.Locator($"legend:text-is(\"{label}\")") }).Locator("input:not([type=hidden]), textarea").First;
        // The dialog proposes a name a moment after it is there.
        if (label == "Name")
            await Assertions.Expect(field).Not.ToHaveValueAsync("");
        await field.FillAsync(text);
        await field.PressAsync("Tab");
    }

    /// <summary>Searches the list of workflows for one.</summary>
    public async Task<ILocator> FindAsync(string name)
    {
        var search = page.GetByPlaceholder("Search on Id, Name, Description, Definition Id");
        await search.FillAsync(name);
        await search.PressAsync("Enter");
        var row = Rows.Filter(new() { HasText = name });
        await row.First.WaitForAsync();
        return row.First;
    }

    /// <summary>Chooses from the menu at the end of a row.</summary>
    public async Task ChooseAsync(ILocator row, string item)
    {
        await row.Locator("button").Last.ClickAsync();
        await page.Locator(".mud-popover-open").Last.GetByText(item, new() { Exact = true }).ClickAsync();
    }
}

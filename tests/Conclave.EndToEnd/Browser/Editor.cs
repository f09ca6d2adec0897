using System.Text.RegularExpressions;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace Conclave.EndToEnd.Browser;

/// <summary>Studio's editor, used with mouse and keyboard.</summary>
internal sealed class Editor(IPage page)
{
    public ILocator Canvas => page.Locator(".x6-graph").First;

    public ILocator Nodes => page.Locator(".x6-node");

    public ILocator Edges => page.Locator(".x6-edge");

    /// <summary>The bar over the canvas.</summary>
    public ILocator Bar => page.Locator("elsa-workflow-definition-editor .mud-toolbar", new() { HasText = "Auto-save" });

    /// <summary>Waits until the canvas is there.</summary>
    public async Task WaitAsync()
    {
        await Canvas.WaitForAsync();
        await Bar.WaitForAsync();
    }

    /// <summary>An activity by its name on the canvas.</summary>
    public ILocator Node(string name) => Nodes.Filter(new() { Has = page.Locator($".activity-label:text-is(\"{name}\")") });

    public async Task SelectAsync(string name)
    {
        await Node(name).Locator(".activity-label").ClickAsync();
        await Expect(Node(name)).ToHaveClassAsync(new Regex("x6-node-selected"));
    }

    /// <summary>Drags an activity out of the toolbox; gives the name that it has now.</summary>
    public async Task<string> DragAsync(string label, int x, int y)
    {
        var before = await Nodes.CountAsync();
        var item = await MiddleAsync(await FindInToolboxAsync(label));
        var place = (await Canvas.BoundingBoxAsync())!;
        await page.Mouse.MoveAsync(item.X, item.Y);
        await page.Mouse.DownAsync();
        await page.Mouse.MoveAsync(place.X + x, place.Y + y, new() { Steps = 5 });
        await page.Mouse.UpAsync();
        await Expect(Nodes).ToHaveCountAsync(before + 1);
        return (await page.Locator(".x6-node-selected .activity-label").TextContentAsync())!;
    }

    /// <summary>Searches the toolbox, opens the category, and waits until the entry stands still.</summary>
    public async Task<ILocator> FindInToolboxAsync(string label)
    {
        await page.GetByPlaceholder("Search").First.FillAsync(label);
        await page.WaitForFunctionAsync(
            "label => [...document.querySelectorAll('[draggable=true]')].every(e => e.textContent.toLowerCase().includes(label.toLowerCase()))", label);
        var item = page.Locator("[draggable=true]", new() { HasTextRegex = new Regex($@"^\s*{Regex.Escape(label)}\s*$") });
        var panel = page.Locator(".mud-expand-panel", new() { Has = item });
        // It is still open when the same was searched for before.
        if (!(await panel.GetAttributeAsync("class"))!.Contains("mud-panel-expanded", StringComparison.Ordinal))
            await panel.Locator(".mud-expand-panel-header").ClickAsync();
        await item.WaitForAsync();
        await item.ScrollIntoViewIfNeededAsync();
        // The panel opens with a movement.
        await page.WaitForFunctionAsync(
            """
            label => {
              const item = [...document.querySelectorAll('[draggable=true]')].find(e => e.textContent.trim() === label);
              const place = JSON.stringify(item?.getBoundingClientRect());
              const rests = place === window.lastPlace;
              window.lastPlace = place;
              return rests;
            }
            """,
            label,
            new() { PollingInterval = 200 });
        return item;
    }

    /// <summary>Clicks on an empty place of the canvas.</summary>
    public async Task ClickCanvasAsync(int x, int y)
    {
        var place = (await Canvas.BoundingBoxAsync())!;
        await page.Mouse.ClickAsync(place.X + x, place.Y + y);
    }

    /// <summary>Draws a connection from a port to an activity.</summary>
    public async Task ConnectAsync(string from, string port, string to)
    {
        var before = await Edges.CountAsync();
        var start = await MiddleAsync(Node(from).Locator($".x6-port-body[port=\"{port}\"]"));
        var end = await MiddleAsync(Node(to).Locator(".x6-port-body[port=\"In\"]"));
        await page.Mouse.MoveAsync(start.X, start.Y);
        await page.Mouse.DownAsync();
        await page.Mouse.MoveAsync(end.X - 20, end.Y, new() { Steps = 8 });
        await page.Mouse.MoveAsync(end.X, end.Y, new() { Steps = 4 });
        await page.Mouse.UpAsync();
        await Expect(Edges).ToHaveCountAsync(before + 1);
    }

    /// <summary>Types into an input of the selected activity, or of the workflow.</summary>
    public async Task FillAsync(string label, string text)
    {
        var field = Control(label).Locator("input:not([type=hidden]), textarea").First;
        await field.FillAsync(text);
        await field.PressAsync("Tab");
    }

    /// <summary>Chooses a syntax for an input of the selected activity, and types an expression into Monaco.</summary>
    public async Task FillExpressionAsync(string label, string syntax, string text)
    {
        var row = page.Locator("form .d-flex.flex-row", new() { Has = page.Locator($"legend:text-is(\"{label}\")") }).Last;
        await row.Locator(".flex-none button").First.ClickAsync();
        await page.Locator(".mud-popover-open").GetByText(syntax, new() { Exact = true }).ClickAsync();
        await row.Locator(".monaco-editor").First.ClickAsync();
        await page.Keyboard.PressAsync("ControlOrMeta+A");
        await page.Keyboard.TypeAsync(text, new() { Delay = 5 });
        await page.Keyboard.PressAsync("Escape");
    }

    public ILocator Control(string label) => page.Locator(".mud-input-control", new() { Has = page.Locator($"legend:text-is(\"{label}\")") }).First;

    public Task OpenTabAsync(string name) => page.GetByRole(AriaRole.Tab, new() { Name = name, Exact = true }).ClickAsync();

    public async Task PublishAsync()
    {
        await Bar.GetByRole(AriaRole.Group).GetByRole(AriaRole.Button).First.ClickAsync();
        var told = page.Locator(".mud-snackbar", new() { HasText = "Workflow published" });
        await told.WaitForAsync();
        await told.GetByRole(AriaRole.Button).ClickAsync();
        await Expect(told).ToHaveCountAsync(0);
    }

    private static async Task<(float X, float Y)> MiddleAsync(ILocator place)
    {
        var box = (await place.BoundingBoxAsync())!;
        return (box.X + (box.Width / 2), box.Y + (box.Height / 2));
    }
}

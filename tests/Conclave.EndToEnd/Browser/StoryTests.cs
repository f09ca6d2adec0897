using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace Conclave.EndToEnd.Browser;

/// <summary>A person makes a workflow, from the first line to the last, with nothing but the browser.</summary>
[Collection(BrowserServer.Name)]
public sealed class StoryTests(BrowserServer browser)
{
    private readonly string _name = $"Greeting {Guid.NewGuid():N}"[..20];
    private readonly string _path = SharedServer.NewId();

    [Fact]
    public Task Designer_FromTheFirstLineToDeleting_DoesWhatAPersonExpects() => browser.VisitAsync(null, async person =>
    {
        await SignInAndCreateAsync(person);
        await DrawAsync(person);
        await DescribeAsync(person);
        var id = person.Page.Url.Split('/')[^1];
        await ReloadAsync(person, id);
        await PublishAndWatchAsync(person, id);
        await RevertAsync(person, id);
        await ExportImportDeleteAsync(person);
    });

    private async Task SignInAndCreateAsync(Visitor person)
    {
        var page = person.Page;
        await page.GotoAsync("/designer");
        await page.Locator("[name=userName]").WaitForAsync();
        await person.ShootAsync("sign-in");
        await Visitor.SignInAsync(page, "root");
        await person.OpenListAsync();
        await person.ShootAsync("list");
        await page.GetByRole(AriaRole.Button, new() { Name = "Create workflow" }).ClickAsync();
        await person.FillDialogAsync("Name", _name);
        await person.ShootAsync("new");
        await person.AnswerAsync("Ok");
        await person.Editor.WaitAsync();
        await person.ShootAsync("empty");
    }

    private async Task DrawAsync(Visitor person)
    {
        var editor = person.Editor;
        await editor.DragAsync("HTTP Endpoint", 30, 60);
        await editor.FillAsync("Path", _path);
        await editor.DragAsync("Write line", 310, 60);
        await editor.FillAsync("Text", "Somebody called");
        await editor.DragAsync("HTTP Response", 580, 60);
        await editor.DragAsync("Delay", 130, 260);
        await editor.FillAsync("Time span", "01:00:00");
        await editor.DragAsync("If", 420, 230);
        await editor.FillExpressionAsync("Condition", "JavaScript", "getGreeting() !== ''");
        await person.ShootAsync("dragged");
        await editor.ConnectAsync("HttpEndpoint1", "Done", "WriteLine1");
        await editor.ConnectAsync("WriteLine1", "Done", "WriteHttpResponse1");
        await editor.ConnectAsync("WriteHttpResponse1", "Done", "Delay1");
        await editor.ConnectAsync("Delay1", "Done", "If1");
        await person.ShootAsync("connected");

        // What the If does is drawn in a canvas of its own.
        await editor.ClickCanvasAsync(300, 420);
        await editor.Node("If1").Locator("[data-port-name=Then]").ClickAsync();
        await person.AnswerAsync("Ok");
        await Expect(editor.Nodes).ToHaveCountAsync(0);
        await editor.DragAsync("Write line", 100, 100);
        await editor.FillAsync("Text", "Waited");
        await person.Page.Locator(".mud-breadcrumbs").GetByText("Root").ClickAsync();
        await Expect(editor.Nodes).ToHaveCountAsync(5);
    }

    private static async Task DescribeAsync(Visitor person)
    {
        var (page, editor) = (person.Page, person.Editor);
        await editor.OpenTabAsync("Variables");
        await page.GetByRole(AriaRole.Button, new() { Name = "Add variable" }).ClickAsync();
        await person.FillDialogAsync("Name", "Greeting");
        await person.FillDialogAsync("Default value", "Hello");
        await person.ShootAsync("variable");
        await person.AnswerAsync("Ok");
        await editor.OpenTabAsync("Input/Output");
        await page.GetByRole(AriaRole.Button, new() { Name = "Add input" }).ClickAsync();
        await person.FillDialogAsync("Name", "Who");
        await person.AnswerAsync("Ok");
        await page.GetByRole(AriaRole.Button, new() { Name = "Add output" }).ClickAsync();
        await person.FillDialogAsync("Name", "Answer");
        await person.AnswerAsync("Ok");
        await editor.SelectAsync("WriteHttpResponse1");
        await editor.FillExpressionAsync("Content", "JavaScript", "getGreeting() + ', you!'");
        await person.ShootAsync("expression");
    }

    /// <summary>Studio has saved by itself: everything is there after loading the page again.</summary>
    private async Task ReloadAsync(Visitor person, string id)
    {
        await ServerProcess.UntilAsync(
            async () => (await DraftAsync(id)).GetRawText().Contains("getGreeting() + ', you!'", StringComparison.Ordinal)
                || (await DraftAsync(id)).GetRawText().Contains("getGreeting() \\u002B \\u0027, you!\\u0027", StringComparison.Ordinal),
            "the last edit is saved");
        await person.Page.ReloadAsync();
        await person.Editor.WaitAsync();
        await Expect(person.Editor.Nodes).ToHaveCountAsync(5);
        await Expect(person.Editor.Edges).ToHaveCountAsync(4);
        await person.Editor.SelectAsync("WriteLine1");
        await Expect(person.Editor.Control("Text").Locator("input").First).ToHaveValueAsync("Somebody called");
        await person.Editor.OpenTabAsync("Variables");
        await person.Page.GetByRole(AriaRole.Cell, new() { Name = "Greeting" }).WaitForAsync();
        await person.Editor.OpenTabAsync("Input/Output");
        await person.Page.GetByRole(AriaRole.Cell, new() { Name = "Who" }).WaitForAsync();
        await person.Page.GetByRole(AriaRole.Cell, new() { Name = "Answer" }).WaitForAsync();
        await person.ShootAsync("reloaded");
    }

    private async Task PublishAndWatchAsync(Visitor person, string id)
    {
        var page = person.Page;
        await person.Editor.PublishAsync();
        await person.ShootAsync("published");
        var answer = (await browser.Server.CallAsync($"GET /workflows/{_path}")).Is(200);
        Assert.Equal("Hello, you!", answer.Text);

        await person.GoToAsync("Instances");
        var row = person.Rows.Filter(new() { HasText = _name });
        await row.WaitForAsync();
        await person.ShootAsync("instances");
        await row.GetByText(_name).ClickAsync();
        var details = page.GetByRole(AriaRole.Row).Filter(new() { HasText = "Sub status" });
        await Expect(details).ToContainTextAsync("Suspended");
        await person.ShootAsync("waiting");

        // Whoever stands at the screen sees it end: nothing is loaded again.
        await page.EvaluateAsync("() => { window.isSamePage = true; }");
        var instance = page.Url.Split('/')[^1];
        (await browser.Server.CallAsync($"POST /api/instances/{instance}/resume", """{"reason":"the hour is over"}""")).Is(200);
        await Expect(details).ToContainTextAsync("Finished");
        await page.GetByText("If - Completed").WaitForAsync();
        Assert.True(await page.EvaluateAsync<bool>("() => window.isSamePage === true"));
        await person.ShootAsync("finished");
        await person.UseToolAsync("Open workflow");
        await person.Editor.WaitAsync();
        await Expect(person.Editor.Nodes).ToHaveCountAsync(5);
        Assert.Equal(id, page.Url.Split('/')[^1]);
    }

    private async Task RevertAsync(Visitor person, string id)
    {
        await person.Editor.SelectAsync("WriteLine1");
        await person.Editor.FillAsync("Text", "Second version");
        await ServerProcess.UntilAsync(async () => (await DraftAsync(id)).GetProperty("version").GetInt32() == 2, "version 2 is there");
        await person.Editor.PublishAsync();
        await person.Editor.OpenTabAsync("Version history");
        var first = person.Rows.Filter(new() { Has = person.Page.GetByRole(AriaRole.Cell, new() { Name = "1", Exact = true }) });
        await person.ShootAsync("history");
        await person.ChooseAsync(first, "Rollback to this version");
        await ServerProcess.UntilAsync(async () => (await DraftAsync(id)).GetProperty("version").GetInt32() == 3, "version 3 is there");
        await person.Editor.WaitAsync();
        await person.Editor.SelectAsync("WriteLine1");
        await Expect(person.Editor.Control("Text").Locator("input").First).ToHaveValueAsync("Somebody called");
        await person.ShootAsync("reverted");
    }

    private async Task ExportImportDeleteAsync(Visitor person)
    {
        var page = person.Page;
        await person.GoToAsync("Workflows");
        await person.ChooseAsync(await person.FindAsync(_name), "Export");
        var download = await page.RunAndWaitForDownloadAsync(() => person.Dialog.GetByRole(AriaRole.Button, new() { Name = "Export", Exact = true }).ClickAsync());
        var file = JsonNode.Parse(await File.ReadAllTextAsync(await download.PathAsync()))!;
        Assert.Equal(_name, file["name"]!.GetValue<string>());

        var other = $"Imported {_path}"[..20];
        (file["name"], file["definitionId"], file["id"]) = (other, $"{_path}-2", null);
        await page.Locator("elsa-workflow-definition-list .mud-button-group-root button").Last.ClickAsync();
        var chooser = await page.RunAndWaitForFileChooserAsync(() => page.Locator(".mud-popover-open").GetByText("Import", new() { Exact = true }).ClickAsync());
        await chooser.SetFilesAsync(new FilePayload { Name = "other.json", MimeType = "application/json", Buffer = System.Text.Encoding.UTF8.GetBytes(file.ToJsonString()) });
        foreach (var name in (string[])[other, _name])
        {
            await person.ChooseAsync(await person.FindAsync(name), "Delete");
            await person.ShootAsync("delete");
            await person.AnswerAsync("Delete");
            await Expect(person.Rows.Filter(new() { HasText = name })).ToHaveCountAsync(0);
        }
    }

    private async Task<JsonElement> DraftAsync(string id) =>
        (await browser.Server.CallAsync($"GET /elsa/api/workflow-definitions/by-definition-id/{id}?versionOptions=Latest")).Is(200).Json;
}

using System.IO.Compression;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.Playwright;
using static Conclave.Tests.Json;
using static Microsoft.Playwright.Assertions;

namespace Conclave.EndToEnd.Browser;

/// <summary>What the page offers beside what Studio does.</summary>
[Collection(BrowserServer.Name)]
public sealed class ToolTests(BrowserServer browser)
{
    private readonly string _name = Drawings.NewName();

    [Fact]
    public Task UndoRedo_OfAnEdit_GoBackAndForth() => OpenAsync(async (person, id) =>
    {
        await person.Editor.SelectAsync("first");
        await person.Editor.FillAsync("Text", "changed");
        await browser.Server.UntilTextAsync(id, "changed");
        await person.UseToolAsync("Undo");
        await browser.Server.UntilTextAsync(id, "one");
        await SeesAsync("one");
        await person.UseToolAsync("Redo");
        await browser.Server.UntilTextAsync(id, "changed");
        await SeesAsync("changed");

        async Task SeesAsync(string text)
        {
            // Studio is loaded again with the other text.
            await Expect(person.Page.Locator("#view .page-loading")).ToHaveCountAsync(0);
            await person.Editor.WaitAsync();
            await person.Editor.SelectAsync("first");
            await Expect(person.Editor.Control("Text").Locator("input").First).ToHaveValueAsync(text);
        }
    });

    [Fact]
    public Task Json_WithAProblem_ShowsItAtItsPlace_AndSaves() => OpenAsync(async (person, id) =>
    {
        await person.UseToolAsync("JSON");
        await person.Dialog.Locator(".monaco-editor").First.WaitForAsync();
        await ReplaceAsync("Elsa.WriteLine", "Elsa.WriteNothing");
        await person.Dialog.GetByRole(AriaRole.Button, new() { Name = "Check" }).ClickAsync();
        await person.Dialog.Locator(".problems button", new() { HasText = "Elsa.WriteNothing" }).First.ClickAsync();
        var line = await person.Page.EvaluateAsync<string>("() => { const e = monaco.editor.getEditors().at(-1); return e.getModel().getLineContent(e.getPosition().lineNumber); }");
        Assert.Contains("Elsa.WriteNothing", line, StringComparison.Ordinal);
        await person.ShootAsync("problem");

        await ReplaceAsync("Elsa.WriteNothing", "Elsa.WriteLine");
        await ReplaceAsync("one", "by hand");
        await person.AnswerAsync("Save draft");
        await browser.Server.UntilTextAsync(id, "by hand");

        async Task ReplaceAsync(string text, string other)
        {
            var all = await person.Page.EvaluateAsync<string>("() => monaco.editor.getEditors().at(-1).getValue()");
            Assert.Contains(text, all, StringComparison.Ordinal);
            await person.Dialog.Locator(".monaco-editor .view-lines").First.ClickAsync();
            await person.Page.Keyboard.PressAsync("ControlOrMeta+A");
            await person.Page.EvaluateAsync("text => navigator.clipboard.writeText(text)", all.Replace(text, other, StringComparison.Ordinal));
            await person.Page.Keyboard.PressAsync("ControlOrMeta+V");
            await person.Page.WaitForFunctionAsync("text => monaco.editor.getEditors().at(-1).getValue().includes(text)", other);
        }
    });

    [Fact]
    public Task Compare_OfTwoVersions_ShowsWhatChanged() => OpenAsync(async (person, id) =>
    {
        await browser.Server.PublishDraftAsync(id);
        await person.Page.ReloadAsync();
        await person.Editor.WaitAsync();
        await person.Editor.SelectAsync("first");
        await person.Editor.FillAsync("Text", "version two");
        await browser.Server.UntilTextAsync(id, "version two");
        await person.UseToolAsync("Compare");
        await person.Dialog.Locator(".line-insert, .line-delete").First.WaitForAsync();
        await Expect(person.Dialog.Locator("select").First.Locator("option")).ToHaveTextAsync(["Version 2 (draft)", "Version 1 (published)"]);
        await person.ShootAsync("side-by-side");
        await person.Dialog.GetByRole(AriaRole.Button, new() { Name = "One column" }).ClickAsync();
        await person.Dialog.GetByRole(AriaRole.Button, new() { Name = "Side by side" }).WaitForAsync();
        await person.ShootAsync("one-column");
        await person.AnswerAsync("Close");
    });

    [Fact]
    public Task CopyPaste_OfAnActivity_AddsOneOfItsOwn() => OpenAsync(async (person, id) =>
    {
        await person.Editor.SelectAsync("second");
        await person.UseToolAsync("Copy");
        await Expect(person.Message).ToContainTextAsync("Copied");
        await person.UseToolAsync("Paste");
        await Expect(person.Dialog.Locator("textarea")).ToHaveValueAsync(new System.Text.RegularExpressions.Regex("Elsa.WriteLine"));
        await person.AnswerAsync("Paste");
        await Expect(person.Editor.Nodes).ToHaveCountAsync(3);
        var ids = (await browser.Server.DraftAsync(id))["root"]!["activities"]!.AsArray().Select(a => $"{a!["id"]}").ToList();
        Assert.Equal(3, ids.Distinct().Count());
    });

    [Fact]
    public Task CopyPaste_OfTheWorkflow_AndDuplicate_MakeWorkflowsOfTheirOwn() => OpenAsync(async (person, id) =>
    {
        await person.UseToolAsync("Copy");
        await Expect(person.Message).ToHaveTextAsync("The workflow is copied.");
        await person.UseToolAsync("Paste");
        await Expect(person.Dialog.Locator("textarea")).ToHaveValueAsync(new System.Text.RegularExpressions.Regex(_name));
        await person.AnswerAsync("Paste");
        await Expect(person.Editor.Control("Name").Locator("input").First).ToHaveValueAsync($"{_name} (copy)");
        Assert.DoesNotContain(id, person.Page.Url, StringComparison.Ordinal);
        await person.UseToolAsync("Duplicate");
        await Expect(person.Editor.Control("Name").Locator("input").First).ToHaveValueAsync($"{_name} (copy) (copy)");
        await Expect(person.Editor.Nodes).ToHaveCountAsync(2);
    });

    [Fact]
    public Task Download_AndUpload_OfOneAndAll_CarryTheWorkflow() => OpenAsync(async (person, id) =>
    {
        var file = await DownloadAsync("Download");
        var definition = JsonNode.Parse(await File.ReadAllTextAsync(file))!;
        Assert.Equal(_name, $"{definition["name"]}");

        await person.GoToAsync("Workflows");
        await person.FindAsync(_name);
        (definition["definitionId"], definition["name"]) = ($"{id}-2", $"{_name} again");
        var chooser = await person.Page.RunAndWaitForFileChooserAsync(() => person.UseToolAsync("Upload"));
        await chooser.SetFilesAsync(new FilePayload { Name = "one.json", MimeType = "application/json", Buffer = Encoding.UTF8.GetBytes(definition.ToJsonString()) });
        await Expect(person.Message).ToContainTextAsync("1 workflow uploaded.");
        await person.FindAsync($"{_name} again");

        await using var all = await ZipFile.OpenReadAsync(await DownloadAsync("Download all"));
        Assert.Contains(all.Entries, e => e.Name == $"{_name.Replace(' ', '-').ToLowerInvariant()}.json");

        async Task<string> DownloadAsync(string tool) => await (await person.Page.RunAndWaitForDownloadAsync(() => person.UseToolAsync(tool))).PathAsync();
    });

    [Fact]
    public async Task MakeTest_OfAnInstance_IsRepeatedOnTheDraft()
    {
        JsonObject Asks(string task) => Activity("RunTask", "task", ("taskName", Literal(task)));
        var id = await browser.Server.DrawAsync(_name, [Asks("approve"), Write("first", "one")], "task->first");
        await browser.Server.PublishDraftAsync(id);
        var instance = await browser.Server.StartAsync(id);
        await browser.Server.UntilAsync(instance, "Suspended");
        await browser.VisitAsync("author", async person =>
        {
            await person.Page.GotoAsync($"/designer/instances/{instance}");
            person.Watcher.Expect("^409 POST /api/run-tests");
            await person.UseToolAsync("Make test");
            await Expect(person.Message).ToContainTextAsync("has not ended");
            var task = (await browser.Server.ItemsAsync("/api/tasks?limit=500")).First(t => t.Text("instanceId") == instance).Text("taskId");
            await browser.Server.PostAsync($"/api/tasks/{task}/complete", "{}");
            await browser.Server.UntilAsync(instance, "Finished");
            await person.UseToolAsync("Make test");
            await Expect(person.Message).ToContainTextAsync("The run is a test now");
            await person.ShootAsync("made");

            await person.UseToolAsync("Open workflow");
            await person.Editor.WaitAsync();
            await person.UseToolAsync("Tests");
            await Expect(person.Dialog).ToContainTextAsync("not run yet");
            var run = person.Dialog.GetByRole(AriaRole.Button, new() { Name = "Run all" });
            await run.ClickAsync();
            await Expect(person.Dialog).ToContainTextAsync("passed on version 1");
            await person.AnswerAsync("Close");
            await person.Editor.SelectAsync("task");
            await person.Editor.FillAsync("Task name", "look at it");
            await ServerProcess.UntilAsync(async () => (await browser.Server.DraftAsync(id)).ToJsonString().Contains("look at it", StringComparison.Ordinal), "the edit is saved");
            await person.UseToolAsync("Tests");
            await run.ClickAsync();
            await Expect(person.Dialog).ToContainTextAsync("failed on version 2");
            await Expect(person.Dialog).ToContainTextAsync("now:  \"look at it\"");
            await person.ShootAsync("failed");
            await person.AnswerAsync("Close");
        });
    }

    private Task OpenAsync(Func<Visitor, string, Task> story, [System.Runtime.CompilerServices.CallerMemberName] string test = "") => browser.VisitAsync("author", async person =>
    {
        var id = await browser.Server.DrawAsync(_name, [Write("first", "one"), Write("second", "two")], "first->second");
        await person.OpenEditorAsync(id);
        await Expect(person.Editor.Nodes).ToHaveCountAsync(2);
        await story(person, id);
    }, test);
}

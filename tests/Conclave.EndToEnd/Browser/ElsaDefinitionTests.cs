using System.Text.Json.Nodes;
using Conclave.Tests.Conformance;
using static Microsoft.Playwright.Assertions;

namespace Conclave.EndToEnd.Browser;

/// <summary>Elsa's own definitions, in the editor and in the viewer.</summary>
[Collection(BrowserServer.Name)]
public sealed class ElsaDefinitionTests(BrowserServer browser)
{
    [ElsaFact]
    public async Task EveryDefinitionOfElsa_OpensInTheEditor_AndItsRunInTheViewer()
    {
        var server = browser.Server;
        using var form = new MultipartFormDataContent();
        foreach (var file in ElsaData.Files)
            form.Add(new ByteArrayContent(await File.ReadAllBytesAsync(ElsaData.PathOf(file))), "files", file.Replace('/', '_'));
        await ServerProcess.ReadAsync(await server.Http.PostAsync("/api/workflows/import?publish=true", form));
        var views = new List<(string File, string Path)>();
        foreach (var file in ElsaData.Files)
        {
            var definition = JsonNode.Parse(await File.ReadAllTextAsync(ElsaData.PathOf(file)))!;
            views.Add((file, $"workflows/{Uri.EscapeDataString($"{definition["definitionId"]}")}"));
        }

        foreach (var one in ElsaData.Cases.Where(c => c.Text("mode") == "counter"))
            views.Add((one.Text("file"), $"instances/{await RunAsync(one)}"));

        // Most of the time is Studio letting go of what it showed: two windows wait for that at once.
        var half = views.Count / 2;
        await Task.WhenAll(LookAsync(views[..half], "editor"), LookAsync(views[half..], "viewer"));
    }

    private async Task<string> RunAsync(System.Text.Json.JsonElement one)
    {
        var definition = JsonNode.Parse(await File.ReadAllTextAsync(ElsaData.PathOf(one.Text("file"))))!;
        var definitionId = Uri.EscapeDataString($"{definition["definitionId"]}");
        // Of definitions with one id, the one of this case.
        await browser.Server.PublishAsync(definitionId, definition.ToJsonString());
        var body = new JsonObject { ["wait"] = 30 };
        if (one.TryGetProperty("input", out var input))
            body["input"] = JsonNode.Parse(input.GetRawText());
        return (await browser.Server.PostAsync($"/api/workflows/{definitionId}/start", body.ToJsonString())).Text("id");
    }

    private Task LookAsync(IReadOnlyList<(string File, string Path)> views, string folder) => browser.VisitAsync("root", async person =>
    {
        await person.OpenListAsync();
        foreach (var (file, path) in views)
        {
            await person.Page.EvaluateAsync("path => Blazor.navigateTo(path)", $"/designer/{path}");
            var view = person.Page.Locator(path.StartsWith("workflows", StringComparison.Ordinal) ? "elsa-workflow-definition-editor" : "elsa-workflow-instance-viewer");
            var id = Uri.UnescapeDataString(path[(path.IndexOf('/', StringComparison.Ordinal) + 1)..]);
            await person.Page.Locator($"[definition-id=\"{id}\"], [instance-id=\"{id}\"]").WaitForAsync();
            await view.Locator(".mud-toolbar").First.WaitForAsync();
            await Expect(view.Locator(".x6-node").First).ToBeAttachedAsync();
            Assert.True(person.Watcher.Problems.Count == 0, $"{file}: {string.Join('\n', person.Watcher.Problems)}");
        }

        await person.ShootAsync("last");
    }, $"{nameof(EveryDefinitionOfElsa_OpensInTheEditor_AndItsRunInTheViewer)}-{folder}");
}

using System.Text.Json;
using System.Text.Json.Nodes;
using Conclave.Tests.Conformance;
using static Microsoft.Playwright.Assertions;

namespace Conclave.EndToEnd.Browser;

/// <summary>Elsa's own definitions, in the editor and in the viewer.</summary>
[Collection(BrowserServer.Name)]
public sealed class ElsaDefinitionTests(BrowserServer browser)
{
    [ElsaFact]
    public Task EveryDefinitionOfElsa_OpensInTheEditor() => browser.VisitAsync("root", async person =>
    {
        await person.OpenListAsync();
        // One after the other, as people do while the designer is open: some are activities of later ones.
        foreach (var file in ElsaData.Files)
        {
            var definitionId = await ImportAsync(file);
            await ShowAsync(person, file, $"workflows/{definitionId}", $"elsa-workflow-definition-editor[definition-id=\"{definitionId}\"]");
        }

        await person.ShootAsync("last");
    });

    [ElsaFact]
    public Task EveryRunOfElsasDefinitions_OpensInTheViewer() => browser.VisitAsync("root", async person =>
    {
        using (var form = new MultipartFormDataContent())
        {
            foreach (var file in ElsaData.Files)
                form.Add(new ByteArrayContent(await File.ReadAllBytesAsync(ElsaData.PathOf(file))), "files", file.Replace('/', '_'));
            await ServerProcess.ReadAsync(await browser.Server.Http.PostAsync("/api/workflows/import?publish=true", form));
        }

        await person.OpenListAsync();
        foreach (var one in ElsaData.Cases.Where(c => c.Text("mode") == "counter"))
        {
            var id = await RunAsync(one);
            await ShowAsync(person, one.Text("file"), $"instances/{id}", $"elsa-workflow-instance-viewer[instance-id=\"{id}\"]");
        }

        await person.ShootAsync("last");
    });

    /// <summary>Goes to a page and waits until everything is drawn.</summary>
    private static async Task ShowAsync(Visitor person, string file, string path, string element)
    {
        await person.Page.EvaluateAsync("path => Blazor.navigateTo(path)", $"/designer/{path}");
        var view = person.Page.Locator(element);
        await view.Locator(".mud-toolbar").First.WaitForAsync();
        await Expect(view.Locator(".x6-graph").First).ToBeAttachedAsync();
        await Expect(view.Locator(".x6-node")).ToHaveCountAsync(Definition(file)["root"]!["activities"]!.AsArray().Count);
        Assert.True(person.Watcher.Problems.Count == 0, $"{file}: {string.Join('\n', person.Watcher.Problems)}");
    }

    private static JsonNode Definition(string file) => JsonNode.Parse(File.ReadAllText(ElsaData.PathOf(file)))!;

    /// <summary>Imports a definition, as a draft if it has errors on purpose.</summary>
    private async Task<string> ImportAsync(string file)
    {
        foreach (var publish in (string[])["true", "false"])
        {
            using var form = new MultipartFormDataContent { { new ByteArrayContent(await File.ReadAllBytesAsync(ElsaData.PathOf(file))), "files", Path.GetFileName(file) } };
            using var response = await browser.Server.Http.PostAsync($"/api/workflows/import?publish={publish}", form);
            if (response.IsSuccessStatusCode)
                return (await ServerProcess.ReadAsync(response)).GetProperty("items")[0].Text("definitionId");
        }

        throw new Xunit.Sdk.XunitException($"{file} was not imported.");
    }

    private async Task<string> RunAsync(JsonElement one)
    {
        var definitionId = await ImportAsync(one.Text("file"));
        var body = new JsonObject { ["wait"] = 30 };
        if (one.TryGetProperty("input", out var input))
            body["input"] = JsonNode.Parse(input.GetRawText());
        return (await browser.Server.PostAsync($"/api/workflows/{definitionId}/start", body.ToJsonString())).Text("id");
    }
}

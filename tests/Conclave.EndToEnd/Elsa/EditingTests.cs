using System.Text.Json.Nodes;
using static Conclave.Tests.Json;

namespace Conclave.EndToEnd.Elsa;

/// <summary>Two editors of one workflow: whoever saves second is told, and nothing is lost.</summary>
[Collection(SharedServer.Name)]
public sealed class EditingTests(SharedServer shared)
{
    private readonly ServerProcess _server = shared.Server;
    private readonly string _name = $"Edit {SharedServer.NewId()}";

    [Fact]
    public async Task Save_SecondEditor_IsToldAndKeepsACopy()
    {
        var first = await Studio.CreateAsync(_server, _name);
        var second = await Studio.OpenAsync(_server, first.DefinitionId);
        (await first.Draw(Write("mine")).SaveAsync()).Is(200);

        var refused = await second.Draw(Write("theirs")).SaveAsync();

        var text = Assert.Single(Errors(refused));
        Assert.Contains($"'{_name}' was changed by api-key", text, StringComparison.Ordinal);
        Assert.Matches(@"on \d{4}-\d\d-\d\d at \d\d:\d\d:\d\d UTC", text);
        var stored = await Studio.OpenAsync(_server, first.DefinitionId);
        Assert.Equal("mine", stored.Model["root"]!["activities"]![0]!["id"]!.GetValue<string>());
        var copy = await Studio.OpenAsync(_server, (await CopyAsync()).Text("definitionId"));
        Assert.Equal(($"{_name} (copy of api-key)", "theirs"), (copy.Text("name"), copy.Model["root"]!["activities"]![0]!["id"]!.GetValue<string>()));
        Assert.Contains(copy.DefinitionId, text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Save_SecondEditorGoesOn_HasOneCopyWithTheLatest()
    {
        var first = await Studio.CreateAsync(_server, _name);
        var second = await Studio.OpenAsync(_server, first.DefinitionId);
        (await first.Draw(Write("mine")).SaveAsync()).Is(200);

        for (var i = 1; i <= 3; i++)
            (await second.Draw(Write($"theirs{i}")).SaveAsync(publish: i == 3)).Is(400);

        var copy = await Studio.OpenAsync(_server, (await CopyAsync()).Text("definitionId"));
        Assert.Equal(("theirs3", "false", "1"), (copy.Model["root"]!["activities"]![0]!["id"]!.GetValue<string>(), copy.Text("isPublished"), copy.Text("version")));

        // Somebody goes on in the copy; what the old window still sends must not touch that.
        (await copy.Draw(Write("mended")).SaveAsync()).Is(200);
        (await second.Draw(Write("theirs4")).SaveAsync()).Is(400);
        Assert.Contains("mended", (await Studio.OpenAsync(_server, copy.DefinitionId)).Model.ToJsonString(), StringComparison.Ordinal);
        Assert.Equal(2, (await CopiesAsync()).Count);
    }

    [Fact]
    public async Task Save_AgainAndAgain_OwnSavesAreNeverRefused()
    {
        var studio = await Studio.CreateAsync(_server, _name);
        var opened = studio.Request();
        for (var i = 1; i <= 3; i++)
            (await studio.Draw(Write($"a{i}")).SaveAsync()).Is(200);

        // Sent before any of the answers came: the same editor, with what it knew when it was opened.
        opened["model"]!["description"] = "typed fast";
        (await studio.SendAsync(opened)).Is(200);

        Assert.Equal("typed fast", (await Studio.OpenAsync(_server, studio.DefinitionId)).Text("description"));
        Assert.Equal("1", studio.Text("version"));
    }

    [Fact]
    public async Task Save_ManyAtOnce_AllOfOneEditorAreTaken()
    {
        var studio = await Studio.CreateAsync(_server, _name);
        var requests = Enumerable.Range(0, 12).Select(i =>
        {
            var request = studio.Request();
            request["model"]!["description"] = $"{i}";
            return request;
        }).ToList();

        var replies = await Task.WhenAll(requests.Select(r => _server.CallAsync("POST /elsa/api/workflow-definitions", r)));

        Assert.All(replies, r => r.Is(200));
        Assert.Empty(await CopiesAsync());
    }

    [Fact]
    public async Task Save_TwelveEditors_OneWinsAndEachKeepsItsText()
    {
        var studio = await Studio.CreateAsync(_server, _name);
        var editors = await Task.WhenAll(Enumerable.Range(0, 12).Select(_ => Studio.OpenAsync(_server, studio.DefinitionId)));

        var replies = await Task.WhenAll(editors.Select((editor, i) => editor.Draw(Write($"e{i}")).SaveAsync()));

        Assert.Single(replies, r => r.Status == 200);
        Assert.Equal(11, replies.Count(r => r.Status == 400));
        Assert.Equal(11, (await CopiesAsync()).Count);
        var kept = new List<string>();
        foreach (var id in (await CopiesAsync()).Select(c => c.Text("definitionId")).Append(studio.DefinitionId))
            kept.Add((await Studio.OpenAsync(_server, id)).Model["root"]!["activities"]![0]!["id"]!.GetValue<string>());
        Assert.Equal(Enumerable.Range(0, 12).Select(i => $"e{i}").Order(), kept.Order());
    }

    [Fact]
    public async Task Save_RepeatedAfterALostAnswer_ChangesNothing()
    {
        var studio = await Studio.CreateAsync(_server, _name);
        var request = studio.Draw(Write("a")).Request();
        var saved = (await _server.CallAsync("POST /elsa/api/workflow-definitions", request.DeepClone())).Is(200)["workflowDefinition"];
        var other = await Studio.OpenAsync(_server, studio.DefinitionId);

        var repeated = (await studio.SendAsync((JsonObject)request.DeepClone())).Is(200)["workflowDefinition"];

        Assert.Equal((saved.Text("id"), saved.Text("version"), saved.Text("createdAt")), (repeated.Text("id"), repeated.Text("version"), repeated.Text("createdAt")));
        // Nothing changed for the other, either.
        (await other.Draw(Write("b")).SaveAsync()).Is(200);
    }

    [Fact]
    public async Task Save_PublishRepeated_IsOneVersion()
    {
        var studio = await Studio.CreateAsync(_server, _name);
        var draft = studio.Draw(Write("a")).Request();
        var publish = studio.Request(publish: true);
        (await _server.CallAsync("POST /elsa/api/workflow-definitions", publish.DeepClone())).Is(200);

        (await _server.CallAsync("POST /elsa/api/workflow-definitions", publish)).Is(200);
        // The autosave from before the publication comes late: it is in it already.
        var late = (await _server.CallAsync("POST /elsa/api/workflow-definitions", draft)).Is(200)["workflowDefinition"];

        Assert.Equal(("1", "True"), (late.Text("version"), late.Text("isPublished")));
        Assert.Single(await _server.ItemsAsync($"/elsa/api/workflow-definitions?versionOptions=AllVersions&DefinitionIds={studio.DefinitionId}"));
    }

    [Fact]
    public async Task Create_RepeatedAfterALostAnswer_IsOneWorkflow()
    {
        var studio = await Studio.CreateAsync(_server, _name);
        var request = new JsonObject
        {
            ["model"] = new JsonObject { ["name"] = _name, ["description"] = "", ["root"] = new JsonObject { ["id"] = studio.Model["root"]!["id"]!.GetValue<string>(), ["type"] = "Elsa.Flowchart", ["version"] = 1, ["name"] = "Flowchart1" } },
        };

        var again = (await _server.CallAsync("POST /elsa/api/workflow-definitions", request.DeepClone())).Is(200)["workflowDefinition"];
        Assert.Equal(studio.DefinitionId, again.Text("definitionId"));

        (await studio.Draw(Write("a")).SaveAsync()).Is(200);
        var other = (await _server.CallAsync("POST /elsa/api/workflow-definitions", request)).Is(200)["workflowDefinition"];
        Assert.NotEqual(studio.DefinitionId, other.Text("definitionId"));
    }

    [Fact]
    public async Task Save_AfterOthersPublished_IsTheNextDraft()
    {
        var first = await Studio.CreateAsync(_server, _name);
        (await first.Draw(Write("a")).SaveAsync()).Is(200);
        var second = await Studio.OpenAsync(_server, first.DefinitionId);
        (await first.SaveAsync(publish: true)).Is(200);

        (await second.Draw(Write("b")).SaveAsync()).Is(200);

        Assert.Equal(("2", "false"), (second.Text("version"), second.Text("isPublished")));
        Assert.Empty(await CopiesAsync());
    }

    [Fact]
    public async Task Save_AfterDeletion_SaysSoAndKeepsACopy()
    {
        var studio = await Studio.CreateAsync(_server, _name);
        (await _server.CallAsync($"DELETE /elsa/api/workflow-definitions/{studio.DefinitionId}")).Is(204);

        var refused = await studio.Draw(Write("a")).SaveAsync();

        Assert.Contains("was deleted", Assert.Single(Errors(refused)), StringComparison.Ordinal);
        (await _server.CallAsync($"GET /elsa/api/workflow-definitions/{studio.DefinitionId}")).Is(404);
        await CopyAsync();
    }

    [Theory]
    [InlineData("import")]
    [InlineData("api")]
    [InlineData("revert")]
    public async Task Save_AfterAnyOtherWayToChangeIt_IsRefused(string way)
    {
        var studio = await Studio.CreateAsync(_server, _name);
        (await studio.Draw(Write("a")).SaveAsync(publish: true)).Is(200);
        (await studio.Draw(Write("b")).SaveAsync()).Is(200);
        var other = Flows.Of(_name, Sequence("s", Write("c"))).With(("definitionId", studio.DefinitionId));
        (await (way switch
        {
            "import" => _server.CallAsync("POST /elsa/api/workflow-definitions/import", other),
            "api" => _server.CallAsync($"PUT /api/workflows/{studio.DefinitionId}", other),
            _ => _server.CallAsync($"POST /elsa/api/workflow-definitions/{studio.DefinitionId}/revert/1"),
        })).Is(way == "revert" ? 201 : 200);

        Assert.Contains("was changed by api-key", Assert.Single(Errors(await studio.Draw(Write("d")).SaveAsync())), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Token_IsNeitherStoredNorExported_AndForeignOnesDoNothing()
    {
        var studio = await Studio.CreateAsync(_server, _name);
        Assert.NotNull(studio.Model["customProperties"]!["Conclave:EditToken"]);
        Assert.DoesNotContain("EditToken", (await _server.CallAsync($"GET /elsa/api/workflow-definitions/{studio.DefinitionId}/export?versionOptions=Latest")).Is(200).Text, StringComparison.Ordinal);
        Assert.DoesNotContain("EditToken", (await _server.CallAsync($"GET /api/workflows/{studio.DefinitionId}")).Is(200).Text, StringComparison.Ordinal);

        // Duplicated under another id, as a script would: a workflow of its own.
        var copy = studio.Request();
        copy["model"]!["definitionId"] = SharedServer.NewId();
        (await _server.CallAsync("POST /elsa/api/workflow-definitions", copy)).Is(200);
        foreach (var token in (JsonNode?[])["x", "..", new string('a', 5000), 7, null, new JsonObject(), $"{new string('0', 16)}.{new string('g', 64)}.{studio.DefinitionId}"])
        {
            var request = studio.Request();
            request["model"]!["customProperties"]!["Conclave:EditToken"] = token;
            (await _server.CallAsync("POST /elsa/api/workflow-definitions", request)).Is(200);
        }
    }

    private static string[] Errors(Reply refused)
    {
        refused.Is(400);
        Assert.Equal("application/problem+json", refused.Message.Content.Headers.ContentType?.MediaType);
        return [.. refused["errors"].GetProperty("generalErrors").EnumerateArray().Select(e => e.GetString()!)];
    }

    private async Task<List<System.Text.Json.JsonElement>> CopiesAsync() =>
        [.. await _server.ItemsAsync($"/elsa/api/workflow-definitions?versionOptions=Latest&SearchTerm={Uri.EscapeDataString(_name + " (copy of")}")];

    private async Task<System.Text.Json.JsonElement> CopyAsync() => Assert.Single(await CopiesAsync());
}

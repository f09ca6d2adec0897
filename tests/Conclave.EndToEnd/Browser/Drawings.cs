using System.Text.Json.Nodes;
using Conclave.EndToEnd.Elsa;
using static Conclave.Tests.Json;

namespace Conclave.EndToEnd.Browser;

/// <summary>Workflows that are there before somebody opens the designer.</summary>
internal static class Drawings
{
    public static string NewName() => $"Test {Guid.NewGuid():N}"[..21];

    /// <summary>A flowchart of activities in a row; gives its definition id.</summary>
    public static async Task<string> DrawAsync(this ServerProcess server, string name, JsonNode[] activities, params string[] connections)
    {
        var x = 40;
        foreach (var activity in activities)
        {
            activity["name"] ??= activity["id"]!.GetValue<string>();
            activity["metadata"] = new JsonObject { ["designer"] = new JsonObject { ["position"] = new JsonObject { ["x"] = x, ["y"] = 80 } } };
            x += 260;
        }

        return (await Studio.CreateAsync(server, name, Flowchart("f", activities, connections))).DefinitionId;
    }

    public static async Task<JsonNode> DraftAsync(this ServerProcess server, string definitionId) =>
        JsonNode.Parse((await server.CallAsync($"GET /elsa/api/workflow-definitions/by-definition-id/{definitionId}?versionOptions=Latest")).Is(200).Text)!;

    public static Task PublishDraftAsync(this ServerProcess server, string definitionId) =>
        server.CallAsync($"POST /elsa/api/workflow-definitions/{definitionId}/publish", "{}");

    /// <summary>The literal text of the activity with an id. Studio orders activities as it likes.</summary>
    public static string? TextOf(this JsonNode definition, string activity) =>
        definition["root"]!["activities"]!.AsArray().First(a => $"{a!["id"]}" == activity)!["text"]!["expression"]!["value"]?.ToString();

    /// <summary>Waits until the text of the activity <c>first</c> is this.</summary>
    public static Task UntilTextAsync(this ServerProcess server, string definitionId, string text) =>
        ServerProcess.UntilAsync(async () => (await server.DraftAsync(definitionId)).TextOf("first") == text, $"'{text}' is saved");
}

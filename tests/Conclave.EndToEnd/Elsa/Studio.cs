using System.Text.Json;
using System.Text.Json.Nodes;

namespace Conclave.EndToEnd.Elsa;

/// <summary>
/// An opened editor: it knows the members that Studio knows, sends them all with nulls, and replaces its model by each answer.
/// </summary>
internal sealed class Studio(ServerProcess server)
{
    private static readonly string[] Members =
    [
        "id", "definitionId", "name", "description", "toolVersion", "variables", "inputs", "outputs", "outcomes", "customProperties",
        "isReadonly", "options", "root", "createdAt", "version", "isLatest", "isPublished",
    ];

    /// <summary>What it shows.</summary>
    public JsonObject Model { get; private set; } = [];

    public string DefinitionId => Text("definitionId");

    /// <summary>Creates a workflow as the dialog does: everything but name, description and an empty root is null.</summary>
    public static async Task<Studio> CreateAsync(ServerProcess server, string name, JsonNode? root = null)
    {
        var studio = new Studio(server)
        {
            Model = new JsonObject
            {
                ["name"] = name,
                ["description"] = "",
                ["createdAt"] = "0001-01-01T00:00:00+00:00",
                ["version"] = 1,
                ["isLatest"] = false,
                ["isPublished"] = false,
                ["isReadonly"] = false,
                ["root"] = root ?? new JsonObject { ["id"] = $"{Random.Shared.NextInt64():x16}", ["type"] = "Elsa.Flowchart", ["version"] = 1, ["name"] = "Flowchart1" },
            },
        };
        (await studio.SaveAsync()).Is(200);
        return studio;
    }

    /// <summary>Opens the editor.</summary>
    public static async Task<Studio> OpenAsync(ServerProcess server, string definitionId)
    {
        var studio = new Studio(server);
        studio.Take((await server.CallAsync($"GET /elsa/api/workflow-definitions/by-definition-id/{definitionId}?versionOptions=Latest")).Is(200).Json);
        return studio;
    }

    public string Text(string member) => Model[member]!.ToString();

    /// <summary>What the editor would send now.</summary>
    public JsonObject Request(bool publish = false)
    {
        var model = new JsonObject { ["links"] = null };
        foreach (var member in Members)
            model[member] = Model[member]?.DeepClone();
        return new JsonObject { ["model"] = model, ["publish"] = publish };
    }

    /// <summary>Saves what the editor shows.</summary>
    public Task<Reply> SaveAsync(bool publish = false) => SendAsync(Request(publish));

    /// <summary>Sends a request of this editor, and shows what it answers.</summary>
    public async Task<Reply> SendAsync(JsonObject request)
    {
        var reply = await server.CallAsync("POST /elsa/api/workflow-definitions", request);
        if (reply.Status == 200)
            Take(reply["workflowDefinition"]);
        return reply;
    }

    /// <summary>Draws activities: they become the root's, with places.</summary>
    public Studio Draw(params JsonNode[] activities)
    {
        var place = 0;
        foreach (var activity in activities)
            activity["metadata"] = new JsonObject { ["designer"] = new JsonObject { ["position"] = new JsonObject { ["x"] = 10.25 + place, ["y"] = -0.5 * place++ } } };
        Model["root"]!["activities"] = new JsonArray(activities);
        return this;
    }

    private void Take(JsonElement definition)
    {
        Model = [];
        foreach (var member in Members)
        {
            if (definition.TryGetProperty(member, out var value))
                Model[member] = JsonNode.Parse(value.GetRawText(), documentOptions: new JsonDocumentOptions { MaxDepth = 256 });
        }
    }
}

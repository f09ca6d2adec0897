using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Conclave.Workflows.Definitions;

namespace Conclave.Tests;

/// <summary>Writes definitions in few words.</summary>
internal static class Json
{
    public static JsonObject Activity(string type, string id, params (string Name, JsonNode? Value)[] members)
    {
        var activity = new JsonObject { ["type"] = $"Elsa.{type}", ["id"] = id, ["version"] = 1 };
        foreach (var (name, value) in members)
            activity[name] = value;
        return activity;
    }

    /// <summary>A wrapped input of any syntax.</summary>
    public static JsonObject Expression(string syntax, JsonNode? value) => new()
    {
        ["typeName"] = "Object",
        ["expression"] = new JsonObject { ["type"] = syntax, ["value"] = value },
    };

    public static JsonObject Literal(JsonNode? value) => Expression("Literal", value);

    public static JsonObject Variable(string id) => Expression("Variable", new JsonObject { ["id"] = id, ["name"] = id });

    /// <summary>A wrapped input in the syntax of <see cref="TestSyntax"/>.</summary>
    public static JsonObject Test(string text) => Expression("Test", text);

    /// <summary>A bare expression, as the cases of a switch have it.</summary>
    public static JsonObject Condition(string text) => new() { ["type"] = "Test", ["value"] = text };

    /// <summary>The binding of an output to a variable or a workflow output.</summary>
    public static JsonObject To(string target) => new()
    {
        ["typeName"] = "Object",
        ["memoryReference"] = new JsonObject { ["id"] = target },
    };

    public static JsonObject Write(string id, JsonNode? text = null) => Activity("WriteLine", id, ("text", text ?? id));

    public static JsonObject Event(string id) => Activity("Event", id, ("eventName", Literal(id)));

    public static JsonObject Delay(string id, string span = "00:10:00") => Activity("Delay", id, ("timeSpan", Literal(span)));

    public static JsonObject Set(string id, string variable, JsonNode value) =>
        Activity("SetVariable", id, ("variable", new JsonObject { ["id"] = variable, ["name"] = variable }), ("value", value));

    public static JsonObject Sequence(string id, params JsonNode[] activities) =>
        Activity("Sequence", id, ("activities", new JsonArray(activities)));

    /// <summary>A flowchart; connections are written <c>a->b</c>, or <c>a:True->b</c> for a port.</summary>
    public static JsonObject Flowchart(string id, JsonNode[] activities, params string[] connections) => Activity(
        "Flowchart",
        id,
        ("activities", new JsonArray(activities)),
        ("connections", new JsonArray([.. connections.Select(Connection)])));

    public static JsonObject Case(string label, string condition, JsonNode? activity = null)
    {
        var item = new JsonObject { ["label"] = label, ["condition"] = Condition(condition) };
        if (activity is not null)
            item["activity"] = activity;
        return item;
    }

    public static JsonObject Variable(string id, string type, JsonNode? value = null) => new()
    {
        ["id"] = id,
        ["name"] = id,
        ["typeName"] = type,
        ["value"] = value,
        ["storageDriverTypeName"] = "WorkflowInstanceStorageDriver",
    };

    public static JsonObject Workflow(JsonNode root, params JsonObject[] variables) => new()
    {
        ["id"] = "w:1",
        ["definitionId"] = "w",
        ["name"] = "W",
        ["root"] = root,
        ["variables"] = new JsonArray([.. variables]),
    };

    public static T With<T>(this T node, params (string Name, JsonNode? Value)[] members) where T : JsonNode
    {
        foreach (var (name, value) in members)
            node[name] = value;
        return node;
    }

    public static WorkflowDefinition Read(this JsonNode workflow) => Read(workflow.ToJsonString());

    public static WorkflowDefinition Read(string workflow) => WorkflowDefinitionReader.Read(Encoding.UTF8.GetBytes(workflow));

    public static JsonElement Element(string json) => JsonElement.Parse(json);

    private static JsonNode Connection(string text)
    {
        var ends = text.Split("->");
        var source = ends[0].Split(':');
        return new JsonObject
        {
            ["source"] = new JsonObject { ["activity"] = source[0], ["port"] = source.Length > 1 ? source[1] : "Done" },
            ["target"] = new JsonObject { ["activity"] = ends[1], ["port"] = "In" },
        };
    }
}

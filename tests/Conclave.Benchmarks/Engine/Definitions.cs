using System.Text;
using System.Text.Json.Nodes;

namespace Conclave.Benchmarks.Engine;

/// <summary>The workflows that are measured.</summary>
internal static class Definitions
{
    /// <summary>A sequence of one hundred activities.</summary>
    public static byte[] Sequence(Func<int, JsonObject> activity) => Workflow(new JsonObject
    {
        ["id"] = "sequence",
        ["type"] = "Elsa.Sequence",
        ["version"] = 1,
        ["activities"] = new JsonArray([.. Enumerable.Range(0, 100).Select(activity)]),
    });

    public static JsonObject NoOp(int number) => new() { ["id"] = $"noop{number}", ["type"] = "Bench.NoOp", ["version"] = 1 };

    public static JsonObject SetVariable(int number) => new()
    {
        ["id"] = $"set{number}",
        ["type"] = "Elsa.SetVariable",
        ["version"] = 1,
        ["variable"] = new JsonObject { ["id"] = "i", ["name"] = "i", ["typeName"] = "Int32" },
        ["value"] = Input("Object", "Literal", number),
    };

    /// <summary>A decision and an assignment that go round until a count is reached.</summary>
    public static byte[] FlowchartLoop(int rounds) => Workflow(new JsonObject
    {
        ["id"] = "flowchart",
        ["type"] = "Elsa.Flowchart",
        ["version"] = 1,
        ["activities"] = new JsonArray(
            new JsonObject { ["id"] = "decision", ["type"] = "Elsa.FlowDecision", ["version"] = 1, ["condition"] = Input("Boolean", "Native", $"lessThan:i:{rounds}") },
            new JsonObject
            {
                ["id"] = "set",
                ["type"] = "Elsa.SetVariable",
                ["version"] = 1,
                ["variable"] = new JsonObject { ["id"] = "i", ["name"] = "i", ["typeName"] = "Int32" },
                ["value"] = Input("Object", "Native", "increment:i"),
            }),
        ["connections"] = new JsonArray(Connection("decision", "True", "set"), Connection("set", "Done", "decision")),
    });

    /// <summary>Waits for one event.</summary>
    public static byte[] Event() => Workflow(new JsonObject
    {
        ["id"] = "2f8a9c0d11e4b7aa",
        ["type"] = "Elsa.Sequence",
        ["version"] = 1,
        ["activities"] = new JsonArray(
            new JsonObject { ["id"] = "b039045bb7443e57", ["type"] = "Elsa.Event", ["version"] = 1, ["eventName"] = Input("String", "Literal", "Paid") },
            new JsonObject { ["id"] = "c139045bb7443e58", ["type"] = "Bench.NoOp", ["version"] = 1 }),
    });

    /// <summary>Eleven activities as the designer saves them, 8 to 9 KB.</summary>
    public static byte[] Designed()
    {
        var activities = new JsonArray();
        var connections = new JsonArray();
        for (var i = 0; i < 10; i++)
        {
            activities.Add(new JsonObject
            {
                ["text"] = new JsonObject
                {
                    ["typeName"] = "String",
                    ["expression"] = new JsonObject { ["type"] = "Literal", ["value"] = $"Step {i} of the order is done" },
                    ["memoryReference"] = new JsonObject { ["id"] = $"a{i}39045bb7443e57:input-1" },
                },
                ["id"] = $"a{i}39045bb7443e57",
                ["nodeId"] = $"Workflow1:fc39045bb7443e57:a{i}39045bb7443e57",
                ["name"] = $"WriteLine{i + 1}",
                ["type"] = "Elsa.WriteLine",
                ["version"] = 1,
                ["customProperties"] = new JsonObject { ["canStartWorkflow"] = i == 0, ["runAsynchronously"] = false },
                ["metadata"] = new JsonObject
                {
                    ["designer"] = new JsonObject
                    {
                        ["position"] = new JsonObject { ["x"] = 120.5 * i, ["y"] = 80.25 },
                        ["size"] = new JsonObject { ["width"] = 160.875, ["height"] = 50 },
                    },
                    ["displayText"] = $"Step {i + 1} of the order",
                    ["description"] = "Tells the customer how far the order has come, once it has been checked and paid for",
                    ["showDescription"] = true,
                },
            });
            if (i > 0)
                connections.Add(Connection($"a{i - 1}39045bb7443e57", "Done", $"a{i}39045bb7443e57"));
        }

        return Workflow(new JsonObject
        {
            ["id"] = "fc39045bb7443e57",
            ["nodeId"] = "Workflow1:fc39045bb7443e57",
            ["name"] = "Flowchart1",
            ["type"] = "Elsa.Flowchart",
            ["version"] = 1,
            ["customProperties"] = new JsonObject { ["notFoundConnections"] = new JsonArray(), ["canStartWorkflow"] = false, ["runAsynchronously"] = false },
            ["metadata"] = new JsonObject(),
            ["activities"] = activities,
            ["variables"] = new JsonArray(),
            ["connections"] = connections,
        });
    }

    private static JsonObject Connection(string source, string port, string target) => new()
    {
        ["source"] = new JsonObject { ["activity"] = source, ["port"] = port },
        ["target"] = new JsonObject { ["activity"] = target, ["port"] = "In" },
        ["vertices"] = new JsonArray(),
    };

    private static JsonObject Input(string type, string syntax, JsonNode value) => new()
    {
        ["typeName"] = type,
        ["expression"] = new JsonObject { ["type"] = syntax, ["value"] = value },
    };

    private static byte[] Workflow(JsonObject root) => Encoding.UTF8.GetBytes(new JsonObject
    {
        ["$schema"] = "https://elsaworkflows.io/schemas/workflow-definition/v3.0.0/schema.json",
        ["id"] = "5b1d0c2f7a9e4410",
        ["definitionId"] = "4b1d0c2f7a9e4411",
        ["name"] = "Benchmark",
        ["description"] = "",
        ["createdAt"] = "2026-01-15T09:00:00+00:00",
        ["version"] = 3,
        ["toolVersion"] = "3.8.0.0",
        ["variables"] = new JsonArray(new JsonObject
        {
            ["id"] = "i",
            ["name"] = "i",
            ["typeName"] = "Int32",
            ["isArray"] = false,
            ["value"] = "0",
            ["storageDriverTypeName"] = "Elsa.Workflows.WorkflowInstanceStorageDriver, Elsa.Workflows.Core",
        }),
        ["inputs"] = new JsonArray(),
        ["outputs"] = new JsonArray(),
        ["outcomes"] = new JsonArray(),
        ["customProperties"] = new JsonObject(),
        ["isReadonly"] = false,
        ["isSystem"] = false,
        ["isLatest"] = true,
        ["isPublished"] = true,
        ["options"] = new JsonObject { ["autoUpdateConsumingWorkflows"] = false },
        ["root"] = root,
    }.ToJsonString());
}

using System.Globalization;
using System.Text.Json;
using Conclave.Workflows.Definitions;

namespace Conclave.Tests;

/// <summary>Compares definitions.</summary>
internal static class Same
{
    /// <summary>JSON in one spelling: members sorted, numbers and strings by value.</summary>
    public static string Canonical(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => $"{{{string.Join(",", value.EnumerateObject().OrderBy(p => p.Name, StringComparer.Ordinal).Select(p => $"{p.Name}:{Canonical(p.Value)}"))}}}",
        JsonValueKind.Array => $"[{string.Join(",", value.EnumerateArray().Select(Canonical))}]",
        JsonValueKind.String => JsonSerializer.Serialize(value.GetString()),
        JsonValueKind.Number => value.GetDouble().ToString("R", CultureInfo.InvariantCulture),
        _ => value.GetRawText(),
    };

    /// <summary>What a compiled graph consists of.</summary>
    public static IEnumerable<string> Shape(WorkflowGraph graph) => graph.Nodes
        .Select(n => $"{n.NodeId} {n.Type} {n.Version} {n.Port} {n.Name} {n.CanStartWorkflow} {n.MergeMode} {n.EvaluatedInputs.Length}")
        .Concat(graph.Nodes.SelectMany(n => n.Variables).Select(v => v.ToString()))
        .Concat(graph.Problems.Select(p => p.ToString()));

    /// <summary>Every scalar of the original is in the copy, at the same place.</summary>
    public static void AssertNothingLost(JsonElement original, JsonElement copy)
    {
        if (original.ValueKind == JsonValueKind.Object)
        {
            foreach (var property in original.EnumerateObject())
            {
                if (property.Name is "nodeId" or "_type" or "connections")
                    continue;
                Assert.True(copy.TryGetProperty(property.Name, out var same), property.Name);
                AssertNothingLost(property.Value, same);
            }
        }
        else if (original.ValueKind == JsonValueKind.Array)
        {
            Assert.Equal(original.GetArrayLength(), copy.GetArrayLength());
            foreach (var (item, same) in original.EnumerateArray().Zip(copy.EnumerateArray()))
                AssertNothingLost(item, same);
        }
        else
            Assert.Equal(Canonical(original), Canonical(copy));
    }
}

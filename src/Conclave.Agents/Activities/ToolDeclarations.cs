using System.Text.Json;
using Conclave.Agents.Tools;
using Conclave.Inference;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;
using Microsoft.Extensions.AI;

namespace Conclave.Agents.Activities;

/// <summary>Tools as models are told of them.</summary>
internal static class ToolDeclarations
{
    /// <summary>Names of tools in what an author gave: a list of names, or of objects with a name.</summary>
    public static IReadOnlyList<string> Names(object? given) => given is null or "" ? []
        : [.. ValueConverter.Enumerate(given).Select(Name).OfType<string>().Distinct(StringComparer.Ordinal)];

    /// <summary>Declarations of tools that are there and that the agent may know of; null for none.</summary>
    public static IList<AITool>? Of(ActivityContext context, TurnScope scope, object? given)
    {
        var names = Names(given);
        if (names.Count == 0)
            return null;
        var registry = context.Engine.Service<ToolRegistry>("use tools");
        var tools = names.Select(name => registry.Find(scope.Tenant, name)).OfType<RegisteredTool>().Where(t => t.Problem is null)
            .Select(t => (AITool)new ToolDeclaration(t.Definition.Name, t.Definition.Description, t.Definition.Parameters)).ToList();
        return tools.Count > 0 ? tools : null;
    }

    private static string? Name(object? item) => item switch
    {
        string text => text,
        JsonElement { ValueKind: JsonValueKind.String } text => text.GetString(),
        _ when ValueConverter.ToJson(item) is { ValueKind: JsonValueKind.Object } json && json.TryGetProperty("name", out var name) => name.GetString(),
        _ => null,
    };
}

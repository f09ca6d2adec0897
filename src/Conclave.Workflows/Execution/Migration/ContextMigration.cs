using System.Text.Json;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Expressions;

namespace Conclave.Workflows.Execution;

/// <summary>Takes the values of one execution over into another version.</summary>
internal static class ContextMigration
{
    /// <summary>Variables by id, else by name; new ones have their defaults.</summary>
    public static void CopyVariables(ActivityContext from, ActivityContext to, MigrationProblems problems)
    {
        var declared = to.Node.Variables;
        for (var i = 0; i < from.Node.Variables.Count; i++)
        {
            var old = from.Node.Variables[i];
            if (FindCounterpart(declared, old) is not { } found)
            {
                problems.Warn("migrate.variable_removed", from.Node, $"the variable '{old.Definition.Name}' and its value go away.");
                continue;
            }

            try
            {
                to.Variables![found.Slot] = ValueConverter.Convert(from.Variables![i], found.Type);
            }
            catch (ValueConversionException exception)
            {
                problems.Error("migrate.variable_type", from.Node, $"the value of variable '{old.Definition.Name}' does not fit its new type: {exception.Message}");
            }
        }
    }

    /// <summary>The variable that takes the value of one of another version.</summary>
    public static ScopeVariable? FindCounterpart(IReadOnlyList<ScopeVariable> declared, ScopeVariable old) =>
        declared.FirstOrDefault(v => v.Definition.Id == old.Definition.Id)
        ?? declared.FirstOrDefault(v => v.Definition.Name.Equals(old.Definition.Name, StringComparison.OrdinalIgnoreCase));

    /// <summary>Evaluated inputs by name. What was a literal and is an expression now keeps the literal: nobody evaluates it again.</summary>
    public static void CopyInputs(ActivityContext from, ActivityContext to, MigrationProblems problems)
    {
        var evaluated = to.Node.EvaluatedInputs;
        for (var i = 0; i < evaluated.Length; i++)
        {
            var (name, input, _) = evaluated[i];
            var before = Array.FindIndex(from.Node.EvaluatedInputs, e => e.Name == name);
            var value = before >= 0
                ? from.Inputs?[before]
                : Array.Find(from.Node.Kind?.Inputs ?? [], m => m.Name == name)?.Get(from.Node.Activity)?.LiteralValue;
            if (value is null)
                continue;
            try
            {
                (to.Inputs ??= new object?[evaluated.Length])[i] = input.ConvertValue(value);
            }
            catch (ValueConversionException exception)
            {
                problems.Error("migrate.input_type", from.Node, $"the value of input '{name}' does not fit its new type: {exception.Message}");
            }
        }
    }

    /// <summary>Outputs by name.</summary>
    public static object?[]? MapOutputs(object?[]? outputs, ActivityNode from, ActivityNode to)
    {
        if (outputs is null || to.Outputs.Length == 0)
            return null;
        var mapped = new object?[to.Outputs.Length];
        foreach (var output in to.Outputs)
        {
            if (Array.Find(from.Outputs, o => o.Name == output.Name) is { } old && old.Index < outputs.Length)
                mapped[output.Index] = outputs[old.Index];
        }

        return mapped;
    }

    /// <summary>Warns when an activity that has begun would have begun differently.</summary>
    public static void CompareInputs(ActivityContext from, ActivityContext to, MigrationProblems problems)
    {
        foreach (var member in to.Node.Kind?.Inputs ?? [])
        {
            if (AreEqual(Property(from.Node.Json, member.Name), Property(to.Node.Json, member.Name)))
                continue;
            if (from.HasBookmarks)
                problems.Warn("migrate.bookmark_kept", from.Node, $"its input '{member.Name}' changed; it keeps waiting for what it began to wait for.");
            else if (from.Status == ActivityStatus.Running && Array.Exists(to.Node.EvaluatedInputs, e => e.Name == member.Name && e.BeforeRun))
                problems.Warn("migrate.input_kept", from.Node, $"its input '{member.Name}' changed; it keeps the value that it began with.");
        }
    }

    private static bool AreEqual(JsonElement one, JsonElement other) =>
        one.ValueKind == JsonValueKind.Undefined || other.ValueKind == JsonValueKind.Undefined
            ? one.ValueKind == other.ValueKind
            : JsonElement.DeepEquals(one, other);

    private static JsonElement Property(JsonElement json, string name)
    {
        if (json.ValueKind == JsonValueKind.Object)
        {
            foreach (var property in json.EnumerateObject())
            {
                if (property.Name.Equals(name, StringComparison.OrdinalIgnoreCase))
                    return property.Value;
            }
        }

        return default;
    }
}

using Conclave.Workflows.Definitions;

namespace Conclave.Workflows.Execution;

/// <summary>What the journal keeps of one execution of an activity: values by descriptor name, without what must not be kept.</summary>
public static class JournalValues
{
    /// <summary>The inputs, literal ones included. Inputs that were not evaluated are left out.</summary>
    /// <param name="node">The activity.</param>
    /// <param name="details">Details of its <see cref="ExecutionEvent.Completed"/> entry; null when it had none.</param>
    public static Dictionary<string, object?> Inputs(ActivityNode node, ActivityDetails? details)
    {
        var values = new Dictionary<string, object?>(StringComparer.Ordinal);
        foreach (var member in node.Kind?.Inputs ?? [])
        {
            if (member.Get(node.Activity) is { Slot: < 0 } literal && IsKept(node, member.Name))
                values[member.Name] = literal.LiteralValue;
        }

        for (var slot = 0; slot < node.EvaluatedInputs.Length && slot < details?.Inputs?.Length; slot++)
        {
            var name = node.EvaluatedInputs[slot].Name;
            if (IsKept(node, name))
                values[name] = details!.Inputs![slot];
        }

        return values;
    }

    /// <summary>The outputs that were set.</summary>
    /// <param name="node">The activity.</param>
    /// <param name="details">Details of its <see cref="ExecutionEvent.Completed"/> entry; null when it had none.</param>
    public static Dictionary<string, object?> Outputs(ActivityNode node, ActivityDetails? details)
    {
        var values = new Dictionary<string, object?>(StringComparer.Ordinal);
        for (var i = 0; i < node.Outputs.Length && i < details?.Outputs?.Length; i++)
        {
            if (node.LogPersistence.IncludesOutput(node.Outputs[i].Name))
                values[node.Outputs[i].Name] = details!.Outputs![i];
        }

        return values;
    }

    /// <summary>Whether the journal may keep an evaluated input.</summary>
    internal static bool IsInputKept(ActivityNode node, int slot) =>
        slot < node.EvaluatedInputs.Length && IsKept(node, node.EvaluatedInputs[slot].Name);

    /// <summary>Whether the journal may keep an output.</summary>
    internal static bool IsOutputKept(ActivityNode node, int index) =>
        index < node.Outputs.Length && node.LogPersistence.IncludesOutput(node.Outputs[index].Name);

    private static bool IsKept(ActivityNode node, string name)
    {
        foreach (var input in node.Descriptor.Inputs)
        {
            if (input.Name == name && input.IsSensitive)
                return false;
        }

        return node.LogPersistence.IncludesInput(name);
    }
}

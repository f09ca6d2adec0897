using System.Text.Json;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;

namespace Conclave.Workflows.Runtime.Operations;

/// <content>Variables.</content>
public sealed partial class InstanceOperations
{
    private const int LongestValue = 200;

    /// <summary>Sets variables of the workflow.</summary>
    /// <param name="tenant">Owner of the instance.</param>
    /// <param name="id">Id of the instance.</param>
    /// <param name="values">Values by name; converted to the declared types.</param>
    /// <param name="actor">Who asks for it.</param>
    /// <param name="reason">Why; null when nobody said.</param>
    /// <param name="cancellationToken">Stops waiting for the instance.</param>
    /// <returns>The instance.</returns>
    /// <exception cref="WorkflowException">The instance has ended, or a name or value is wrong; the message lists all problems, and none is set.</exception>
    public Task<WorkflowInstance> SetVariablesAsync(
        string tenant, string id, IReadOnlyDictionary<string, object?> values, string actor, string? reason, CancellationToken cancellationToken) =>
        ChangeAsync(
            tenant,
            id,
            burst =>
            {
                ThrowIfEnded(burst.Instance);
                var changes = SetVariables(burst.Instance, values);
                burst.Operated("variables", actor, reason, changes);
                return ValueTask.CompletedTask;
            },
            cancellationToken);

    /// <summary>Sets the variables and says what changed: JSON with <c>from</c> and <c>to</c> by name, shortened.</summary>
    private static string SetVariables(WorkflowInstance instance, IReadOnlyDictionary<string, object?> values)
    {
        if (instance.RootContext?.Variables is not { } slots)
        {
            throw instance.RootContext is null
                ? new WorkflowException("instance.not_started", $"Instance '{instance.Id}' has not started yet, so that it has no variables. Try again in a moment.")
                : BadVariables(["the workflow declares no variables"]);
        }

        if (values.Count == 0)
            throw BadVariables(["no variable is given"]);
        var declared = instance.Graph.Root.Variables;
        var changes = new Dictionary<string, Dictionary<string, string?>>(StringComparer.Ordinal);
        var converted = new List<(ScopeVariable Variable, object? Value)>();
        var problems = new List<string>();
        foreach (var (name, value) in values)
        {
            if (Find(declared, name) is not { } variable)
            {
                problems.Add($"there is no variable '{name}' (there are: {string.Join(", ", declared.Select(v => v.Definition.Name))})");
                continue;
            }

            if (variable.IsInMemory)
            {
                problems.Add($"'{name}' is kept in memory only and would be gone at once");
                continue;
            }

            try
            {
                var typed = ValueConverter.Convert(value is JsonElement json ? ValueConverter.FromJson(json) : value, variable.Type);
                converted.Add((variable, typed));
                changes[variable.Definition.Name] = new() { ["from"] = Show(slots[variable.Slot]), ["to"] = Show(typed) };
            }
            catch (ValueConversionException exception)
            {
                problems.Add($"'{name}': {exception.Message}");
            }
        }

        if (problems.Count > 0)
            throw BadVariables(problems);
        foreach (var (variable, value) in converted)
        {
            slots[variable.Slot] = value;
            instance.Log.Note(LogNoteKind.Variable, instance.RootContext.Number, variable.Definition.Name, value, instance.Graph.Root.LogPersistence.IncludesAll);
        }

        instance.UpdatedAt = instance.Time.GetUtcNow();
        return JsonSerializer.Serialize(changes);
    }

    private static ScopeVariable? Find(IReadOnlyList<ScopeVariable> declared, string name) =>
        declared.FirstOrDefault(v => v.Definition.Name == name)
        ?? declared.FirstOrDefault(v => v.Definition.Name.Equals(name, StringComparison.OrdinalIgnoreCase));

    private static string? Show(object? value) => ValueConverter.ToText(value) is { } text ? Shorten(text, LongestValue) : null;

    private static WorkflowException BadVariables(IEnumerable<string> problems) =>
        new("instance.bad_variables", $"No variable was set: {string.Join("; ", problems)}.");
}

using System.Globalization;
using System.Text.Json;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;

namespace Conclave.Workflows.Runtime.Operations;

/// <summary>A change to an instance in Elsa's form: an object with a <c>type</c> and its members.</summary>
/// <remarks><c>Cancel</c>; <c>ModifyVariable</c> (<c>variableId</c>, <c>value</c>); <c>Migrate</c> (<c>targetVersion</c>); <c>ScheduleActivity</c> (<c>activityInstanceId</c> or <c>activityId</c> of one that faulted, which runs again).</remarks>
public abstract record Alteration
{
    private Alteration()
    {
    }

    /// <summary>Reads a list of changes.</summary>
    /// <exception cref="WorkflowException">One is unknown or lacks something; the message says which.</exception>
    public static IReadOnlyList<Alteration> ReadList(JsonElement alterations)
    {
        if (alterations.ValueKind != JsonValueKind.Array || alterations.GetArrayLength() == 0)
            throw Bad("'alterations' must be a list with at least one change, such as [{\"type\":\"Cancel\"}].");
        return [.. alterations.EnumerateArray().Select(Read)];
    }

    private static Alteration Read(JsonElement alteration)
    {
        switch (JsonShapes.GetString(alteration, "type"))
        {
            case "Cancel":
                return new Cancel();
            case "ModifyVariable":
                return new ModifyVariable(
                    JsonShapes.GetString(alteration, "variableId") ?? throw Bad("ModifyVariable needs a 'variableId'."),
                    JsonShapes.TryGet(alteration, "value", out var value) ? ValueConverter.FromJson(value) : null);
            case "Migrate":
                return new Migrate(JsonShapes.TryGet(alteration, "targetVersion", out var version) && ValueConverter.ToText(ValueConverter.FromJson(version)) is { Length: > 0 } text
                    ? text
                    : throw Bad("Migrate needs a 'targetVersion'."));
            case "ScheduleActivity":
                var (number, activityId) = (NumberOf(JsonShapes.GetString(alteration, "activityInstanceId")), JsonShapes.GetString(alteration, "activityId"));
                return number is null && activityId is null ? throw Bad("ScheduleActivity needs an 'activityInstanceId' or an 'activityId'.") : new Retry(number, activityId);
            case var type:
                throw Bad($"'{type}' is not a change that can be made. Known types: Cancel, ModifyVariable, Migrate, ScheduleActivity.");
        }
    }

    /// <summary>The number of an execution at the end of its id.</summary>
    private static int? NumberOf(string? activityInstanceId) => activityInstanceId is null
        ? null
        : int.TryParse(activityInstanceId.AsSpan(activityInstanceId.LastIndexOf('-') + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            ? number
            : throw Bad($"'{activityInstanceId}' is not the id of an execution.");

    private static WorkflowException Bad(string message) => new("alteration.invalid", message);

    /// <summary>Cancels the instance.</summary>
    public sealed record Cancel : Alteration;

    /// <summary>Sets a variable.</summary>
    /// <param name="VariableId">Id of the variable.</param>
    /// <param name="Value">Its value.</param>
    public sealed record ModifyVariable(string VariableId, object? Value) : Alteration;

    /// <summary>Moves the instance to another version.</summary>
    /// <param name="Version">Number or id of the version.</param>
    public sealed record Migrate(string Version) : Alteration;

    /// <summary>Runs a faulted activity again.</summary>
    /// <param name="Number">Number of its execution; null when <paramref name="ActivityId"/> says which, and with that for all that faulted.</param>
    /// <param name="ActivityId">Id of the activity.</param>
    public sealed record Retry(int? Number, string? ActivityId) : Alteration;
}

/// <summary>What became of the changes to one instance.</summary>
/// <param name="InstanceId">The instance.</param>
/// <param name="IsSuccessful">Whether all were made; those before the first that failed stay made.</param>
/// <param name="Log">A sentence for each.</param>
public sealed record AlterationResult(string InstanceId, bool IsSuccessful, IReadOnlyList<string> Log);

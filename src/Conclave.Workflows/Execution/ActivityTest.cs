using System.Text.Json;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Expressions;

namespace Conclave.Workflows.Execution;

/// <summary>Runs one activity of a workflow by itself, in memory: authors try it out before the workflow runs as a whole.</summary>
/// <remarks>
/// The activity really runs, once and without retries: one that calls something outside does so. Activities inside it do not run, and what it asks of the
/// host for later (events, other workflows, tasks) is reported and not carried out.
/// </remarks>
public static class ActivityTest
{
    /// <summary>Runs an activity.</summary>
    /// <param name="engine">The engine that compiled the graph.</param>
    /// <param name="graph">The workflow.</param>
    /// <param name="node">The activity.</param>
    /// <param name="variables">Values by id of the variable; the others have their defaults. Undefined for none.</param>
    /// <param name="host">What the process offers; it must not be able to run other workflows.</param>
    /// <param name="cancellationToken">Ends the attempt; what was read and set until then is lost.</param>
    /// <exception cref="WorkflowException">A value does not fit its variable.</exception>
    public static async Task<ActivityTestResult> RunAsync(
        WorkflowEngine engine, WorkflowGraph graph, ActivityNode node, JsonElement variables, WorkflowHost host, CancellationToken cancellationToken)
    {
        var instance = engine.CreateInstance(graph);
        var context = NewContext(instance, node, variables);
        var before = VariablesOf(context);
        context.Burst = new Burst(engine, instance, host, cancellationToken);
        context.CancellationToken = cancellationToken;
        instance.Executing = context;
        ExceptionState? exception = null;
        try
        {
            await Burst.EvaluateInputsAsync(context);
            await node.Activity.ExecuteAsync(context);
        }
        catch (Exception failure) when (!(failure is OperationCanceledException && cancellationToken.IsCancellationRequested))
        {
            exception = ExceptionState.From(failure);
            context.Status = ActivityStatus.Faulted;
        }

        var details = new ActivityDetails(context.Inputs, context.Outputs, context.Outcomes);
        return new ActivityTestResult(
            context.Status,
            JournalValues.Inputs(node, details),
            JournalValues.Outputs(node, details),
            context.Status == ActivityStatus.Completed ? context.Outcomes ?? ["Done"] : [],
            VariablesOf(context).Where(v => !Equals(v.Value, before.GetValueOrDefault(v.Key))).ToDictionary(v => v.Key, v => v.Value),
            instance.Effects,
            instance.Bookmarks,
            exception);
    }

    /// <summary>An execution of the activity inside executions of everything around it, so that it sees its variables.</summary>
    private static ActivityContext NewContext(WorkflowInstance instance, ActivityNode node, JsonElement values)
    {
        var context = instance.NewContext(node, node.Parent is null ? null : NewContext(instance, node.Parent, values));
        for (var slot = 0; slot < node.Variables.Count; slot++)
        {
            var variable = node.Variables[slot];
            if (JsonShapes.TryGet(values, variable.Definition.Id, out var given) && given.ValueKind is not (JsonValueKind.Null or JsonValueKind.Undefined))
                context.Variables![slot] = Read(variable, given);
        }

        return context;
    }

    private static object? Read(ScopeVariable variable, JsonElement given)
    {
        var literal = ValueConverter.FromJson(given);
        // An empty editor is no value.
        if (literal is "" && (variable.Type.IsList || variable.Type.Clr != typeof(string)))
            return variable.Default;
        try
        {
            return ValueConverter.Convert(literal, variable.Type);
        }
        catch (ValueConversionException exception)
        {
            throw new WorkflowException("variable.bad_test_value", $"The test value of variable '{variable.Definition.Name}' does not fit its type: {exception.Message}", exception);
        }
    }

    private static Dictionary<string, object?> VariablesOf(ActivityContext context)
    {
        var values = new Dictionary<string, object?>(StringComparer.Ordinal);
        for (var scope = context.Parent; scope is not null; scope = scope.Parent)
        {
            for (var slot = 0; slot < scope.Node.Variables.Count; slot++)
                values.TryAdd(scope.Node.Variables[slot].Definition.Name, scope.Variables![slot]);
            foreach (var added in scope.Dynamic ?? [])
                values.TryAdd(added.Name, added.Value);
        }

        return values;
    }
}

/// <summary>What an activity made of its test.</summary>
/// <param name="Status">How it stands; running when it waits for something or for what is inside it.</param>
/// <param name="Inputs">Evaluated inputs by descriptor name, without sensitive ones.</param>
/// <param name="Outputs">Outputs that were set, by descriptor name.</param>
/// <param name="Outcomes">Outcomes that it completed with.</param>
/// <param name="Variables">Variables that it changed, by name.</param>
/// <param name="Effects">What it asks the host to do; nothing of it was done.</param>
/// <param name="Bookmarks">What it waits for.</param>
/// <param name="Exception">What went wrong; null when nothing did.</param>
public sealed record ActivityTestResult(
    ActivityStatus Status,
    IReadOnlyDictionary<string, object?> Inputs,
    IReadOnlyDictionary<string, object?> Outputs,
    IReadOnlyList<string> Outcomes,
    IReadOnlyDictionary<string, object?> Variables,
    IReadOnlyList<WorkflowEffect> Effects,
    IReadOnlyList<Bookmark> Bookmarks,
    ExceptionState? Exception);

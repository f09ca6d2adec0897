using System.Text.Json;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;

namespace Conclave.Workflows.Activities;

/// <summary>Sets a variable.</summary>
[Activity("Elsa", "Primitives", "Gives a variable of the workflow, or of a container around this activity, a new value.")]
public sealed class SetVariable : Activity
{
    private ScopeVariable? _variable;
    private string? _name;

    /// <summary>The variable, found by its id.</summary>
    [Input(Description = "The variable to set.", UIHint = InputUIHints.VariablePicker)]
    public JsonElement Variable { get; set; }

    /// <summary>The value, converted to the variable's type.</summary>
    [Input(Description = "The new value. It is converted to the type of the variable.")]
    public Input<object> Value { get; set; } = new();

    internal override void Configure(ActivityConfiguration configuration)
    {
        if (!configuration.TryGet("variable", out var json) || Reference.Read(json) is not { Key: { } key } reference)
        {
            configuration.Problem("set_variable.missing", "No variable is chosen.", "variable");
            return;
        }

        _variable = Node.FindVariable(key);
        _name = reference.Name ?? key;
        if (_variable is null)
            configuration.Problem("variable.not_found", $"The variable '{_name}' ({key}) is not declared in any scope around this activity.", "variable", ProblemSeverity.Warning);
    }

    /// <inheritdoc/>
    public override ValueTask ExecuteAsync(ActivityContext context)
    {
        var value = context.Get(Value);
        if (_variable is not null)
            context.SetVariable(_variable, value);
        else if (_name is null || !context.TrySetDynamic(_name, value))
            throw new WorkflowException("variable.not_found", $"{Node}: the variable '{_name}' does not exist. Declare it in the workflow or in a container around this activity.");
        context.Complete();
        return ValueTask.CompletedTask;
    }
}

/// <summary>Names the instance.</summary>
[Activity("Elsa", "Primitives", "Gives the running instance a name, by which people find it in lists.")]
public sealed class SetName : Activity
{
    /// <summary>The name.</summary>
    [Input(Description = "The name, for example an expression with the customer's name.")]
    public Input<string> Value { get; set; } = new();

    /// <inheritdoc/>
    public override ValueTask ExecuteAsync(ActivityContext context)
    {
        context.Instance.Rename(context.Get(Value));
        context.Complete();
        return ValueTask.CompletedTask;
    }
}

/// <summary>Ties the instance to something in the author's world.</summary>
[Activity("Elsa", "Primitives", "Ties the running instance to something in your world, so that events and requests for that find it.")]
public sealed class Correlate : Activity
{
    /// <summary>The correlation id.</summary>
    [Input(Description = "The id to find the instance by, for example an order number.")]
    public Input<string> CorrelationId { get; set; } = new();

    /// <inheritdoc/>
    public override ValueTask ExecuteAsync(ActivityContext context)
    {
        context.Instance.Correlate(context.Get(CorrelationId));
        context.Complete();
        return ValueTask.CompletedTask;
    }
}

/// <summary>Ends the workflow.</summary>
[Activity("Elsa", "Primitives", "Ends the workflow at once as finished; whatever else runs or waits is dropped.", IsTerminal = true)]
public sealed class Finish : Activity
{
    /// <inheritdoc/>
    public override ValueTask ExecuteAsync(ActivityContext context)
    {
        context.Instance.Finish();
        context.Complete();
        return ValueTask.CompletedTask;
    }
}

/// <summary>Fails on purpose.</summary>
[Activity("Elsa", "Primitives", "Fails on purpose with a message. What follows depends on the workflow's incident strategy.")]
public sealed class Fault : Activity
{
    /// <summary>Code that identifies the failure.</summary>
    [Input(Description = "A code by which programs and people recognise the failure.")]
    public Input<string> Code { get; set; } = new("0");

    /// <summary>Category of the failure.</summary>
    [Input(Description = "The kind of failure, for example Business or Technical.")]
    public Input<string> Category { get; set; } = new("General");

    /// <summary>Type of the failure.</summary>
    [Input(Description = "Where the failure comes from, for example System.", DisplayName = "Type")]
    public Input<string> FaultType { get; set; } = new("System");

    /// <summary>What went wrong.</summary>
    [Input(Description = "What went wrong and what to do about it, for whoever looks at the incident.")]
    public Input<string> Message { get; set; } = new();

    /// <inheritdoc/>
    public override ValueTask ExecuteAsync(ActivityContext context) => throw new FaultException(
        context.Get(Code) ?? "0",
        context.Get(Category) ?? "General",
        context.Get(FaultType) ?? "System",
        context.Get(Message) ?? "The workflow was faulted by its author.");
}

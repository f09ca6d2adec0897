using Conclave.Workflows.Definitions;

namespace Conclave.Workflows.Activities;

/// <summary>An output of an activity, and where the author captures it.</summary>
public abstract class Output
{
    /// <summary>Name as in the descriptor.</summary>
    public string Name { get; internal set; } = "";

    /// <summary>Place of the value among the activity's outputs.</summary>
    internal int Index { get; set; }

    /// <summary>Variable that receives the value; null when it is not captured in one.</summary>
    internal ScopeVariable? Variable { get; set; }

    /// <summary>Workflow output, or name of a variable known only at run time, that receives the value.</summary>
    internal string? Target { get; set; }
}

/// <summary>An output with values of type <typeparamref name="T"/>.</summary>
public sealed class Output<T> : Output;

namespace Conclave.Workflows.Definitions;

/// <summary>A variable of a compiled workflow: which activity's scope holds it, and where.</summary>
/// <param name="Definition">The variable as the author declared it.</param>
/// <param name="Scope">The node whose contexts hold the value.</param>
/// <param name="Slot">Place among the variables of the scope.</param>
/// <param name="Type">Type that assigned values are converted to.</param>
/// <param name="Default">Initial value, converted already.</param>
public sealed record ScopeVariable(VariableDefinition Definition, ActivityNode Scope, int Slot, DataType Type, object? Default)
{
    /// <summary>Whether this is an input of a workflow used as an activity, which its scripts see as a variable.</summary>
    public bool IsInput { get; init; }

    /// <summary>
    /// Whether the value is stored with the instance. The driver <c>MemoryStorageDriver</c> says no: its variables go back
    /// to their defaults when the instance is resumed.
    /// </summary>
    public bool IsStored { get; } =
        Definition.StorageDriverTypeName?.Contains("MemoryStorageDriver", StringComparison.Ordinal) != true;
}

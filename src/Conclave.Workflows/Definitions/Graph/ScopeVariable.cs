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

    /// <summary>Whether the author chose a storage driver that keeps the value.</summary>
    public bool IsStored => Definition.StorageDriverTypeName is not null && !IsInMemory;

    /// <summary>
    /// Whether the author wants the value in memory only: it goes back to its default when the instance is resumed. Values without
    /// any driver are kept all the same, so that nothing is lost by an omission.
    /// </summary>
    public bool IsInMemory { get; } = StorageDriver.Find(Definition.StorageDriverTypeName)?.IsInMemory == true;
}

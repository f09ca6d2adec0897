namespace Conclave.Workflows.Definitions;

/// <summary>A way of doing something that definitions choose by name.</summary>
/// <param name="Name">Name in definitions; for some a .NET type name, whose class part alone counts.</param>
/// <param name="DisplayName">Name shown to authors.</param>
/// <param name="Description">What choosing it means.</param>
public sealed record StrategyDescriptor(string Name, string DisplayName, string Description);

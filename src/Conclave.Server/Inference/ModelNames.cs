namespace Conclave.Server.Inference;

/// <summary>What people may name as a model, aliases included; empty in a process without the role inference.</summary>
/// <param name="tenant">Who asks.</param>
internal delegate IReadOnlyList<string> ModelNames(string tenant);

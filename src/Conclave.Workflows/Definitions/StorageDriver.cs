namespace Conclave.Workflows.Definitions;

/// <summary>Where the value of a variable is kept between bursts, by the names that definitions use.</summary>
/// <param name="TypeName">Name in definitions; the class part alone counts.</param>
/// <param name="DisplayName">Name shown to authors.</param>
/// <param name="Priority">The highest is what the designer suggests.</param>
/// <param name="IsInMemory">Whether the value goes back to its default when the instance is resumed.</param>
/// <param name="IsDeprecated">Whether it is there for old definitions only.</param>
public sealed record StorageDriver(string TypeName, string DisplayName, int Priority, bool IsInMemory = false, bool IsDeprecated = false)
{
    /// <summary>What the engine knows, the suggested one first.</summary>
    public static IReadOnlyList<StorageDriver> All { get; } =
    [
        new("Elsa.Workflows.WorkflowInstanceStorageDriver, Elsa.Workflows.Core", "Workflow Instance", 5),
        new("Elsa.Workflows.MemoryStorageDriver, Elsa.Workflows.Core", "Memory", 0, IsInMemory: true),
        new("Elsa.Workflows.Services.WorkflowStorageDriver, Elsa.Workflows.Core", "Workflow", -1, IsDeprecated: true),
    ];

    /// <summary>Class name, which is also the alias in definitions.</summary>
    public string Alias { get; } = ClassOf(TypeName);

    /// <summary>Finds the driver that a definition names, in any of its spellings; null when there is none.</summary>
    public static StorageDriver? Find(string? typeName) =>
        typeName is null ? null : All.FirstOrDefault(d => d.Alias.Equals(ClassOf(typeName), StringComparison.OrdinalIgnoreCase));

    /// <summary>The class in a .NET type name: no namespace, no assembly.</summary>
    private static string ClassOf(string typeName)
    {
        var name = typeName.Split(',')[0].Trim();
        return name[(name.LastIndexOf('.') + 1)..];
    }
}

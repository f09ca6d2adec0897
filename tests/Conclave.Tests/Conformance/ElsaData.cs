using System.Text.Json;

namespace Conclave.Tests.Conformance;

/// <summary>Where the reference cases are: <c>shared/elsa</c> beside the repository, or <c>CONCLAVE_ELSA_DATA</c>.</summary>
internal static class ElsaData
{
    public static string? Folder { get; } = Find();

    public static string? Missing => Folder is null
        ? "The reference cases are not here. Put them in shared/elsa beside the repository, or point CONCLAVE_ELSA_DATA at them."
        : null;

    public static IReadOnlyList<JsonElement> Cases { get; } = Folder is null
        ? []
        : [.. JsonElement.Parse(File.ReadAllBytes(Path.Combine(Folder, "expected.json"))).EnumerateArray()];

    public static IEnumerable<string> Files { get; } = Folder is null
        ? []
        : Directory.EnumerateFiles(Path.Combine(Folder, "workflows"), "*.json", SearchOption.AllDirectories)
            .Select(f => Path.GetRelativePath(Path.Combine(Folder, "workflows"), f)).Order(StringComparer.Ordinal);

    public static string PathOf(string file) => Path.Combine(Folder!, "workflows", file);

    private static string? Find()
    {
        var folder = Environment.GetEnvironmentVariable("CONCLAVE_ELSA_DATA");
        for (var place = new DirectoryInfo(AppContext.BaseDirectory); string.IsNullOrEmpty(folder) && place is not null; place = place.Parent)
        {
            if (File.Exists(Path.Combine(place.FullName, "Platform.sln")))
                folder = Path.Combine(place.FullName, "..", "shared", "elsa");
        }

        return folder is not null && File.Exists(Path.Combine(folder, "expected.json")) ? Path.GetFullPath(folder) : null;
    }
}

/// <summary>A test that needs the reference cases.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class ElsaFactAttribute : FactAttribute
{
    public ElsaFactAttribute() => Skip = ElsaData.Missing;
}

/// <summary>Tests that need the reference cases.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class ElsaTheoryAttribute : TheoryAttribute
{
    public ElsaTheoryAttribute() => Skip = ElsaData.Missing;
}

using System.Collections.Frozen;
using System.Reflection;

namespace Conclave.Workflows.Activities;

/// <summary>The activity types that an engine knows. Immutable; add types with <see cref="With"/>.</summary>
public sealed class ActivityCatalog
{
    private readonly FrozenDictionary<string, ActivityType[]> _byName;

    private ActivityCatalog(IEnumerable<ActivityType> types)
    {
        Types = [.. types.OrderBy(t => t.Descriptor.TypeName, StringComparer.Ordinal).ThenBy(t => t.Descriptor.Version)];
        _byName = Types.GroupBy(t => t.Descriptor.TypeName).ToFrozenDictionary(g => g.Key, g => g.ToArray());
    }

    /// <summary>The activities that come with the engine.</summary>
    public static ActivityCatalog BuiltIn { get; } = new(TypesOf(typeof(ActivityCatalog).Assembly));

    /// <summary>All types, ordered by name and version.</summary>
    public IReadOnlyList<ActivityType> Types { get; }

    /// <summary>A catalog with these types added; a type of the same name and version replaces the old one.</summary>
    public ActivityCatalog With(params IEnumerable<ActivityType> types)
    {
        var merged = Types.ToDictionary(t => (t.Descriptor.TypeName, t.Descriptor.Version));
        foreach (var type in types)
            merged[(type.Descriptor.TypeName, type.Descriptor.Version)] = type;
        return new ActivityCatalog(merged.Values);
    }

    /// <summary>A catalog with every activity class of an assembly added.</summary>
    public ActivityCatalog WithAssembly(Assembly assembly) => With(TypesOf(assembly));

    /// <summary>Finds a type; a version that does not exist falls back to the newest.</summary>
    /// <param name="typeName">Full type name, for example <c>Elsa.WriteLine</c>.</param>
    /// <param name="version">Version, or 0 for the newest.</param>
    /// <returns>The type, or null when no type has that name.</returns>
    public ActivityType? Find(string typeName, int version = 0)
    {
        if (!_byName.TryGetValue(typeName, out var versions))
            return null;
        return Array.Find(versions, t => t.Descriptor.Version == version) ?? versions[^1];
    }

    private static IEnumerable<ActivityType> TypesOf(Assembly assembly) =>
        assembly.GetTypes().Where(t => !t.IsAbstract && t.IsDefined(typeof(ActivityAttribute), false)).Select(ActivityType.From);
}

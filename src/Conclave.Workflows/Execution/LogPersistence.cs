using System.Text.Json;
using Conclave.Workflows.Definitions;

namespace Conclave.Workflows.Execution;

/// <summary>Which values of an activity go to the journal.</summary>
/// <remarks>
/// From <c>logPersistenceConfig</c> or the older <c>logPersistenceMode</c> of the activity, falling back to that of the
/// workflow and then to including everything. A mode given by an expression counts as <c>Include</c>.
/// </remarks>
public sealed class LogPersistence
{
    private readonly bool _default;
    private readonly Dictionary<string, bool>? _inputs;
    private readonly Dictionary<string, bool>? _outputs;

    private LogPersistence(bool isIncluded, Dictionary<string, bool>? inputs, Dictionary<string, bool>? outputs)
    {
        _default = isIncluded;
        _inputs = inputs;
        _outputs = outputs;
    }

    /// <summary>What definitions may choose, for a workflow, an activity or a single value.</summary>
    public static IReadOnlyList<StrategyDescriptor> Strategies { get; } =
    [
        new("Elsa.Workflows.LogPersistence.Strategies.Inherit, Elsa.Workflows.Core", "Inherit", "As chosen one level up: by the activity, then by the workflow. Without any choice values are kept."),
        new("Elsa.Workflows.LogPersistence.Strategies.Include, Elsa.Workflows.Core", "Include", "The journal keeps the values, so that people can see what an activity was given and what it made of it."),
        new("Elsa.Workflows.LogPersistence.Strategies.Exclude, Elsa.Workflows.Core", "Exclude", "The journal does not keep the values. Choose it for personal data, and for large values that nobody looks at."),
    ];

    /// <summary>Keeps every value.</summary>
    public static LogPersistence IncludeAll { get; } = new(true, null, null);

    /// <summary>Whether every value is kept.</summary>
    public bool IncludesAll => _default && _inputs?.ContainsValue(false) != true && _outputs?.ContainsValue(false) != true;

    /// <summary>Whether nothing at all is kept, so that values need not be collected.</summary>
    public bool ExcludesAll => !_default && _inputs is null && _outputs is null;

    /// <summary>Whether an input's value is kept.</summary>
    public bool IncludesInput(string name) => _inputs?.TryGetValue(name, out var included) == true ? included : _default;

    /// <summary>Whether an output's value is kept.</summary>
    public bool IncludesOutput(string name) => _outputs?.TryGetValue(name, out var included) == true ? included : _default;

    /// <summary>Reads the settings of an activity; undefined properties of the activity give those of the workflow.</summary>
    public static LogPersistence Read(JsonElement activityProperties, JsonElement workflowProperties)
    {
        var workflow = Default(workflowProperties) ?? true;
        var isIncluded = Default(activityProperties) ?? workflow;
        var (inputs, outputs) = (Map(activityProperties, "inputs", workflow), Map(activityProperties, "outputs", workflow));
        return isIncluded && inputs is null && outputs is null ? IncludeAll : new LogPersistence(isIncluded, inputs, outputs);
    }

    private static bool? Default(JsonElement properties)
    {
        foreach (var name in (ReadOnlySpan<string>)["logPersistenceConfig", "logPersistenceMode"])
        {
            if (JsonShapes.TryGet(properties, name, out var settings)
                && settings.ValueKind == JsonValueKind.Object
                && JsonShapes.TryGet(settings, "default", out var mode)
                && Mode(mode) is { } isIncluded)
                return isIncluded;
        }

        return null;
    }

    private static Dictionary<string, bool>? Map(JsonElement properties, string group, bool inherited)
    {
        Dictionary<string, bool>? map = null;
        foreach (var name in (ReadOnlySpan<string>)["logPersistenceMode", "logPersistenceConfig"])
        {
            if (!JsonShapes.TryGet(properties, name, out var settings)
                || !JsonShapes.TryGet(settings, group, out var entries)
                || entries.ValueKind != JsonValueKind.Object)
                continue;
            foreach (var entry in entries.EnumerateObject())
            {
                map ??= new Dictionary<string, bool>(StringComparer.OrdinalIgnoreCase);
                map[entry.Name] = Mode(entry.Value) ?? inherited;
            }
        }

        return map;
    }

    /// <summary>True to include, false to exclude, null to inherit.</summary>
    private static bool? Mode(JsonElement mode)
    {
        var text = mode.ValueKind == JsonValueKind.String ? mode.GetString() : JsonShapes.GetString(mode, "strategyType");
        if (text is null)
            return null;
        var name = text.Split(',')[0];
        return name.EndsWith("Include", StringComparison.OrdinalIgnoreCase) ? true
            : name.EndsWith("Exclude", StringComparison.OrdinalIgnoreCase) ? false
            : null;
    }
}

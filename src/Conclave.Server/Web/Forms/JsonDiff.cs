using System.Text.Json;

namespace Conclave.Server.Web.Forms;

/// <summary>What became of a part of a JSON value.</summary>
internal enum JsonChange
{
    /// <summary>It is as it was.</summary>
    Same,

    /// <summary>It has another value.</summary>
    Changed,

    /// <summary>It was not there before.</summary>
    Added,

    /// <summary>It is no longer there.</summary>
    Removed,
}

/// <summary>A part of a JSON value, before and after.</summary>
/// <param name="Path">Where it is, such as <c>lines[2].price</c>; empty for the whole value.</param>
/// <param name="Before">What it was, as people read it; null when it was not there.</param>
/// <param name="After">What it is; null when it is not there.</param>
/// <param name="Change">What became of it.</param>
internal sealed record JsonDiffRow(string Path, string? Before, string? After, JsonChange Change);

/// <summary>Compares two JSON values part by part, so that people see what was changed.</summary>
internal static class JsonDiff
{
    /// <summary>The parts of both, in the order of the second and then of the first.</summary>
    public static IReadOnlyList<JsonDiffRow> Compare(JsonElement before, JsonElement after)
    {
        var old = Parts(before);
        var rows = new List<JsonDiffRow>();
        foreach (var (path, value) in Parts(after))
        {
            rows.Add(old.Remove(path, out var was)
                ? new JsonDiffRow(path, was.Text, value.Text, was == value ? JsonChange.Same : JsonChange.Changed)
                : new JsonDiffRow(path, null, value.Text, JsonChange.Added));
        }

        rows.AddRange(old.Select(o => new JsonDiffRow(o.Key, o.Value.Text, null, JsonChange.Removed)));
        return rows;
    }

    private static Dictionary<string, Part> Parts(JsonElement value)
    {
        var parts = new Dictionary<string, Part>(StringComparer.Ordinal);
        Add(parts, "", value);
        return parts;
    }

    private static void Add(Dictionary<string, Part> parts, string path, JsonElement value)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Object when value.EnumerateObject().Any():
                foreach (var member in value.EnumerateObject())
                    Add(parts, path.Length == 0 ? member.Name : $"{path}.{member.Name}", member.Value);
                break;
            case JsonValueKind.Array when value.GetArrayLength() > 0:
                var index = 0;
                foreach (var item in value.EnumerateArray())
                    Add(parts, $"{path}[{index++}]", item);
                break;
            case JsonValueKind.Undefined:
                break;
            case JsonValueKind.String:
                parts[path] = new Part(value.ValueKind, value.GetString()!);
                break;
            default:
                parts[path] = new Part(value.ValueKind, value.GetRawText());
                break;
        }
    }

    private readonly record struct Part(JsonValueKind Kind, string Text);
}

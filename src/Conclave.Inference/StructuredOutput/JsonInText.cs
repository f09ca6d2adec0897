using System.Text.Json;

namespace Conclave.Inference.StructuredOutput;

/// <summary>Finds JSON in what a model said around it.</summary>
internal static class JsonInText
{
    /// <summary>The JSON of a text; the text itself when there is none.</summary>
    public static string Find(string text)
    {
        var trimmed = text.Trim();
        if (IsJson(trimmed))
            return trimmed;
        var fence = trimmed.IndexOf("```", StringComparison.Ordinal);
        if (fence >= 0)
        {
            var start = trimmed.IndexOf('\n', fence);
            var end = start < 0 ? -1 : trimmed.IndexOf("```", start, StringComparison.Ordinal);
            if (end > start && IsJson(trimmed[(start + 1)..end].Trim()))
                return trimmed[(start + 1)..end].Trim();
        }

        foreach (var (open, close) in (ReadOnlySpan<(char, char)>)[('{', '}'), ('[', ']')])
        {
            var (first, last) = (trimmed.IndexOf(open, StringComparison.Ordinal), trimmed.LastIndexOf(close));
            if (first >= 0 && last > first && IsJson(trimmed[first..(last + 1)]))
                return trimmed[first..(last + 1)];
        }

        return trimmed;
    }

    /// <summary>Reads JSON; null when it is none.</summary>
    public static JsonElement? TryParse(string text)
    {
        try
        {
            return JsonElement.Parse(text);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static bool IsJson(string text) => TryParse(text) is not null;
}

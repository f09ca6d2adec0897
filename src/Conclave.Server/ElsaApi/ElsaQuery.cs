using System.Globalization;
using System.Text.Json;
using Conclave.Server.Api;
using Conclave.Workflows.Runtime.Definitions;

namespace Conclave.Server.ElsaApi;

/// <summary>Reads what Elsa's clients send: queries of any case, <c>True</c> and <c>False</c>, repeated keys, bodies with nulls or without anything.</summary>
/// <remarks>Empty values count as not given. What does not fit is refused with a text that names it.</remarks>
internal static class ElsaQuery
{
    private const int LargestPage = 1_000_000;

    /// <summary>All values of a key: repeated, or numbered as <c>Ids[0]</c>.</summary>
    public static IReadOnlyList<string> Values(this HttpRequest request, string name)
    {
        var values = new List<string>();
        foreach (var (key, given) in request.Query)
        {
            if (!key.Equals(name, StringComparison.OrdinalIgnoreCase)
                && !(key.StartsWith(name, StringComparison.OrdinalIgnoreCase) && key.Length > name.Length && key[name.Length] == '['))
                continue;
            values.AddRange(given.Where(v => !string.IsNullOrEmpty(v))!);
        }

        return values;
    }

    /// <summary>A boolean; null when not given.</summary>
    public static bool? Flag(this HttpContext context, string name) => context.Query(name) is not { } text
        ? null
        : bool.TryParse(text, out var flag) ? flag : throw ApiException.Bad($"'{name}' must be true or false; it is '{text}'.");

    /// <summary>A whole number; null when not given.</summary>
    public static int? Number(this HttpContext context, string name) => context.Query(name) is not { } text
        ? null
        : int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number)
            ? number
            : throw ApiException.Bad($"'{name}' must be a whole number; it is '{text}'.");

    /// <summary>One of an enum's names, in any case; null when not given.</summary>
    public static T? Choice<T>(this HttpContext context, string name) where T : struct, Enum => Choice<T>(name, context.Query(name));

    /// <inheritdoc cref="Choice{T}(HttpContext, string)"/>
    public static T? Choice<T>(string name, string? text) where T : struct, Enum => string.IsNullOrEmpty(text)
        ? null
        : Enum.TryParse<T>(text, ignoreCase: true, out var value) && Enum.IsDefined(value)
            ? value
            : throw ApiException.Bad($"'{name}' must be one of {string.Join(", ", Enum.GetNames<T>())}; it is '{text}'.");

    /// <summary>Which versions are meant; null when not given.</summary>
    public static VersionOptions? Versions(this HttpContext context) => ReadVersions(context.Query("versionOptions"));

    /// <summary>Reads Elsa's notation of version options; null for nothing.</summary>
    public static VersionOptions? ReadVersions(string? text) => string.IsNullOrWhiteSpace(text)
        ? null
        : VersionOptions.TryParse(text, out var versions)
            ? versions
            : throw ApiException.Bad($"'versionOptions' must be Latest, Published, Draft, LatestOrPublished, LatestAndPublished, AllVersions or the number of a version; it is '{text}'.");

    /// <summary>The page of a list, which begins at 0; null for everything.</summary>
    public static PageOf? ReadPage(int? page, int? pageSize)
    {
        if (page is < 0 or > LargestPage)
            throw ApiException.Bad($"'page' must be 0 or more; it is {page}.");
        if (pageSize is < 1)
            throw ApiException.Bad($"'pageSize' must be 1 or more; it is {pageSize}.");
        return page is null || pageSize is null ? null : new PageOf((long)page.Value * pageSize.Value, pageSize.Value);
    }

    /// <summary>A text of a body, whatever the case of its name; null when missing or null.</summary>
    public static string? TextOf(JsonElement body, string name) => !TryGet(body, name, out var value)
        ? null
        : value.ValueKind switch
        {
            JsonValueKind.String => value.GetString() is { Length: > 0 } text ? text : null,
            JsonValueKind.Number => value.GetRawText(),
            _ => throw ApiException.Bad($"'{name}' must be a text."),
        };

    /// <summary>A boolean of a body; null when missing or null.</summary>
    public static bool? FlagOf(JsonElement body, string name) => !TryGet(body, name, out var value)
        ? null
        : value.ValueKind switch
        {
            JsonValueKind.True => true,
            JsonValueKind.False => false,
            JsonValueKind.String when bool.TryParse(value.GetString(), out var flag) => flag,
            _ => throw ApiException.Bad($"'{name}' must be true or false."),
        };

    /// <summary>A list of texts of a body; null when missing or null.</summary>
    public static IReadOnlyList<string>? TextsOf(JsonElement body, string name)
    {
        if (!TryGet(body, name, out var value))
            return null;
        if (value.ValueKind != JsonValueKind.Array)
            throw ApiException.Bad($"'{name}' must be a list of texts.");
        var texts = new List<string>(value.GetArrayLength());
        foreach (var item in value.EnumerateArray())
            texts.Add(item.ValueKind == JsonValueKind.String ? item.GetString()! : throw ApiException.Bad($"'{name}' must be a list of texts."));
        return texts;
    }

    /// <summary>A member of a body, whatever the case of its name; false when missing or null.</summary>
    public static bool TryGet(JsonElement body, string name, out JsonElement value)
    {
        value = default;
        if (body.ValueKind != JsonValueKind.Object)
            return false;
        if (!body.TryGetProperty(name, out value))
        {
            foreach (var member in body.EnumerateObject())
            {
                if (member.Name.Equals(name, StringComparison.OrdinalIgnoreCase))
                    value = member.Value;
            }
        }

        return value.ValueKind is not (JsonValueKind.Undefined or JsonValueKind.Null);
    }
}

/// <summary>A page of a list.</summary>
/// <param name="Offset">How many items come before it.</param>
/// <param name="Size">Most items of it.</param>
internal readonly record struct PageOf(long Offset, int Size);

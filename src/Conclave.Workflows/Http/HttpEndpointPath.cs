namespace Conclave.Workflows.Http;

/// <summary>Paths and methods of endpoints.</summary>
public static class HttpEndpointPath
{
    private static readonly string[] Known = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

    internal static string Methods { get; } = string.Join(", ", Known);

    /// <summary>A path as bookmarks and routes have it: lower case, without slashes at its ends.</summary>
    public static string Normalize(string? path) => (path ?? "").Trim().Trim('/').ToLowerInvariant();

    /// <summary>A path without the names of its parameters, so that two that match the same requests are the same.</summary>
    internal static string RouteKey(string? path) => System.Text.RegularExpressions.Regex.Replace(Normalize(path), @"\{[^}]*\}", "{}");

    /// <summary>Whether an endpoint can listen for a method.</summary>
    internal static bool IsMethod(string? method) => Known.Contains(method?.Trim(), StringComparer.OrdinalIgnoreCase);

    /// <summary>What is wrong with a path; null when it can be listened at.</summary>
    internal static string? Problem(string? path)
    {
        var normal = Normalize(path);
        if (normal.Length == 0)
            return "The endpoint has no path, such as orders/{id}.";
        var names = new HashSet<string>();
        foreach (var segment in normal.Split('/'))
        {
            if (segment.Length == 0)
                return $"The path '{path}' has an empty part between two slashes.";
            var open = -1;
            for (var i = 0; i < segment.Length; i++)
            {
                if (segment[i] == '{' && open < 0)
                    open = i;
                else if (segment[i] == '}' && open >= 0)
                {
                    var name = segment[(open + 1)..i].TrimStart('*').Split(':', '=', '?')[0];
                    if (name.Length == 0 || !names.Add(name))
                        return $"The path '{path}' has a parameter without a name, or the same one twice.";
                    open = -1;
                }
                else if (segment[i] == '}' || (open < 0 && (segment[i] is '?' or '#' or '\\' || char.IsControl(segment[i]))))
                    return $"The path '{path}' must not contain '{segment[i]}' here. Give a path such as orders/{{id}}, without a query.";
            }

            if (open >= 0)
                return $"The path '{path}' has a brace without its other half.";
        }

        return null;
    }
}

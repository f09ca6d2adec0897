namespace Conclave.Workflows.Http;

/// <summary>Paths and methods of endpoints.</summary>
public static class HttpEndpointPath
{
    private static readonly string[] Known = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

    internal static string Methods { get; } = string.Join(", ", Known);

    /// <summary>A path as bookmarks and routes have it: lower case, without slashes at its ends.</summary>
    public static string Normalize(string? path) => (path ?? "").Trim().Trim('/').ToLowerInvariant();

    /// <summary>What is wrong with a path; null when it can be listened at.</summary>
    public static string? Problem(string? path)
    {
        _ = HttpPathTemplate.Parse(path, out var problem);
        return problem;
    }

    /// <summary>
    /// The path without the names of its parameters: two paths with the same key match the same requests, such as <c>orders/{id}</c> and
    /// <c>orders/{number}</c>. Constraints stay, since <c>{id:int}</c> goes before <c>{name}</c>.
    /// </summary>
    /// <exception cref="ArgumentException">The path has a problem, see <see cref="Problem"/>.</exception>
    public static string RouteKey(string path) => HttpPathTemplate.Parse(path).Key;

    /// <summary>Whether an endpoint can listen for a method.</summary>
    internal static bool IsMethod(string? method) => Known.Contains(method?.Trim(), StringComparer.OrdinalIgnoreCase);
}

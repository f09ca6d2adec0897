using System.Collections.Immutable;

namespace Conclave.Workflows.Http;

/// <summary>A path with parameters, such as <c>orders/{id:int}/{*rest}</c>, taken apart.</summary>
internal sealed class HttpPathTemplate
{
    /// <summary>Unique indexes on keys and the request line of servers end somewhere; no path of use is this long.</summary>
    public const int MaxLength = 1000;

    private HttpPathTemplate(string text, ImmutableArray<HttpPathSegment> segments)
    {
        Text = text;
        Segments = segments;
        Key = string.Join('/', segments.Select(s => s.Key));
        RequiredCount = segments.TakeWhile(s => s.Parameter is not { IsOptional: true }).Count();
    }

    /// <summary>The path, normalised.</summary>
    public string Text { get; }

    /// <summary>The path without the names of its parameters.</summary>
    public string Key { get; }

    public ImmutableArray<HttpPathSegment> Segments { get; }

    /// <summary>How many segments a request must have.</summary>
    public int RequiredCount { get; }

    /// <summary>Whether the path has no parameters.</summary>
    public bool IsLiteral => Text == Key;

    /// <summary>Takes a path apart.</summary>
    /// <exception cref="ArgumentException">The path has a problem.</exception>
    public static HttpPathTemplate Parse(string path) => Parse(path, out var problem) ?? throw new ArgumentException(problem, nameof(path));

    /// <summary>Takes a path apart; null when it has a problem.</summary>
    public static HttpPathTemplate? Parse(string? path, out string? problem)
    {
        var text = HttpEndpointPath.Normalize(path);
        problem = text.Length switch
        {
            0 => "The endpoint has no path, such as orders/{id}.",
            > MaxLength => $"The path has {text.Length:N0} characters; at most {MaxLength:N0} are possible.",
            _ => null,
        };
        var segments = ImmutableArray.CreateBuilder<HttpPathSegment>();
        var names = new HashSet<string>();
        foreach (var part in problem is null ? text.Split('/') : [])
        {
            if (segments is [.., { Parameter.IsCatchAll: true }])
                problem = $"The path '{path}' goes on after {segments[^1].Parameter}, which takes the rest already. Move it to the end.";
            var segment = problem is null ? HttpPathSegment.Parse(part, $"The path '{path}'", names, out problem) : null;
            if (segment is null)
                return null;

            if (segments is [.., { Parameter: { IsOptional: true } optional }] && segment.Parameter is not { IsOptional: true, IsCatchAll: false })
                problem = $"The path '{path}' goes on after {optional}, which may be missing. Only other such parameters may follow it.";
            segments.Add(segment);
        }

        return problem is null ? new HttpPathTemplate(text, segments.ToImmutable()) : null;
    }

    /// <summary>The values of the parameters in a request that the template matches.</summary>
    /// <param name="path">Segments of the request's path, decoded.</param>
    public Dictionary<string, string> Values(string[] path)
    {
        var values = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        for (var i = 0; i < Segments.Length; i++)
        {
            if (Segments[i].Parameter is { IsCatchAll: true } rest && i < path.Length)
                values[rest.Name] = string.Join('/', path, i, path.Length - i);
            else if (i < path.Length)
                Segments[i].IsMatch(path[i], values);
            else if (Segments[i].Parameter is { Default: { } value } missing)
                values[missing.Name] = value;
        }

        return values;
    }

    public override string ToString() => Text;
}

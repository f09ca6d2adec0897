using System.Collections.Immutable;

namespace Conclave.Workflows.Http;

/// <summary>Finds who listens at a path. Immutable: keep it in a field and replace it with what <see cref="Add"/> and <see cref="Remove"/> return.</summary>
/// <remarks>
/// Text in a path goes before parameters, parameters with constraints before others, and those before <c>{*rest}</c>, segment by segment. Where
/// the best path does not listen for the method, the next one is tried. Changes copy the nodes on the way only, so that a table of many
/// paths can be changed often.
/// </remarks>
/// <typeparam name="T">Who listens; removed by equality.</typeparam>
public sealed class HttpRoutes<T>
{
    private readonly ImmutableDictionary<string, HttpRouteLeaf<T>> _literals;
    private readonly HttpRouteNode<T> _patterns;

    private HttpRoutes(ImmutableDictionary<string, HttpRouteLeaf<T>> literals, HttpRouteNode<T> patterns)
    {
        _literals = literals;
        _patterns = patterns;
    }

    /// <summary>A table without routes.</summary>
    public HttpRoutes()
        : this(ImmutableDictionary.Create<string, HttpRouteLeaf<T>>(StringComparer.OrdinalIgnoreCase), HttpRouteNode<T>.Empty)
    {
    }

    /// <summary>The table with one more route.</summary>
    /// <exception cref="ArgumentException">The path has a problem, see <see cref="HttpEndpointPath.Problem"/>.</exception>
    public HttpRoutes<T> Add(HttpRoute<T> route)
    {
        var template = HttpPathTemplate.Parse(route.Path);
        return With(template, leaf => leaf.Add(template, Lower(route.Method), route.Value));
    }

    /// <summary>The table with more routes.</summary>
    /// <exception cref="ArgumentException">A path has a problem, see <see cref="HttpEndpointPath.Problem"/>.</exception>
    public HttpRoutes<T> AddRange(IEnumerable<HttpRoute<T>> routes) => routes.Aggregate(this, (table, route) => table.Add(route));

    /// <summary>The table without one occurrence of a route; the same when it has none.</summary>
    /// <exception cref="ArgumentException">The path has a problem, see <see cref="HttpEndpointPath.Problem"/>.</exception>
    public HttpRoutes<T> Remove(HttpRoute<T> route)
    {
        var template = HttpPathTemplate.Parse(route.Path);
        return With(template, leaf => leaf.Remove(template, Lower(route.Method), route.Value));
    }

    /// <summary>Finds who listens for a request.</summary>
    /// <param name="method">HTTP method.</param>
    /// <param name="path">Path below the base path as the request line has it, that is still percent-encoded.</param>
    public HttpRouteResult<T> Find(string method, string path)
    {
        if (path.Length > HttpPathText.MaxLength)
            return new([], []);
        var trimmed = HttpPathText.Trim(path);
        var isEncoded = trimmed.Contains('%', StringComparison.Ordinal);
        var allowed = ImmutableArray<string>.Empty;
        if (!isEncoded && _literals.TryGetValue(trimmed, out var literal) && Take(literal, method, [], ref allowed) is { } found)
            return found;
        if ((!isEncoded && _patterns.IsEmpty) || HttpPathText.Split(trimmed) is not { } segments)
            return new([], allowed);
        if (isEncoded && !Array.Exists(segments, s => s.Contains('/', StringComparison.Ordinal))
            && _literals.TryGetValue(string.Join('/', segments), out literal) && Take(literal, method, segments, ref allowed) is { } decoded)
            return decoded;
        return Visit(_patterns, segments, 0, method, ref allowed) ?? new([], allowed);
    }

    private static HttpRouteResult<T>? Visit(HttpRouteNode<T> node, string[] segments, int depth, string method, ref ImmutableArray<string> allowed)
    {
        if (depth == segments.Length)
            return Take(node.Leaf, method, segments, ref allowed) ?? Take(node.Rest, method, segments, ref allowed);
        var segment = segments[depth];
        if (node.Literals.TryGetValue(segment, out var child) && Visit(child, segments, depth + 1, method, ref allowed) is { } literal)
            return literal;
        foreach (var (pattern, next) in node.Patterns)
        {
            if (pattern.IsMatch(segment, null) && Visit(next, segments, depth + 1, method, ref allowed) is { } matched)
                return matched;
        }

        return Take(node.Rest, method, segments, ref allowed);
    }

    private static HttpRouteResult<T>? Take(HttpRouteLeaf<T> leaf, string method, string[] segments, ref ImmutableArray<string> allowed)
    {
        if (leaf.IsEmpty)
            return null;
        var matches = leaf.Find(method, segments);
        if (matches.IsEmpty && method.Equals("HEAD", StringComparison.OrdinalIgnoreCase))
            matches = leaf.Find("get", segments);
        if (!matches.IsEmpty)
            return new(matches, []);
        var methods = leaf.Methods.Select(m => m.ToUpperInvariant());
        allowed = [.. allowed.Concat(methods.SelectMany(m => m == "GET" ? ["GET", "HEAD"] : new[] { m })).Distinct().Order(StringComparer.Ordinal)];
        return null;
    }

    private static string Lower(string method) => method.Trim().ToLowerInvariant();

    private HttpRoutes<T> With(HttpPathTemplate template, Func<HttpRouteLeaf<T>, HttpRouteLeaf<T>> change)
    {
        if (!template.IsLiteral)
            return new(_literals, _patterns.With(template, 0, change));
        var leaf = change(_literals.GetValueOrDefault(template.Text, HttpRouteLeaf<T>.Empty));
        return new(leaf.IsEmpty ? _literals.Remove(template.Text) : _literals.SetItem(template.Text, leaf), _patterns);
    }
}

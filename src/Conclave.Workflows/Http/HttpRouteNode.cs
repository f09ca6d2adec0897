using System.Collections.Frozen;
using System.Collections.Immutable;

namespace Conclave.Workflows.Http;

/// <summary>What may follow a part of a path. Each level of nodes takes one segment, so that a search visits no node twice.</summary>
/// <param name="Literals">Next segments that are text.</param>
/// <param name="Patterns">Next segments with parameters, in the order to try them.</param>
/// <param name="Leaf">Who listens if the path ends here.</param>
/// <param name="Rest">Who listens for all paths that begin like this.</param>
internal sealed record HttpRouteNode<T>(
    ImmutableDictionary<string, HttpRouteNode<T>> Literals,
    ImmutableArray<(HttpPathSegment Segment, HttpRouteNode<T> Next)> Patterns,
    HttpRouteLeaf<T> Leaf,
    HttpRouteLeaf<T> Rest)
{
    public static HttpRouteNode<T> Empty { get; } = new(
        ImmutableDictionary.Create<string, HttpRouteNode<T>>(StringComparer.OrdinalIgnoreCase), [], HttpRouteLeaf<T>.Empty, HttpRouteLeaf<T>.Empty);

    public bool IsEmpty => Literals.IsEmpty && Patterns.IsEmpty && Leaf.IsEmpty && Rest.IsEmpty;

    /// <summary>The node with what a change makes of everywhere the template may end.</summary>
    public HttpRouteNode<T> With(HttpPathTemplate template, int depth, Func<HttpRouteLeaf<T>, HttpRouteLeaf<T>> change)
    {
        if (depth == template.Segments.Length)
            return this with { Leaf = change(Leaf) };
        var segment = template.Segments[depth];
        if (segment.Parameter is { IsCatchAll: true })
            return this with { Rest = change(Rest) };
        var node = depth >= template.RequiredCount ? this with { Leaf = change(Leaf) } : this;
        if (segment.Literal is { } literal)
        {
            var child = Literals.GetValueOrDefault(literal, Empty).With(template, depth + 1, change);
            return node with { Literals = child.IsEmpty ? Literals.Remove(literal) : Literals.SetItem(literal, child) };
        }

        var others = Patterns.RemoveAll(p => p.Segment.Key == segment.Key);
        var known = Patterns.FirstOrDefault(p => p.Segment.Key == segment.Key);
        var next = (known.Next ?? Empty).With(template, depth + 1, change);
        return node with
        {
            Patterns = next.IsEmpty
                ? others
                : [.. others.Add((known.Segment ?? segment, next)).OrderBy(p => p.Segment.Rank).ThenBy(p => p.Segment.Key, StringComparer.Ordinal)],
        };
    }
}

/// <summary>Who listens at one place of the tree.</summary>
internal sealed class HttpRouteLeaf<T>
{
    private readonly ImmutableArray<HttpRouteEntry<T>> _entries;

    private HttpRouteLeaf(ImmutableArray<HttpRouteEntry<T>> entries) => _entries = entries;

    public static HttpRouteLeaf<T> Empty { get; } = new([]);

    public bool IsEmpty => _entries.IsEmpty;

    public IEnumerable<string> Methods => _entries.Select(e => e.Method);

    public ImmutableArray<HttpRouteMatch<T>> Find(string method, string[] segments)
    {
        ImmutableArray<HttpRouteMatch<T>> found = [];
        foreach (var entry in _entries)
        {
            if (entry.Method.Equals(method, StringComparison.OrdinalIgnoreCase))
                found = found.IsEmpty ? entry.Match(segments) : found.AddRange(entry.Match(segments));
        }

        return found;
    }

    public HttpRouteLeaf<T> Add(HttpPathTemplate template, string method, T value)
    {
        var index = IndexOf(template, method);
        return new(index < 0
            ? [.. _entries.Append(new HttpRouteEntry<T>(template, method, [value])).OrderBy(e => e.Template.Text, StringComparer.Ordinal)]
            : _entries.SetItem(index, new(template, method, _entries[index].Values.Add(value))));
    }

    public HttpRouteLeaf<T> Remove(HttpPathTemplate template, string method, T value)
    {
        var index = IndexOf(template, method);
        if (index < 0)
            return this;
        var values = _entries[index].Values.Remove(value);
        return new(values.IsEmpty ? _entries.RemoveAt(index) : _entries.SetItem(index, new(template, method, values)));
    }

    private int IndexOf(HttpPathTemplate template, string method)
    {
        for (var i = 0; i < _entries.Length; i++)
        {
            if (_entries[i].Template.Text == template.Text && _entries[i].Method == method)
                return i;
        }

        return -1;
    }
}

/// <summary>Who listens at a template for a method.</summary>
internal sealed class HttpRouteEntry<T>
{
    private static readonly IReadOnlyDictionary<string, string> NoValues = FrozenDictionary<string, string>.Empty;

    /// <summary>The answer, made once, for a path without parameters.</summary>
    private readonly ImmutableArray<HttpRouteMatch<T>> _literal;

    public HttpRouteEntry(HttpPathTemplate template, string method, ImmutableArray<T> values)
    {
        Template = template;
        Method = method;
        Values = values;
        if (template.IsLiteral)
            _literal = [new(template.Text, method, values, NoValues)];
    }

    public HttpPathTemplate Template { get; }

    public string Method { get; }

    public ImmutableArray<T> Values { get; }

    public ImmutableArray<HttpRouteMatch<T>> Match(string[] segments) =>
        Template.IsLiteral ? _literal : [new(Template.Text, Method, Values, Template.Values(segments))];
}

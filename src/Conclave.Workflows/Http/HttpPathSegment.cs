using System.Collections.Immutable;

namespace Conclave.Workflows.Http;

/// <summary>One segment of a path: a literal, a parameter, or several of both such as <c>file-{name}.{extension}</c>.</summary>
internal sealed class HttpPathSegment
{
    private readonly ImmutableArray<HttpPathPart> _parts;

    private HttpPathSegment(ImmutableArray<HttpPathPart> parts)
    {
        _parts = parts;
        Key = string.Concat(parts.Select(p => p.Literal ?? p.Parameter!.Key));
        Literal = parts is [{ Literal: { } literal }] ? literal : null;
        Parameter = parts is [{ Parameter: { } parameter }] ? parameter : null;
        Rank = (-parts.Sum(p => p.Literal?.Length ?? 0), parts.Sum(p => p.Parameter?.Rank ?? 0));
    }

    /// <summary>The segment without the names of its parameters.</summary>
    public string Key { get; }

    /// <summary>The text, if the segment is nothing else.</summary>
    public string? Literal { get; }

    /// <summary>The parameter, if the segment is nothing else.</summary>
    public HttpPathParameter? Parameter { get; }

    /// <summary>Order in which segments with parameters are tried: those with more text first, then those with narrower constraints.</summary>
    public (int Text, int Constraints) Rank { get; }

    /// <summary>Takes a segment apart; null when it has a problem.</summary>
    /// <param name="text">The segment.</param>
    /// <param name="place">What problems begin with, such as "The path 'a'".</param>
    /// <param name="names">Names of parameters so far.</param>
    /// <param name="problem">What is wrong.</param>
    public static HttpPathSegment? Parse(string text, string place, HashSet<string> names, out string? problem)
    {
        var parts = ImmutableArray.CreateBuilder<HttpPathPart>();
        problem = text switch
        {
            "" => $"{place} has an empty part between two slashes.",
            "." or ".." => $"{place} contains '{text}', which clients resolve before they send. Give the path that remains.",
            _ => null,
        };
        for (var i = 0; i < text.Length && problem is null;)
        {
            var isParameter = text[i] == '{';
            var length = isParameter ? text.AsSpan(i).IndexOf('}') : text.AsSpan(i).IndexOf('{');
            if (isParameter && length < 0)
            {
                problem = $"{place} has a brace without its other half.";
                break;
            }

            var token = length < 0 ? text[i..] : text[i..(isParameter ? i + length + 1 : i + length)];
            i += token.Length;
            if (!isParameter)
            {
                if (token.Select(c => (char?)c).FirstOrDefault(c => c is '}' or '?' or '#' or '\\' || char.IsControl(c!.Value)) is { } bad)
                    problem = $"{place} must not contain '{bad}' here. Give a path such as orders/{{id}}, without a query.";
                parts.Add(new(token, null));
                continue;
            }

            if (parts is [.., { Parameter: not null }])
                problem = $"{place} has two parameters without text between them, so that nobody can tell where one ends. Put text or a slash between them.";
            else if (HttpPathParameter.Parse(token, place, names, out problem) is { } parameter)
                parts.Add(new(null, parameter));
        }

        if (problem is null && parts.Count > 1 && parts.FirstOrDefault(p => p.Parameter is { IsOptional: true }).Parameter is { } odd)
            problem = $"{place} has {odd} in the middle of a segment, where it can be neither optional nor take the rest. Give it a segment of its own.";
        return problem is null ? new HttpPathSegment(parts.ToImmutable()) : null;
    }

    /// <summary>Whether a segment of a request matches; if so, the values of the parameters are added.</summary>
    /// <remarks>From right to left, so that <c>{name}.{extension}</c> finds <c>a.tar</c> and <c>gz</c> in <c>a.tar.gz</c>.</remarks>
    public bool IsMatch(string segment, Dictionary<string, string>? values)
    {
        var end = segment.Length;
        for (var i = _parts.Length - 1; i >= 0; i--)
        {
            if (_parts[i].Literal is { } literal)
            {
                if (!segment.AsSpan(0, end).EndsWith(literal, StringComparison.OrdinalIgnoreCase))
                    return false;
                end -= literal.Length;
                continue;
            }

            var parameter = _parts[i].Parameter!;
            var start = Start(segment, i, end);
            if (start < 0 || start >= end || !parameter.Accepts(segment.AsSpan(start, end - start)))
                return false;
            if (values is not null)
                values[parameter.Name] = segment[start..end];
            end = start;
        }

        return end == 0;
    }

    /// <summary>Where the value of a parameter begins: after the last occurrence of the text before it, or after the text that the segment begins with.</summary>
    private int Start(string segment, int part, int end)
    {
        if (part == 0)
            return 0;
        var before = _parts[part - 1].Literal!;
        if (part == 1)
            return before.Length;
        var at = end > 0 ? segment.AsSpan(0, end - 1).LastIndexOf(before, StringComparison.OrdinalIgnoreCase) : -1;
        return at < 0 ? -1 : at + before.Length;
    }
}

/// <summary>A literal or a parameter.</summary>
internal readonly record struct HttpPathPart(string? Literal, HttpPathParameter? Parameter);

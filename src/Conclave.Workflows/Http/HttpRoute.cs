using System.Collections.Immutable;

namespace Conclave.Workflows.Http;

/// <summary>Something that listens at a path.</summary>
/// <param name="Path">Path with parameters in braces.</param>
/// <param name="Method">HTTP method.</param>
/// <param name="Value">Who listens.</param>
public sealed record HttpRoute<T>(string Path, string Method, T Value);

/// <summary>A route that a request matches.</summary>
/// <param name="Path">The path as bookmarks have it.</param>
/// <param name="Method">The method as bookmarks have it, in lower case; <c>get</c> for a HEAD request that nobody else listens for.</param>
/// <param name="Values">Who listens, in the order they were added.</param>
/// <param name="RouteData">Values of the parameters.</param>
public sealed record HttpRouteMatch<T>(string Path, string Method, ImmutableArray<T> Values, IReadOnlyDictionary<string, string> RouteData);

/// <summary>What a table of routes knows of a request.</summary>
/// <param name="Matches">
/// The routes that match best: none or one, and several only for paths that differ in nothing but the names of their parameters.
/// </param>
/// <param name="Allowed">If there is none: the methods that the path could be called with, in upper case; empty for a path nobody listens at.</param>
public readonly record struct HttpRouteResult<T>(ImmutableArray<HttpRouteMatch<T>> Matches, ImmutableArray<string> Allowed)
{
    /// <summary>Whether somebody listens.</summary>
    public bool IsFound => Matches.Length > 0;

    /// <summary>Whether somebody listens at the path, but for other methods: the answer is 405 with <c>Allow</c>.</summary>
    public bool IsMethodRefused => Matches.Length == 0 && Allowed.Length > 0;
}

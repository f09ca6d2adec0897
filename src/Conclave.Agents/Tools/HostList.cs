using Conclave.Workflows.Http;

namespace Conclave.Agents.Tools;

/// <summary>Hosts that something may reach: <c>host</c>, <c>*.suffix</c>, addresses, each with <c>:port</c> to allow one port only.</summary>
/// <remarks>Being on the list does not make an internal address reachable: that takes the setting <c>OutboundHttp</c>.</remarks>
public sealed class HostList
{
    private readonly HostPattern[] _patterns;

    /// <summary>Makes a list.</summary>
    /// <exception cref="ArgumentException">An entry is none.</exception>
    public HostList(IEnumerable<string> hosts) => _patterns =
        [.. hosts.Select(h => HostPattern.TryParse(h, out var pattern) ? pattern! : throw new ArgumentException($"'{h}' is no host."))];

    /// <summary>Whether nothing may be reached.</summary>
    public bool IsEmpty => _patterns.Length == 0;

    /// <summary>Whether a text can be an entry.</summary>
    public static bool IsPattern(string? text) => HostPattern.TryParse(text, out _);

    /// <summary>Whether a host and port are on the list.</summary>
    public bool Allows(string host, int port) => Array.Exists(_patterns, p => p.Matches(host, port));

    /// <summary>Whether a URL's host and port are on the list.</summary>
    public bool Allows(Uri url) => url.IsAbsoluteUri && Allows(url.IdnHost, url.Port);
}

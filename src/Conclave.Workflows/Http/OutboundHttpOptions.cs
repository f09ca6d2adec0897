using System.Net;

namespace Conclave.Workflows.Http;

/// <summary>What the requests of workflows may reach and how much they may bring back. Bound from <c>OutboundHttp</c>.</summary>
public sealed record OutboundHttpOptions
{
    /// <summary>Name of the configuration section.</summary>
    public const string Section = "OutboundHttp";

    /// <summary>
    /// Whether workflows may reach private, loopback, link-local and other addresses that are not on the public internet,
    /// the metadata service of a cloud included.
    /// </summary>
    /// <value>Default false.</value>
    public bool AllowPrivateAddresses { get; init; }

    /// <summary>
    /// Hosts that may have any address: <c>host</c>, <c>*.suffix</c> for everything below a domain, an IP address; each with
    /// <c>:port</c> to allow one port only. Other public hosts stay reachable.
    /// </summary>
    /// <value>Default none.</value>
    public IReadOnlyList<string> AllowedHosts { get; init; } = [];

    /// <summary>Networks that may be reached although they are not public, as CIDR, for example <c>10.20.0.0/16</c>.</summary>
    /// <value>Default none.</value>
    public IReadOnlyList<string> AllowedNetworks { get; init; } = [];

    /// <summary>Most redirects that one request follows; 0 hands redirects to the workflow as answers.</summary>
    /// <value>0 to 50; default 10.</value>
    public int MaxRedirects { get; init; } = 10;

    /// <summary>Largest response body in bytes, after decompression.</summary>
    /// <value>1 to 1,073,741,824 (1 GiB); default 10,485,760 (10 MiB).</value>
    public int MaxResponseBytes { get; init; } = 10 * 1024 * 1024;

    /// <summary>Longest time for one request, from the look-up of the name to the end of the body, redirects included.</summary>
    /// <value>1 millisecond to 1 day; default 100 seconds.</value>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(100);

    /// <summary>Longest time for one connection to be made.</summary>
    /// <value>1 millisecond to 1 day; default 15 seconds.</value>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>Everything that is wrong with these options; empty when they can be used.</summary>
    public IReadOnlyList<string> Validate()
    {
        var problems = new List<string>();
        foreach (var host in AllowedHosts)
        {
            if (!HostPattern.TryParse(host, out _))
                problems.Add($"{Section}:{nameof(AllowedHosts)}: '{host}' is not a host, '*.suffix' or an IP address, with ':port' or without.");
        }

        foreach (var network in AllowedNetworks)
        {
            if (!IPNetwork.TryParse(network, out _))
                problems.Add($"{Section}:{nameof(AllowedNetworks)}: '{network}' is not a network such as 10.20.0.0/16 or fd00::/8.");
        }

        if (MaxRedirects is < 0 or > 50)
            problems.Add($"{Section}:{nameof(MaxRedirects)} is {MaxRedirects}; it must be 0 to 50.");
        if (MaxResponseBytes is < 1 or > 1 << 30)
            problems.Add($"{Section}:{nameof(MaxResponseBytes)} is {MaxResponseBytes}; it must be 1 to 1073741824.");
        if (!IsDuration(Timeout))
            problems.Add($"{Section}:{nameof(Timeout)} is {Timeout}; it must be 1 millisecond to 1 day.");
        if (!IsDuration(ConnectTimeout))
            problems.Add($"{Section}:{nameof(ConnectTimeout)} is {ConnectTimeout}; it must be 1 millisecond to 1 day.");
        return problems;
    }

    private static bool IsDuration(TimeSpan time) => time >= TimeSpan.FromMilliseconds(1) && time <= TimeSpan.FromDays(1);
}

/// <summary>An entry of <see cref="OutboundHttpOptions.AllowedHosts"/>.</summary>
/// <param name="Host">Host in lower case, or the suffix with its leading dot.</param>
/// <param name="IsSuffix">Whether every host that ends with <paramref name="Host"/> matches.</param>
/// <param name="Port">The only port; null for all.</param>
internal sealed record HostPattern(string Host, bool IsSuffix, int? Port)
{
    public static bool TryParse(string? text, out HostPattern? pattern)
    {
        pattern = null;
        var host = text?.Trim() ?? "";
        int? port = null;
        var colon = host.LastIndexOf(':');
        // A bare IPv6 address has several colons and no port; with a port it stands in brackets.
        if (colon >= 0 && (host.IndexOf(':') == colon || host[colon - 1] == ']'))
        {
            if (!int.TryParse(host.AsSpan(colon + 1), out var number) || number is < 1 or > 65535)
                return false;
            port = number;
            host = host[..colon];
        }

        if (host.StartsWith('[') && host.EndsWith(']'))
            host = host[1..^1];
        if (IPAddress.TryParse(host, out var address))
        {
            pattern = new HostPattern(address.ToString(), false, port);
            return true;
        }

        var isSuffix = host.StartsWith("*.", StringComparison.Ordinal);
        var name = isSuffix ? host[2..] : host;
        if (Uri.CheckHostName(name) != UriHostNameType.Dns || !Uri.TryCreate($"http://{name}/", UriKind.Absolute, out var url))
            return false;
        var normal = Normalize(url.IdnHost);
        pattern = new HostPattern(isSuffix ? $".{normal}" : normal, isSuffix, port);
        return true;
    }

    /// <summary>Whether a host of a URL and its port are meant.</summary>
    public bool Matches(string host, int port)
    {
        if (Port is { } only && only != port)
            return false;
        host = Normalize(host);
        return IsSuffix ? host.EndsWith(Host, StringComparison.Ordinal) && !IPAddress.TryParse(host, out _) : host == Host;
    }

    private static string Normalize(string host)
    {
        host = host.ToLowerInvariant();
        return host.EndsWith('.') ? host[..^1] : host;
    }
}

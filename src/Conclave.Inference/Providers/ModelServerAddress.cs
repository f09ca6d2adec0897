using System.Net;
using System.Net.Sockets;

namespace Conclave.Inference.Providers;

/// <summary>Which addresses model servers may have.</summary>
/// <remarks>
/// Operators set them, and most model servers are internal; so internal addresses are allowed, but not those where clouds hand out
/// credentials. The check is made where the connection is made, after the name was resolved.
/// </remarks>
internal static class ModelServerAddress
{
    /// <summary>
    /// Link-local addresses, which hold the metadata services of AWS, Azure, Google, Oracle and others; Alibaba's, Oracle's and Azure's own;
    /// and the IPv6 ones of AWS and Google. Source: their documentation, as of 2026.
    /// </summary>
    private static readonly IPNetwork[] Refused =
    [
        IPNetwork.Parse("169.254.0.0/16"),
        IPNetwork.Parse("100.100.100.200/32"),
        IPNetwork.Parse("192.0.0.192/32"),
        IPNetwork.Parse("168.63.129.16/32"),
        IPNetwork.Parse("fe80::/10"),
        IPNetwork.Parse("fd00:ec2::/32"),
        IPNetwork.Parse("fd20:ce::254/128"),
    ];

    private static readonly IPNetwork Nat64 = IPNetwork.Parse("64:ff9b::/96");

    /// <summary>Checks what can be checked without resolving the name.</summary>
    /// <returns>The address, ending with a slash.</returns>
    /// <exception cref="ModelServerException"><see cref="ModelServerFailure.BadRequest"/>: not an address that a model server may have.</exception>
    public static Uri Check(ModelServer server)
    {
        var address = server.Address;
        if (!address.IsAbsoluteUri || address.Scheme is not ("http" or "https"))
            throw Wrong(server, "must begin with http:// or https://");
        if (address.UserInfo.Length > 0)
            throw Wrong(server, "must not contain a user or password; the key of a server has its own setting");
        if (address.Query.Length > 0 || address.Fragment.Length > 0)
            throw Wrong(server, "must not contain a query or fragment");
        if (IPAddress.TryParse(address.DnsSafeHost, out var literal) && IsRefused(literal))
            throw Wrong(server, "is one where clouds hand out credentials");
        return address.AbsolutePath.EndsWith('/') ? address : new UriBuilder(address) { Path = address.AbsolutePath + "/" }.Uri;
    }

    /// <summary>Whether an address is one that no model server has.</summary>
    public static bool IsRefused(IPAddress address)
    {
        if (address.IsIPv4MappedToIPv6)
            address = address.MapToIPv4();
        else if (Nat64.Contains(address))
            address = new IPAddress(address.GetAddressBytes().AsSpan(12));
        return Array.Exists(Refused, n => n.Contains(address));
    }

    /// <summary>Connects to the first address of a host that answers.</summary>
    public static async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken)
    {
        var (host, port) = (context.DnsEndPoint.Host, context.DnsEndPoint.Port);
        var addresses = IPAddress.TryParse(host, out var literal) ? [literal] : await Dns.GetHostAddressesAsync(host, cancellationToken);
        // One refused address makes the name suspect: connecting to its others would only hide that.
        if (Array.Find(addresses, IsRefused) is { } refused)
            throw new HttpRequestException($"'{host}' has the address {refused}, where clouds hand out credentials; no model server is there.");
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(addresses, port, cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static ModelServerException Wrong(ModelServer server, string problem) =>
        new(ModelServerFailure.BadRequest, $"The address of the model server '{server.Name}' {problem}.");
}

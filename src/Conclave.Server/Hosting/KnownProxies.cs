using Microsoft.AspNetCore.HttpOverrides;

namespace Conclave.Server.Hosting;

/// <summary>Requests that come through a reverse proxy: its headers tell who asks, by which scheme and for which host.</summary>
internal static class KnownProxies
{
    /// <summary>Believes <c>X-Forwarded-For</c>, <c>-Proto</c> and <c>-Host</c> of the proxies that the settings name; of nobody when they name none.</summary>
    public static void UseKnownProxies(this WebApplication app, ServerOptions options)
    {
        if (options.KnownProxies.Count == 0)
            return;
        var forwarded = new ForwardedHeadersOptions
        {
            ForwardedHeaders = ForwardedHeaders.XForwardedFor | ForwardedHeaders.XForwardedProto | ForwardedHeaders.XForwardedHost,
            // One behind the other, as long as each is known.
            ForwardLimit = null,
        };
        forwarded.KnownProxies.Clear();
        forwarded.KnownIPNetworks.Clear();
        foreach (var network in options.KnownProxies)
            forwarded.KnownIPNetworks.Add(network);
        // A proxy that hands on what it does not set itself would let anybody choose the host of links.
        if (options.PublicUrl is { } url)
            forwarded.AllowedHosts.Add(new Uri(url).Host);
        app.UseForwardedHeaders(forwarded);
    }
}

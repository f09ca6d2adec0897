using System.Security.Cryptography;

namespace Conclave.Server.Accounts.Pages;

/// <summary>The style sheet of all pages; browsers keep it until its content, and with it its address, changes.</summary>
internal sealed class StyleSheet
{
    private const string Name = "app.css";
    private readonly byte[] _content = File.ReadAllBytes(Path.Combine(AppContext.BaseDirectory, "wwwroot", Name));

    public StyleSheet() => Address = $"/{Name}?v={Convert.ToHexStringLower(SHA256.HashData(_content))[..12]}";

    /// <summary>Where it is.</summary>
    public string Address { get; }

    /// <summary>Maps it.</summary>
    public static void Map(IEndpointRouteBuilder app) => app.MapGet($"/{Name}", (HttpContext context, StyleSheet styles) =>
    {
        context.Response.Headers.CacheControl = context.Request.QueryString.HasValue ? "public, max-age=31536000, immutable" : "no-cache";
        context.Response.Headers.XContentTypeOptions = "nosniff";
        return TypedResults.Bytes(styles._content, "text/css; charset=utf-8");
    }).ExcludeFromDescription();
}

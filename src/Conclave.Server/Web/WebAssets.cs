using System.Collections.Frozen;
using System.IO.Compression;
using System.Security.Cryptography;
using Microsoft.AspNetCore.StaticFiles;

namespace Conclave.Server.Web;

/// <summary>Scripts, styles and the font of the pages: all of them from beside the program. Browsers keep them until their version, which is in the address, changes.</summary>
internal sealed class WebAssets
{
    private const string Prefix = "/app/assets";

    private readonly FrozenDictionary<string, WebAsset> _byPath;
    private readonly string _version;

    public WebAssets()
    {
        var folder = Path.Combine(AppContext.BaseDirectory, "web");
        var types = new FileExtensionContentTypeProvider();
        var files = Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Select(f => (Path: Path.GetRelativePath(folder, f).Replace('\\', '/'), File: f))
            .Append((Path: "web.css", File: Path.Combine(AppContext.BaseDirectory, "wwwroot", "web.css")))
            .OrderBy(f => f.Path, StringComparer.Ordinal).ToList();
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var found = new Dictionary<string, WebAsset>(StringComparer.Ordinal);
        foreach (var (path, file) in files)
        {
            var content = File.ReadAllBytes(file);
            hash.AppendData(content);
            found[path] = new WebAsset(content, types.TryGetContentType(path, out var type) ? type : "application/octet-stream");
        }

        _byPath = found.ToFrozenDictionary(StringComparer.Ordinal);
        _version = Convert.ToHexStringLower(hash.GetHashAndReset().AsSpan(0, 6));
    }

    /// <summary>The address of a file, such as <c>css/standard-base.css</c>.</summary>
    public string Address(string path) => $"{Prefix}/{_version}/{path}";

    /// <summary>Maps them, for everybody: they say nothing about anybody.</summary>
    public static void Map(IEndpointRouteBuilder app) => app.MapGet($"{Prefix}/{{version}}/{{**path}}", SendAsync).ExcludeFromDescription().AllowAnonymous();

    private static async Task SendAsync(HttpContext context, string version, string path, WebAssets assets)
    {
        if (!assets._byPath.TryGetValue(path, out var asset))
        {
            context.Response.StatusCode = StatusCodes.Status404NotFound;
            return;
        }

        var headers = context.Response.Headers;
        headers.CacheControl = version == assets._version ? "public, max-age=31536000, immutable" : "no-cache";
        headers.XContentTypeOptions = "nosniff";
        headers.Vary = "Accept-Encoding";
        context.Response.ContentType = asset.ContentType;
        var content = asset.Content;
        if (asset.Compressed.Value is { } compressed && context.Request.GetTypedHeaders().AcceptEncoding.Any(e => e.Value == "br" && e.Quality != 0))
        {
            headers.ContentEncoding = "br";
            content = compressed;
        }

        context.Response.ContentLength = content.Length;
        await context.Response.Body.WriteAsync(content, context.RequestAborted);
    }

    private sealed record WebAsset(byte[] Content, string ContentType)
    {
        /// <summary>The content in Brotli, made when somebody first asks; null for what is compressed already.</summary>
        public Lazy<byte[]?> Compressed { get; } = new(() => ContentType.StartsWith("text/", StringComparison.Ordinal) ? Compress(Content) : null);

        private static byte[] Compress(byte[] content)
        {
            using var buffer = new MemoryStream();
            using (var brotli = new BrotliStream(buffer, new BrotliCompressionOptions { Quality = 5 }))
                brotli.Write(content);
            return buffer.ToArray();
        }
    }
}

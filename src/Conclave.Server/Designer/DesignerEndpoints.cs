using System.Text;
using Conclave.Server.Accounts;
using Conclave.Server.Api;
using Microsoft.Net.Http.Headers;

namespace Conclave.Server.Designer;

/// <summary>The designer: a page of ours around the unmodified Elsa Studio.</summary>
internal static class DesignerEndpoints
{
    private const string Prefix = "/designer";

    // Studio is WebAssembly, and Monaco's workers and styles are made by its scripts. The hashes are of the scripts that the editor and the list of
    // instances of Studio 3.8.2 write into the page.
    private const string ContentSecurityPolicy =
        "default-src 'self'; script-src 'self' 'wasm-unsafe-eval' 'unsafe-eval' 'sha256-snlP1jz0gjwc5cTz9ErZcliXuCK63+Mmf68RRCeptgc=' "
        + "'sha256-vu6sQrKXQHR4Yn3FMMihA/9TxxfIXnCxKwvLrTPJ5ts='; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        + "font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'";

    /// <summary>Maps the page and its files.</summary>
    public static void MapDesigner(this WebApplication app)
    {
        var files = DesignerFiles.Find(AppContext.BaseDirectory);
        var group = app.MapGroup(Prefix).RequirePermission(Permissions.ReadDefinitions, Permissions.ReadInstances);
        group.MapGet("/", (HttpContext context) => ShowAsync(context, files));
        group.MapGet("/workflows/{**path}", (HttpContext context) => ShowAsync(context, files));
        group.MapGet("/instances/{**path}", (HttpContext context) => ShowAsync(context, files));
        group.MapGet("/appsettings.json", SettingsAsync);
        group.MapGet("/{**path}", (HttpContext context, string path) => SendAsync(context, files, path));
    }

    private static Task ShowAsync(HttpContext context, DesignerFiles? files)
    {
        if (files is null)
            return NotInstalledAsync(context);
        var headers = context.Response.Headers;
        headers.CacheControl = "no-cache";
        headers.ContentSecurityPolicy = ContentSecurityPolicy;
        headers.XContentTypeOptions = "nosniff";
        headers["Referrer-Policy"] = "same-origin";
        context.Response.ContentType = "text/html; charset=utf-8";
        return context.Response.WriteAsync(files.Page, Encoding.UTF8, context.RequestAborted);
    }

    /// <summary>Where Studio finds the server.</summary>
    private static Task SettingsAsync(HttpContext context) => context.WriteJsonAsync(writer =>
    {
        writer.WriteStartObject();
        writer.WriteStartObject("Backend");
        writer.WriteString("Url", $"{context.Request.Scheme}://{context.Request.Host}{ElsaApi.ElsaApi.Prefix}");
        writer.WriteEndObject();
        writer.WriteEndObject();
    });

    private static async Task SendAsync(HttpContext context, DesignerFiles? files, string path)
    {
        if (files is null)
        {
            await NotInstalledAsync(context);
            return;
        }

        if (!files.ByPath.TryGetValue(path, out var file))
        {
            context.Response.StatusCode = StatusCodes.Status404NotFound;
            return;
        }

        var headers = context.Response.Headers;
        headers.ETag = file.ETag;
        headers.Vary = HeaderNames.AcceptEncoding;
        headers.XContentTypeOptions = "nosniff";
        var isImmutable = file.IsImmutable || context.Request.Query["v"] == files.Version;
        headers.CacheControl = isImmutable ? "private, max-age=31536000, immutable" : "private, no-cache";
        if (context.Request.Headers.IfNoneMatch.Contains(file.ETag))
        {
            context.Response.StatusCode = StatusCodes.Status304NotModified;
            return;
        }

        var accepted = context.Request.GetTypedHeaders().AcceptEncoding;
        var encoding = file.Encodings.FirstOrDefault(e => accepted.Any(a => a.Value == e && a.Quality != 0));
        var sent = file.FullPath;
        if (encoding is not null)
        {
            headers.ContentEncoding = encoding;
            sent += encoding == "br" ? ".br" : ".gz";
        }

        context.Response.ContentType = file.ContentType;
        context.Response.ContentLength = new FileInfo(sent).Length;
        await context.Response.SendFileAsync(sent, context.RequestAborted);
    }

    private static Task NotInstalledAsync(HttpContext context) => Problems.WriteAsync(
        context, 404, "designer.not_installed", "The designer's files are not there. Build the server with Node.js at hand, or publish it.");
}

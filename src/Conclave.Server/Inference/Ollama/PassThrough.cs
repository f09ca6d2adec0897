using System.Net;
using Conclave.Inference;
using Conclave.Inference.Pool;

namespace Conclave.Server.Inference.Ollama;

/// <summary>
/// Hands what only an Ollama itself can do on to one: creating, copying and pushing models, and the blobs that they are made of. The header
/// <c>x-conclave-server</c> says which; without it the only one there is.
/// </summary>
internal sealed class PassThrough : IDisposable
{
    private readonly HttpMessageInvoker _http = new(new SocketsHttpHandler
    {
        UseProxy = false,
        AllowAutoRedirect = false,
        UseCookies = false,
        AutomaticDecompression = DecompressionMethods.None,
        ConnectTimeout = TimeSpan.FromSeconds(10),
    });

    public async Task HandleAsync(HttpContext context, InferenceRole role)
    {
        var server = Server(context, role);
        var target = new Uri(server.Server.Address.AbsoluteUri.TrimEnd('/') + context.Request.Path.ToUriComponent());
        using var request = new HttpRequestMessage(new HttpMethod(context.Request.Method), target);
        if (!HttpMethods.IsHead(context.Request.Method))
        {
            request.Content = new StreamContent(context.Request.Body);
            if (context.Request.ContentType is { } type)
                request.Content.Headers.TryAddWithoutValidation("Content-Type", type);
            if (context.Request.ContentLength is { } length)
                request.Content.Headers.ContentLength = length;
        }

        HttpResponseMessage response;
        try
        {
            response = await _http.SendAsync(request, context.RequestAborted);
        }
        catch (HttpRequestException exception)
        {
            throw new InferenceException(InferenceFailure.ServerFailed, "inference.server_failed", $"{server.Server.Name} cannot be reached: {exception.Message}", exception);
        }

        using (response)
        {
            context.Response.StatusCode = (int)response.StatusCode;
            context.Response.ContentType = response.Content.Headers.ContentType?.ToString();
            await using var content = await response.Content.ReadAsStreamAsync(context.RequestAborted);
            var buffer = new byte[16 * 1024];
            // Piece by piece, so that progress is seen.
            for (int count; (count = await content.ReadAsync(buffer, context.RequestAborted)) > 0;)
            {
                await context.Response.Body.WriteAsync(buffer.AsMemory(0, count), context.RequestAborted);
                await context.Response.Body.FlushAsync(context.RequestAborted);
            }
        }

        await server.CheckAsync(context.RequestAborted);
    }

    public void Dispose() => _http.Dispose();

    private static PooledServer Server(HttpContext context, InferenceRole role)
    {
        var servers = OllamaModelEndpoints.Managers(context, role).Where(server => server.Server.Provider == "ollama").ToList();
        return servers.Count switch
        {
            1 => servers[0],
            0 => throw new InferenceException(InferenceFailure.Unavailable, "inference.no_server", "There is no Ollama in the pool that could do this."),
            _ => throw new InferenceException(InferenceFailure.BadRequest, "inference.which_server",
                $"Several Ollamas could do this. Name one in the header x-conclave-server: {string.Join(", ", servers.Select(server => server.Server.Name))}.")
            {
                Parameter = "x-conclave-server",
            },
        };
    }
}

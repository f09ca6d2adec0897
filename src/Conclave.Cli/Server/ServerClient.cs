using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Conclave.Cli.Server;

/// <summary>
/// Calls the server's API. A call whose connection breaks, or that meets a server not ready yet, is made again twice; a POST
/// carries the same idempotency key each time, so that it takes effect once.
/// </summary>
internal sealed class ServerClient : IDisposable
{
    private const int Attempts = 3;
    private static readonly TimeSpan LongestDelay = TimeSpan.FromSeconds(5);

    // Longer than the longest wait a call can ask for, and than a large import takes.
    private static readonly TimeSpan Timeout = TimeSpan.FromMinutes(5);

    private readonly HttpClient _http;
    private readonly ServerConnection _server;

    public ServerClient(ServerConnection server)
    {
        _server = server;
        _http = new HttpClient(new SocketsHttpHandler
        {
            // A redirect would carry the request, and what it starts, to a server nobody named.
            AllowAutoRedirect = false,
            UseProxy = !server.Address.IsLoopback,
            ConnectTimeout = TimeSpan.FromSeconds(10),
            AutomaticDecompression = DecompressionMethods.All,
        })
        {
            BaseAddress = server.Address,
            Timeout = Timeout,
            MaxResponseContentBufferSize = 256 * 1024 * 1024,
        };
        if (server.Key is { } key)
            _http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
    }

    public Task<JsonElement> GetAsync(ApiPath path, CancellationToken cancellationToken) =>
        CallAsync(HttpMethod.Get, path, null, cancellationToken);

    public Task<JsonElement> DeleteAsync(ApiPath path, CancellationToken cancellationToken) =>
        CallAsync(HttpMethod.Delete, path, null, cancellationToken);

    /// <summary>Posts a JSON object; members without a value are left out.</summary>
    public Task<JsonElement> PostAsync(ApiPath path, JsonObject? body, CancellationToken cancellationToken) => PostAsync(path, Content(body), cancellationToken);

    /// <summary>Puts a JSON object; members without a value are left out.</summary>
    /// <param name="path">Where.</param>
    /// <param name="body">What.</param>
    /// <param name="ifMatch">The version that it must still have; null for any.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    public Task<JsonElement> PutAsync(ApiPath path, JsonObject body, int? ifMatch, CancellationToken cancellationToken) =>
        CallAsync(HttpMethod.Put, path, Content(body), cancellationToken, ifMatch);

    /// <summary>Posts anything; <paramref name="content"/> makes the body anew for each attempt.</summary>
    public Task<JsonElement> PostAsync(ApiPath path, Func<HttpContent>? content, CancellationToken cancellationToken) =>
        CallAsync(HttpMethod.Post, path, content, cancellationToken);

    /// <summary>Copies an answer that is no JSON to a stream.</summary>
    public async Task DownloadAsync(ApiPath path, Stream target, CancellationToken cancellationToken)
    {
        using var answer = await SendAsync(HttpMethod.Get, path, null, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        await answer.Content.CopyToAsync(target, cancellationToken);
    }

    public void Dispose() => _http.Dispose();

    private static Func<HttpContent>? Content(JsonObject? body)
    {
        foreach (var name in body?.Where(m => m.Value is null).Select(m => m.Key).ToList() ?? [])
            body!.Remove(name);
        var text = body?.ToJsonString();
        return text is null ? null : () => new StringContent(text, Encoding.UTF8, "application/json");
    }

    private async Task<JsonElement> CallAsync(HttpMethod method, ApiPath path, Func<HttpContent>? content, CancellationToken cancellationToken, int? ifMatch = null)
    {
        // The whole answer belongs to the attempt: one that breaks off is asked for again.
        using var answer = await SendAsync(method, path, content, HttpCompletionOption.ResponseContentRead, cancellationToken, ifMatch);
        var body = await answer.Content.ReadAsByteArrayAsync(cancellationToken);
        if (body.Length == 0)
            return default;
        return TryParse(body, out var json)
            ? json
            : throw new CommandException(ExitCodes.Unexpected, $"What {_server} answered is no JSON; is that the address of a Conclave server?");
    }

    private async Task<HttpResponseMessage> SendAsync(
        HttpMethod method, ApiPath path, Func<HttpContent>? content, HttpCompletionOption completion, CancellationToken cancellationToken, int? ifMatch = null)
    {
        var idempotencyKey = method == HttpMethod.Post ? Guid.CreateVersion7().ToString("N") : null;
        for (var attempt = 1; ; attempt++)
        {
            TimeSpan? retryAfter = null;
            try
            {
                using var request = new HttpRequestMessage(method, path.ToString()) { Content = content?.Invoke() };
                if (idempotencyKey is not null)
                    request.Headers.Add("Idempotency-Key", idempotencyKey);
                if (ifMatch is { } version)
                    request.Headers.IfMatch.Add(new EntityTagHeaderValue(string.Create(CultureInfo.InvariantCulture, $"\"{version}\"")));
                var answer = await _http.SendAsync(request, completion, cancellationToken);
                if (answer.IsSuccessStatusCode)
                    return answer;
                using (answer)
                {
                    retryAfter = RetryAfter(answer);
                    // After a broken connection the first attempt may still be at work; it then answers for both.
                    var mayChange = answer.StatusCode == HttpStatusCode.ServiceUnavailable
                        || (answer.StatusCode == HttpStatusCode.Conflict && attempt > 1 && retryAfter is not null);
                    if (!mayChange || attempt == Attempts || retryAfter > LongestDelay)
                        throw await ErrorAsync(answer, retryAfter, cancellationToken);
                }
            }
            catch (HttpRequestException exception) when (!CanRetry(exception) || attempt == Attempts)
            {
                throw Unreachable(exception);
            }
            catch (HttpRequestException)
            {
                // Made again below.
            }
            catch (TaskCanceledException exception) when (!cancellationToken.IsCancellationRequested)
            {
                throw new CommandException(
                    ExitCodes.NoServer, $"{_server} did not answer in time: {exception.InnerException?.Message ?? exception.Message}");
            }

            await Task.Delay(retryAfter ?? Delay(attempt), cancellationToken);
        }
    }

    private static TimeSpan Delay(int attempt) => TimeSpan.FromMilliseconds(150 * Math.Pow(3, attempt - 1) * (0.75 + (Random.Shared.NextDouble() / 2)));

    private static bool CanRetry(HttpRequestException exception) => exception.HttpRequestError
        is not (HttpRequestError.NameResolutionError or HttpRequestError.SecureConnectionError or HttpRequestError.ConfigurationLimitExceeded);

    private static TimeSpan? RetryAfter(HttpResponseMessage answer) => answer.Headers.RetryAfter switch
    {
        { Delta: { } delta } => delta,
        { Date: { } date } => TimeSpan.FromSeconds(Math.Max(0, (date - TimeProvider.System.GetUtcNow()).TotalSeconds)),
        _ => null,
    };

    private async Task<CommandException> ErrorAsync(HttpResponseMessage answer, TimeSpan? retryAfter, CancellationToken cancellationToken)
    {
        if ((int)answer.StatusCode is >= 300 and < 400)
        {
            return new CommandException(
                ExitCodes.Unexpected,
                string.Create(CultureInfo.InvariantCulture, $"{_server} sends elsewhere ({(int)answer.StatusCode}), to {answer.Headers.Location}. If that is the server, name it with --server."));
        }

        _ = TryParse(await answer.Content.ReadAsByteArrayAsync(cancellationToken), out var problem);
        return Problem.Of(answer.StatusCode, problem, retryAfter, _server);
    }

    private CommandException Unreachable(HttpRequestException exception)
    {
        var message = exception.HttpRequestError switch
        {
            HttpRequestError.ConnectionError when exception.InnerException is SocketException { SocketErrorCode: SocketError.ConnectionRefused } =>
                $"No server answers at {_server} (from {_server.AddressSource}). {ServerConnection.HowToStart}",
            HttpRequestError.ConnectionError => $"{_server} (from {_server.AddressSource}) cannot be reached: {exception.Message}",
            HttpRequestError.NameResolutionError => $"There is no host '{_server.Address.Host}' (from {_server.AddressSource}).",
            HttpRequestError.SecureConnectionError => $"No safe connection to {_server}: {exception.InnerException?.Message ?? exception.Message}",
            _ => $"The connection to {_server} broke: {exception.Message}",
        };
        return new CommandException(ExitCodes.NoServer, message);
    }

    private static bool TryParse(byte[] body, out JsonElement json)
    {
        try
        {
            json = JsonElement.Parse(body, new JsonDocumentOptions { MaxDepth = 512 });
            return true;
        }
        catch (JsonException)
        {
            json = default;
            return false;
        }
    }
}

using System.Buffers;
using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;

namespace Conclave.Inference.Providers;

/// <summary>
/// The HTTP connections to one model server. Whatever goes wrong becomes a <see cref="ModelServerException"/>. One object serves any number
/// of calls at once.
/// </summary>
internal sealed class ModelServerConnection : IDisposable
{
    /// <summary>Longer answers than this are an attack or a mistake: a generation of 128 K tokens is about 40 MB of events.</summary>
    internal const long MaxAnswerBytes = 128 * 1024 * 1024;

    private const int MaxErrorBytes = 64 * 1024;
    private static readonly MediaTypeHeaderValue Json = new("application/json");

    private readonly ModelServer _server;
    private readonly TimeProvider _time;
    private readonly Uri _base;
    private readonly HttpMessageInvoker _invoker;
    private readonly (string Name, string Value)[] _headers;
    private readonly string? _secret;
    private readonly Action<HttpResponseHeaders>? _answered;

    /// <summary>Prepares connections; opens none yet.</summary>
    /// <param name="server">The server.</param>
    /// <param name="secret">Its key, which never appears in messages; null for none.</param>
    /// <param name="time">The clock of time-outs.</param>
    /// <param name="headers">Headers of every request.</param>
    /// <exception cref="ModelServerException">The address or the key cannot be one.</exception>
    public ModelServerConnection(ModelServer server, string? secret, TimeProvider time, params (string Name, string Value)[] headers)
    {
        _server = server;
        _time = time;
        _secret = string.IsNullOrEmpty(secret) ? null : secret;
        _headers = headers;
        if (secret is not null && secret.AsSpan().ContainsAnyExceptInRange('!', '~'))
            throw new ModelServerException(ModelServerFailure.BadRequest, $"The key of the model server '{server.Name}' contains characters that no key has.");
        _base = ModelServerAddress.Check(server);
        _invoker = new HttpMessageInvoker(new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            AutomaticDecompression = DecompressionMethods.None,
            ConnectCallback = ModelServerAddress.ConnectAsync,
            ConnectTimeout = TimeSpan.FromSeconds(10),
            EnableMultipleHttp2Connections = true,
            // The gateway counts slots; this only keeps a mistake from using up the ports.
            MaxConnectionsPerServer = (2 * server.Slots) + 64,
            // An answer that nobody reads any more ends with its next token, so that the server stops generating. The end of one that is whole is read beside us:
            // it is a few bytes, on which no caller has to wait.
            MaxResponseDrainSize = 64,
            ResponseDrainTimeout = TimeSpan.FromMilliseconds(250),
            // Our own span says more than one of the request would; the server hears of it by its header.
            ActivityHeadersPropagator = null,
            // Uvicorn (vLLM) and Node close idle connections after 5 seconds, and what is sent at that moment is lost.
            PooledConnectionIdleTimeout = server.Address.Scheme == "https" ? TimeSpan.FromMinutes(1) : TimeSpan.FromSeconds(4),
            // A name may move to another address.
            PooledConnectionLifetime = TimeSpan.FromMinutes(5),
            UseCookies = false,
            UseProxy = false,
        });
    }

    private ModelServerConnection(ModelServerConnection other, (string Name, string Value)[] headers, Action<HttpResponseHeaders> answered) =>
        (_server, _time, _base, _invoker, _headers, _secret, _answered) = (other._server, other._time, other._base, other._invoker, headers, other._secret, answered);

    /// <summary>The same connections for requests that say more about themselves. Not to be disposed.</summary>
    /// <param name="headers">More headers.</param>
    /// <param name="answered">Told the headers of each answer that is none of an error.</param>
    public ModelServerConnection With(IEnumerable<(string Name, string Value)> headers, Action<HttpResponseHeaders> answered) => new(this, [.. _headers, .. headers], answered);

    /// <summary>The server's name, for messages.</summary>
    public string ServerName => _server.Name;

    /// <summary>An address on the server.</summary>
    /// <param name="path">Its path, without a slash at the beginning.</param>
    public Uri Endpoint(string path) => new(_base, path);

    /// <summary>Sends a request and waits for the head of its answer.</summary>
    /// <param name="method">Such as POST.</param>
    /// <param name="endpoint">Where to.</param>
    /// <param name="body">JSON; null for none.</param>
    /// <param name="model">The model that is asked for; null for none.</param>
    /// <param name="cancellationToken">Ends the request, also on the server; not needed to read the answer.</param>
    /// <param name="timeout">Longest silence; null for that of the server.</param>
    /// <exception cref="ModelServerException">There is no answer, or it is an error.</exception>
    public async Task<ModelServerAnswer> SendAsync(
        HttpMethod method, Uri endpoint, ArrayBufferWriter<byte>? body, string? model, CancellationToken cancellationToken, TimeSpan? timeout = null)
    {
        var timer = new SilenceTimer(timeout ?? _server.Timeout, _time, cancellationToken);
        HttpResponseMessage? response = null;
        try
        {
            using var request = new HttpRequestMessage(method, endpoint) { Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionOrLower };
            foreach (var (name, value) in _headers)
                request.Headers.TryAddWithoutValidation(name, value);
            if (Activity.Current is { Recorded: true, Id: { } trace })
                request.Headers.TryAddWithoutValidation("traceparent", trace);
            if (body is not null)
            {
                request.Content = new ReadOnlyMemoryContent(body.WrittenMemory);
                request.Content.Headers.ContentType = Json;
            }

            timer.Start();
            response = await _invoker.SendAsync(request, timer.Token);
            timer.Stop();
            var answer = new ModelServerAnswer(this, response, timer, model);
            if (!response.IsSuccessStatusCode)
                throw await ReadErrorAsync(response, answer, model);
            _answered?.Invoke(response.Headers);
            return answer;
        }
        catch (Exception exception)
        {
            response?.Dispose();
            var translated = Translate(exception, timer, cancellationToken);
            timer.Dispose();
            if (ReferenceEquals(translated, exception))
                throw;
            throw translated;
        }
    }

    /// <summary>Closes the connections.</summary>
    public void Dispose() => _invoker.Dispose();

    /// <summary>A failure of this server, from an error that it wrote into an answer.</summary>
    /// <param name="error">What it said.</param>
    /// <param name="model">The model that was asked for.</param>
    public ModelServerException Failed(ServerError error, string? model) => ServerFailures.Classify(ServerName, null, error.Without(_secret), model, null);

    /// <summary>A failure of this server.</summary>
    public ModelServerException Failed(ModelServerFailure failure, string problem, Exception? cause = null) =>
        new(failure, $"The model server '{ServerName}' {problem}.", cause);

    /// <summary>What an exception of an exchange means to callers.</summary>
    public Exception Translate(Exception exception, SilenceTimer timer, CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested && exception is not ModelServerException)
            return exception is OperationCanceledException cancelled && cancelled.CancellationToken == cancellationToken ? exception : new OperationCanceledException(cancellationToken);
        if (timer.HasFired && exception is not ModelServerException)
            return Failed(ModelServerFailure.Timeout, $"was silent for {timer.Limit.TotalSeconds:0.###} s, which is the limit", exception);
        return exception switch
        {
            HttpRequestException { HttpRequestError: HttpRequestError.ResponseEnded } => Failed(ModelServerFailure.Cut, "closed the connection without an answer", exception),
            HttpRequestException { HttpRequestError: HttpRequestError.InvalidResponse or HttpRequestError.ConfigurationLimitExceeded } =>
                Failed(ModelServerFailure.InvalidAnswer, "does not speak HTTP as it should: " + exception.Message.TrimEnd('.'), exception),
            HttpRequestException { InnerException: IOException } cut when cut.HttpRequestError is HttpRequestError.Unknown =>
                Failed(ModelServerFailure.Cut, "closed the connection without an answer", exception),
            HttpRequestException => Failed(ModelServerFailure.Unreachable, "cannot be reached: " + Innermost(exception).Message.TrimEnd('.'), exception),
            IOException or SocketException => Failed(ModelServerFailure.Cut, "closed the connection in the middle of its answer", exception),
            // The connect time-out is not ours to tell from others.
            OperationCanceledException => Failed(ModelServerFailure.Unreachable, "cannot be reached: no connection in time", exception),
            ObjectDisposedException => Failed(ModelServerFailure.Unreachable, "was taken away while it was asked", exception),
            _ => exception,
        };
    }

    private async Task<ModelServerException> ReadErrorAsync(HttpResponseMessage response, ModelServerAnswer answer, string? model)
    {
        var status = (int)response.StatusCode;
        if (status is >= 300 and < 400)
            return new ModelServerException(ModelServerFailure.InvalidAnswer, $"The model server '{ServerName}' answered {status}, a redirect; its address must be the final one.") { Status = status };
        var body = await answer.ReadBytesAsync(MaxErrorBytes, truncate: true);
        return ServerFailures.Classify(ServerName, status, ServerError.Parse(body.Span).Without(_secret), model, RetryAfter(response.Headers));
    }

    private TimeSpan? RetryAfter(HttpResponseHeaders headers)
    {
        if (headers.TryGetValues("retry-after-ms", out var values) && double.TryParse(values.First(), System.Globalization.CultureInfo.InvariantCulture, out var milliseconds) && milliseconds is >= 0 and < 86_400_000)
            return TimeSpan.FromMilliseconds(milliseconds);
        var wait = headers.RetryAfter?.Delta ?? (headers.RetryAfter?.Date - _time.GetUtcNow());
        return wait < TimeSpan.Zero ? TimeSpan.Zero : wait;
    }

    private static Exception Innermost(Exception exception)
    {
        while (exception.InnerException is { } inner)
            exception = inner;
        return exception;
    }
}

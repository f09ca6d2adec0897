using System.Buffers;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;

namespace Conclave.Workflows.Http;

/// <summary>Sends HTTP requests for workflows, to addresses that workflows may reach.</summary>
/// <remarks>
/// The address is checked where the connection is made, after the name was resolved, for every redirect too. Proxies and
/// cookies are not used. One object serves any number of threads; it keeps connections open, so keep it.
/// </remarks>
public sealed class OutboundHttp : IDisposable
{
    private readonly OutboundHttpOptions _options;
    private readonly TimeProvider _time;
    private readonly HttpMessageInvoker _invoker;
    private readonly HostPattern[] _hosts;
    private readonly IPNetwork[] _networks;
    private readonly Func<string, CancellationToken, Task<IPAddress[]>> _resolve;

    /// <summary>Creates a sender.</summary>
    /// <param name="options">What may be reached; null for the defaults.</param>
    /// <param name="time">The clock of time-outs.</param>
    /// <exception cref="ArgumentException">The options are not valid; the message lists every problem.</exception>
    public OutboundHttp(OutboundHttpOptions? options = null, TimeProvider? time = null)
        : this(options, time, Dns.GetHostAddressesAsync)
    {
    }

    internal OutboundHttp(
        OutboundHttpOptions? options, TimeProvider? time, Func<string, CancellationToken, Task<IPAddress[]>> resolve)
    {
        _options = options ?? new OutboundHttpOptions();
        if (_options.Validate() is { Count: > 0 } problems)
            throw new ArgumentException(string.Join(" ", problems), nameof(options));
        _time = time ?? TimeProvider.System;
        _resolve = resolve;
        _hosts = [.. _options.AllowedHosts.Select(h => HostPattern.TryParse(h, out var pattern) ? pattern! : throw new ArgumentException(h))];
        _networks = [.. _options.AllowedNetworks.Select(n => IPNetwork.Parse(n))];
        _invoker = new HttpMessageInvoker(new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            AutomaticDecompression = DecompressionMethods.All,
            ConnectCallback = ConnectAsync,
            ConnectTimeout = _options.ConnectTimeout,
            // Addresses are checked when a connection is made; a name may move to another address afterwards.
            PooledConnectionLifetime = TimeSpan.FromMinutes(2),
            RequestHeaderEncodingSelector = (_, _) => Encoding.UTF8,
            UseCookies = false,
            UseProxy = false,
        });
    }

    /// <summary>A sender with the default options: the public internet only.</summary>
    public static OutboundHttp Default { get; } = new();

    /// <summary>Sends a request, follows redirects and reads the answer.</summary>
    /// <exception cref="OutboundHttpException">There is no answer, or none that may be used; the code says why.</exception>
    /// <exception cref="Execution.WorkflowException">A header of the request is not allowed.</exception>
    public async Task<OutboundResponse> SendAsync(OutboundRequest request, CancellationToken cancellationToken)
    {
        using var timer = new CancellationTokenSource(_options.Timeout, _time);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(timer.Token, cancellationToken);
        try
        {
            return await FollowAsync(request, linked.Token);
        }
        catch (OperationCanceledException exception) when (timer.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new OutboundHttpException(
                "http.timeout",
                $"{Show(request)} did not finish within {_options.Timeout}. The setting {OutboundHttpOptions.Section}:{nameof(_options.Timeout)} says how long a request may take.",
                OutboundHttpFailure.Timeout,
                exception);
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException or InvalidDataException
            || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            throw Translate(request, exception);
        }
    }

    /// <summary>Closes the connections.</summary>
    public void Dispose() => _invoker.Dispose();

    private async Task<OutboundResponse> FollowAsync(OutboundRequest request, CancellationToken cancellationToken)
    {
        for (var redirects = 0; ; redirects++)
        {
            using var message = ToMessage(request);
            using var response = await _invoker.SendAsync(message, cancellationToken);
            if (_options.MaxRedirects == 0 || Redirects.LocationOf(response) is not { } location)
                return await ReadAsync(request, response, cancellationToken);
            if (redirects == _options.MaxRedirects)
            {
                throw OutboundHttpException.Refused(
                    "http.too_many_redirects",
                    $"{Show(request)} is one redirect more than {_options.MaxRedirects} and leads to another. The setting {OutboundHttpOptions.Section}:{nameof(_options.MaxRedirects)} allows more.");
            }

            request = Redirects.Follow(request, (int)response.StatusCode, location);
        }
    }

    private static HttpRequestMessage ToMessage(OutboundRequest request)
    {
        Redirects.CheckUrl(request.Url);
        if (!HeaderRules.IsToken(request.Method) || request.Method is "CONNECT" or "TRACE")
            throw OutboundHttpException.Refused("http.bad_method", $"'{request.Method}' is not a method that workflows may send.");
        var message = new HttpRequestMessage(new HttpMethod(request.Method), request.Url)
        {
            // Never HTTP/3: its connections do not pass the check of addresses.
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionOrLower,
        };
        if (request.Body is { } body)
        {
            message.Content = new ByteArrayContent(body);
            if (request.ContentType is { } contentType)
                Add(message, "Content-Type", contentType);
        }

        foreach (var (name, value) in request.Headers)
            Add(message, name, value);
        return message;
    }

    private static void Add(HttpRequestMessage message, string name, string value)
    {
        HeaderRules.CheckRequest(name, value);
        // A header of the body goes nowhere when there is no body.
        if (!message.Headers.TryAddWithoutValidation(name, value))
            message.Content?.Headers.TryAddWithoutValidation(name, value);
    }

    private async Task<OutboundResponse> ReadAsync(OutboundRequest request, HttpResponseMessage response, CancellationToken cancellationToken)
    {
        if (response.Content.Headers.ContentLength > _options.MaxResponseBytes && request.Method != "HEAD")
            throw TooLarge(request);
        var body = new ArrayBufferWriter<byte>();
        await using var stream = await response.Content.ReadAsStreamAsync(cancellationToken);
        while (true)
        {
            var read = await stream.ReadAsync(body.GetMemory(8192), cancellationToken);
            if (read == 0)
                break;
            body.Advance(read);
            if (body.WrittenCount > _options.MaxResponseBytes)
                throw TooLarge(request);
        }

        return new OutboundResponse(
            request.Url,
            (int)response.StatusCode,
            response.ReasonPhrase ?? "",
            Copy(response.Headers),
            Copy(response.Content.Headers),
            body.WrittenSpan.ToArray());
    }

    private async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken) =>
        await ConnectAsync(context.DnsEndPoint.Host, context.DnsEndPoint.Port, cancellationToken);

    /// <summary>Connects to a host, if it has an address that may be reached: for what speaks other protocols, or HTTP by other means.</summary>
    internal async Task<Stream> ConnectAsync(string host, int port, CancellationToken cancellationToken)
    {
        var addresses = IPAddress.TryParse(host, out var literal) ? [literal] : await _resolve(host, cancellationToken);
        var allowed = Array.Exists(_hosts, h => h.Matches(host, port)) ? addresses : Array.FindAll(addresses, IsAllowed);
        if (allowed.Length == 0 && addresses.Length > 0)
        {
            throw OutboundHttpException.Refused(
                "http.address_refused",
                $"'{host}' has the address {addresses[0]}, which is not on the public internet, so workflows may not reach it. " +
                $"To allow it, add '{host}:{port}' to the setting {OutboundHttpOptions.Section}:{nameof(_options.AllowedHosts)}, or its network to {OutboundHttpOptions.Section}:{nameof(_options.AllowedNetworks)}.");
        }

        if (allowed.Length == 0)
            throw new SocketException((int)SocketError.HostNotFound);
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(allowed, port, cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private bool IsAllowed(IPAddress address)
    {
        if (_options.AllowPrivateAddresses || AddressRules.IsPublic(address))
            return true;
        var plain = address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
        return Array.Exists(_networks, n => n.Contains(plain));
    }

    private OutboundHttpException Translate(OutboundRequest request, Exception exception)
    {
        // What the connect callback throws arrives wrapped.
        for (var cause = exception.InnerException; cause is not null; cause = cause.InnerException)
        {
            if (cause is OutboundHttpException known)
                return new OutboundHttpException(known.Code, known.Message, known.Failure, exception);
        }

        if (exception is HttpRequestException { HttpRequestError: HttpRequestError.ConfigurationLimitExceeded })
            return OutboundHttpException.Refused("http.too_large", $"{Show(request)} answered with more headers than are accepted: {exception.Message}", exception);
        var reason = exception is OperationCanceledException ? $"no connection within {_options.ConnectTimeout}" : Innermost(exception).Message;
        return new OutboundHttpException("http.connection_failed", $"{Show(request)} failed: {reason}", OutboundHttpFailure.ConnectionFailed, exception);
    }

    private OutboundHttpException TooLarge(OutboundRequest request) => OutboundHttpException.Refused(
        "http.too_large",
        $"{Show(request)} answered with more than {_options.MaxResponseBytes:N0} bytes. The setting {OutboundHttpOptions.Section}:{nameof(_options.MaxResponseBytes)} allows more.");

    /// <summary>The request for messages, without what may be secret in its URL.</summary>
    private static string Show(OutboundRequest request) =>
        request.Url.IsAbsoluteUri ? $"{request.Method} {request.Url.GetLeftPart(UriPartial.Path)}" : $"{request.Method} {request.Url.OriginalString}";

    private static Exception Innermost(Exception exception)
    {
        while (exception.InnerException is { } inner)
            exception = inner;
        return exception;
    }

    private static Dictionary<string, string[]> Copy(HttpHeaders headers)
    {
        var copy = new Dictionary<string, string[]>(StringComparer.OrdinalIgnoreCase);
        foreach (var (name, values) in headers.NonValidated)
            copy[name] = [.. values];
        return copy;
    }
}

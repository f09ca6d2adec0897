using System.Collections.Concurrent;
using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace Conclave.Agents.Sandbox;

/// <summary>The only way out of a sandbox with a network: an HTTP proxy on a socket that is bound into it, which lets through what is on the tool's list.</summary>
/// <remarks>Answers <c>CONNECT host:port</c> and requests with an absolute <c>http://</c> URL; one exchange a connection. What it refuses it answers with 403 and remembers.</remarks>
internal sealed class SandboxProxy : IDisposable, IAsyncDisposable
{
    private const int LargestHead = 16 << 10;
    private const int MostConnections = 32;
    private static readonly TimeSpan HeadTime = TimeSpan.FromSeconds(10);

    /// <summary>Runs in the sandbox: programs know proxies by TCP address only, so it listens on one and hands on to the socket.</summary>
    public const string Bridge = """
        import net from 'node:net';
        import { spawn } from 'node:child_process';
        const [socket, program, ...args] = process.argv.slice(2);
        const server = net.createServer(client => {
          const proxy = net.connect(socket);
          client.pipe(proxy).pipe(client);
          client.on('error', () => proxy.destroy());
          proxy.on('error', () => client.destroy());
        });
        server.listen(0, '127.0.0.1', () => {
          const url = `http://127.0.0.1:${server.address().port}`;
          const env = { ...process.env, http_proxy: url, https_proxy: url, HTTP_PROXY: url, HTTPS_PROXY: url, ALL_PROXY: url, all_proxy: url, NODE_USE_ENV_PROXY: '1' };
          const child = spawn(program, args, { stdio: 'inherit', env });
          child.on('error', error => { console.error(error.message); process.exit(127); });
          child.on('exit', (code, signal) => process.exit(signal ? 137 : code));
        });
        """;

    private readonly SandboxNetwork _network;
    private readonly Socket _listener;
    private readonly CancellationTokenSource _stop = new();
    private readonly SemaphoreSlim _slots = new(MostConnections);
    private readonly ConcurrentDictionary<string, byte> _refused = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<Task, byte> _open = [];
    private readonly Task _accepting;
    private int _connections;

    public SandboxProxy(SandboxNetwork network, string folder)
    {
        _network = network;
        // Short: a socket's path has 108 bytes at most.
        Path = System.IO.Path.Combine(folder, $"{Guid.NewGuid():n}"[..12]);
        _listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        _listener.Bind(new UnixDomainSocketEndPoint(Path));
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(Path, (UnixFileMode)0b110_110_110);
        _listener.Listen(MostConnections);
        _accepting = Task.Run(AcceptAsync);
    }

    /// <summary>The socket's path, outside.</summary>
    public string Path { get; }

    /// <summary>What was refused, as <c>host:port</c>.</summary>
    public IReadOnlyList<string> Refused => [.. _refused.Keys.Order(StringComparer.Ordinal)];

    /// <summary>How many were let through.</summary>
    public int Connections => Volatile.Read(ref _connections);

    public void Dispose()
    {
        _stop.Cancel();
        _listener.Dispose();
        File.Delete(Path);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        Dispose();
        await _accepting;
        await Task.WhenAll(_open.Keys);
        _stop.Dispose();
        _slots.Dispose();
    }

    private async Task AcceptAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            Socket client;
            try
            {
                await _slots.WaitAsync(_stop.Token);
                client = await _listener.AcceptAsync(_stop.Token);
            }
            catch (Exception exception) when (exception is OperationCanceledException or ObjectDisposedException or SocketException)
            {
                return;
            }

            var serving = ServeAsync(client);
            _open[serving] = 0;
            _ = serving.ContinueWith(done => _open.TryRemove(done, out _), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        }
    }

    private async Task ServeAsync(Socket client)
    {
        await using var stream = new NetworkStream(client, ownsSocket: true);
        try
        {
            await ServeAsync(stream);
        }
        catch (Exception exception) when (exception is IOException or SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // Either side has gone.
        }
        finally
        {
            if (!_stop.IsCancellationRequested)
                _slots.Release();
        }
    }

    private async Task ServeAsync(NetworkStream client)
    {
        using var timer = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        timer.CancelAfter(HeadTime);
        var head = new byte[LargestHead];
        var (length, end) = (0, -1);
        while (end < 0)
        {
            var read = length == head.Length ? 0 : await client.ReadAsync(head.AsMemory(length), timer.Token);
            if (read == 0)
                return;
            length += read;
            end = head.AsSpan(0, length).IndexOf("\r\n\r\n"u8);
        }

        var lines = Encoding.Latin1.GetString(head, 0, end).Split("\r\n");
        var words = lines[0].Split(' ');
        if (words.Length != 3 || Target(words[0], words[1]) is not { } target)
        {
            await AnswerAsync(client, "400 Bad Request", "The sandbox's proxy takes CONNECT host:port and http:// URLs.");
            return;
        }

        var name = string.Create(CultureInfo.InvariantCulture, $"{target.Host}:{target.Port}");
        if (!_network.Allows(target.Host, target.Port))
        {
            _refused.TryAdd(name, 0);
            await AnswerAsync(client, "403 Forbidden", $"{name} is not among the hosts that this tool may reach.");
            return;
        }

        Stream server;
        try
        {
            server = await _network.Connect(target.Host, target.Port, _stop.Token);
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            _refused.TryAdd(name, 0);
            await AnswerAsync(client, "502 Bad Gateway", exception.Message);
            return;
        }

        Interlocked.Increment(ref _connections);
        await using (server)
        {
            var rest = head.AsMemory(end + 4, length - end - 4);
            if (words[0] == "CONNECT")
                await client.WriteAsync("HTTP/1.1 200 Connection established\r\n\r\n"u8.ToArray(), _stop.Token);
            else
                await server.WriteAsync(RequestHead(words, lines), _stop.Token);
            await server.WriteAsync(rest, _stop.Token);
            await Task.WhenAny(client.CopyToAsync(server, _stop.Token), server.CopyToAsync(client, _stop.Token));
        }
    }

    /// <summary>The head as a server expects it: a path, and no second request on a connection whose host was checked once.</summary>
    private static byte[] RequestHead(string[] words, string[] lines)
    {
        var headers = lines.Skip(1).Where(l => !l.StartsWith("proxy-", StringComparison.OrdinalIgnoreCase)
            && !l.StartsWith("connection:", StringComparison.OrdinalIgnoreCase) && !l.StartsWith("host:", StringComparison.OrdinalIgnoreCase));
        var url = new Uri(words[1]);
        return Encoding.Latin1.GetBytes(string.Join("\r\n", headers.Prepend($"Host: {url.Authority}").Prepend($"{words[0]} {url.PathAndQuery} HTTP/1.1").Append("Connection: close")) + "\r\n\r\n");
    }

    private static (string Host, int Port)? Target(string method, string target)
    {
        if (method == "CONNECT")
        {
            var colon = target.LastIndexOf(':');
            return colon > 0 && int.TryParse(target.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port is > 0 and < 65536
                ? (target[..colon].Trim('[', ']'), port) : null;
        }

        return Uri.TryCreate(target, UriKind.Absolute, out var url) && url.Scheme == Uri.UriSchemeHttp && url.UserInfo.Length == 0 ? (url.IdnHost, url.Port) : null;
    }

    private async Task AnswerAsync(NetworkStream client, string status, string text)
    {
        var body = Encoding.UTF8.GetBytes(text + "\n");
        await client.WriteAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {body.Length}\r\nConnection: close\r\n\r\n"), _stop.Token);
        await client.WriteAsync(body, _stop.Token);
    }
}

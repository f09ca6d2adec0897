using System.Collections.Concurrent;
using Conclave.Agents.Sandbox;
using Conclave.Agents.Tools.Workspace;
using Conclave.Workflows.Http;
using Microsoft.Extensions.Logging;
using ModelContextProtocol.Client;
using ModelContextProtocol.Protocol;

namespace Conclave.Agents.Tools.Mcp;

/// <summary>Sessions with MCP servers, one for each agent and server, so that what a server keeps for a session no other agent sees. Idle ones are closed.</summary>
public sealed class McpSessions(SandboxHost sandbox, Workspaces workspaces, OutboundHttp http, TimeProvider time) : IAsyncDisposable
{
    private static readonly TimeSpan Idle = TimeSpan.FromMinutes(10);

    // What goes wrong is told where it is asked for, and the client's own log would call it the server's error.
    private static readonly ILoggerFactory Silent = Microsoft.Extensions.Logging.Abstractions.NullLoggerFactory.Instance;

    // A server lives as long as its session; what one call may take the executor limits.
    private static readonly SandboxLimits ServerLimits = new() { Time = TimeSpan.FromDays(1), Cpu = TimeSpan.FromHours(1), MemoryBytes = 1L << 30, Processes = 128 };

    private readonly ConcurrentDictionary<(string Tenant, string Agent, string Server), Lazy<Task<McpSession>>> _sessions = [];
    private readonly CancellationTokenSource _stop = new();
    private Task? _tidying;

    /// <summary>The session of an agent with a server; opened when there is none, or the server's settings have changed.</summary>
    internal async Task<McpSession> GetAsync(string tenant, string agent, McpServer server, CancellationToken cancellationToken)
    {
        _ = LazyInitializer.EnsureInitialized(ref _tidying, () => Task.Run(TidyAsync));
        var key = (tenant, agent, server.Name);
        while (true)
        {
            var opening = _sessions.GetOrAdd(key, _ => new Lazy<Task<McpSession>>(() => OpenAsync(tenant, agent, server, _stop.Token)));
            McpSession session;
            try
            {
                session = await opening.Value.WaitAsync(cancellationToken);
            }
            catch when (opening.Value.IsFaulted || opening.Value.IsCanceled)
            {
                _sessions.TryRemove(KeyValuePair.Create(key, opening));
                throw;
            }

            if (session.UpdatedAt == server.UpdatedAt && !session.HasEnded)
            {
                session.UsedAt = time.GetTimestamp();
                return session;
            }

            if (_sessions.TryRemove(KeyValuePair.Create(key, opening)))
                await session.DisposeAsync();
        }
    }

    /// <summary>Opens a session.</summary>
    internal async Task<McpSession> OpenAsync(string tenant, string agent, McpServer server, CancellationToken cancellationToken)
    {
        SandboxProcess? process = null;
        HttpClient? client = null;
        try
        {
            IClientTransport transport;
            if (server.IsStdio)
            {
                process = Start(tenant, agent, server);
                transport = new StreamClientTransport(process.Input, process.Output, Silent);
            }
            else
            {
                client = new HttpClient(new SocketsHttpHandler
                {
                    AllowAutoRedirect = false,
                    ConnectCallback = async (context, token) => await http.ConnectAsync(context.DnsEndPoint.Host, context.DnsEndPoint.Port, token),
                    UseCookies = false,
                    UseProxy = false,
                });
                transport = new HttpClientTransport(
                    new HttpClientTransportOptions
                    {
                        Endpoint = new Uri(server.Settings.Text("url")!),
                        TransportMode = HttpTransportMode.StreamableHttp,
                        Name = server.Name,
                        AdditionalHeaders = Headers(server),
                    },
                    client, Silent, ownsHttpClient: false);
            }

            var session = await McpClient.CreateAsync(transport, new McpClientOptions { ClientInfo = new Implementation { Name = "conclave", Version = "0.1.0" } }, Silent, cancellationToken);
            var tools = await session.ListToolsAsync(cancellationToken: cancellationToken);
            return new McpSession(session, process, client, server.UpdatedAt)
            {
                Schemas = tools.DistinctBy(t => t.ProtocolTool.Name).ToDictionary(t => t.ProtocolTool.Name, t => McpTools.SchemaHash(t.ProtocolTool), StringComparer.Ordinal),
                UsedAt = time.GetTimestamp(),
            };
        }
        catch
        {
            client?.Dispose();
            if (process is not null)
                await process.DisposeAsync();
            throw;
        }
    }

    /// <summary>Closes the sessions with a server.</summary>
    internal async Task CloseAsync(string tenant, string server, string? agent = null)
    {
        foreach (var (key, opening) in _sessions.Where(s => s.Key.Tenant == tenant && s.Key.Server == server && (agent is null || s.Key.Agent == agent)))
        {
            if (_sessions.TryRemove(KeyValuePair.Create(key, opening)))
                await CloseAsync(opening);
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        if (_tidying is not null)
            await _tidying;
        foreach (var opening in _sessions.Values)
            await CloseAsync(opening);
        _sessions.Clear();
        _stop.Dispose();
    }

    private SandboxProcess Start(string tenant, string agent, McpServer server)
    {
        List<string> words = [.. server.Settings.Texts("command")];
        var access = server.Settings.Text("workspace");
        var environment = new Dictionary<string, string>(server.Secrets, StringComparer.Ordinal);
        if (server.Settings.Member("environment") is { ValueKind: System.Text.Json.JsonValueKind.Object } given)
        {
            foreach (var member in given.EnumerateObject().Where(m => m.Value.ValueKind == System.Text.Json.JsonValueKind.String))
                environment[member.Name] = member.Value.GetString()!;
        }

        var hosts = server.Settings.Texts("network").ToList();
        var list = new HostList(hosts);
        var process = sandbox.Start(new SandboxCommand(words[0], words[1..])
        {
            Workspace = access is "read" or "write" && agent.Length > 0 ? workspaces.FolderOf(tenant, agent) : null,
            MayWrite = access == "write",
            Environment = environment,
            Limits = ServerLimits,
            Network = hosts.Count > 0 ? new SandboxNetwork(list.Allows, http.ConnectAsync) : null,
        });
        process.DiscardErrors();
        return process;
    }

    private static Dictionary<string, string> Headers(McpServer server)
    {
        var headers = new Dictionary<string, string>(server.Secrets, StringComparer.OrdinalIgnoreCase);
        if (server.Settings.Member("headers") is { ValueKind: System.Text.Json.JsonValueKind.Object } given)
        {
            foreach (var member in given.EnumerateObject().Where(m => m.Value.ValueKind == System.Text.Json.JsonValueKind.String))
                headers[member.Name] = member.Value.GetString()!;
        }

        return headers;
    }

    private async Task TidyAsync()
    {
        using var timer = new PeriodicTimer(Idle / 10, time);
        try
        {
            while (await timer.WaitForNextTickAsync(_stop.Token))
            {
                foreach (var (key, opening) in _sessions)
                {
                    if (opening is { IsValueCreated: true, Value.IsCompletedSuccessfully: true } && time.GetElapsedTime((await opening.Value).UsedAt) > Idle
                        && _sessions.TryRemove(KeyValuePair.Create(key, opening)))
                        await CloseAsync(opening);
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The process stops.
        }
    }

    private static async Task CloseAsync(Lazy<Task<McpSession>> opening)
    {
        try
        {
            await (await opening.Value).DisposeAsync();
        }
#pragma warning disable CA1031 // One that could not be opened needs no closing, and a server that fails while it is left has been left.
        catch (Exception)
#pragma warning restore CA1031
        {
        }
    }
}

/// <summary>A session with an MCP server.</summary>
internal sealed class McpSession(McpClient client, SandboxProcess? process, HttpClient? http, DateTimeOffset updatedAt) : IAsyncDisposable
{
    public McpClient Client { get; } = client;

    /// <summary>Version of the server's settings that it was opened with.</summary>
    public DateTimeOffset UpdatedAt { get; } = updatedAt;

    /// <summary>Hashes of what the server said of its tools, by name.</summary>
    public IReadOnlyDictionary<string, string> Schemas { get; init; } = new Dictionary<string, string>();

    public long UsedAt { get; set; }

    public bool HasEnded => process?.HasExited == true;

    public async ValueTask DisposeAsync()
    {
        await Client.DisposeAsync();
        http?.Dispose();
        if (process is not null)
            await process.DisposeAsync();
    }
}

using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json;
using Conclave.Agents.Tools;
using ModelContextProtocol;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;

namespace Conclave.Server.Tools;

/// <summary>Sessions of MCP clients, which may call every published workflow that says it is a tool.</summary>
internal sealed class McpPublisher(ServerOptions options, ILoggerFactory loggers, TimeProvider time, IServiceProvider services) : IAsyncDisposable
{
    private const int MostSessions = 1_000;
    private static readonly TimeSpan Idle = TimeSpan.FromMinutes(30);

    private readonly ConcurrentDictionary<string, McpPublishedSession> _sessions = new(StringComparer.Ordinal);

    /// <summary>The session of an id, if it is this caller's.</summary>
    public McpPublishedSession? Find(string id, string tenant, string actor)
    {
        if (!_sessions.TryGetValue(id, out var session) || session.Tenant != tenant || session.Actor != actor)
            return null;
        session.UsedAt = time.GetTimestamp();
        return session;
    }

    /// <summary>Opens a session; null when there are too many.</summary>
    public async Task<McpPublishedSession?> OpenAsync(string tenant, string actor)
    {
        // Who left without a word is forgotten when somebody comes.
        foreach (var (id, old) in _sessions.Where(s => time.GetElapsedTime(s.Value.UsedAt) > Idle))
        {
            if (_sessions.TryRemove(id, out _))
                await old.DisposeAsync();
        }

        if (_sessions.Count >= MostSessions)
            return null;
        var sessionId = Convert.ToHexStringLower(System.Security.Cryptography.RandomNumberGenerator.GetBytes(24));
        var transport = new StreamableHttpServerTransport(loggers) { SessionId = sessionId };
        var session = new McpPublishedSession(sessionId, tenant, actor, transport, McpServer.Create(transport, Options(sessionId, tenant, actor), loggers, services)) { UsedAt = time.GetTimestamp() };
        _sessions[sessionId] = session;
        return session;
    }

    /// <summary>Ends a session.</summary>
    public async Task CloseAsync(McpPublishedSession session)
    {
        if (_sessions.TryRemove(session.Id, out _))
            await session.DisposeAsync();
    }

    /// <summary>Whether a page of this origin may call: none, the server's own, and those that the settings name.</summary>
    public bool AllowsOrigin(HttpRequest request)
    {
        var origin = request.Headers.Origin.ToString();
        return origin.Length == 0 || options.CorsOrigins.Contains("*") || options.CorsOrigins.Contains(origin)
            || (Uri.TryCreate(origin, UriKind.Absolute, out var from) && (from.Authority.Equals(request.Host.Value, StringComparison.OrdinalIgnoreCase)
                || (options.PublicUrl is { } url && from.Authority.Equals(new Uri(url).Authority, StringComparison.OrdinalIgnoreCase))));
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var session in _sessions.Values)
            await session.DisposeAsync();
        _sessions.Clear();
    }

    private McpServerOptions Options(string session, string tenant, string actor) => new()
    {
        ServerInfo = new Implementation { Name = "conclave", Version = "0.1.0" },
        ServerInstructions = "Each tool starts a workflow and answers with its outputs.",
        Capabilities = new ServerCapabilities { Tools = new ToolsCapability() },
        Handlers = new McpServerHandlers
        {
            ListToolsHandler = (_, _) => ValueTask.FromResult(new ListToolsResult { Tools = [.. Published(tenant).Select(Describe)] }),
            CallToolHandler = async (request, token) => await CallAsync(tenant, actor, session, request.JsonRpcRequest.Id.ToString(), request.Params!, token),
        },
    };

    private IEnumerable<RegisteredTool> Published(string tenant) => services.GetRequiredService<ToolRegistry>().List(tenant).Where(t => t.Definition.Kind == ToolKinds.Workflow && t.Problem is null);

    private static Tool Describe(RegisteredTool tool) => new()
    {
        Name = tool.Name,
        Description = tool.Definition.Description,
        InputSchema = tool.Definition.Parameters,
        Annotations = new ModelContextProtocol.Protocol.ToolAnnotations
        {
            ReadOnlyHint = tool.Definition.Annotations.ReadOnly,
            DestructiveHint = tool.Definition.Annotations.Destructive,
            IdempotentHint = tool.Definition.Annotations.Idempotent,
            OpenWorldHint = tool.Definition.Annotations.OpenWorld,
        },
    };

    private async Task<CallToolResult> CallAsync(string tenant, string actor, string session, string requestId, CallToolRequestParams call, CancellationToken cancellationToken)
    {
        if (Published(tenant).FirstOrDefault(t => t.Name == call.Name) is not { } tool)
            throw new McpProtocolException($"There is no tool '{call.Name}'.", McpErrorCode.InvalidParams);
        var arguments = JsonSerializer.SerializeToElement(call.Arguments ?? new Dictionary<string, JsonElement>(), McpJsonUtilities.DefaultOptions.GetTypeInfo(typeof(IDictionary<string, JsonElement>)));
        var result = await services.GetRequiredService<ToolExecutor>().RunAsync(
            new ToolCall(tenant, $"user:{actor}", "", tool.Name, tool.Hash, arguments, string.Create(CultureInfo.InvariantCulture, $"mcp/{session}/{requestId}")) { Account = actor }, cancellationToken);
        return new CallToolResult
        {
            IsError = !result.IsSuccess,
            Content = [new TextContentBlock { Text = result.Text }],
            StructuredContent = result.IsSuccess && result.Output.ValueKind == JsonValueKind.Object ? result.Output : null,
        };
    }
}

/// <summary>A session of an MCP client.</summary>
internal sealed class McpPublishedSession : IAsyncDisposable
{
    private readonly McpServer _server;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _running;

    public McpPublishedSession(string id, string tenant, string actor, StreamableHttpServerTransport transport, McpServer server)
    {
        (Id, Tenant, Actor, Transport, _server) = (id, tenant, actor, transport, server);
        _running = server.RunAsync(_stop.Token);
    }

    public string Id { get; }

    public string Tenant { get; }

    public string Actor { get; }

    public StreamableHttpServerTransport Transport { get; }

    public long UsedAt { get; set; }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _server.DisposeAsync();
        await Transport.DisposeAsync();
        _stop.Dispose();
    }
}

using System.Text.Json;
using Conclave.Agents.Actions;
using Microsoft.Extensions.Logging;
using ModelContextProtocol;
using ModelContextProtocol.Protocol;

namespace Conclave.Agents.Tools.Mcp;

/// <summary>Tools of MCP servers.</summary>
/// <remarks>
/// Settings: <c>server</c>, <c>tool</c> and <c>schemaHash</c>, the hash of what the server said of the tool when it was read: a session whose server says something else does
/// not run it, so that a server cannot change a tool after it was approved.
/// </remarks>
public sealed partial class McpTools(McpSessions sessions, McpServerStore servers, ToolStore store, ILogger<McpTools> logger) : ToolKind
{
    private static readonly TimeSpan ReadTime = TimeSpan.FromSeconds(30);

    private readonly ILogger _logger = logger;

    /// <inheritdoc/>
    public override string Name => ToolKinds.Mcp;

    /// <inheritdoc/>
    public override IEnumerable<string> Check(ToolDefinition tool)
    {
        if (string.IsNullOrEmpty(tool.Settings.Text("server")) || string.IsNullOrEmpty(tool.Settings.Text("tool")))
            yield return "settings: must name a server and one of its tools.";
    }

    /// <summary>Reads the tools of a server anew and stores their definitions.</summary>
    /// <param name="tenant">Owner of the server.</param>
    /// <param name="name">The server.</param>
    /// <param name="actor">Who asks for it.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <returns>The tools; those whose name another source has are left out.</returns>
    /// <exception cref="ToolException">There is no such server, or its tools cannot be read.</exception>
    public async Task<IReadOnlyList<ToolDefinition>> RefreshAsync(string tenant, string name, string actor, CancellationToken cancellationToken)
    {
        if (await servers.ListAsync(tenant, name, cancellationToken) is not [var server])
            throw new ToolException("tool.server_not_found", $"There is no MCP server '{name}'.");
        using var timer = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        timer.CancelAfter(ReadTime);
        try
        {
            await using var session = await sessions.OpenAsync(tenant, "", server, timer.Token);
            var found = await session.Client.ListToolsAsync(cancellationToken: timer.Token);
            var tools = found.Select(t => Define(server, t.ProtocolTool)).OfType<ToolDefinition>().DistinctBy(t => t.Name).ToList();
            var others = await store.ReplaceSourceAsync(tenant, $"mcp:{name}", tools, actor, cancellationToken);
            await servers.CheckedAsync(tenant, name, null, cancellationToken);
            await sessions.CloseAsync(tenant, name);
            LogRead(name, tools.Count);
            return [.. tools.Where(t => !others.Contains(t.Name))];
        }
        catch (Exception exception) when (exception is McpException or HttpRequestException or IOException or TimeoutException or ToolException or Sandbox.SandboxException or Conclave.Workflows.Execution.WorkflowException
            || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            var problem = exception is OperationCanceledException ? $"it did not answer within {ReadTime.TotalSeconds:0} s" : exception.Message;
            await servers.CheckedAsync(tenant, name, problem, cancellationToken);
            throw new ToolException("tool.server_failed", $"The tools of the MCP server '{name}' cannot be read: {problem}", exception);
        }
    }

    /// <inheritdoc/>
    public override async Task<ToolOutput> RunAsync(ToolRun run, CancellationToken cancellationToken)
    {
        var (name, toolName) = (run.Tool.Settings.Text("server")!, run.Tool.Settings.Text("tool")!);
        if (await servers.ListAsync(run.Call.Tenant, name, cancellationToken) is not [var server])
            throw new ToolException("tool.server_not_found", $"The MCP server '{name}' has been deleted.");
        try
        {
            CallToolResult result;
            try
            {
                result = await CallAsync(run, server, toolName, cancellationToken);
            }
            catch (Exception exception) when (IsLostSession(exception))
            {
                // The server has forgotten the session, when it was restarted or by itself, and so has done nothing: the protocol wants another one.
                await sessions.CloseAsync(run.Call.Tenant, name, run.Call.AgentId);
                result = await CallAsync(run, server, toolName, cancellationToken);
            }

            var output = OutputOf(result);
            return result.IsError != true ? new ToolOutput(output, new ToolUsage { Requests = 1 })
                : throw new ToolException("tool.server_error", $"'{toolName}' of the MCP server '{name}' answered with an error: {TextOf(result)}") { Output = output };
        }
        catch (Exception exception) when (exception is McpException or HttpRequestException or IOException or ObjectDisposedException or Sandbox.SandboxException)
        {
            // Whatever is left of the session may be out of step.
            await sessions.CloseAsync(run.Call.Tenant, name, run.Call.AgentId);
            throw new ToolException("tool.server_failed", $"The MCP server '{name}' failed: {exception.Message}", exception);
        }
    }

    private async Task<CallToolResult> CallAsync(ToolRun run, McpServer server, string tool, CancellationToken cancellationToken)
    {
        var session = await sessions.GetAsync(run.Call.Tenant, run.Call.AgentId, server, cancellationToken);
        if (!session.Schemas.TryGetValue(tool, out var hash))
            throw new ToolException("tool.server_changed", $"The MCP server '{server.Name}' has no tool '{tool}' any more. Read its tools again.");
        if (hash != run.Tool.Settings.Text("schemaHash"))
            throw new ToolException("tool.server_changed", $"The MCP server '{server.Name}' says something else of '{tool}' than when it was approved. Read its tools again, and approve the change.");
        return await session.Client.CallToolAsync(
            new CallToolRequestParams { Name = tool, Arguments = run.Arguments.EnumerateObject().ToDictionary(m => m.Name, m => m.Value) }, cancellationToken);
    }

    private static bool IsLostSession(Exception exception) => exception switch
    {
        HttpRequestException { StatusCode: System.Net.HttpStatusCode.NotFound } => true,
        McpException or IOException => exception.InnerException is { } inner && IsLostSession(inner),
        _ => false,
    };

    internal static string SchemaHash(Tool tool) => CanonicalJson.Hash(JsonSerializer.SerializeToElement(tool, McpJsonUtilities.DefaultOptions.GetTypeInfo(typeof(Tool))));

    private ToolDefinition? Define(McpServer server, Tool tool)
    {
        var hints = server.Settings.Member("trustsAnnotations").ValueKind == JsonValueKind.True ? tool.Annotations : null;
        var definition = new ToolDefinition
        {
            Name = Workflows.WorkflowToolSource.ToName($"{server.Name}-{tool.Name}"),
            Category = "mcp",
            Description = tool.Description is { Length: > 0 } text ? text[..Math.Min(text.Length, 4_000)] : tool.Title ?? $"The tool {tool.Name} of the MCP server {server.Name}.",
            Kind = ToolKinds.Mcp,
            Settings = JsonSerializer.SerializeToElement(
                new Dictionary<string, string> { ["server"] = server.Name, ["tool"] = tool.Name, ["schemaHash"] = SchemaHash(tool) }, McpJson.Default.IReadOnlyDictionaryStringString),
            Parameters = tool.InputSchema,
            // The protocol's own defaults for hints that are missing: what may destroy and reaches out.
            Annotations = hints is null ? new ToolAnnotations { Destructive = true, OpenWorld = true } : new ToolAnnotations
            {
                ReadOnly = hints.ReadOnlyHint ?? false,
                Destructive = hints.ReadOnlyHint != true && (hints.DestructiveHint ?? true),
                Idempotent = hints.IdempotentHint ?? false,
                OpenWorld = hints.OpenWorldHint ?? true,
            },
            Risk = ToolRisk.Medium,
            Concurrency = 4,
            Limits = new ToolLimits { TimeoutSeconds = 120 },
        };
        if (ToolDefinitionReader.Check(definition) is not { Count: > 0 } problems)
            return definition;
        LogUnusable(tool.Name, server.Name, string.Join(" ", problems));
        return null;
    }

    private static JsonElement OutputOf(CallToolResult result)
    {
        if (result.StructuredContent is { } structured)
            return structured;
        return result.Content is [TextContentBlock text]
            ? JsonSerializer.SerializeToElement(text.Text, ToolJson.Default.String)
            : JsonSerializer.SerializeToElement(result.Content, McpJsonUtilities.DefaultOptions.GetTypeInfo(typeof(IList<ContentBlock>)));
    }

    private static string TextOf(CallToolResult result) => string.Join(" ", result.Content.OfType<TextContentBlock>().Select(c => c.Text)) is { Length: > 0 } text ? text : "no reason was given";

    [LoggerMessage(4410, LogLevel.Information, "The MCP server {Server} has {Count} tools.")]
    private partial void LogRead(string server, int count);

    [LoggerMessage(4411, LogLevel.Warning, "The tool {Tool} of the MCP server {Server} cannot be used: {Problems}")]
    private partial void LogUnusable(string tool, string server, string problems);
}

using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Conclave.Agents.Tools;
using Conclave.Agents.Tools.Mcp;
using Conclave.Agents.Tools.Web;
using Conclave.Server.Accounts;
using Conclave.Server.Api;
using Conclave.Server.Hosting;
using Conclave.Server.OpenApi;
using Conclave.Workflows.Expressions.Scripting;

namespace Conclave.Server.Tools;

/// <summary>Tools: what there is, who may use it, what was called.</summary>
internal static class ToolEndpoints
{
    private const string Source = "api";
    private const int MostFound = 50;
    private const int MostPermissions = 500;
    private const int MostRules = 50;

    public static void Map(RouteGroupBuilder api)
    {
        var group = api.MapGroup("/tools").WithTags("Tools").AddEndpointFilter(HandleAsync);
        group.MapGet("/", ListAsync).RequirePermission(Permissions.ReadTools)
            .Describe("ListTools", "List the tools and how they stand, or those that fit a wish", o => o
                .Query("query", "What is to be done, in words: those that can be used and fit best come first.").Query("category", "Only those of a category.")
                .Query("state", "ready, disabled, changed or missing.").Query<int>("limit", "Most items of a search, 1 to 50; 10 without it.").Answers<PageShape<ToolShape>>());
        group.MapGet("/{name}", (HttpContext context, string name) => WriteAsync(context, Find(context, name))).RequirePermission(Permissions.ReadTools)
            .Describe("GetTool", "See a tool and its definition", o => o.Answers<ToolShape>());
        group.MapPut("/{name}", PutAsync).RequirePermission(Permissions.ManageTools)
            .Describe("PutTool", "Add a tool, or change one that was added here", o => o.Takes<ToolDefinition>().Answers<ToolShape>().Answers<ToolShape>(201, "It is new.").Refuses(409));
        group.MapDelete("/{name}", DeleteAsync).RequirePermission(Permissions.ManageTools)
            .Describe("DeleteTool", "Delete a tool that was added or imported here", o => o.Answers(204).Refuses(409));
        group.MapPost("/{name}/enable", (HttpContext context, string name) => EnableAsync(context, name, true)).RequirePermission(Permissions.ManageTools)
            .Describe("EnableTool", "Turn a tool on", o => o.Answers<ToolShape>());
        group.MapPost("/{name}/disable", (HttpContext context, string name) => EnableAsync(context, name, false)).RequirePermission(Permissions.ManageTools)
            .Describe("DisableTool", "Turn a tool off for all agents", o => o.Answers<ToolShape>());
        group.MapPost("/{name}/approve", ApproveAsync).RequirePermission(Permissions.ManageTools)
            .Describe("ApproveTool", "Approve a definition that has changed", o => o.Takes<ToolApprovalRequest>().Answers<ToolShape>().Refuses(409));
        group.MapPost("/{name}/call", CallAsync).RequirePermission(Permissions.ExecuteTools)
            .Describe("CallTool", "Call a tool, as agents do: checked, limited and recorded", o => o.Takes<ToolCallRequest>().Answers<ToolResultShape>());

        var permissions = api.MapGroup("/tool-permissions").WithTags("Tools").AddEndpointFilter(HandleAsync);
        permissions.MapGet("/", ListPermissionsAsync).RequirePermission(Permissions.ReadTools)
            .Describe("ListToolPermissions", "List what agents may do with tools", o => o.Query("agentId", "Only those of an agent; * for those of all.").Query("tool", "Only those for a tool.").Answers<PageShape<ToolPermissionShape>>());
        permissions.MapPut("/{agentId}", PutPermissionsAsync).RequirePermission(Permissions.ManageTools)
            .Describe("PutToolPermissions", "Say what an agent (* for all) may do with tools; what is left out is deleted", o => o.Takes<ToolPermissionsRequest>().Answers<PageShape<ToolPermissionShape>>());
        permissions.MapPost("/{agentId}/check", CheckAsync).RequirePermission(Permissions.ReadTools)
            .Describe("CheckToolPermission", "See what would be decided about a call, without making it", o => o.Takes<ToolCheckRequest>().Answers<ToolDecisionShape>());

        var runs = api.MapGroup("/tool-runs").WithTags("Tools");
        runs.MapGet("/", ListRunsAsync).RequirePermission(Permissions.ReadTools)
            .Describe("ListToolRuns", "List calls of tools, refused ones too, the newest first", o => o
                .Query("agentId", "Only those of an agent.").Query("tool", "Only those of a tool.").Query("status", "running, completed, failed, refused or unknown.").Query("instanceId", "Only those of a workflow instance.")
                .Pages().Answers<PageShape<ToolRunShape>>());
        runs.MapGet("/usage", UsageAsync).RequirePermission(Permissions.ReadTools)
            .Describe("GetToolUsage", "See what calls came to, by tool", o => o.Query<DateTimeOffset>("from", "Not before; a week ago without it.").Answers<PageShape<ToolUseShape>>());
        runs.MapGet("/{id}", FindRunAsync).RequirePermission(Permissions.ReadTools).Describe("GetToolRun", "See a call", o => o.Answers<ToolRunShape>());

        var servers = api.MapGroup("/tool-servers").WithTags("Tools").AddEndpointFilter(HandleAsync);
        servers.MapGet("/", ListServersAsync).RequirePermission(Permissions.ReadTools).Describe("ListToolServers", "List the MCP servers", o => o.Answers<PageShape<ToolServerShape>>());
        servers.MapPut("/{name}", PutServerAsync).RequirePermission(Permissions.ManageTools)
            .Describe("PutToolServer", "Add an MCP server, or change it", o => o.Takes<ToolServerRequest>().Answers<ToolServerShape>());
        servers.MapDelete("/{name}", DeleteServerAsync).RequirePermission(Permissions.ManageTools).Describe("DeleteToolServer", "Delete an MCP server and its tools", o => o.Answers(204));
        servers.MapPost("/{name}/refresh", RefreshServerAsync).RequirePermission(Permissions.ManageTools)
            .Describe("RefreshToolServer", "Read the tools of an MCP server", o => o.Answers<ToolImportShape>().Refuses(502));

        api.MapPost("/tool-imports/openapi", ImportAsync).WithTags("Tools").AddEndpointFilter(HandleAsync).RequirePermission(Permissions.ManageTools)
            .Describe("ImportOpenApi", "Make tools of an OpenAPI document, in place of those that were made under the same name", o => o.Takes<OpenApiImportRequest>().Answers<ToolImportShape>());
        api.MapGet("/sandbox", context => WriteAsync(context, SandboxOf(Services(context)), ToolApiJson.Default.SandboxShape)).WithTags("Tools").RequirePermission(Permissions.ReadTools)
            .Describe("GetSandbox", "See whether commands of tools run here", o => o.Answers<SandboxShape>());
    }

    /// <summary>Says as problems what tools refuse.</summary>
    private static async ValueTask<object?> HandleAsync(EndpointFilterInvocationContext invocation, EndpointFilterDelegate next)
    {
        try
        {
            return await next(invocation);
        }
        catch (ToolException exception) when (!invocation.HttpContext.Response.HasStarted)
        {
            throw new ApiException(exception.Code switch { "tool.server_not_found" => 404, "tool.server_failed" => 502, _ => 400 }, exception.Code, exception.Message);
        }
    }

    private static ToolServices Services(HttpContext context) => context.RequestServices.GetRequiredService<ServerRuntime>().Tools;

    private static RegisteredTool Find(HttpContext context, string name) => Services(context).Registry.Find(context.Tenant(), name)
        ?? throw new ApiException(404, "tool.not_found", $"There is no tool '{name}'. GET /api/tools lists those that there are.");

    private static Task WriteAsync<T>(HttpContext context, T value, JsonTypeInfo<T> type, int status = 200) => context.WriteJsonAsync(writer => JsonSerializer.Serialize(writer, value, type), status);

    private static Task WriteAsync(HttpContext context, RegisteredTool tool, int status = 200) => WriteAsync(context, ToolShape.Of(tool), ToolApiJson.Default.ToolShape, status);

    private static async Task<T> ReadAsync<T>(HttpContext context, JsonTypeInfo<T> type)
    {
        var body = await context.ReadObjectAsync();
        try
        {
            return body.Deserialize(type) ?? throw ApiException.Bad("The body must be an object.");
        }
        catch (JsonException exception)
        {
            throw ApiException.Bad($"The body cannot be read: {exception.Message}");
        }
    }

    private static async Task ListAsync(HttpContext context)
    {
        var registry = Services(context).Registry;
        var state = context.Query("state");
        if (state is not null && !RegisteredTool.States.Contains(state))
            throw ApiException.Bad($"'state' must be ready, disabled, changed or missing; it is '{state}'.");
        IEnumerable<ToolShape> tools;
        if (context.Query("query") is { } query)
        {
            var limit = context.Query("limit") is null ? 10 : Math.Min(context.Limit(), MostFound);
            tools = (await registry.SearchAsync(context.Tenant(), query, limit, context.RequestAborted)).Select(m => ToolShape.Of(m.Tool, m.Score));
        }
        else
            tools = registry.List(context.Tenant(), context.Query("category")).Select(t => ToolShape.Of(t));

        await context.WritePageAsync(tools.Where(t => state is null || t.State == state).ToList(), null, (writer, tool) => JsonSerializer.Serialize(writer, tool, ToolApiJson.Default.ToolShape));
    }

    private static async Task PutAsync(HttpContext context, string name)
    {
        var services = Services(context);
        var body = await context.ReadObjectAsync();
        var tool = ToolDefinitionReader.Read(body, out var problems);
        if (tool is not null)
        {
            problems = [.. services.Registry.FindKind(tool.Kind)?.Check(tool) ?? [$"This server does not run tools of the kind '{tool.Kind}'."]];
            if (tool.Name != name)
                problems = [$"name: it is '{tool.Name}', and '{name}' in the address.", .. problems];
            problems = [.. problems, .. await SchemaProblemsAsync(context, "parameters", tool.Parameters)];
        }

        if (tool is null || problems.Count > 0)
            throw new ApiException(400, "tool.definition_invalid", $"The definition has problems: {string.Join(" ", problems)} Nothing was changed.");
        if (services.Registry.Find(context.Tenant(), name) is { Source: not Source } other)
            throw new ApiException(409, "tool.name_taken", $"The tool '{name}' comes from '{other.Source}' and cannot be changed here. Choose another name.");
        var isNew = await services.Store.PutAsync(context.Tenant(), tool, Source, context.Actor(), context.RequestAborted)
            ?? throw new ApiException(409, "tool.name_taken", $"Another source has a tool '{name}'. Choose another name.");
        await services.Registry.LoadAsync(context.Tenant(), context.RequestAborted);
        await WriteAsync(context, Find(context, name), isNew ? 201 : 200);
    }

    private static async Task DeleteAsync(HttpContext context, string name)
    {
        var (services, tool) = (Services(context), Find(context, name));
        if (tool.Source != Source && !tool.Source.StartsWith("openapi:", StringComparison.Ordinal))
            throw new ApiException(409, "tool.name_taken", $"The tool '{name}' comes from '{tool.Source}': take it away there, or turn it off.");
        await services.Store.DeleteAsync(context.Tenant(), name, tool.Source, context.RequestAborted);
        await services.Registry.LoadAsync(context.Tenant(), context.RequestAborted);
        context.Response.StatusCode = StatusCodes.Status204NoContent;
    }

    private static async Task EnableAsync(HttpContext context, string name, bool isEnabled)
    {
        var (services, tool) = (Services(context), Find(context, name));
        await services.Store.EnableAsync(context.Tenant(), tool, isEnabled, context.Actor(), context.RequestAborted);
        await services.Registry.LoadAsync(context.Tenant(), context.RequestAborted);
        await WriteAsync(context, Find(context, name));
    }

    private static async Task ApproveAsync(HttpContext context, string name)
    {
        var (services, tool) = (Services(context), Find(context, name));
        var body = await context.ReadObjectAsync();
        if (!body.TryGetProperty("hash", out var hash) || hash.ValueKind != JsonValueKind.String || !hash.ValueEquals(tool.Hash))
            throw new ApiException(409, "tool.changed", $"The definition of '{name}' has the hash {tool.Hash}, which is not the one in the request. Look at it as it is now, and approve that.");
        await services.Store.ApproveAsync(context.Tenant(), name, tool.Hash, context.Actor(), context.RequestAborted);
        await services.Registry.LoadAsync(context.Tenant(), context.RequestAborted);
        await WriteAsync(context, Find(context, name));
    }

    private static async Task CallAsync(HttpContext context, string name)
    {
        var request = await ReadAsync(context, ToolApiJson.Default.ToolCallRequest);
        // An agent's permissions, files and memory are used by who may talk to it.
        if (request.AgentId is not null)
            context.Demand(Permissions.ExecuteAgents);
        var tool = Find(context, name);
        // The middleware answers for a repeated key; this one keeps what crashed half-way from running twice.
        var key = context.Request.Headers["Idempotency-Key"].ToString() is { Length: > 0 } given ? $"api/{context.Actor()}/{given}" : $"api/{Guid.CreateVersion7():n}";
        var agent = request.AgentId ?? $"user:{context.Actor()}";
        var result = await Services(context).Executor.RunAsync(
            new ToolCall(context.Tenant(), agent, "", name, tool.Hash, request.Arguments, key[..Math.Min(key.Length, 255)]) { ApprovalId = request.ApprovalId, Account = context.Actor() }, context.RequestAborted);
        await WriteAsync(context, ToolResultShape.Of(result), ToolApiJson.Default.ToolResultShape);
    }

    private static async Task ListPermissionsAsync(HttpContext context)
    {
        var found = await Services(context).Store.ListPermissionsAsync(context.Tenant(), context.Query("agentId"), context.Query("tool"), context.RequestAborted);
        await context.WritePageAsync(found, null, (writer, permission) => JsonSerializer.Serialize(writer, ToolPermissionShape.Of(permission), ToolApiJson.Default.ToolPermissionShape));
    }

    private static async Task PutPermissionsAsync(HttpContext context, string agentId)
    {
        var request = await ReadAsync(context, ToolApiJson.Default.ToolPermissionsRequest);
        if (request.Permissions is not { Count: <= MostPermissions } given || given.Any(p => p?.Tool is not { Length: > 0 and <= 64 } || !Enum.IsDefined(p.Mode)))
            throw ApiException.Bad($"'permissions' must be a list of at most {MostPermissions} objects with a tool (* for all) and a mode (allow, ask, deny).");
        if (given.GroupBy(p => p.Tool).FirstOrDefault(g => g.Count() > 1) is { } twice)
            throw ApiException.Bad($"The tool '{twice.Key}' is there twice.");
        foreach (var permission in given)
        {
            if (permission.Rules is { Count: > MostRules })
                throw ApiException.Bad($"A permission may have {MostRules} rules at most.");
            foreach (var rule in permission.Rules ?? [])
            {
                if (string.IsNullOrWhiteSpace(rule.Name) || !Enum.IsDefined(rule.Mode) || rule.When.ValueKind is not (JsonValueKind.Object or JsonValueKind.True or JsonValueKind.False))
                    throw ApiException.Bad($"A rule for '{permission.Tool}' must have a name, a mode and 'when', a JSON Schema.");
                if (await SchemaProblemsAsync(context, $"the rule '{rule.Name}'", rule.When) is [var problem, ..])
                    throw ApiException.Bad(problem);
            }
        }

        var store = Services(context).Store;
        await store.PutPermissionsAsync(
            context.Tenant(), agentId,
            [.. given.Select(p => new ToolPermission(agentId, p.Tool, p.Mode, [.. (p.Rules ?? []).Select(r => new ToolRule { Name = r.Name, Mode = r.Mode, When = r.When })]))],
            context.Actor(), context.RequestAborted);
        var stored = await store.ListPermissionsAsync(context.Tenant(), agentId, null, context.RequestAborted);
        await context.WritePageAsync(stored, null, (writer, permission) => JsonSerializer.Serialize(writer, ToolPermissionShape.Of(permission), ToolApiJson.Default.ToolPermissionShape));
    }

    private static async Task CheckAsync(HttpContext context, string agentId)
    {
        var request = await ReadAsync(context, ToolApiJson.Default.ToolCheckRequest);
        var tool = Find(context, request.Tool ?? "");
        if (request.Arguments.ValueKind != JsonValueKind.Object)
            throw ApiException.Bad("'arguments' must be an object.");
        var decision = await Services(context).Permissions.DecideAsync(context.Tenant(), agentId, tool.Definition, null, request.Arguments, context.RequestAborted);
        await WriteAsync(context, new ToolDecisionShape(decision.Mode, decision.Reason, decision.Rule), ToolApiJson.Default.ToolDecisionShape);
    }

    private static async Task ListRunsAsync(HttpContext context)
    {
        ToolRunStatus? status = context.Query("status") is not { } text ? null
            : Enum.TryParse<ToolRunStatus>(text, ignoreCase: true, out var known) && Enum.IsDefined(known) && !char.IsDigit(text[0]) ? known
            : throw ApiException.Bad($"'status' must be running, completed, failed, refused or unknown; it is '{text}'.");
        var limit = context.Limit();
        (DateTimeOffset, Guid)? before = Cursor.Read(context.Query("cursor")) is not { } place ? null : Guid.TryParse(place.Id, out var id) ? (place.Time, id) : throw Cursor.Bad();
        var filter = new ToolRunFilter(context.Query("agentId"), context.Query("tool"), status, context.Query("instanceId"));
        var found = await Services(context).Runs.ListAsync(context.Tenant(), filter, before, limit, context.RequestAborted);
        await context.WritePageAsync(found, found.Count == limit ? Cursor.Of(found[^1].CreatedAt, found[^1].Id.ToString()) : null,
            (writer, run) => JsonSerializer.Serialize(writer, ToolRunShape.Of(run), ToolApiJson.Default.ToolRunShape));
    }

    private static async Task FindRunAsync(HttpContext context, string id)
    {
        var run = Guid.TryParse(id, out var guid) ? await Services(context).Runs.FindAsync(context.Tenant(), guid, context.RequestAborted) : null;
        await WriteAsync(context, ToolRunShape.Of(run ?? throw new ApiException(404, "tool.no_such_run", $"There is no call '{id}'. It may be older than calls are kept.")), ToolApiJson.Default.ToolRunShape);
    }

    private static async Task UsageAsync(HttpContext context)
    {
        var from = context.Query("from") is not { } text ? context.RequestServices.GetRequiredService<TimeProvider>().GetUtcNow().AddDays(-7)
            : DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time) ? time.ToUniversalTime()
            : throw ApiException.Bad($"'from' must be a time such as 2026-11-25T10:00:00Z; it is '{text}'.");
        var uses = await Services(context).Runs.SumAsync(context.Tenant(), from, null, context.RequestAborted);
        await context.WritePageAsync(uses, null, (writer, use) => JsonSerializer.Serialize(writer, ToolUseShape.Of(use), ToolApiJson.Default.ToolUseShape));
    }

    private static async Task ListServersAsync(HttpContext context)
    {
        var found = await Services(context).Servers.ListAsync(context.Tenant(), null, context.RequestAborted);
        await context.WritePageAsync(found, null, (writer, server) => JsonSerializer.Serialize(writer, ToolServerShape.Of(server), ToolApiJson.Default.ToolServerShape));
    }

    private static async Task PutServerAsync(HttpContext context, string name)
    {
        var request = await ReadAsync(context, ToolApiJson.Default.ToolServerRequest);
        if (request.Settings.ValueKind != JsonValueKind.Object)
            throw ApiException.Bad("'settings' must be an object.");
        if (McpServer.Check(name, request.Settings).ToList() is { Count: > 0 } problems)
            throw new ApiException(400, "tool.server_invalid", string.Join(" ", problems));
        var servers = Services(context).Servers;
        var before = await servers.ListAsync(context.Tenant(), name, context.RequestAborted) is [var known] ? known : null;
        await servers.PutAsync(context.Tenant(), new McpServer(name, request.Settings) { Secrets = request.Secrets ?? before?.Secrets ?? new Dictionary<string, string>() }, context.Actor(), context.RequestAborted);
        var stored = await servers.ListAsync(context.Tenant(), name, context.RequestAborted);
        await WriteAsync(context, ToolServerShape.Of(stored[0]), ToolApiJson.Default.ToolServerShape);
    }

    private static async Task DeleteServerAsync(HttpContext context, string name)
    {
        var services = Services(context);
        if (!await services.Servers.DeleteAsync(context.Tenant(), name, context.RequestAborted))
            throw new ApiException(404, "tool.server_not_found", $"There is no MCP server '{name}'.");
        await services.Store.ReplaceSourceAsync(context.Tenant(), $"mcp:{name}", [], context.Actor(), context.RequestAborted);
        await services.Registry.LoadAsync(context.Tenant(), context.RequestAborted);
        context.Response.StatusCode = StatusCodes.Status204NoContent;
    }

    private static async Task RefreshServerAsync(HttpContext context, string name)
    {
        var services = Services(context);
        var tools = await services.Mcp.RefreshAsync(context.Tenant(), name, context.Actor(), context.RequestAborted);
        await services.Registry.LoadAsync(context.Tenant(), context.RequestAborted);
        await WriteAsync(context, new ToolImportShape([.. tools.Select(t => t.Name)], [], false), ToolApiJson.Default.ToolImportShape);
    }

    private static async Task ImportAsync(HttpContext context)
    {
        var request = await ReadAsync(context, ToolApiJson.Default.OpenApiImportRequest);
        if (!ToolDefinitionReader.NamePattern().IsMatch(request.Name ?? "") || request.Name!.Length > 32)
            throw ApiException.Bad("'name' must be 1 to 32 letters, digits, '_' and '-'.");
        var services = Services(context);
        try
        {
            var document = request.Document.ValueKind == JsonValueKind.String ? YamlJson.Read(request.Document.GetString()!) : request.Document;
            var tools = OpenApiImport.Read(request.Name, document, request.BaseUrl, out var problems);
            var names = tools.Select(t => t.Name).ToList();
            if (request.DryRun != true)
            {
                var others = await services.Store.ReplaceSourceAsync(context.Tenant(), $"openapi:{request.Name}", tools, context.Actor(), context.RequestAborted);
                names.RemoveAll(others.Contains);
                problems = [.. problems, .. others.Select(o => $"Another source has a tool '{o}'.")];
                await services.Registry.LoadAsync(context.Tenant(), context.RequestAborted);
            }

            await WriteAsync(context, new ToolImportShape(names, problems, request.DryRun == true), ToolApiJson.Default.ToolImportShape);
        }
        catch (FormatException exception)
        {
            throw new ApiException(400, "tool.document_invalid", exception.Message);
        }
    }

    private static SandboxShape SandboxOf(ToolServices services) => new(services.Sandbox.Unavailable is null, services.Sandbox.Unavailable, services.Sandbox.Limits);

    private static async Task<IReadOnlyList<string>> SchemaProblemsAsync(HttpContext context, string where, JsonElement schema)
    {
        try
        {
            await context.RequestServices.GetRequiredService<ServerRuntime>().Scripts.ValidateJsonAsync(Encoding.UTF8.GetBytes(schema.GetRawText()), "{}"u8.ToArray(), context.RequestAborted);
            return [];
        }
        catch (ScriptException exception) when (exception.Kind == ScriptFailure.Schema)
        {
            return [$"{where}: {exception.Message}"];
        }
    }
}

using System.Globalization;
using System.Text.Json;
using Conclave.Agents;
using Conclave.Agents.Turns;
using Conclave.Server.Accounts;
using Conclave.Server.Api;
using Conclave.Server.Inference;
using Conclave.Server.OpenApi;

namespace Conclave.Server.Agents;

/// <summary>Agents: to be made, changed, talked to and watched.</summary>
internal static class AgentEndpoints
{
    public static void Map(RouteGroupBuilder agents)
    {
        var group = agents.WithTags("Agents").AddEndpointFilter(AgentProblems.HandleAsync);
        foreach (var path in (ReadOnlySpan<string>)["/", "/list"])
        {
            group.MapGet(path, ListAsync).RequirePermission(Permissions.ReadAgents)
                .Describe(path == "/" ? "ListAgents" : "ListAgentsByAnotherName", "List the agents and how they stand", o => o.Query("state", "Only those that are so.").Pages().Answers<PageShape<AgentShape>>());
        }

        group.MapPost("/", CreateAsync).RequirePermission(Permissions.WriteAgents)
            .Describe("CreateAgent", "Make an agent, from a template or by hand", o => o.Takes<AgentRequest>().Answers<AgentShape>(201, "It was made.").Refuses(404, 409));
        group.MapGet("/ps", ProcessesAsync).RequirePermission(Permissions.ReadAgents)
            .Describe("ListAgentProcesses", "List the turns that run or wait, of all agents", o => o.Answers<PageShape<AgentProcessShape>>());
        group.MapGet("/{id}", async (HttpContext context, string id) => await WriteAsync(context, await FindAsync(context, id))).RequirePermission(Permissions.ReadAgents)
            .Describe("GetAgent", "See an agent", o => o.Answers<AgentShape>().Refuses(404));
        group.MapPut("/{id}", UpdateAsync).RequirePermission(Permissions.WriteAgents)
            .Describe("PutAgent", "Change an agent; turns under way keep what they began with", o => o
                .Header("If-Match", "Refuses to overwrite what is not the version with this ETag.").Takes<AgentRequest>().Answers<AgentShape>().Refuses(404, 409, 412));
        group.MapDelete("/{id}", DeleteAsync).RequirePermission(Permissions.WriteAgents)
            .Describe("DeleteAgent", "Delete an agent; its conversations and turns are kept", o => o.Answers(204).Refuses(404, 409));
        group.MapPost("/{id}/state", SetStateAsync).RequirePermission(Permissions.WriteAgents)
            .Describe("SetAgentState", "Pause an agent, put it into maintenance, or have it take messages again", o => o.Takes<AgentStateRequest>().Answers<AgentShape>().Refuses(404, 409));
        group.MapPost("/{id}/messages", SendAsync).RequirePermission(Permissions.ExecuteAgents)
            .Describe("SendAgentMessage", "Say something to an agent", o => o
                .Takes<AgentMessageRequest>().AnswersFile("text/event-stream", "With Accept: text/event-stream: what happens until the turn ends or waits.").Answers<TurnStartedShape>(202, "The turn runs.")
                .Refuses(404, 409, 429));
        TurnEndpoints.Map(group);
    }

    /// <summary>The agent of an id or a name.</summary>
    /// <exception cref="ApiException">There is none.</exception>
    internal static async Task<Agent> FindAsync(HttpContext context, string id) =>
        await context.Agents().FindAsync(context.Tenant(), id, context.RequestAborted) ?? throw AgentProblems.Of(AgentStore.Missing(id));

    internal static AgentStore Agents(this HttpContext context) => context.RequestServices.GetRequiredService<AgentStore>();

    private static Task WriteAsync(HttpContext context, Agent agent, int status = 200)
    {
        context.Response.Headers.ETag = string.Create(CultureInfo.InvariantCulture, $"\"{agent.Version}\"");
        return context.WriteJsonAsync(writer => JsonSerializer.Serialize(writer, AgentShape.Of(agent), AgentApiJson.Default.AgentShape), status);
    }

    private static async Task ListAsync(HttpContext context)
    {
        AgentState? state = context.Query("state") is not { } name ? null
            : AgentLifecycle.Find(name) ?? throw ApiException.Bad($"'state' must be active, working, paused, error or maintenance; it is '{name}'.");
        var limit = context.Limit();
        var found = await context.Agents().ListAsync(context.Tenant(), state, context.Query("cursor"), limit, context.RequestAborted);
        await context.WritePageAsync(found, found.Count == limit ? found[^1].Name : null, (writer, agent) => JsonSerializer.Serialize(writer, AgentShape.Of(agent), AgentApiJson.Default.AgentShape));
    }

    private static async Task CreateAsync(HttpContext context)
    {
        var body = await context.ReadObjectAsync();
        var template = Text(body, "template");
        var configuration = Configuration(body, template is null ? new AgentConfiguration() : Template(context, template));
        var agent = await context.Agents().CreateAsync(context.Tenant(), Text(body, "name") ?? "", template, configuration, context.Actor(), context.RequestAborted);
        context.Response.Headers.Location = $"/api/agents/{agent.Id}";
        await WriteAsync(context, agent, 201);
    }

    private static async Task UpdateAsync(HttpContext context, string id)
    {
        var body = await context.ReadObjectAsync();
        var agent = await FindAsync(context, id);
        if (Text(body, "template") is { } template && template != agent.Template)
            throw ApiException.Bad("An agent keeps the template that it was made from. Make another one from that template.");
        var expected = OperatorProblems.ExpectedVersion(context);
        await WriteAsync(context, await context.Agents().UpdateAsync(
            agent, Text(body, "name") ?? agent.Name, Configuration(body, agent.Configuration), expected, context.Actor(), context.RequestAborted));
    }

    private static async Task DeleteAsync(HttpContext context, string id)
    {
        var agent = await FindAsync(context, id);
        await context.Agents().DeleteAsync(agent, context.Actor(), context.RequestAborted);
        await context.RequestServices.GetRequiredService<AgentBudgets>().RemoveAsync(agent, context.RequestAborted);
        context.Response.StatusCode = 204;
    }

    private static async Task SetStateAsync(HttpContext context, string id)
    {
        var body = await context.ReadObjectAsync();
        var name = Text(body, "state") ?? "";
        var to = AgentLifecycle.Find(name) is { } state and not AgentState.Working ? state
            : throw ApiException.Bad($"'state' must be active, paused, maintenance or error; it is '{name}'.");
        var agent = await FindAsync(context, id);
        await WriteAsync(context, await context.Agents().TransitionAsync(context.Tenant(), agent.Id, to, context.Actor(), Text(body, "reason"), context.RequestAborted));
    }

    private static async Task SendAsync(HttpContext context, string id)
    {
        var body = await context.ReadObjectAsync();
        var agent = await FindAsync(context, id);
        var streams = context.Request.Headers.Accept.ToString().Contains("text/event-stream", StringComparison.OrdinalIgnoreCase);
        var repeated = context.Features.Get<IdempotentRequest>();
        var request = new TurnRequest(Text(body, "message") ?? "", context.Actor())
        {
            ConversationId = Text(body, "conversationId"),
            TurnId = repeated is null ? TurnStarter.NewId() : TurnStarter.IdOf(repeated.InstanceId, 0),
        };
        var starter = context.RequestServices.GetRequiredService<TurnStarter>();
        var url = $"/api/agents/{agent.Id}/turns/{request.TurnId}";
        if (streams)
        {
            await context.RequestServices.GetRequiredService<AgentStream>().WriteAsync(context, agent.Id, request.TurnId, default, endsWithTurn: true, async () =>
            {
                await starter.StartAsync(agent, request, context.RequestAborted);
                context.Response.Headers.Location = url;
            });
            return;
        }

        var (turnId, conversationId) = await starter.StartAsync(agent, request, context.RequestAborted);
        context.Response.Headers.Location = url;
        await context.WriteJsonAsync(writer => JsonSerializer.Serialize(writer, new TurnStartedShape(turnId, conversationId, $"{url}/events", url), AgentApiJson.Default.TurnStartedShape), 202);
    }

    private static async Task ProcessesAsync(HttpContext context)
    {
        var running = await context.RequestServices.GetRequiredService<TurnStore>().ListRunningAsync(context.Tenant(), context.Limit(), context.RequestAborted);
        await context.WritePageAsync(running, null, (writer, p) => JsonSerializer.Serialize(
            writer,
            new AgentProcessShape(p.Turn.Id, p.Turn.AgentId, p.AgentName, p.Turn.Status, p.Turn.ConversationId, p.Turn.Actor, p.Turn.StartedAt, p.Turn.ModelCalls, p.Turn.ToolCalls, p.Turn.Cost),
            AgentApiJson.Default.AgentProcessShape));
    }

    private static AgentConfiguration Template(HttpContext context, string template) => context.Packages().Packages.Find(context.Tenant(), template) switch
    {
        null or { RemovedAt: not null } => throw new ApiException(404, "agents.no_template", $"There is no package '{template}' that agents can be made from. GET /api/agent-packages lists them."),
        { IsUsable: true, Current: { } current } => current.ToConfiguration(),
        _ => throw new ApiException(409, "agents.package_lost", $"The package '{template}' cannot be used. GET /api/agent-packages/{template} says why."),
    };

    /// <summary>The members that a request gives, over what was there.</summary>
    private static AgentConfiguration Configuration(JsonElement body, AgentConfiguration basis)
    {
        if (!body.TryGetProperty("configuration", out var given) || given.ValueKind == JsonValueKind.Null)
            return basis;
        try
        {
            return AgentConfigurations.Merge(basis, given);
        }
        catch (JsonException exception)
        {
            throw new ApiException(400, "agents.bad_configuration", $"'configuration' cannot be read: {exception.Message}");
        }
    }

    private static string? Text(JsonElement body, string name) => !body.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null ? null
        : value.ValueKind == JsonValueKind.String ? value.GetString() : throw ApiException.Bad($"'{name}' must be a text.");
}

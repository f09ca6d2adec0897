using System.Globalization;
using System.Text.Json;
using Conclave.Agents.Turns;
using Conclave.Server.Accounts;
using Conclave.Server.Api;
using Conclave.Server.OpenApi;

namespace Conclave.Server.Agents;

/// <summary>What agents did: conversations, turns and events.</summary>
internal static class TurnEndpoints
{
    private const int UsualDays = 7;

    public static void Map(RouteGroupBuilder group)
    {
        group.MapGet("/{id}/conversations", ConversationsAsync).RequirePermission(Permissions.ReadAgents)
            .Describe("ListConversations", "List the conversations with an agent, the latest first", o => o
                .Query<int>("limit", "Most items, 1 to 500; 50 without it.").Answers<PageShape<ConversationShape>>().Refuses(404));
        group.MapGet("/{id}/conversations/{conversationId}/messages", MessagesAsync).RequirePermission(Permissions.ReadAgents)
            .Describe("ListConversationMessages", "Read a conversation", o => o.Answers<PageShape<ConversationMessageShape>>().Refuses(404));
        group.MapGet("/{id}/turns", TurnsAsync).RequirePermission(Permissions.ReadAgents)
            .Describe("ListTurns", "List the turns of an agent, the latest first", o => o.Query("conversationId", "Only those of this conversation.").Pages().Answers<PageShape<TurnShape>>().Refuses(404));
        group.MapGet("/{id}/turns/{turnId}", TurnAsync).RequirePermission(Permissions.ReadAgents)
            .Describe("GetTurn", "See a turn, and what the agent was made of", o => o.Answers<TurnShape>().Refuses(404));
        group.MapGet("/{id}/performance", PerformanceAsync).RequirePermission(Permissions.ReadAgents)
            .Describe("GetAgentPerformance", "See how well an agent did: its turns, their times and their cost, in all and by day", o => o
                .Query<int>("days", $"How many days, of UTC, today among them: 1 to {AgentPerformance.MostDays}; {UsualDays} without it.").Answers<AgentPerformance>().Refuses(404));
        group.MapPost("/{id}/turns/{turnId}/cancel", CancelAsync).RequirePermission(Permissions.ExecuteAgents)
            .Describe("CancelTurn", "Cancel a turn and what it waits for", o => o.Answers(202, "It is being cancelled, or has ended already.").Refuses(404));
        group.MapGet("/{id}/turns/{turnId}/events", async (HttpContext context, string id, string turnId) =>
        {
            var turn = await FindAsync(context, id, turnId);
            await StreamAsync(context, turn.AgentId, turn.Id, endsWithTurn: true);
        }).RequirePermission(Permissions.ReadAgents)
            .Describe("WatchTurn", "Watch a turn: events and tokens as they come, until it ends", o => o
                .Header("Last-Event-ID", "Goes on after this event; from the turn's beginning without it.").AnswersFile("text/event-stream").Refuses(404));
        group.MapGet("/{id}/events", async (HttpContext context, string id) => await StreamAsync(context, (await AgentEndpoints.FindAsync(context, id)).Id, null, endsWithTurn: false))
            .RequirePermission(Permissions.ReadAgents)
            .Describe("WatchAgent", "Watch an agent: its events as they come", o => o
                .Header("Last-Event-ID", "Goes on after this event; from now on without it.").AnswersFile("text/event-stream").Refuses(404));
    }

    private static TurnStore Turns(this HttpContext context) => context.RequestServices.GetRequiredService<TurnStore>();

    private static async Task<Turn> FindAsync(HttpContext context, string id, string turnId)
    {
        var agent = await AgentEndpoints.FindAsync(context, id);
        return await context.Turns().FindAsync(context.Tenant(), turnId, context.RequestAborted) is { } turn && turn.AgentId == agent.Id ? turn
            : throw new ApiException(404, "agents.turn_not_found", $"Agent '{agent.Name}' has no turn '{turnId}'.");
    }

    private static async Task StreamAsync(HttpContext context, string agentId, string? turnId, bool endsWithTurn)
    {
        var stream = context.RequestServices.GetRequiredService<AgentStream>();
        var place = StreamPlace.Read(context.Request.Headers["Last-Event-ID"].ToString())
            ?? new StreamPlace(turnId is null ? await stream.LastAsync(context.Tenant(), agentId, context.RequestAborted) : 0, 0);
        await stream.WriteAsync(context, agentId, turnId, place, endsWithTurn);
    }

    private static async Task ConversationsAsync(HttpContext context, string id)
    {
        var agent = await AgentEndpoints.FindAsync(context, id);
        var found = await context.Turns().ListConversationsAsync(context.Tenant(), agent.Id, context.Limit(), context.RequestAborted);
        await context.WritePageAsync(found, null, (writer, c) => JsonSerializer.Serialize(writer, ConversationShape.Of(c), AgentApiJson.Default.ConversationShape));
    }

    private static async Task MessagesAsync(HttpContext context, string id, string conversationId)
    {
        var agent = await AgentEndpoints.FindAsync(context, id);
        if (await context.Turns().FindConversationAsync(context.Tenant(), conversationId, context.RequestAborted) is not { } conversation || conversation.AgentId != agent.Id)
            throw new ApiException(404, "agents.conversation_not_found", $"Agent '{agent.Name}' has no conversation '{conversationId}'.");
        var messages = await context.Turns().ReadMessagesAsync(context.Tenant(), conversationId, long.MaxValue, context.RequestAborted);
        await context.WritePageAsync(messages, null, (writer, m) => JsonSerializer.Serialize(writer, ConversationMessageShape.Of(m), AgentApiJson.Default.ConversationMessageShape));
    }

    private static async Task TurnsAsync(HttpContext context, string id)
    {
        var agent = await AgentEndpoints.FindAsync(context, id);
        var limit = context.Limit();
        var found = await context.Turns().ListAsync(context.Tenant(), agent.Id, context.Query("conversationId"), Cursor.Read(context.Query("cursor")), limit, context.RequestAborted);
        await context.WritePageAsync(
            found, found.Count == limit ? Cursor.Of(found[^1].StartedAt, found[^1].Id) : null, (writer, t) => JsonSerializer.Serialize(writer, TurnShape.Of(t), AgentApiJson.Default.TurnShape));
    }

    private static async Task TurnAsync(HttpContext context, string id, string turnId)
    {
        var turn = await FindAsync(context, id, turnId);
        JsonElement? makeup = await context.Turns().FindMakeupAsync(context.Tenant(), turn.MakeupHash, context.RequestAborted) is { } json ? JsonElement.Parse(json) : null;
        await context.WriteJsonAsync(writer => JsonSerializer.Serialize(writer, TurnShape.Of(turn, makeup), AgentApiJson.Default.TurnShape));
    }

    private static async Task PerformanceAsync(HttpContext context, string id)
    {
        var days = context.Query("days") switch
        {
            null => UsualDays,
            var text when int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var given) && given is >= 1 and <= AgentPerformance.MostDays => given,
            var text => throw ApiException.Bad($"'days' must be 1 to {AgentPerformance.MostDays}; it is '{text}'."),
        };
        var agent = await AgentEndpoints.FindAsync(context, id);
        var now = context.RequestServices.GetRequiredService<TimeProvider>().GetUtcNow();
        var performance = await context.Turns().SumAsync(context.Tenant(), agent.Id, days, now, context.RequestAborted);
        await context.WriteJsonAsync(writer => JsonSerializer.Serialize(writer, performance, AgentApiJson.Default.AgentPerformance));
    }

    private static async Task CancelAsync(HttpContext context, string id, string turnId)
    {
        var turn = await FindAsync(context, id, turnId);
        if (!turn.IsEnded)
            await context.Runtime().Operations.CancelAsync(context.Tenant(), turn.Id, context.Actor(), "The turn was cancelled.", context.RequestAborted);
        context.Response.StatusCode = 202;
    }
}

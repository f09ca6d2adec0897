using System.Globalization;
using Conclave.Server.Accounts;
using Conclave.Server.OpenApi;

namespace Conclave.Server.Api;

/// <summary>The work queue and its dead letters.</summary>
internal static class QueueEndpoints
{
    public static void Map(RouteGroupBuilder queue)
    {
        var group = queue.WithTags("Queue");
        group.MapGet("/", StatsAsync).RequirePermission(Permissions.ReadQueue)
            .Describe("GetQueue", "See how much work waits", o => o.Answers<QueueShape>());
        group.MapGet("/dead", ListDeadAsync).RequirePermission(Permissions.ReadQueue)
            .Describe("ListDeadLetters", "List work that failed too often, newest first", o => o.Pages().Answers<PageShape<DeadWorkShape>>());
        group.MapPost("/dead/{id:long}/requeue", async (HttpContext context, long id) =>
        {
            if (!await context.Runtime().Queue.RequeueAsync(context.Tenant(), id, context.RequestAborted))
                throw NoDead(id);
            context.Response.StatusCode = 204;
        }).RequirePermission(Permissions.WriteQueue).Describe("RequeueDeadLetter", "Put a dead letter back", o => o.Answers(204));
        group.MapDelete("/dead/{id:long}", async (HttpContext context, long id) =>
        {
            if (!await context.Runtime().Queue.DeleteDeadAsync(context.Tenant(), id, context.RequestAborted))
                throw NoDead(id);
            context.Response.StatusCode = 204;
        }).RequirePermission(Permissions.WriteQueue).Describe("DeleteDeadLetter", "Delete a dead letter", o => o.Answers(204));
    }

    private static async Task StatsAsync(HttpContext context)
    {
        var stats = await context.Runtime().Queue.GetStatsAsync(context.Tenant(), context.RequestAborted);
        await context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            writer.WriteNumber("due", stats.Due);
            writer.WriteNumber("claimed", stats.Claimed);
            writer.WriteNumber("delayed", stats.Delayed);
            writer.WriteNumber("dead", stats.Dead);
            writer.WriteNumber("oldestDueSeconds", Math.Round(stats.OldestDueSeconds, 3));
            writer.WriteStartObject("byPriority");
            for (var priority = 0; priority < stats.ByPriority.Count; priority++)
                writer.WriteNumber($"P{priority}", stats.ByPriority[priority]);
            writer.WriteEndObject();
            writer.WriteEndObject();
        });
    }

    private static async Task ListDeadAsync(HttpContext context)
    {
        var limit = context.Limit();
        long? before = context.Query("cursor") is { } cursor
            ? long.TryParse(cursor, NumberStyles.None, CultureInfo.InvariantCulture, out var id) ? id : throw ApiException.Bad("'cursor' must be what 'next' said.")
            : null;
        var dead = await context.Runtime().Queue.ListDeadAsync(context.Tenant(), before, limit, context.RequestAborted);
        await context.WritePageAsync(dead, dead.Count == limit ? dead[^1].Id.ToString(CultureInfo.InvariantCulture) : null, (writer, work) =>
        {
            writer.WriteStartObject();
            writer.WriteNumber("id", work.Id);
            writer.WriteString("instanceId", work.InstanceId);
            writer.WriteString("kind", work.Kind.ToString());
            writer.WriteString("priority", work.Priority.ToString());
            writer.WriteNumber("attempt", work.Attempt);
            writer.WriteString("error", work.Error);
            writer.WriteString("createdAt", work.CreatedAt);
            writer.WriteString("diedAt", work.DiedAt);
            writer.WriteEndObject();
        });
    }

    private static ApiException NoDead(long id) => new(404, "queue.no_dead_letter", $"There is no dead letter {id}. It was put back or deleted already.");
}

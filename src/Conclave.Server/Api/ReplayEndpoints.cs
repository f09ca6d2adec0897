using System.Globalization;
using System.Text.Json;
using Conclave.Server.Accounts;
using Conclave.Server.OpenApi;
using Conclave.Workflows.Runtime.Replay;

namespace Conclave.Server.Api;

/// <summary>Instances as they stood at a point of their journal, and step by step.</summary>
internal static class ReplayEndpoints
{
    public static void Map(RouteGroupBuilder group)
    {
        group.MapGet("/{id}/replay", GetAsync).RequirePermission(Permissions.ReadInstances)
            .Describe("ReplayInstance", "Read how an instance stood at a point of its journal", o => o
                .Query("at", "Number of an event, or a time; the end without it.").Answers<ReplayShape>());
        group.MapGet("/{id}/replay/steps", StepsAsync).RequirePermission(Permissions.ReadInstances)
            .Describe("ListReplaySteps", "Read what happened in an instance, and how it stood after each step", o => o
                .Query<long>("after", "Steps after this number.").Pages().Answers<PageShape<ReplayStepShape>>());
    }

    private static async Task GetAsync(HttpContext context, string id)
    {
        await ThrowIfMissingAsync(context, id);
        var state = await context.Runtime().Replay.FindAsync(context.Tenant(), id, ReadPoint(context.Query("at")), context.RequestAborted);
        await context.WriteJsonAsync(writer => ReplayJson.Write(writer, id, state));
    }

    private static async Task StepsAsync(HttpContext context, string id)
    {
        await ThrowIfMissingAsync(context, id);
        var limit = context.Limit();
        var given = context.Query("after") ?? context.Query("cursor");
        var after = given is null ? -1 : ReadPosition("after", given);
        var items = new List<Action<Utf8JsonWriter>>();
        long? next = null;
        var events = 0;
        await foreach (var step in context.Runtime().Replay.WalkAsync(context.Tenant(), id, ReplayPoint.End, context.RequestAborted))
        {
            if (step.Sequence <= after)
                continue;
            // What the step changes goes on changing with the next one.
            items.Add(ReplayJson.Prepare(step));
            if (step.Entry is null || ++events < limit)
                continue;
            next = step.Sequence;
            break;
        }

        await context.WritePageAsync(items, next?.ToString(CultureInfo.InvariantCulture), (writer, write) => write(writer));
    }

    private static async Task ThrowIfMissingAsync(HttpContext context, string id)
    {
        if (await context.Runtime().Instances.FindAsync(context.Tenant(), id, context.RequestAborted) is null)
            throw ApiException.NoInstance(id);
    }

    /// <summary>A position of the log or a time; nothing means the end.</summary>
    private static ReplayPoint ReadPoint(string? text)
    {
        if (text is null)
            return ReplayPoint.End;
        if (text.All(char.IsAsciiDigit))
            return new ReplayPoint.AtPosition(ReadPosition("at", text));
        return DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time)
            ? new ReplayPoint.AtTime(time)
            : throw ApiException.Bad($"'at' must be a sequence number of the journal or a time such as 2026-11-25T14:30:00Z; it is '{text}'.");
    }

    private static long ReadPosition(string name, string text) => long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var position)
        ? position
        : throw ApiException.Bad($"'{name}' must be a sequence number of the journal; it is '{text}'.");
}

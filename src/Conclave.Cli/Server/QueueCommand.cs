using System.CommandLine;
using System.Text.Json;

namespace Conclave.Cli.Server;

/// <summary><c>conclave queue</c>: how much work waits, and what failed too often.</summary>
internal static class QueueCommand
{
    public static Command Create()
    {
        // Shared, so that "queue --json dead" and "queue dead --json" mean the same.
        var settings = new ServerSettings(recursive: true);
        var command = new Command("queue", "Show how much work waits; its subcommands look after what failed too often.");
        settings.AddTo(command);
        ServerCommand.SetAction(command, settings, StatisticsAsync);
        command.Subcommands.Add(Dead(settings));
        command.Subcommands.Add(Change(
            settings,
            "requeue",
            "Put failed work back into the queue.",
            (session, id, cancellationToken) => session.Client.PostAsync(ApiPath.Of("queue", "dead", id, "requeue"), body: null, cancellationToken),
            "Requeued"));
        command.Subcommands.Add(Change(
            settings,
            "delete",
            "Delete failed work; its instance goes on without it.",
            (session, id, cancellationToken) => session.Client.DeleteAsync(ApiPath.Of("queue", "dead", id), cancellationToken),
            "Deleted"));
        return command;
    }

    private static async Task<int> StatisticsAsync(ServerSession session, CancellationToken cancellationToken)
    {
        var queue = await session.Client.GetAsync(ApiPath.Of("queue"), cancellationToken);
        if (session.Screen.DidJson(queue))
            return ExitCodes.Finished;
        var oldest = queue.Member("oldestDueSeconds") is { ValueKind: JsonValueKind.Number } seconds && queue.Number("due") > 0
            ? $", the oldest for {When.Span(TimeSpan.FromSeconds(Math.Clamp(seconds.GetDouble(), 1, 1e9)))}"
            : "";
        Screen.Line($"Due      {queue.Number("due")}{oldest}");
        Screen.Line($"Running  {queue.Number("claimed")}");
        Screen.Line($"Delayed  {queue.Number("delayed")}");
        Screen.Line($"Dead     {queue.Number("dead")}{(queue.Number("dead") > 0 ? "; see them with: conclave queue dead" : "")}");
        foreach (var priority in queue.Member("byPriority").Properties())
            Screen.Line(SafeText.Line($"  priority {priority.Name}: {priority.Value.Text()}"));
        return ExitCodes.Finished;
    }

    private static Command Dead(ServerSettings settings)
    {
        var paging = new Paging();
        return ServerCommand.Create(
            "dead",
            "List work that failed too often.",
            async (session, cancellationToken) => (await paging.ReadAsync(session, () => ApiPath.Of("queue", "dead"), cancellationToken)).Show(
                session.Screen,
                "No dead letters: nothing failed too often.",
                new Column("Id", "id") { IsKept = true, IsNumber = true },
                new Column("Instance", "instanceId"),
                new Column("Kind", "kind"),
                new Column("Tries", i => i.Text("attempt", "attempts")) { IsNumber = true },
                new Column("Error", i => SafeText.Short(i.Text("error"), 160)),
                Column.Time("Died", session.Screen.When, "diedAt")),
            [paging.Limit, paging.All],
            settings);
    }

    private static Command Change(
        ServerSettings settings,
        string name,
        string description,
        Func<ServerSession, string, CancellationToken, Task<JsonElement>> change,
        string done)
    {
        var id = new Argument<string>("id") { Description = "Id of the work, as queue dead lists it." };
        return ServerCommand.Create(
            name,
            description,
            async (session, cancellationToken) =>
            {
                var answer = await change(session, session.Get(id), cancellationToken);
                if (!session.Screen.DidJson(answer))
                    Screen.Line($"{done} {SafeText.Line(session.Get(id))}.");
                return ExitCodes.Finished;
            },
            [id],
            settings);
    }
}

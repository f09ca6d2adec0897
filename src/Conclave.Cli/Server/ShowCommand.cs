using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Conclave.Cli.Server;

/// <summary><c>conclave show</c>: one instance, and its journal.</summary>
internal static class ShowCommand
{
    private const int LongestValue = 400;

    public static Command Create()
    {
        var id = new Argument<string>("instanceId") { Description = "Id of the instance." };
        var journal = new Option<bool>("--journal") { Description = "Also print what it did; with --json, that alone." };
        var at = new Option<string?>("--at")
        {
            Description = "Print how it stood after an event of its journal, by number, or at a time such as 2026-11-25T14:30:00Z.",
            HelpName = "number or time",
        };
        var replay = new Option<bool>("--replay") { Description = "Go through its journal step by step: what happened, what changed, how it stood then." };
        return ServerCommand.Create(
            "show",
            "Show an instance: its input, output, variables, what it waits for and what went wrong.",
            async (session, cancellationToken) =>
            {
                if (session.Get(at) is { } point)
                    return await ReplayView.ShowAsync(session, session.Get(id), point, cancellationToken);
                if (session.Get(replay))
                    return await ReplayView.WalkAsync(session, session.Get(id), cancellationToken);
                var isJournal = session.Get(journal);
                if (!isJournal || !session.Screen.IsJson)
                {
                    var instance = await session.Client.GetAsync(ApiPath.Of("instances", session.Get(id)), cancellationToken);
                    if (!session.Screen.DidJson(instance))
                        Instance(session.Screen, instance, session.Get(id));
                }

                if (isJournal)
                    Journal(session.Screen, await ReadJournalAsync(session, session.Get(id), cancellationToken));
                return ExitCodes.Finished;
            },
            [id, journal, at, replay]);
    }

    /// <summary>Prints an instance for people.</summary>
    public static void Instance(Screen screen, JsonElement instance, string id)
    {
        Field("Instance", id);
        Field("Name", instance.Text("name"));
        Field("Workflow", instance.Text("version") is { Length: > 0 } version ? $"{instance.Text("definitionId")}, version {version}" : instance.Text("definitionId"));
        Field("Status", instance.Text("subStatus", "status"));
        Field("Correlation", instance.Text("correlationId"));
        Field("Created", screen.When.Text(instance.Member("createdAt")));
        Field("Changed", screen.When.Text(instance.Member("updatedAt")));
        Field("Ended", screen.When.Text(instance.Member("finishedAt")));
        Values("Input", instance.Member("input"));
        Values("Output", instance.Member("output"));
        Values("Variables", instance.Member("variables"));
        Entries("Waits for", instance.Member("bookmarks"), b =>
            Joined(b.Text("name", "type"), b.Text("activityId"), Short(b.Member("payload", "stimulus", "key")), b.Text("id", "bookmark")));
        Entries("Went wrong", instance.Member("incidents"), i =>
            Joined(i.Text("activityId"), i.Text("code"), i.Text("message"), screen.When.Text(i.Member("timestamp"))));
        if (instance.Text("subStatus") == "Faulted")
            Screen.Line($"Run what faulted again with: conclave retry {SafeText.Line(id)}");
    }

    private static async Task<List<JsonElement>> ReadJournalAsync(ServerSession session, string id, CancellationToken cancellationToken)
    {
        List<JsonElement> entries = [];
        long? after = null;
        while (true)
        {
            var path = ApiPath.Of("instances", id, "journal").With("after", after?.ToString(CultureInfo.InvariantCulture)).With("limit", "500");
            var page = await session.Client.GetAsync(path, cancellationToken);
            entries.AddRange(page.Member("items").Items());
            var last = entries.Count > 0 ? entries[^1].Number("sequence") : 0;
            if (page.TextOrNull("next") is null || last <= (after ?? -1))
                return entries;
            after = last;
        }
    }

    private static void Journal(Screen screen, List<JsonElement> entries)
    {
        if (screen.IsJson)
            Screen.Json(new JsonObject { ["items"] = new JsonArray([.. entries.Select(JsonText.Node)]), ["next"] = null });
        else if (entries.Count == 0)
            Screen.Line("The journal is empty: nothing ran yet, or it was too long ago to be kept.");
        else
        {
            screen.Table(
                entries,
                new Column("#", "sequence") { IsNumber = true, IsKept = true },
                Column.Time("When", screen.When, "timestamp"),
                new Column("Activity", e => Joined(e.Text("activityId"), e.Text("activityInstance") is { Length: > 0 } n ? $"#{n}" : "")),
                new Column("Event", e => e.Text("event", "operation")),
                new Column("Detail", Detail));
        }
    }

    internal static string Detail(JsonElement entry) => SafeText.Short(
        Joined(
            string.Join(", ", entry.Member("outcomes").Items().Select(o => o.Text())),
            entry.Member("exception") is { ValueKind: JsonValueKind.Object } exception ? exception.Text("message") : entry.Text("exception"),
            entry.Text("actor") is { Length: > 0 } actor ? $"by {actor}" : "",
            entry.Text("reason")),
        200);

    internal static void Field(string name, string value)
    {
        if (value.Length > 0)
            Screen.Line($"{name,-12} {SafeText.Line(value)}");
    }

    private static void Values(string title, JsonElement values)
    {
        if (!values.Properties().Any())
            return;
        Screen.Line($"{title}:");
        foreach (var value in values.Properties())
            Screen.Line($"  {SafeText.Line(value.Name)} = {Short(value.Value)}");
    }

    private static void Entries(string title, JsonElement list, Func<JsonElement, string> text)
    {
        if (!list.Items().Any())
            return;
        Screen.Line($"{title}:");
        foreach (var item in list.Items())
            Screen.Line($"  {SafeText.Line(text(item) is { Length: > 0 } known ? known : item.Text())}");
    }

    internal static string Short(JsonElement value) => SafeText.Short(value.ValueKind == JsonValueKind.Undefined ? "" : value.GetRawText(), LongestValue);

    internal static string Joined(params string[] parts) => string.Join("  ", parts.Where(p => p.Length > 0));
}

using System.Globalization;
using System.Text.Json;

namespace Conclave.Cli.Server;

/// <summary><c>conclave show --at</c> and <c>--replay</c>: an instance as it stood.</summary>
internal static class ReplayView
{
    /// <summary>Prints how an instance stood at a point of its journal.</summary>
    public static async Task<int> ShowAsync(ServerSession session, string id, string at, CancellationToken cancellationToken)
    {
        var state = await session.Client.GetAsync(ApiPath.Of("instances", id, "replay").With("at", at), cancellationToken);
        var screen = session.Screen;
        if (screen.DidJson(state))
            return ExitCodes.Finished;
        ShowCommand.Field("Instance", id);
        ShowCommand.Field("After", state.Number("position") < 0 ? "nothing: it had not begun" : $"event {state.Text("position")}, {screen.When.Text(state.Member("timestamp"))}");
        ShowCommand.Field("Version", state.Text("version", "definitionVersionId"));
        ShowCommand.Field("Status", state.Text("subStatus"));
        if (state.Number("firstPosition") > 0)
            Screen.Line($"The journal begins at event {state.Text("firstPosition")}; what was before is not kept any more.");
        Values("Variables", state.Member("variables"));
        Values("Output", state.Member("output"));
        if (state.Member("activities").Items().Any())
        {
            screen.Table(
                state.Member("activities").Items(),
                new Column("Activity", a => ShowCommand.Joined(a.Text("activityId"), $"#{a.Text("activityInstance")}")),
                new Column("Status", "status"),
                new Column("Runs", a => a.Member("counts").Properties().Sum(c => c.Value.GetInt64()).ToString(CultureInfo.InvariantCulture)) { IsNumber = true },
                Column.Time("Began", screen.When, "startedAt"),
                new Column("Inputs", a => ShowCommand.Short(a.Member("inputs"))) { IsOptional = true },
                new Column("Detail", ShowCommand.Detail));
        }

        foreach (var operation in state.Member("operations").Items())
            Screen.Line($"{screen.When.Text(operation.Member("timestamp"))}  {Head(operation)}  {ShowCommand.Detail(operation)}");
        return ExitCodes.Finished;
    }

    /// <summary>Prints every step of an instance; at a terminal one for each press of Enter.</summary>
    public static async Task<int> WalkAsync(ServerSession session, string id, CancellationToken cancellationToken)
    {
        var waits = !session.Screen.IsJson && !Console.IsInputRedirected && !Console.IsOutputRedirected;
        if (waits)
            Screen.Error("Enter shows the next step, q ends.");
        for (string? after = null; ;)
        {
            var page = await session.Client.GetAsync(ApiPath.Of("instances", id, "replay", "steps").With("after", after).With("limit", "200"), cancellationToken);
            foreach (var step in page.Member("items").Items())
            {
                if (session.Screen.IsJson)
                    Screen.Json(JsonText.Node(step)!);
                else
                    Step(session.Screen, step);
                if (waits && Console.ReadLine() is null or "q")
                    return ExitCodes.Finished;
            }

            if (page.TextOrNull("next") is not { } next || next == after)
                return ExitCodes.Finished;
            after = next;
        }
    }

    private static void Step(Screen screen, JsonElement step)
    {
        var counts = step.Member("counts").Properties().Where(c => c.Value.GetInt64() > 0).Select(c => $"{c.Value.GetRawText()} {c.Name}");
        Screen.Line(ShowCommand.Joined($"{step.Text("sequence"),5}", screen.When.Text(step.Member("timestamp")), Head(step), ShowCommand.Detail(step), step.Text("details")));
        if (step.Member("inputs").Properties().Any())
            Screen.Line($"        in   {ShowCommand.Short(step.Member("inputs"))}");
        if (step.Member("outputs").Properties().Any())
            Screen.Line($"        out  {ShowCommand.Short(step.Member("outputs"))}");
        foreach (var change in step.Member("changes").Items())
            Screen.Line($"        {Value(change)}");
        Screen.Line($"        → {step.Text("subStatus")}: {string.Join(", ", counts)}");
    }

    private static string Head(JsonElement step) => step.Text("operation") is { Length: > 0 } operation
        ? $"operation {operation}"
        : $"{step.Text("activityId")} #{step.Text("activityInstance")} {step.Text("event")}";

    private static void Values(string title, JsonElement values)
    {
        if (!values.Items().Any())
            return;
        Screen.Line($"{title}:");
        foreach (var value in values.Items())
            Screen.Line($"  {Value(value)}");
    }

    private static string Value(JsonElement value)
    {
        var scope = value.Number("activityInstance") > 1 ? $" (of #{value.Text("activityInstance")})" : "";
        return $"{SafeText.Line(value.Text("name"))}{scope} = {(value.IsTrue("isKnown") ? ShowCommand.Short(value.Member("value")) is { Length: > 0 } text ? text : "null" : "not kept in the journal")}";
    }
}

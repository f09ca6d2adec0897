using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Conclave.Cli.Server;

/// <summary><c>conclave cancel</c>, <c>retry</c>, <c>resume</c>, <c>set</c> and <c>migrate</c>.</summary>
internal static class InstanceCommands
{
    public static IEnumerable<Command> Create() => [Cancel(), Retry(), Resume(), Set(), MigrateCommand.Create()];

    public static Option<string?> Reason() => new("--reason") { Description = "Why; it is kept in the journal." };

    private static Command Cancel()
    {
        var ids = Ids();
        var definition = new Option<string?>("--definition") { Description = "Cancel those of this workflow; with --all.", HelpName = "definitionId" };
        var all = new Option<bool>("--all") { Description = "Really every running instance of that workflow." };
        var reason = Reason();
        return ServerCommand.Create(
            "cancel",
            "Cancel instances.",
            (session, cancellationToken) =>
            {
                var definitionId = session.Get(definition);
                if (session.Get(all) != definitionId is not null)
                    throw CommandException.BadInput("To cancel every running instance of a workflow, give both --definition <id> and --all.");
                return BulkOperation.RunAsync(
                    session, "cancel", new Target(session.Get(ids), definitionId), new JsonObject { ["reason"] = session.Get(reason) }, "Cancelled", cancellationToken);
            },
            [ids, definition, all, reason]);
    }

    private static Command Retry()
    {
        var ids = Ids();
        var activity = new Option<long?>("--activity") { Description = "Number of the activity's execution, as the journal shows it; all that faulted without it.", HelpName = "n" };
        var reason = Reason();
        return ServerCommand.Create(
            "retry",
            "Run activities that faulted again.",
            (session, cancellationToken) => BulkOperation.RunAsync(
                session,
                "retry",
                new Target(session.Get(ids), null),
                new JsonObject { ["activityInstance"] = session.Get(activity), ["reason"] = session.Get(reason) },
                "Retried",
                cancellationToken),
            [ids, activity, reason]);
    }

    private static Command Resume()
    {
        var id = new Argument<string>("instanceId") { Description = "Id of the instance." };
        var bookmark = new Option<string?>("--bookmark") { Description = "Id of the bookmark, as show prints it; needed when it waits for several things." };
        var input = new Option<string[]>("--input", "-i") { Description = "What the activity is given, as name=json or name=@file." };
        var reason = Reason();
        return ServerCommand.Create(
            "resume",
            "Resume an instance that waits for something.",
            async (session, cancellationToken) =>
            {
                var values = await InputArguments.ReadAsync("--input", session.Get(input) ?? [], cancellationToken);
                var body = new JsonObject
                {
                    ["bookmark"] = session.Get(bookmark),
                    ["input"] = values.Count > 0 ? JsonText.Node(values) : null,
                    ["reason"] = session.Get(reason),
                };
                return await BulkOperation.RunAsync(session, "resume", new Target([session.Get(id)], null), body, "Resumed", cancellationToken);
            },
            [id, bookmark, input, reason]);
    }

    private static Command Set()
    {
        var id = new Argument<string>("instanceId") { Description = "Id of the instance." };
        var values = new Argument<string[]>("values") { Description = "Variables as name=json, or name=@file.", Arity = ArgumentArity.OneOrMore };
        var reason = Reason();
        return ServerCommand.Create(
            "set",
            "Set variables of an instance.",
            async (session, cancellationToken) =>
            {
                var read = await InputArguments.ReadAsync("variable", session.Get(values), cancellationToken);
                var answer = await session.Client.PostAsync(
                    ApiPath.Of("instances", session.Get(id), "variables"),
                    new JsonObject { ["values"] = JsonText.Node(read), ["reason"] = session.Get(reason) },
                    cancellationToken);
                if (!session.Screen.DidJson(answer))
                    Screen.Line($"Set {string.Join(", ", read.Keys.Select(SafeText.Line))}.");
                return ExitCodes.Finished;
            },
            [id, values, reason]);
    }

    private static Argument<string[]> Ids() => new("instanceIds") { Description = "Ids of the instances.", Arity = ArgumentArity.ZeroOrMore };
}

/// <summary>The instances that an operation is for: by id, or all that run of one workflow.</summary>
internal sealed record Target(string[] Ids, string? DefinitionId);

/// <summary>Asks for an operation on one instance by its own call, on several in bulk.</summary>
internal static class BulkOperation
{
    public static async Task<int> RunAsync(
        ServerSession session, string operation, Target target, JsonObject body, string done, CancellationToken cancellationToken)
    {
        if (target.Ids.Length > 0 == target.DefinitionId is not null)
            throw CommandException.BadInput($"Name the instances to {operation}. conclave instances lists them.");
        if (target.Ids is [var id])
        {
            var one = await session.Client.PostAsync(ApiPath.Of("instances", id, operation), body, cancellationToken);
            if (!session.Screen.DidJson(one))
                Screen.Line($"{done} {SafeText.Line(id)}.");
            return ExitCodes.Finished;
        }

        body["operation"] = operation;
        if (target.DefinitionId is { } definitionId)
            body["filter"] = new JsonObject { ["definitionId"] = definitionId, ["status"] = "Running" };
        else
            body["ids"] = new JsonArray([.. target.Ids.Select(i => (JsonNode)i)]);
        var answer = await session.Client.PostAsync(ApiPath.Of("instances", "bulk"), body, cancellationToken);
        return Show(session.Screen, answer, done);
    }

    /// <summary>Prints how a bulk operation went; what failed goes to standard error.</summary>
    public static int Show(Screen screen, JsonElement answer, string done)
    {
        var failed = answer.Member("failed");
        if (!screen.DidJson(answer))
        {
            var count = answer.Member("done") is { ValueKind: JsonValueKind.Array } list ? list.GetArrayLength() : answer.Number("done");
            Screen.Line($"{done} {count} {(count == 1 ? "instance" : "instances")}.");
            foreach (var failure in failed.Items())
                Screen.Error($"  {SafeText.Line(failure.Text("id"))}: {SafeText.Line(failure.Text("message"))} ({SafeText.Line(failure.Text("code"))})");
        }

        return failed.Items().Any() ? ExitCodes.Refused : ExitCodes.Finished;
    }
}

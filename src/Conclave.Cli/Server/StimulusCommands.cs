using System.CommandLine;
using System.Text.Json.Nodes;

namespace Conclave.Cli.Server;

/// <summary><c>conclave event</c>, <c>tasks</c> and <c>complete</c>: what workflows wait for.</summary>
internal static class StimulusCommands
{
    public static IEnumerable<Command> Create() => [Event(), Tasks(), Complete()];

    private static Command Event()
    {
        var name = new Argument<string>("name") { Description = "Name of the event." };
        var payload = new Option<string?>("--payload") { Description = "What comes with it, as JSON or @file; text that is not JSON is taken as it is." };
        var correlationId = new Option<string?>("--correlation-id") { Description = "Only for instances with this correlation id." };
        var instance = new Option<string?>("--instance") { Description = "Only for this instance.", HelpName = "instanceId" };
        var id = new Option<string?>("--id") { Description = "Id of the event: the same one is delivered once." };
        return ServerCommand.Create(
            "event",
            "Publish an event: it starts workflows and resumes instances that wait for it.",
            async (session, cancellationToken) =>
            {
                var body = new JsonObject
                {
                    ["payload"] = await ValueAsync("--payload", session.Get(payload), cancellationToken),
                    ["correlationId"] = session.Get(correlationId),
                    ["instanceId"] = session.Get(instance),
                    ["id"] = session.Get(id),
                };
                var answer = await session.Client.PostAsync(ApiPath.Of("events", session.Get(name)), body, cancellationToken);
                if (!session.Screen.DidJson(answer))
                {
                    Screen.Line(
                        answer.IsTrue("duplicate") ? "The server has this event already; nothing happened."
                        : answer.IsTrue("waiting") || answer.Number("waiting") > 0 ? "Nobody waits for it yet; it is kept for 24 hours."
                        : $"Started {Count("started")}, resumed {Count("resumed")}.");
                }

                return ExitCodes.Finished;

                string Count(string member) => answer.Member(member).ValueKind == System.Text.Json.JsonValueKind.Array
                    ? $"{answer.Member(member).GetArrayLength()}"
                    : $"{answer.Number(member)}";
            },
            [name, payload, correlationId, instance, id]);
    }

    private static Command Tasks()
    {
        var paging = new Paging();
        return ServerCommand.Create(
            "tasks",
            "List the tasks that workflows wait for.",
            async (session, cancellationToken) => (await paging.ReadAsync(session, () => ApiPath.Of("tasks"), cancellationToken)).Show(
                session.Screen,
                "No workflow waits for a task.",
                new Column("Task", t => t.Text("taskId", "id")) { IsKept = true },
                new Column("Name", t => t.Text("name", "taskName")),
                new Column("Workflow", "definitionId"),
                new Column("Instance", "instanceId"),
                new Column("Payload", t => SafeText.Short(t.Text("payload", "taskParams"), 60)) { IsOptional = true },
                Column.Time("Since", session.Screen.When, "createdAt")),
            [paging.Limit, paging.All]);
    }

    private static Command Complete()
    {
        var id = new Argument<string>("taskId") { Description = "Id of the task." };
        var taskResult = new Option<string?>("--result") { Description = "Its result, as JSON or @file; text that is not JSON is taken as it is." };
        return ServerCommand.Create(
            "complete",
            "Complete a task that a workflow waits for.",
            async (session, cancellationToken) =>
            {
                var body = new JsonObject { ["result"] = await ValueAsync("--result", session.Get(taskResult), cancellationToken) };
                var answer = await session.Client.PostAsync(ApiPath.Of("tasks", session.Get(id), "complete"), body, cancellationToken);
                if (!session.Screen.DidJson(answer))
                    Screen.Line($"Completed {SafeText.Line(session.Get(id))}.");
                return ExitCodes.Finished;
            },
            [id, taskResult]);
    }

    private static async Task<JsonNode?> ValueAsync(string option, string? text, CancellationToken cancellationToken) =>
        text is null ? null : JsonText.Node(await InputArguments.ReadValueAsync(option, text, cancellationToken));
}

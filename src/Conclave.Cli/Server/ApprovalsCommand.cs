using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Conclave.Cli.Server;

/// <summary><c>conclave approvals</c>: what waits for people, and what they say.</summary>
internal static class ApprovalsCommand
{
    private const int ShortestHash = 8;
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    public static Command Create()
    {
        var settings = new ServerSettings(recursive: true);
        var command = new Command("approvals", "See what waits for people, and decide. It needs the key of an account: the machine's own key is no person.");
        settings.AddTo(command);
        command.Subcommands.Add(List(settings));
        command.Subcommands.Add(Show(settings));
        command.Subcommands.Add(Approve(settings));
        command.Subcommands.Add(Reject(settings));
        command.Subcommands.Add(Complete(settings));
        return command;
    }

    private static Command List(ServerSettings settings)
    {
        var paging = new Paging();
        var all = new Option<bool>("--everyone") { Description = "Also those that wait for others, or for nobody any more." };
        var status = new Option<string?>("--status") { Description = "Only those that stand so: pending, approved, rejected, done, expired, cancelled.", HelpName = "status" };
        return ServerCommand.Create(
            "list",
            "List what waits for you.",
            async (session, cancellationToken) => (await paging.ReadAsync(
                session,
                () => ApiPath.Of("approvals").With("mine", session.Get(all) || session.Get(status) is not null ? null : "true").With("status", session.Get(status)),
                cancellationToken)).Show(
                session.Screen,
                "Nothing waits for you.",
                new Column("Id", "id") { IsKept = true },
                new Column("Status", "status"),
                new Column("Title", a => SafeText.Short(a.Text("title"), 80)),
                new Column("Agent", "agentId") { IsOptional = true },
                Column.Time("Asked", session.Screen.When, "createdAt"),
                Column.Time("Due", session.Screen.When, "dueAt")),
            [all, status, paging.Limit, paging.All],
            settings);
    }

    private static Command Show(ServerSettings settings)
    {
        var id = Id();
        return ServerCommand.Create(
            "show",
            "Show what is asked, exactly as it will run.",
            async (session, cancellationToken) =>
            {
                var approval = await session.Client.GetAsync(ApiPath.Of("approvals", session.Get(id)), cancellationToken);
                if (session.Screen.DidJson(approval))
                    return ExitCodes.Finished;
                Screen.Line(SafeText.Line($"{approval.Text("title")} ({approval.Text("status")})"));
                if (approval.TextOrNull("description") is { } description)
                    Screen.Line(SafeText.Block(description));
                if (approval.TextOrNull("onBehalfOf") is { } requester)
                    Screen.Line(SafeText.Line($"For      {requester}"));
                foreach (var vote in approval.Member("votes").Items())
                    Screen.Line(SafeText.Line($"Said     {vote.Text("by")}: {vote.Text("decision")} {vote.Text("comment")}"));
                if (approval.Member("action") is { ValueKind: JsonValueKind.Object } action)
                {
                    Screen.Line(SafeText.Json(JsonSerializer.Serialize(action, Indented)));
                    if (approval.Text("status") == "pending")
                        Screen.Line($"To approve exactly this: conclave approvals approve {SafeText.Line(session.Get(id))} --hash {SafeText.Line(approval.Text("actionHash"))}");
                }

                if (approval.Member("form") is { ValueKind: JsonValueKind.Object } form)
                    Screen.Line(SafeText.Line($"Form     {form.GetRawText()}"));
                return ExitCodes.Finished;
            },
            [id],
            settings);
    }

    private static Command Approve(ServerSettings settings)
    {
        var (id, hash, comment, form) = (Id(), Hash(), Comment(), Form());
        var arguments = new Option<string?>("--arguments") { Description = "Other arguments for the action, as a JSON object or @file; they are what runs." };
        return ServerCommand.Create(
            "approve",
            "Approve an action.",
            async (session, cancellationToken) =>
            {
                var body = new JsonObject
                {
                    ["decision"] = "approve",
                    ["actionHash"] = await SeenAsync(session, session.Get(id), session.Get(hash)!, cancellationToken),
                    ["comment"] = session.Get(comment),
                    ["arguments"] = await ValueAsync("--arguments", session.Get(arguments), cancellationToken),
                    ["formData"] = await ValueAsync("--form", session.Get(form), cancellationToken),
                };
                return await DecideAsync(session, session.Get(id), body, cancellationToken);
            },
            [id, hash, comment, arguments, form],
            settings);
    }

    private static Command Reject(ServerSettings settings)
    {
        var (id, hash, comment) = (Id(), Hash(), Comment());
        return ServerCommand.Create(
            "reject",
            "Refuse an action.",
            async (session, cancellationToken) =>
            {
                var body = new JsonObject
                {
                    ["decision"] = "reject",
                    ["actionHash"] = await SeenAsync(session, session.Get(id), session.Get(hash)!, cancellationToken),
                    ["comment"] = session.Get(comment),
                };
                return await DecideAsync(session, session.Get(id), body, cancellationToken);
            },
            [id, hash, comment],
            settings);
    }

    private static Command Complete(ServerSettings settings)
    {
        var (id, comment, form) = (Id(), Comment(), Form());
        return ServerCommand.Create(
            "complete",
            "Say that a task is done.",
            async (session, cancellationToken) =>
            {
                var body = new JsonObject
                {
                    ["decision"] = "complete",
                    ["comment"] = session.Get(comment),
                    ["formData"] = await ValueAsync("--form", session.Get(form), cancellationToken),
                };
                return await DecideAsync(session, session.Get(id), body, cancellationToken);
            },
            [id, comment, form],
            settings);
    }

    private static async Task<int> DecideAsync(ServerSession session, string id, JsonObject body, CancellationToken cancellationToken)
    {
        var answer = await session.Client.PostAsync(ApiPath.Of("approvals", id, "decision"), body, cancellationToken);
        if (!session.Screen.DidJson(answer))
            Screen.Line(answer.Text("status") == "pending" ? "Your decision is taken; others have to decide as well." : SafeText.Line($"It is {answer.Text("status")}."));
        return ExitCodes.Finished;
    }

    /// <summary>The whole hash of the action that the person saw.</summary>
    private static async Task<string> SeenAsync(ServerSession session, string id, string hash, CancellationToken cancellationToken)
    {
        if (hash.Length < ShortestHash)
            throw CommandException.BadInput($"--hash must have at least {ShortestHash} of the digits that 'conclave approvals show' prints.");
        var current = (await session.Client.GetAsync(ApiPath.Of("approvals", id), cancellationToken)).Text("actionHash");
        // The server says no when it is another action by now.
        return current.StartsWith(hash, StringComparison.OrdinalIgnoreCase) ? current : hash;
    }

    private static async Task<JsonNode?> ValueAsync(string option, string? text, CancellationToken cancellationToken) =>
        text is null ? null : JsonText.Node(await InputArguments.ReadValueAsync(option, text, cancellationToken));

    private static Argument<string> Id() => new("id") { Description = "Id of the approval, as approvals list shows it." };

    private static Option<string> Hash() => new("--hash") { Description = "Hash of the action that you saw, or its first eight digits or more.", Required = true };

    private static Option<string?> Comment() => new("--comment") { Description = "Why." };

    private static Option<string?> Form() => new("--form") { Description = "What the form asks for, as a JSON object or @file." };
}

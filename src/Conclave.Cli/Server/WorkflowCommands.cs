using System.CommandLine;
using System.Globalization;
using System.Text.Json;

namespace Conclave.Cli.Server;

/// <summary><c>conclave workflows</c>, <c>versions</c>, <c>publish</c>, <c>retract</c>, <c>revert</c> and <c>delete</c>.</summary>
internal static class WorkflowCommands
{
    public static IEnumerable<Command> Create() => [Workflows(), Versions(), Publish(), Retract(), Revert(), Delete()];

    public static Argument<string> DefinitionId() => new("definitionId") { Description = "Id of the workflow." };

    private static Command Workflows()
    {
        var search = new Option<string?>("--search") { Description = "Only those whose name or id contains this." };
        var paging = new Paging();
        return ServerCommand.Create(
            "workflows",
            "List the workflows on the server.",
            async (session, cancellationToken) =>
            {
                var list = await paging.ReadAsync(session, () => ApiPath.Of("workflows").With("search", session.Get(search)), cancellationToken);
                return list.Show(
                    session.Screen,
                    session.Get(search) is null ? "No workflows yet. Store some with: conclave import <files>" : "No workflow matches.",
                    new Column("Id", "definitionId") { IsKept = true },
                    new Column("Name", "name"),
                    new Column("Version", "version") { IsNumber = true },
                    new Column("Published", "publishedVersion") { IsNumber = true },
                    Column.Time("Changed", session.Screen.When, "updatedAt"));
            },
            [search, paging.Limit, paging.All]);
    }

    private static Command Versions()
    {
        var id = DefinitionId();
        var paging = new Paging();
        return ServerCommand.Create(
            "versions",
            "List the versions of a workflow, newest first.",
            async (session, cancellationToken) =>
            {
                var list = await paging.ReadAsync(session, () => ApiPath.Of("workflows", session.Get(id), "versions"), cancellationToken);
                return list.Show(
                    session.Screen,
                    "No versions.",
                    new Column("Version", "version") { IsNumber = true, IsKept = true },
                    new Column("Published", v => v.IsTrue("isPublished") ? "yes" : ""),
                    new Column("Name", "name"),
                    Column.Time("Saved", session.Screen.When, "updatedAt", "createdAt"),
                    new Column("Version id", "id") { IsOptional = true });
            },
            [id, paging.Limit, paging.All]);
    }

    private static Command Publish() => Move("publish", "Publish the newest version of a workflow: its triggers start it.", "Published");

    private static Command Retract() => Move("retract", "Take a workflow's published version back: nothing starts it any more.", "Retracted");

    private static Command Move(string operation, string description, string done)
    {
        var id = DefinitionId();
        return ServerCommand.Create(
            operation,
            description,
            async (session, cancellationToken) => Done(
                session.Screen,
                done,
                session.Get(id),
                await session.Client.PostAsync(ApiPath.Of("workflows", session.Get(id), operation), body: null, cancellationToken)),
            [id]);
    }

    private static Command Revert()
    {
        var id = DefinitionId();
        var version = new Argument<int>("version") { Description = "The version to copy into a new draft." };
        return ServerCommand.Create(
            "revert",
            "Copy an old version of a workflow into a new draft.",
            async (session, cancellationToken) =>
            {
                var number = session.Get(version).ToString(CultureInfo.InvariantCulture);
                var answer = await session.Client.PostAsync(
                    ApiPath.Of("workflows", session.Get(id), "revert").With("version", number), body: null, cancellationToken);
                return Done(session.Screen, $"Copied version {number} of", session.Get(id), answer);
            },
            [id, version]);
    }

    private static Command Delete()
    {
        var id = DefinitionId();
        var version = new Option<int?>("--version") { Description = "Delete this version alone." };
        var force = new Option<bool>("--force") { Description = "Delete it although something uses it." };
        return ServerCommand.Create(
            "delete",
            "Delete a workflow, or one version of it.",
            async (session, cancellationToken) =>
            {
                var number = session.Get(version)?.ToString(CultureInfo.InvariantCulture);
                var path = number is null
                    ? ApiPath.Of("workflows", session.Get(id))
                    : ApiPath.Of("workflows", session.Get(id), "versions", number);
                var answer = await session.Client.DeleteAsync(path.With("force", session.Get(force) ? "true" : null), cancellationToken);
                if (!session.Screen.DidJson(answer))
                    Screen.Line(number is null ? $"Deleted {SafeText.Line(session.Get(id))}." : $"Deleted version {number} of {SafeText.Line(session.Get(id))}.");
                return ExitCodes.Finished;
            },
            [id, version, force]);
    }

    private static int Done(Screen screen, string done, string id, JsonElement answer)
    {
        if (screen.DidJson(answer))
            return ExitCodes.Finished;
        var version = answer.Text("version");
        Screen.Line($"{done} {SafeText.Line(id)}{(version.Length > 0 ? $"; its newest version is {SafeText.Line(version)}" : "")}.");
        foreach (var error in Problem.Errors(answer))
            Screen.Error(error);
        return ExitCodes.Finished;
    }
}

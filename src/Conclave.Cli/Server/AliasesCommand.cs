using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Conclave.Cli.Server;

/// <summary><c>conclave aliases</c>: names that rules resolve to models.</summary>
internal static class AliasesCommand
{
    public static Command Create()
    {
        var settings = new ServerSettings(recursive: true);
        var command = new Command("aliases", "List the aliases that stand for models; its subcommands show and change their rules.");
        settings.AddTo(command);
        ServerCommand.SetAction(command, settings, ListAsync);
        var name = new Argument<string>("name") { Description = "Name of the alias." };
        command.Subcommands.Add(ServerCommand.Create(
            "show",
            "Print an alias as JSON, to be edited and set again.",
            async (session, cancellationToken) =>
            {
                var answer = await session.Client.GetAsync(Path(session.Get(name)), cancellationToken);
                Screen.Json(session.Screen.IsJson ? answer : answer.Member("alias"));
                return ExitCodes.Finished;
            },
            [name],
            settings));
        command.Subcommands.Add(Set(settings));
        command.Subcommands.Add(Remove(settings));
        return command;
    }

    private static async Task<int> ListAsync(ServerSession session, CancellationToken cancellationToken)
    {
        var answer = await session.Client.GetAsync(ApiPath.Of("inference", "aliases"), cancellationToken);
        if (session.Screen.DidJson(answer))
            return ExitCodes.Finished;
        session.Screen.Table(
            answer.Member("items").Items(),
            new Column("Name", "name") { IsKept = true },
            new Column("Version", a => a.Number("version") == 0 ? "default" : a.Text("version")),
            new Column("Rules", a => string.Join(", ", a.Member("alias").Member("rules").Items().Select(r => r.Text("name")))),
            new Column("First models", a => SafeText.Short(string.Join(' ', a.Member("alias").Member("rules").Items()
                .Take(1).SelectMany(r => r.Member("targets").Items().Take(1)).SelectMany(t => t.Member("models").Items()).Select(m => m.Text())), 80)),
            new Column("For", a => SafeText.Short(a.Member("alias").Text("description"), 80)) { IsOptional = true });
        return ExitCodes.Finished;
    }

    private static Command Set(ServerSettings settings)
    {
        var name = new Argument<string>("name") { Description = "Name of the alias." };
        var models = new Argument<string[]>("models") { Description = "Models, the first choice first; others are asked when it fails or makes calls wait.", Arity = ArgumentArity.ZeroOrMore };
        var file = new Option<string?>("--file") { Description = "File with the alias as JSON, as 'show' prints it.", HelpName = "file" };
        var version = new Option<int?>("--version-is") { Description = "Refuse if somebody has changed it since this version." };
        return ServerCommand.Create(
            "set",
            "Make an alias or change it: to models in order, or to the rules in a file.",
            async (session, cancellationToken) =>
            {
                var body = Body(session.Get(models), session.Get(file) is { } path ? await File.ReadAllTextAsync(path, cancellationToken) : null);
                var answer = await session.Client.PutAsync(Path(session.Get(name)), body, session.Get(version), cancellationToken);
                if (!session.Screen.DidJson(answer))
                    Screen.Line($"Set {SafeText.Line(session.Get(name))}, version {answer.Number("version")}.");
                return ExitCodes.Finished;
            },
            [name, models, file, version],
            settings);
    }

    private static Command Remove(ServerSettings settings)
    {
        var name = new Argument<string>("name") { Description = "Name of the alias." };
        return ServerCommand.Create(
            "remove",
            "Take an alias away; a default of its name counts again.",
            async (session, cancellationToken) =>
            {
                var answer = await session.Client.DeleteAsync(Path(session.Get(name)), cancellationToken);
                if (!session.Screen.DidJson(answer))
                    Screen.Line($"Removed {SafeText.Line(session.Get(name))}.");
                return ExitCodes.Finished;
            },
            [name],
            settings);
    }

    private static JsonObject Body(string[] models, string? json)
    {
        if ((json is null) == (models.Length == 0))
            throw CommandException.BadInput("Name the models, or give --file; not both.");
        if (json is null)
        {
            var targets = new JsonArray([.. models.Select(m => new JsonObject { ["models"] = new JsonArray(JsonValue.Create(m)) })]);
            return new JsonObject { ["rules"] = new JsonArray(new JsonObject { ["name"] = "default", ["targets"] = targets }) };
        }

        try
        {
            return JsonNode.Parse(json) as JsonObject ?? throw CommandException.BadInput("The file has no JSON object.");
        }
        catch (JsonException exception)
        {
            throw CommandException.BadInput($"The file is no JSON: {exception.Message}");
        }
    }

    private static ApiPath Path(string name) => ApiPath.Of("inference", "aliases", name);
}

using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Conclave.Cli.Server;

/// <summary><c>conclave migrate</c>: moves instances to another version of their workflow.</summary>
internal static class MigrateCommand
{
    public static Command Create()
    {
        var ids = new Argument<string[]>("instanceIds") { Description = "Ids of the instances.", Arity = ArgumentArity.ZeroOrMore };
        var definition = new Option<string?>("--definition") { Description = "Migrate every running instance of this workflow.", HelpName = "definitionId" };
        var version = new Option<int>("--to") { Description = "The version to go on with.", HelpName = "version", Required = true };
        var dryRun = new Option<bool>("--dry-run") { Description = "Only say what would be in the way." };
        var reason = InstanceCommands.Reason();
        return ServerCommand.Create(
            "migrate",
            "Let instances go on with another version of their workflow.",
            async (session, cancellationToken) =>
            {
                var body = new JsonObject
                {
                    ["version"] = session.Get(version),
                    ["dryRun"] = session.Get(dryRun),
                    ["reason"] = session.Get(reason),
                };
                if (session.Get(ids) is [var id] && session.Get(definition) is null)
                {
                    var answer = await session.Client.PostAsync(ApiPath.Of("instances", id, "migrate"), body, cancellationToken);
                    return ShowOne(session.Screen, id, answer, session.Get(dryRun));
                }

                var done = session.Get(dryRun) ? "Could migrate" : "Migrated";
                return await BulkOperation.RunAsync(
                    session, "migrate", new Target(session.Get(ids), session.Get(definition)), body, done, cancellationToken);
            },
            [ids, definition, version, dryRun, reason]);
    }

    private static int ShowOne(Screen screen, string id, JsonElement answer, bool isDryRun)
    {
        var problems = answer.Member("problems");
        var isRefused = isDryRun ? problems.Items().Any() : !answer.IsTrue("applied");
        if (!screen.DidJson(answer))
        {
            var way = SafeText.Line($"{id} from version {answer.Text("from")} to {answer.Text("to")}");
            Screen.Line((isDryRun, isRefused) switch
            {
                (true, false) => $"Nothing is in the way of migrating {way}.",
                (false, false) => $"Migrated {way}.",
                _ => $"Cannot migrate {way}:",
            });
            foreach (var problem in problems.Items())
            {
                var place = problem.TextOrNull("activityId") is { } activity ? $"activity '{activity}': " : "";
                Screen.Error($"  {SafeText.Line($"{place}{problem.Text("message")} ({problem.Text("code")})")}");
            }
        }

        return isRefused ? ExitCodes.Refused : ExitCodes.Finished;
    }
}

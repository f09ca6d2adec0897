using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Conclave.Cli.Server;

/// <summary><c>conclave models</c>: the models of the servers.</summary>
internal static class ModelsCommand
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(500);

    public static Command Create()
    {
        var settings = new ServerSettings(recursive: true);
        var command = new Command("models", "List the models of all model servers; its subcommands pull, load, unload and delete them.");
        settings.AddTo(command);
        ServerCommand.SetAction(command, settings, ListAsync);
        command.Subcommands.Add(Pull(settings));
        command.Subcommands.Add(Change(settings, "load", "Load a model into a server's memory.", "Loaded"));
        command.Subcommands.Add(Change(settings, "unload", "Take a model out of a server's memory.", "Unloaded"));
        command.Subcommands.Add(Change(settings, "delete", "Delete a model from a server.", "Deleted"));
        return command;
    }

    private static async Task<int> ListAsync(ServerSession session, CancellationToken cancellationToken)
    {
        var answer = await session.Client.GetAsync(ApiPath.Of("inference", "models"), cancellationToken);
        if (session.Screen.DidJson(answer))
            return ExitCodes.Finished;
        var models = answer.Member("items").Items().ToList();
        if (models.Count == 0)
        {
            Screen.Line("No models. Pull one with: conclave models pull SERVER MODEL");
            return ExitCodes.Finished;
        }

        session.Screen.Table(
            models,
            new Column("Model", m => m.Member("model").Text("name")) { IsKept = true },
            new Column("Server", "server") { IsKept = true },
            new Column("Can", m => string.Join(' ', m.Member("model").Member("capabilities").Items().Select(c => c.Text()))),
            new Column("Context", m => m.Member("model").Text("contextSize")) { IsNumber = true },
            new Column("Size", m => Size(m.Member("model").Number("sizeBytes"))) { IsNumber = true, IsOptional = true },
            new Column("Loaded", m => m.Member("model").IsTrue("isLoaded") ? "yes" : "") { IsOptional = true });
        return ExitCodes.Finished;
    }

    private static Command Pull(ServerSettings settings)
    {
        var (server, model) = Arguments();
        var isDetached = new Option<bool>("--no-wait") { Description = "Do not wait until it is there." };
        return ServerCommand.Create(
            "pull",
            "Pull a model to a server, and wait until it is there. It goes on when you stop waiting.",
            async (session, cancellationToken) =>
            {
                var pull = await session.Client.PostAsync(Path(session.Get(server), "pull"), new JsonObject { ["model"] = session.Get(model) }, cancellationToken);
                var said = "";
                while (!session.Get(isDetached) && pull.TextOrNull("endedAt") is null)
                {
                    var now = Progress(pull);
                    if (!session.Screen.IsJson && now != said)
                        Screen.Line(now);
                    said = now;
                    await Task.Delay(Interval, cancellationToken);
                    pull = await session.Client.GetAsync(ApiPath.Of("inference", "pulls", pull.Text("id")), cancellationToken);
                }

                if (pull.TextOrNull("error") is { } error)
                    throw new CommandException(ExitCodes.Refused, $"The pull failed: {error}");
                if (!session.Screen.DidJson(pull))
                    Screen.Line(pull.TextOrNull("endedAt") is null ? $"It goes on; see GET /api/inference/pulls/{SafeText.Line(pull.Text("id"))}." : $"{SafeText.Line(session.Get(model))} is on {SafeText.Line(session.Get(server))}.");
                return ExitCodes.Finished;
            },
            [server, model, isDetached],
            settings);
    }

    private static Command Change(ServerSettings settings, string name, string description, string done)
    {
        var (server, model) = Arguments();
        return ServerCommand.Create(
            name,
            description,
            async (session, cancellationToken) =>
            {
                var answer = await session.Client.PostAsync(Path(session.Get(server), name), new JsonObject { ["model"] = session.Get(model) }, cancellationToken);
                if (!session.Screen.DidJson(answer))
                    Screen.Line($"{done} {SafeText.Line(session.Get(model))}.");
                return ExitCodes.Finished;
            },
            [server, model],
            settings);
    }

    private static (Argument<string> Server, Argument<string> Model) Arguments() =>
        (new("server") { Description = "Name of the model server." }, new("model") { Description = "Name of the model, such as llama3.2:3b." });

    private static ApiPath Path(string server, string action) => ApiPath.Of("inference", "servers", server, "models", action);

    private static string Progress(JsonElement pull) => pull.Number("totalBytes") is > 0 and var total
        ? string.Create(CultureInfo.InvariantCulture, $"{SafeText.Line(pull.Text("status"))}: {100 * pull.Number("completedBytes") / total} % of {Size(total)}")
        : SafeText.Line(pull.Text("status"));

    private static string Size(long bytes) => bytes switch
    {
        <= 0 => "",
        < 1_000_000_000 => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e6:0.#} MB"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e9:0.#} GB"),
    };
}

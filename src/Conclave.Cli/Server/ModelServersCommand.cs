using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Conclave.Cli.Server;

/// <summary><c>conclave servers</c>: the model servers.</summary>
internal static class ModelServersCommand
{
    public static Command Create()
    {
        var settings = new ServerSettings(recursive: true);
        var command = new Command("servers", "List the model servers; its subcommands add, drain and remove them.");
        settings.AddTo(command);
        ServerCommand.SetAction(command, settings, ListAsync);
        command.Subcommands.Add(Add(settings));
        command.Subcommands.Add(Change(settings, "remove", "Take a model server out of the pool; its calls run to their end.", "Removed", (client, name, token) => client.DeleteAsync(Path(name), token)));
        command.Subcommands.Add(Change(settings, "drain", "Have a model server finish what it has and take no more.", "Draining", (client, name, token) => ModeAsync(client, name, "draining", token)));
        command.Subcommands.Add(Change(settings, "maintenance", "Have a model server left alone: no calls, no health checks.", "In maintenance", (client, name, token) => ModeAsync(client, name, "maintenance", token)));
        command.Subcommands.Add(Change(settings, "activate", "Have a model server take calls again.", "Active", (client, name, token) => ModeAsync(client, name, "active", token)));
        command.Subcommands.Add(Change(
            settings, "check", "Ask a model server now how it is.", "Checked", (client, name, token) => client.PostAsync(ApiPath.Of("inference", "servers", name, "check"), body: null, token), ShowHealth));
        return command;
    }

    private static async Task<int> ListAsync(ServerSession session, CancellationToken cancellationToken)
    {
        var answer = await session.Client.GetAsync(ApiPath.Of("inference", "servers"), cancellationToken);
        if (session.Screen.DidJson(answer))
            return ExitCodes.Finished;
        var servers = answer.Member("items").Items().ToList();
        if (servers.Count == 0)
        {
            Screen.Line("No model servers. Start Ollama on this machine, or add one with: conclave servers add NAME --provider ollama --address http://HOST:11434");
            return ExitCodes.Finished;
        }

        session.Screen.Table(
            servers,
            new Column("Name", "name") { IsKept = true },
            new Column("Kind", "provider"),
            new Column("Address", "address") { IsOptional = true },
            new Column("Mode", "mode"),
            new Column("Health", s => s.Member("health").Text("status")) { IsStatus = true },
            new Column("Busy", s => $"{s.Number("running")} of {s.Number("ownSlots")}"),
            new Column("Models", s => s.Member("served").Items().Count().ToString(System.Globalization.CultureInfo.InvariantCulture)) { IsNumber = true },
            new Column("Where", s => s.IsTrue("isLocal") ? "local" : "elsewhere") { IsOptional = true },
            new Column("Problem", s => SafeText.Short(s.Member("health").Text("message"), 100)));
        return ExitCodes.Finished;
    }

    private static Command Add(ServerSettings settings)
    {
        var name = new Argument<string>("name") { Description = "Its name: letters, digits, '-', '_', '.'." };
        var provider = new Option<string>("--provider") { Description = "ollama, openai, openai-compatible, anthropic or scripted; default ollama.", DefaultValueFactory = _ => "ollama" };
        var address = new Option<string>("--address") { Description = "Its address, without /v1 or /api.", Required = true, HelpName = "url" };
        // The key itself is no option: everyone on the machine can read the arguments of a process.
        var keyFile = new Option<string?>("--model-key-file") { Description = "File with the model server's own API key.", HelpName = "file" };
        var slots = new Option<int?>("--slots") { Description = "Generations that it does at a time; default 4." };
        var tags = new Option<string[]>("--tag") { Description = "A tag that calls may require; may be repeated." };
        var elsewhere = new Option<bool>("--elsewhere") { Description = "What is sent there leaves the house." };
        return ServerCommand.Create(
            "add",
            "Add a model server, or replace the settings of one.",
            async (session, cancellationToken) =>
            {
                var body = new JsonObject
                {
                    ["provider"] = session.Get(provider),
                    ["address"] = session.Get(address),
                    ["isLocal"] = !session.Get(elsewhere),
                    ["slots"] = session.Get(slots),
                    ["tags"] = new JsonArray([.. (session.Get(tags) ?? []).Select(t => JsonValue.Create(t))]),
                    ["apiKey"] = session.Get(keyFile) is { } file ? (await File.ReadAllTextAsync(file, cancellationToken)).Trim() : null,
                };
                var answer = await session.Client.PutAsync(Path(session.Get(name)), body, ifMatch: null, cancellationToken);
                if (!session.Screen.DidJson(answer))
                    Screen.Line($"Added {SafeText.Line(session.Get(name))}.");
                return ExitCodes.Finished;
            },
            [name, provider, address, keyFile, slots, tags, elsewhere],
            settings);
    }

    private static Command Change(
        ServerSettings settings, string name, string description, string done, Func<ServerClient, string, CancellationToken, Task<JsonElement>> change, Func<JsonElement, string>? result = null)
    {
        var server = new Argument<string>("name") { Description = "Name of the model server." };
        return ServerCommand.Create(
            name,
            description,
            async (session, cancellationToken) =>
            {
                var answer = await change(session.Client, session.Get(server), cancellationToken);
                if (!session.Screen.DidJson(answer))
                    Screen.Line($"{done}: {SafeText.Line(session.Get(server))}{result?.Invoke(answer)}.");
                return ExitCodes.Finished;
            },
            [server],
            settings);
    }

    private static string ShowHealth(JsonElement server)
    {
        var health = server.Member("health");
        return SafeText.Line($" is {health.Text("status")}{(health.TextOrNull("message") is { } message ? $", {message}" : "")}, {server.Member("served").Items().Count()} models");
    }

    private static Task<JsonElement> ModeAsync(ServerClient client, string name, string mode, CancellationToken cancellationToken) =>
        client.PostAsync(ApiPath.Of("inference", "servers", name, "mode"), new JsonObject { ["mode"] = mode }, cancellationToken);

    private static ApiPath Path(string name) => ApiPath.Of("inference", "servers", name);
}

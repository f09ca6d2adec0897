using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Conclave.Cli.Server;

/// <summary><c>conclave start</c>: starts a workflow, and waits for it if asked to.</summary>
internal static class StartCommand
{
    // The longest that the server waits in one call.
    private const int LongestWait = 60;

    public static Command Create()
    {
        var id = WorkflowCommands.DefinitionId();
        var input = new Option<string[]>("--input", "-i")
        {
            Description = "An input as name=json, or name=@file; text that is not JSON is taken as it is.",
        };
        var correlationId = new Option<string?>("--correlation-id") { Description = "Correlation id of the instance." };
        var name = new Option<string?>("--name") { Description = "Name of the instance." };
        var priority = new Option<int?>("--priority") { Description = "0 is the most urgent, 2 the ordinary, 3 bulk." };
        priority.Validators.Add(result =>
        {
            if (result.Tokens.Count > 0 && result.GetValueOrDefault<int?>() is not (>= 0 and <= 3))
                result.AddError("--priority goes from 0, the most urgent, to 3.");
        });
        var wait = new Option<int?>("--wait") { Description = "Wait so many seconds for it to end, or to need something.", HelpName = "seconds" };
        wait.Validators.Add(result =>
        {
            if (result.Tokens.Count > 0 && result.GetValueOrDefault<int?>() is not >= 1)
                result.AddError("--wait must be 1 second or more.");
        });
        return ServerCommand.Create(
            "start",
            "Start a published workflow on the server.",
            async (session, cancellationToken) =>
            {
                var values = await InputArguments.ReadAsync("--input", session.Get(input) ?? [], cancellationToken);
                var body = new JsonObject
                {
                    ["input"] = values.Count > 0 ? JsonText.Node(values) : null,
                    ["correlationId"] = session.Get(correlationId),
                    ["name"] = session.Get(name),
                    ["priority"] = session.Get(priority),
                    ["wait"] = session.Get(wait) is { } seconds ? Math.Min(seconds, LongestWait) : null,
                };
                return await StartAsync(session, session.Get(id), body, session.Get(wait), cancellationToken);
            },
            [id, input, correlationId, name, priority, wait]);
    }

    private static async Task<int> StartAsync(
        ServerSession session, string definitionId, JsonObject body, int? waitSeconds, CancellationToken cancellationToken)
    {
        var began = TimeProvider.System.GetTimestamp();
        var answer = await session.Client.PostAsync(ApiPath.Of("workflows", definitionId, "start"), body, cancellationToken);
        var instanceId = answer.Text("instanceId", "id");
        if (waitSeconds is not { } seconds)
        {
            if (!session.Screen.DidJson(answer))
                Screen.Line($"Started {SafeText.Line(instanceId)}. Look at it with: conclave show {SafeText.Line(instanceId)}");
            return ExitCodes.Finished;
        }

        while (IsBusy(answer) && TimeProvider.System.GetElapsedTime(began).TotalSeconds < seconds)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(500), cancellationToken);
            answer = await session.Client.GetAsync(ApiPath.Of("instances", instanceId), cancellationToken);
        }

        if (!session.Screen.DidJson(answer))
        {
            if (IsBusy(answer))
                Screen.Error(string.Create(CultureInfo.InvariantCulture, $"It had not ended after {seconds} s, and goes on."));
            ShowCommand.Instance(session.Screen, answer, instanceId);
        }

        return answer.Text("subStatus") switch
        {
            "Finished" => ExitCodes.Finished,
            "Faulted" or "Cancelled" => ExitCodes.Faulted,
            _ => ExitCodes.Suspended,
        };
    }

    private static bool IsBusy(JsonElement instance) => instance.Text("subStatus") is "Pending" or "Executing";
}

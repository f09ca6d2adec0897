using System.Text;
using System.Text.Json;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions.Scripting;
using Conclave.Workflows.Http;
using Microsoft.Extensions.Logging;

namespace Conclave.Agents.Tools.Logic;

/// <summary>Answers what one call of a script asks through <c>ctx</c>, as far as the tool's definition allows it.</summary>
internal sealed partial class LogicHost(ToolRun run, LogicServices services, ILogger logger) : IScriptHost
{
    private const int LargestBody = 1 << 20;
    private const int MostRequests = 20;
    private const int MostEvents = 20;
    private const int LongestLine = 2_000;

    private readonly ILogger _logger = logger;
    private readonly List<string> _refused = [];
    private int _requests;
    private int _events;

    /// <summary>Code of the last thing that was refused; null when nothing was.</summary>
    public string? Refusal { get; private set; }

    public ToolUsage Usage(IReadOnlyList<string>? log)
    {
        foreach (var line in log ?? [])
            LogLine(run.Tool.Name, run.Id, line);
        return new ToolUsage { Requests = _requests > 0 ? _requests : null, Refused = _refused.Count > 0 ? [.. _refused] : null };
    }

    public async ValueTask<ScriptValue> CallAsync(string function, JsonElement arguments, CancellationToken cancellationToken)
    {
        try
        {
            return await AnswerAsync(function, arguments, cancellationToken);
        }
        catch (ToolException exception)
        {
            Refusal = exception.Code;
            throw;
        }
        catch (WorkflowException exception)
        {
            Refusal = exception.Code;
            throw;
        }
    }

    private async Task<ScriptValue> AnswerAsync(string function, JsonElement arguments, CancellationToken cancellationToken)
    {
        var (tenant, agent) = (run.Call.Tenant, run.Call.AgentId);
        var scope = run.Tool.Settings.Text("scope") ?? run.Tool.Name;
        var memory = services.Memory;
        switch (function)
        {
            case "memory.get":
                Need(run.Tool.Permissions.Memory, "memory", "memory: true");
                return await memory.GetAsync(tenant, agent, scope, Text(arguments, "key"), cancellationToken) is { } value ? Json(value) : ScriptValue.Null;
            case "memory.set":
                Need(run.Tool.Permissions.Memory, "memory", "memory: true");
                await memory.SetAsync(tenant, agent, scope, Text(arguments, "key"), arguments.Member("value") is { ValueKind: not JsonValueKind.Undefined } given ? given : JsonElement.Parse("null"), cancellationToken);
                return ScriptValue.Null;
            case "memory.delete":
                Need(run.Tool.Permissions.Memory, "memory", "memory: true");
                return Json(await memory.DeleteAsync(tenant, agent, scope, Text(arguments, "key"), cancellationToken) ? "true" : "false");
            case "memory.keys":
                Need(run.Tool.Permissions.Memory, "memory", "memory: true");
                return Json(JsonSerializer.Serialize([.. await memory.KeysAsync(tenant, agent, scope, arguments.Text("prefix") ?? "", cancellationToken)], LogicJson.Default.StringArray));
            case "files.read":
                Need(run.Tool.Permissions.Workspace != WorkspaceAccess.None, "the workspace", "workspace: read");
                var content = await services.Workspaces.ReadAsync(tenant, agent, PathOf(arguments), cancellationToken);
                return content is null ? ScriptValue.Null : ScriptValue.FromString(Encoding.UTF8.GetString(content));
            case "files.write":
                Need(run.Tool.Permissions.Workspace == WorkspaceAccess.Write, "writing to the workspace", "workspace: write");
                await services.Workspaces.WriteAsync(tenant, agent, PathOf(arguments), Encoding.UTF8.GetBytes(Text(arguments, "content")), cancellationToken);
                return ScriptValue.Null;
            case "http":
                return await RequestAsync(arguments, cancellationToken);
            case "bus.publish":
                return await PublishAsync(arguments, cancellationToken);
            case "log":
                LogLine(run.Tool.Name, run.Id, Cut($"{arguments.Text("level")}: {arguments.Text("text")}"));
                return ScriptValue.Null;
            case "home.call" or "home.state":
                Need(run.Tool.Permissions.Home, "home automation", "home: true");
                var home = services.Home ?? throw new ToolException("tool.home_missing", "Home automation is not set up: set Tools:HomeAssistant:Url and Tools:HomeAssistant:Token.");
                _requests++;
                return Json(function == "home.state"
                    ? await home.StateAsync(Text(arguments, "entity"), cancellationToken)
                    : await home.CallAsync(Text(arguments, "domain"), Text(arguments, "service"), arguments.Member("data"), cancellationToken));
            // What expressions may ask for is nothing that a tool may know: variables, inputs and secrets of workflows.
            default:
                return function is "variable" or "input" or "output" ? ScriptValue.Null : throw new ToolException("tool.script_refused", $"Scripts of tools cannot use '{function}'.");
        }
    }

    private async Task<ScriptValue> RequestAsync(JsonElement arguments, CancellationToken cancellationToken)
    {
        var text = Text(arguments, "url");
        if (!Uri.TryCreate(text, UriKind.Absolute, out var url) || url.Scheme is not ("http" or "https"))
            throw new ToolException("tool.url_invalid", $"'{text}' is no http or https URL.");
        if (!new HostList(run.Tool.Permissions.Network).Allows(url))
        {
            _refused.Add($"{url.IdnHost}:{url.Port}");
            throw new ToolException("tool.host_refused", $"{url.IdnHost}:{url.Port} is not among the hosts that '{run.Tool.Name}' may reach (permissions.network).");
        }

        if (++_requests > MostRequests)
            throw new ToolException("tool.too_many_requests", $"A call may send {MostRequests} requests at most.");
        var body = arguments.Member("body") is { ValueKind: not (JsonValueKind.Undefined or JsonValueKind.Null) } given
            ? Encoding.UTF8.GetBytes(given.ValueKind == JsonValueKind.String ? given.GetString()! : given.GetRawText()) : null;
        var headers = arguments.Member("headers") is { ValueKind: JsonValueKind.Object } named
            ? named.EnumerateObject().Where(h => h.Value.ValueKind == JsonValueKind.String).Select(h => KeyValuePair.Create(h.Name, h.Value.GetString()!)).ToList() : [];
        var type = headers.Find(h => h.Key.Equals("Content-Type", StringComparison.OrdinalIgnoreCase)).Value;
        headers.RemoveAll(h => h.Key.Equals("Content-Type", StringComparison.OrdinalIgnoreCase));
        // A redirect would leave the list: the script gets it as the answer.
        var response = await services.Http.SendAsync(
            new OutboundRequest((arguments.Text("method") ?? "GET").ToUpperInvariant(), url)
            {
                Headers = headers,
                Body = body,
                ContentType = body is null ? null : type ?? "application/json",
            },
            cancellationToken);
        if (response.Body.Length > LargestBody)
            throw new ToolException("tool.output_too_large", $"{url.GetLeftPart(UriPartial.Path)} answered with more than {LargestBody:N0} bytes.");
        return Json(JsonSerializer.Serialize(
            new HttpAnswer(response.StatusCode, response.Headers.Concat(response.ContentHeaders).ToDictionary(h => h.Key.ToLowerInvariant(), h => string.Join(", ", h.Value)), Encoding.UTF8.GetString(response.Body)),
            LogicJson.Default.HttpAnswer));
    }

    private async Task<ScriptValue> PublishAsync(JsonElement arguments, CancellationToken cancellationToken)
    {
        var name = Text(arguments, "name");
        if (!run.Tool.Permissions.Events.Any(e => e == name || (e.EndsWith(".*", StringComparison.Ordinal) && name.StartsWith(e.AsSpan(0, e.Length - 1), StringComparison.Ordinal))))
            throw new ToolException("tool.event_refused", $"'{run.Tool.Name}' may not publish the event '{name}' (permissions.events).");
        if (services.Publish is not { } publish)
            throw new ToolException("tool.unavailable", "This process runs no workflows, so that nobody would hear the event.");
        if (++_events > MostEvents)
            throw new ToolException("tool.too_many_events", $"A call may publish {MostEvents} events at most.");
        // Under an id that the same call has again: whoever hears it hears it once.
        await publish(run.Call.Tenant, name, arguments.Member("payload"), $"{run.Call.IdempotencyKey}/{_events}", cancellationToken);
        return ScriptValue.Null;
    }

    private static string PathOf(JsonElement arguments)
    {
        var path = Text(arguments, "path");
        return InputValidators.CheckPath("The path", path) is { } problem ? throw new ToolException(problem.Code, problem.Message) : path;
    }

    private void Need(bool may, string what, string permission)
    {
        if (!may)
            throw new ToolException("tool.script_refused", $"'{run.Tool.Name}' may not use {what}; its definition would have to say 'permissions.{permission}'.");
    }

    private static string Text(JsonElement arguments, string name) => arguments.Text(name) ?? throw new ToolException("tool.script_failed", $"'{name}' must be a text.");

    private static ScriptValue Json(JsonElement value) => Json(value.GetRawText());

    private static ScriptValue Json(string json) => new(Encoding.UTF8.GetBytes(json));

    private static string Cut(string text) => text.Length <= LongestLine ? text : text[..LongestLine] + "…";

    [LoggerMessage(4407, LogLevel.Information, "The tool {Tool} (run {RunId}) wrote: {Line}")]
    private partial void LogLine(string tool, Guid runId, string line);
}

/// <summary>An answer, as scripts see it.</summary>
internal sealed record HttpAnswer(int Status, IReadOnlyDictionary<string, string> Headers, string Body);

[System.Text.Json.Serialization.JsonSourceGenerationOptions(PropertyNamingPolicy = System.Text.Json.Serialization.JsonKnownNamingPolicy.CamelCase)]
[System.Text.Json.Serialization.JsonSerializable(typeof(HttpAnswer))]
[System.Text.Json.Serialization.JsonSerializable(typeof(string[]))]
internal sealed partial class LogicJson : System.Text.Json.Serialization.JsonSerializerContext;

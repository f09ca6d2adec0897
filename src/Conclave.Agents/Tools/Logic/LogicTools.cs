using System.Text.Json;
using System.Text.RegularExpressions;
using Conclave.Agents.Tools.Workspace;
using Conclave.Workflows.Expressions.Scripting;
using Conclave.Workflows.Http;
using Microsoft.Extensions.Logging;

namespace Conclave.Agents.Tools.Logic;

/// <summary>What scripts of tools may ask this process for.</summary>
/// <param name="Memory">What they keep.</param>
/// <param name="Workspaces">Files of agents.</param>
/// <param name="Http">Sends requests.</param>
/// <param name="Home">Home automation; null when it is not set up.</param>
public sealed record LogicServices(ToolMemory Memory, Workspaces Workspaces, OutboundHttp Http, HomeAssistant? Home)
{
    /// <summary>Publishes an event to workflows: tenant, name, payload, id under which it is delivered once. Null where no workflows run.</summary>
    public Func<string, string, JsonElement, string, CancellationToken, Task>? Publish { get; set; }
}

/// <summary>Tools that are JavaScript: they run in the script runner and reach what <c>ctx</c> gives them, as far as their definition says.</summary>
/// <remarks>Settings: <c>script</c>, the text; <c>function</c>, the name of the function that is called with the arguments and <c>ctx</c>, <c>run</c> without it; <c>scope</c>, whose memory it uses, the tool's own without it.</remarks>
public sealed partial class LogicTools(ScriptRunnerPool scripts, LogicServices services, ILogger<LogicTools> logger) : ToolKind
{
    private readonly ILogger _logger = logger;

    /// <inheritdoc/>
    public override string Name => ToolKinds.Logic;

    /// <inheritdoc/>
    public override IEnumerable<string> Missing(string tenant, ToolDefinition tool)
    {
        if (tool.Permissions.Home && services.Home is null)
            yield return "It needs home automation: set Tools:HomeAssistant:Url and Tools:HomeAssistant:Token.";
    }

    /// <inheritdoc/>
    public override IEnumerable<string> Check(ToolDefinition tool)
    {
        if (string.IsNullOrWhiteSpace(tool.Settings.Text("script")))
            yield return "settings.script: must be the text of the script.";
        if (!Identifier().IsMatch(FunctionOf(tool)))
            yield return "settings.function: must be the name of a function.";
    }

    /// <inheritdoc/>
    public override async Task<ToolOutput> RunAsync(ToolRun run, CancellationToken cancellationToken)
    {
        var host = new LogicHost(run, services, _logger);
        var request = new JavaScriptRequest
        {
            // Behind the script, so that lines in errors are those of its file. The tool's name in quotes is JSON, which is JavaScript, too.
            Script = $"{run.Tool.Settings.Text("script")}\n;return await {FunctionOf(run.Tool)}(getInput('arguments') ?? {{}}, ctx);",
            Scope = new ArgumentsScope(run.Arguments),
            Host = host,
            IsTool = true,
            Name = run.Tool.Name,
        };
        try
        {
            var result = await scripts.EvaluateAsync(request, cancellationToken);
            return new ToolOutput(result.Value.ToElement(), host.Usage(result.Log));
        }
        catch (ScriptException exception)
        {
            var code = exception.Kind switch
            {
                ScriptFailure.Timeout => "tool.timeout",
                ScriptFailure.Memory => "tool.memory_limit",
                ScriptFailure.Unavailable or ScriptFailure.Busy => "tool.unavailable",
                _ => host.Refusal ?? "tool.script_failed",
            };
            throw new ToolException(code, exception.Message, exception) { Usage = host.Usage(null) };
        }
    }

    private static string FunctionOf(ToolDefinition tool) => tool.Settings.Text("function") ?? "run";

    private sealed class ArgumentsScope(JsonElement arguments) : IScriptScope
    {
        public void Write(Utf8JsonWriter writer)
        {
            writer.WriteStartObject("input"u8);
            writer.WriteStartObject("arguments"u8);
            writer.WritePropertyName("v"u8);
            arguments.WriteTo(writer);
            writer.WriteEndObject();
            writer.WriteEndObject();
        }
    }

    [GeneratedRegex("^[A-Za-z_$][A-Za-z0-9_$]{0,63}$", RegexOptions.CultureInvariant | RegexOptions.NonBacktracking)]
    private static partial Regex Identifier();
}

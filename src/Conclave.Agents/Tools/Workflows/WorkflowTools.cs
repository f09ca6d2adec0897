using System.Buffers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;
using Conclave.Workflows.Runtime;
using Conclave.Workflows.Runtime.Instances;
using Conclave.Workflows.Runtime.Queue;

namespace Conclave.Agents.Tools.Workflows;

/// <summary>Tools that are workflows: one is started with the arguments as its input and waited for; its outputs are the tool's.</summary>
/// <remarks>Settings: <c>definitionId</c>; <c>version</c> is part of the hash and says which version was published then. Waiting takes a place of the worker that waits, so that such tools have few places.</remarks>
public sealed class WorkflowTools(WorkflowRuntime runtime, TimeProvider time) : ToolKind
{
    private static readonly TimeSpan ShortestPause = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMilliseconds(250);

    /// <inheritdoc/>
    public override string Name => ToolKinds.Workflow;

    /// <inheritdoc/>
    public override IEnumerable<string> Missing(string tenant, ToolDefinition tool)
    {
        if (runtime.Catalog.Of(tenant).Engine.Library.FindPublished(tool.Settings.Text("definitionId") ?? "") is not { IsPublished: true })
            yield return $"The workflow '{tool.Settings.Text("definitionId")}' is not published.";
    }

    /// <inheritdoc/>
    public override IEnumerable<string> Check(ToolDefinition tool)
    {
        if (string.IsNullOrEmpty(tool.Settings.Text("definitionId")))
            yield return "settings.definitionId: must be the definition id of a workflow.";
    }

    /// <inheritdoc/>
    public override async Task<ToolOutput> RunAsync(ToolRun run, CancellationToken cancellationToken)
    {
        var tenant = run.Call.Tenant;
        var workflows = runtime.Catalog.Of(tenant);
        var definitionId = run.Tool.Settings.Text("definitionId")!;
        var graph = await workflows.FindPublishedAsync(definitionId, cancellationToken)
            ?? throw new ToolException("tool.unavailable", $"The workflow '{definitionId}' is not published.");
        var id = InstanceIdOf(run.Call);
        var instance = workflows.Engine.CreateInstance(graph, new WorkflowStart
        {
            InstanceId = id,
            // Ends when the turn is cancelled, and the turn's limits hold for agents that it runs.
            ParentInstanceId = run.Call.InstanceId is { Length: > 0 } caller ? caller : null,
            TellsParent = false,
            Input = run.Arguments.EnumerateObject().ToDictionary(m => m.Name, m => ValueConverter.FromJson(m.Value), StringComparer.Ordinal),
        });
        // One that exists was started by the same call before this process or another one died.
        if (await runtime.Runner.EnqueueAsync(tenant, instance, WorkPriority.P1) is CommitOutcome.Refused)
            throw new ToolException("tool.workflow_refused", $"The workflow '{definitionId}' allows no other instance while one runs.");
        for (var pause = ShortestPause; ; pause = pause < LongestPause ? pause * 2 : LongestPause)
        {
            var found = await runtime.Instances.FindAsync(tenant, id, cancellationToken)
                ?? throw new ToolException("tool.workflow_gone", $"The instance '{id}' of the workflow '{definitionId}' has been deleted.");
            if (found.SubStatus is WorkflowSubStatus.Finished)
                break;
            if (found.SubStatus is WorkflowSubStatus.Faulted or WorkflowSubStatus.Cancelled)
            {
                var ended = await runtime.Runner.ReadAsync(tenant, id, cancellationToken);
                throw new ToolException("tool.workflow_failed",
                    $"The workflow '{definitionId}' ended as {found.SubStatus} (instance {id}).{(ended?.Incidents is [var incident, ..] ? $" {incident.Message}" : "")}");
            }

            await Task.Delay(pause, time, cancellationToken);
        }

        var finished = await runtime.Runner.ReadAsync(tenant, id, cancellationToken);
        var buffer = new ArrayBufferWriter<byte>(256);
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            foreach (var (name, value) in finished?.Output ?? WorkflowInstance.EmptyValues)
            {
                writer.WritePropertyName(name);
                ValueConverter.WriteJson(writer, value);
            }

            writer.WriteEndObject();
        }

        return new ToolOutput(JsonElement.Parse(buffer.WrittenSpan));
    }

    /// <summary>The id of the instance that a call starts: the same call starts it once.</summary>
    internal static string InstanceIdOf(ToolCall call) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"tool\n{call.Tenant}\n{call.IdempotencyKey}")).AsSpan(0, 16));
}

/// <summary>The published workflows that say they are tools: <c>customProperties.usableAsTool</c> is true.</summary>
/// <remarks>
/// <c>customProperties.tool</c> may have <c>name</c>, <c>description</c>, <c>risk</c>, <c>annotations</c>, <c>timeoutSeconds</c>, <c>concurrency</c>. Whoever publishes a workflow may do so, so that a new version needs no other approval; approvals of calls
/// that were given for an earlier version do not hold.
/// </remarks>
public sealed class WorkflowToolSource(WorkflowRuntime runtime) : ToolSource
{
    private const double DefaultTimeout = 120;
    private readonly System.Runtime.CompilerServices.ConditionalWeakTable<WorkflowDefinition, ToolDefinition[]> _tools = [];

    /// <inheritdoc/>
    public override string Name => "workflow";

    /// <inheritdoc/>
    public override bool IsTrusted => true;

    /// <inheritdoc/>
    public override IReadOnlyList<ToolDefinition> List(string tenant) =>
        [.. runtime.Catalog.Of(tenant).Engine.Library.Definitions.Where(d => d.IsPublished).SelectMany(d => _tools.GetValue(d, Describe))];

    /// <summary>The tool that a workflow is; none when it does not say so, or not in a way that can be used.</summary>
    internal static ToolDefinition[] Describe(WorkflowDefinition workflow)
    {
        if (workflow.CustomProperties.Member("usableAsTool").ValueKind != JsonValueKind.True && workflow.CustomProperties.Member("UsableAsTool").ValueKind != JsonValueKind.True)
            return [];
        var more = workflow.CustomProperties.Member("tool");
        var buffer = new ArrayBufferWriter<byte>(512);
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            writer.WriteString("name", more.Text("name") ?? ToName(workflow.Name is { Length: > 0 } name ? name : workflow.DefinitionId));
            writer.WriteString("version", $"{workflow.Version}");
            writer.WriteString("category", "workflow");
            writer.WriteString("description", more.Text("description") ?? (string.IsNullOrWhiteSpace(workflow.Description) ? $"Runs the workflow '{workflow.Name ?? workflow.DefinitionId}'." : workflow.Description));
            writer.WriteString("kind", ToolKinds.Workflow);
            writer.WriteStartObject("settings");
            writer.WriteString("definitionId", workflow.DefinitionId);
            writer.WriteNumber("version", workflow.Version);
            writer.WriteEndObject();
            foreach (var member in (ReadOnlySpan<string>)["risk", "annotations", "concurrency"])
            {
                var value = more.Member(member);
                if (value.ValueKind == JsonValueKind.Undefined)
                    continue;
                writer.WritePropertyName(member);
                value.WriteTo(writer);
            }

            if (more.Member("concurrency").ValueKind == JsonValueKind.Undefined)
                writer.WriteNumber("concurrency", 8);
            // The same call starts the same instance, however often it is made.
            writer.WriteString("idempotency", "key");
            writer.WriteStartObject("limits");
            writer.WriteNumber("timeoutSeconds", more.Member("timeoutSeconds") is { ValueKind: JsonValueKind.Number } seconds ? seconds.GetDouble() : DefaultTimeout);
            writer.WriteEndObject();
            writer.WritePropertyName("parameters");
            WriteParameters(writer, workflow.Inputs);
            writer.WriteEndObject();
        }

        return ToolDefinitionReader.Read(JsonElement.Parse(buffer.WrittenSpan), out _) is { } tool ? [tool] : [];
    }

    /// <summary>A name that models take.</summary>
    internal static string ToName(string text)
    {
        var name = new string([.. text.Trim().Select(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' ? c : '-')]).Trim('-');
        while (name.Contains("--", StringComparison.Ordinal))
            name = name.Replace("--", "-", StringComparison.Ordinal);
        return name.Length switch { 0 => "workflow", > 64 => name[..64], _ => name };
    }

    private static void WriteParameters(Utf8JsonWriter writer, IReadOnlyList<InputDefinition> inputs)
    {
        writer.WriteStartObject();
        writer.WriteString("type", "object");
        writer.WriteStartObject("properties");
        foreach (var input in inputs)
        {
            writer.WriteStartObject(input.Name);
            if (input.IsArray)
            {
                writer.WriteString("type", "array");
                writer.WriteStartObject("items");
                WriteType(writer, input.Type);
                writer.WriteEndObject();
            }
            else
                WriteType(writer, input.Type);
            if (!string.IsNullOrWhiteSpace(input.Description))
                writer.WriteString("description", input.Description);
            writer.WriteEndObject();
        }

        writer.WriteEndObject();
        writer.WriteBoolean("additionalProperties", false);
        writer.WriteEndObject();
    }

    private static void WriteType(Utf8JsonWriter writer, string alias)
    {
        var type = TypeAliases.Resolve(alias, false);
        if (type.IsMap)
            writer.WriteString("type", "object");
        else if (type.Clr == typeof(string) || type.Clr == typeof(Guid) || type.Clr == typeof(Uri) || type.Clr == typeof(TimeSpan))
            writer.WriteString("type", "string");
        else if (type.Clr == typeof(DateTime) || type.Clr == typeof(DateTimeOffset))
        {
            writer.WriteString("type", "string");
            writer.WriteString("format", "date-time");
        }
        else if (type.Clr == typeof(bool))
            writer.WriteString("type", "boolean");
        else if (type.Clr == typeof(int) || type.Clr == typeof(long) || type.Clr == typeof(short))
            writer.WriteString("type", "integer");
        else if (type.Clr == typeof(double) || type.Clr == typeof(float) || type.Clr == typeof(decimal))
            writer.WriteString("type", "number");
    }
}

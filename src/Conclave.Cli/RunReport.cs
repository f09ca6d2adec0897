using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;

namespace Conclave.Cli;

/// <summary>Tells how a run went.</summary>
internal static class RunReport
{
    private static readonly JsonWriterOptions Options = new() { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>One JSON object in the form that conformance data uses.</summary>
    public static void WriteJson(LocalRun run, Stream output)
    {
        var instance = run.Instance;
        using (var writer = new Utf8JsonWriter(output, Options))
        {
            writer.WriteStartObject();
            WriteLines(writer, run.Lines);
            writer.WriteString("status"u8, instance.Status.ToString());
            writer.WriteString("subStatus"u8, instance.SubStatus.ToString());
            writer.WritePropertyName("output"u8);
            ValueConverter.WriteJson(writer, instance.Output);
            WriteVariables(writer, instance);
            writer.WriteString("correlationId"u8, instance.CorrelationId);
            writer.WriteString("instanceName"u8, instance.Name);
            writer.WriteStartArray("incidents"u8);
            foreach (var incident in instance.Incidents)
                writer.WriteStringValue(incident.Message);
            writer.WriteEndArray();
            writer.WriteNumber("bursts"u8, instance.Bursts);
            WriteFirstBurst(writer, run.First);
            WriteChildren(writer, run.Children);
            WriteTrace(writer, instance);
            writer.WriteEndObject();
        }

        output.WriteByte((byte)'\n');
    }

    /// <summary>What people want to know: how it ended, what came out, what it waits for, what went wrong.</summary>
    public static void WriteText(LocalRun run)
    {
        var instance = run.Instance;
        Console.WriteLine();
        Console.WriteLine($"{instance.Graph.Definition.Name ?? instance.Graph.Definition.DefinitionId}: {instance.SubStatus}");
        foreach (var (name, value) in instance.Output)
            Console.WriteLine($"  {name} = {ValueConverter.ToText(value) ?? "null"}");
        foreach (var bookmark in instance.Bookmarks)
            Console.WriteLine($"  waits in {bookmark.Context.Node}: {bookmark.Payload}");
        foreach (var incident in instance.Incidents)
            Console.Error.WriteLine($"  fault in {incident.ActivityType} '{incident.ActivityId}': {incident.Message}");
    }

    private static void WriteLines(Utf8JsonWriter writer, IReadOnlyList<string> lines)
    {
        writer.WriteStartArray("stdout"u8);
        foreach (var line in lines)
            writer.WriteStringValue(line);
        writer.WriteEndArray();
    }

    /// <summary>Workflow variables by name; those without a storage driver show what the definition gives them.</summary>
    private static void WriteVariables(Utf8JsonWriter writer, WorkflowInstance instance)
    {
        writer.WriteStartObject("variables"u8);
        foreach (var variable in instance.Graph.Root.Variables)
        {
            writer.WritePropertyName(variable.Definition.Name);
            ValueConverter.WriteJson(writer, variable.IsStored ? instance.GetVariable(variable) : variable.Default);
        }

        writer.WriteEndObject();
    }

    private static void WriteFirstBurst(Utf8JsonWriter writer, LocalRun.FirstBurst? first)
    {
        if (first is null)
        {
            writer.WriteNull("firstBurst"u8);
            return;
        }

        writer.WriteStartObject("firstBurst"u8);
        WriteLines(writer, first.Lines);
        writer.WriteString("status"u8, first.Status.ToString());
        writer.WriteString("subStatus"u8, first.SubStatus.ToString());
        writer.WriteStartArray("bookmarks"u8);
        foreach (var bookmark in first.Bookmarks)
        {
            writer.WriteStartObject();
            writer.WriteString("Name"u8, bookmark.Name);
            writer.WriteString("ActivityId"u8, bookmark.ActivityId);
            // Times differ from run to run; a star stands for them, so that runs can be compared.
            writer.WriteString("Payload"u8, bookmark.Payload.ToString(v => v is DateTimeOffset ? "*" : ValueConverter.ToText(v)));
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    private static void WriteChildren(Utf8JsonWriter writer, IEnumerable<WorkflowInstance> children)
    {
        writer.WriteStartArray("childInstances"u8);
        foreach (var child in children)
        {
            writer.WriteStartObject();
            writer.WriteString("DefinitionId"u8, child.Graph.Definition.DefinitionId);
            writer.WriteString("Status"u8, child.Status.ToString());
            writer.WriteString("SubStatus"u8, child.SubStatus.ToString());
            writer.WriteString("CorrelationId"u8, child.CorrelationId);
            writer.WriteBoolean("hasParent"u8, child.ParentInstanceId is not null);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }

    private static void WriteTrace(Utf8JsonWriter writer, WorkflowInstance instance)
    {
        writer.WriteStartArray("trace"u8);
        foreach (var entry in instance.Log.Entries)
        {
            if (entry.Event is ExecutionEvent.Started or ExecutionEvent.Resumed or ExecutionEvent.Retried)
                continue;
            ActivityNode node = instance.Graph.Nodes[entry.NodeIndex];
            writer.WriteStringValue(string.Create(CultureInfo.InvariantCulture, $"{node.ShortType}:{node.Id}:{entry.Event}"));
        }

        writer.WriteEndArray();
    }
}

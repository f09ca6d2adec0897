using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Conclave.Workflows.Definitions;

/// <summary>Writes workflow definitions in the Elsa 3 format.</summary>
public static class WorkflowDefinitionWriter
{
    /// <summary>The schema that exported documents name.</summary>
    public const string SchemaUri = "https://elsaworkflows.io/schemas/workflow-definition/v3.0.0/schema.json";

    private static readonly JsonWriterOptions Indented =
        new() { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private static readonly JsonWriterOptions Compact = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes a definition as a UTF-8 document.</summary>
    /// <param name="definition">What to write.</param>
    /// <param name="indented">Whether people will read it; default true.</param>
    public static byte[] Write(WorkflowDefinition definition, bool indented = true)
    {
        var buffer = new ArrayBufferWriter<byte>(4096);
        using (var writer = new Utf8JsonWriter(buffer, indented ? Indented : Compact))
            Write(writer, definition);
        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>Writes a definition as one JSON object.</summary>
    public static void Write(Utf8JsonWriter writer, WorkflowDefinition definition)
    {
        writer.WriteStartObject();
        writer.WriteString("$schema"u8, SchemaUri);
        WriteMembers(writer, definition, ActivityJson.WorkflowNodeId);
        writer.WriteEndObject();
    }

    /// <summary>Writes the members of a definition into an object that has been begun, without the schema.</summary>
    /// <param name="writer">Where to.</param>
    /// <param name="definition">What to write.</param>
    /// <param name="workflowNodeId">Node id of the graph's root, which journals and states name: with workflows inside it is not the usual one.</param>
    public static void WriteMembers(Utf8JsonWriter writer, WorkflowDefinition definition, string workflowNodeId)
    {
        writer.WriteString("id"u8, definition.Id);
        writer.WriteString("definitionId"u8, definition.DefinitionId);
        WriteIfSet(writer, "name", definition.Name);
        WriteIfSet(writer, "description", definition.Description);
        if (definition.CreatedAt is { } createdAt)
            writer.WriteString("createdAt"u8, createdAt);
        writer.WriteNumber("version"u8, definition.Version);
        WriteIfSet(writer, "toolVersion", definition.ToolVersion);
        writer.WriteStartArray("variables"u8);
        foreach (var variable in definition.Variables)
            WriteVariable(writer, variable);
        writer.WriteEndArray();
        writer.WriteStartArray("inputs"u8);
        foreach (var input in definition.Inputs)
            WriteInput(writer, input);
        writer.WriteEndArray();
        writer.WriteStartArray("outputs"u8);
        foreach (var output in definition.Outputs)
            WriteOutput(writer, output);
        writer.WriteEndArray();
        writer.WriteStartArray("outcomes"u8);
        foreach (var outcome in definition.Outcomes)
            writer.WriteStringValue(outcome);
        writer.WriteEndArray();
        writer.WritePropertyName("customProperties"u8);
        if (definition.CustomProperties.ValueKind == JsonValueKind.Object)
            definition.CustomProperties.WriteTo(writer);
        else
            WriteEmptyObject(writer);
        writer.WriteBoolean("isReadonly"u8, definition.IsReadonly);
        writer.WriteBoolean("isSystem"u8, definition.IsSystem);
        writer.WriteBoolean("isLatest"u8, definition.IsLatest);
        writer.WriteBoolean("isPublished"u8, definition.IsPublished);
        writer.WritePropertyName("options"u8);
        WriteOptions(writer, definition.Options);
        WriteExtra(writer, definition.Extra);

        writer.WritePropertyName("root"u8);
        ActivityJson.Write(writer, definition.Root, workflowNodeId, null);
    }

    /// <summary>Writes an activity with what is inside it, in today's form, with a node id on every activity.</summary>
    /// <param name="writer">Where to.</param>
    /// <param name="activity">The activity's JSON.</param>
    /// <param name="parentNodeId">Node id of the activity around it.</param>
    /// <param name="more">Writes more members of the activity; null for none.</param>
    public static void WriteActivity(Utf8JsonWriter writer, JsonElement activity, string parentNodeId, Action<Utf8JsonWriter>? more = null) =>
        ActivityJson.Write(writer, activity, parentNodeId, more);

    private static void WriteOptions(Utf8JsonWriter writer, WorkflowOptions options)
    {
        writer.WriteStartObject();
        WriteIfSet(writer, "activationStrategyType", options.ActivationStrategyType);
        if (options.UsableAsActivity is { } usable)
            writer.WriteBoolean("usableAsActivity"u8, usable);
        writer.WriteBoolean("autoUpdateConsumingWorkflows"u8, options.AutoUpdateConsumingWorkflows);
        WriteIfSet(writer, "activityCategory", options.ActivityCategory);
        WriteIfSet(writer, "incidentStrategyType", options.IncidentStrategyType);
        WriteIfSet(writer, "commitStrategyName", options.CommitStrategyName);
        WriteExtra(writer, options.Extra);
        writer.WriteEndObject();
    }

    private static void WriteVariable(Utf8JsonWriter writer, VariableDefinition variable)
    {
        writer.WriteStartObject();
        writer.WriteString("id"u8, variable.Id);
        writer.WriteString("name"u8, variable.Name);
        writer.WriteString("typeName"u8, variable.TypeName);
        writer.WriteBoolean("isArray"u8, variable.IsArray);
        if (variable.Value.ValueKind is not (JsonValueKind.Undefined or JsonValueKind.Null))
        {
            writer.WritePropertyName("value"u8);
            variable.Value.WriteTo(writer);
        }

        WriteIfSet(writer, "storageDriverTypeName", variable.StorageDriverTypeName);
        WriteExtra(writer, variable.Extra);
        writer.WriteEndObject();
    }

    private static void WriteInput(Utf8JsonWriter writer, InputDefinition input)
    {
        writer.WriteStartObject();
        WriteCommonMembers(writer, input);
        WriteIfSet(writer, "uiHint", input.UIHint);
        WriteIfSet(writer, "storageDriverType", input.StorageDriverType);
        if (input.DefaultValue.ValueKind is not (JsonValueKind.Undefined or JsonValueKind.Null))
        {
            writer.WritePropertyName("defaultValue"u8);
            input.DefaultValue.WriteTo(writer);
        }

        writer.WriteEndObject();
    }

    private static void WriteOutput(Utf8JsonWriter writer, OutputDefinition output)
    {
        writer.WriteStartObject();
        WriteCommonMembers(writer, output);
        writer.WriteEndObject();
    }

    private static void WriteCommonMembers(Utf8JsonWriter writer, ArgumentDefinition argument)
    {
        writer.WriteString("type"u8, argument.Type);
        writer.WriteBoolean("isArray"u8, argument.IsArray);
        writer.WriteString("name"u8, argument.Name);
        WriteIfSet(writer, "displayName", argument.DisplayName);
        WriteIfSet(writer, "description", argument.Description);
        WriteIfSet(writer, "category", argument.Category);
        WriteExtra(writer, argument.Extra);
    }

    private static void WriteExtra(Utf8JsonWriter writer, IReadOnlyList<KeyValuePair<string, JsonElement>> extra)
    {
        foreach (var (name, value) in extra)
        {
            writer.WritePropertyName(name);
            value.WriteTo(writer);
        }
    }

    private static void WriteIfSet(Utf8JsonWriter writer, string name, string? value)
    {
        if (value is not null)
            writer.WriteString(name, value);
    }

    private static void WriteEmptyObject(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteEndObject();
    }
}

using System.Text.Json;
using Conclave.Workflows.Activities;
using Conclave.Workflows.Expressions;

namespace Conclave.Server.ElsaApi.Descriptors;

/// <summary>Activity descriptors as Elsa Studio reads them.</summary>
internal static class ActivityDescriptorJson
{
    public static void Write(Utf8JsonWriter writer, ActivityDescriptor descriptor)
    {
        writer.WriteStartObject();
        writer.WriteString("typeName", descriptor.TypeName);
        writer.WriteString("namespace", descriptor.Namespace);
        writer.WriteString("name", descriptor.Name);
        writer.WriteNumber("version", descriptor.Version);
        writer.WriteString("category", descriptor.Category);
        writer.WriteString("displayName", descriptor.DisplayName);
        writer.WriteString("description", descriptor.Description);
        writer.WriteString("kind", descriptor.Kind.ToString());
        writer.WriteBoolean("isBrowsable", descriptor.IsBrowsable);
        writer.WriteBoolean("isContainer", descriptor.IsContainer);
        writer.WriteBoolean("isStart", descriptor.IsStart);
        writer.WriteBoolean("isTerminal", descriptor.IsTerminal);
        writer.WriteStartArray("inputs");
        foreach (var input in descriptor.Inputs)
            Write(writer, input);
        writer.WriteEndArray();
        writer.WriteStartArray("outputs");
        for (var order = 0; order < descriptor.Outputs.Count; order++)
            Write(writer, descriptor.Outputs[order], order);
        writer.WriteEndArray();
        writer.WriteStartArray("ports");
        foreach (var port in descriptor.Ports)
            Write(writer, port);
        writer.WriteEndArray();
        writer.WriteStartObject("customProperties");
        WriteCustomProperties(writer, descriptor);
        writer.WriteEndObject();
        // Copied into the JSON of each activity that is dropped on the canvas.
        writer.WriteStartObject("constructionProperties");
        if (descriptor.Workflow is { } workflow)
        {
            writer.WriteString("WorkflowDefinitionId", workflow.DefinitionId);
            writer.WriteString("WorkflowDefinitionVersionId", workflow.VersionId);
            writer.WriteNumber("Version", workflow.Version);
        }

        writer.WriteEndObject();
        writer.WriteEndObject();
    }

    private static void WriteCustomProperties(Utf8JsonWriter writer, ActivityDescriptor descriptor)
    {
        if (descriptor.Workflow is { } workflow)
        {
            writer.WriteString("RootType", nameof(WorkflowDefinitionActivity));
            writer.WriteString("WorkflowDefinitionId", workflow.DefinitionId);
            writer.WriteString("WorkflowDefinitionVersionId", workflow.VersionId);
        }

        // Studio knows icons by type name alone; these are for the page around it.
        WriteIfSet(writer, "Icon", descriptor.Icon);
        WriteIfSet(writer, "Color", descriptor.Color);
        if (descriptor.IsResilient)
        {
            writer.WriteBoolean("Resilient", true);
            writer.WriteString("ResilienceCategory", descriptor.Category);
        }
    }

    private static void Write(Utf8JsonWriter writer, InputDescriptor input)
    {
        writer.WriteStartObject();
        WriteCommon(writer, input.Name, input.TypeName, input.DisplayName, input.Description, input.Order, input.IsBrowsable, input.IsSynthetic);
        writer.WriteBoolean("isWrapped", input.IsWrapped);
        writer.WriteString("uiHint", input.UIHint);
        WriteIfSet(writer, "category", input.Category);
        if (input.DefaultValue is { } value)
        {
            writer.WritePropertyName("defaultValue");
            if (value is Enum name)
                writer.WriteStringValue(name.ToString());
            else
                ValueConverter.WriteJson(writer, value);
        }

        writer.WriteString("defaultSyntax", input.DefaultSyntax ?? InputEditors.SyntaxOf(input.UIHint));
        writer.WriteBoolean("isReadOnly", false);
        writer.WriteBoolean("isSensitive", input.IsSensitive);
        WriteIfSet(writer, "storageDriverType", input.StorageDriverType);
        writer.WriteBoolean("autoEvaluate", input.AutoEvaluate);
        if (InputEditors.HasSettings(input))
        {
            writer.WritePropertyName("uiSpecifications");
            InputEditors.Write(writer, input, address: null);
        }

        writer.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter writer, OutputDescriptor output, int order)
    {
        writer.WriteStartObject();
        WriteCommon(writer, output.Name, output.TypeName, output.DisplayName, output.Description, order, isBrowsable: true, output.IsSynthetic);
        writer.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter writer, PortDescriptor port)
    {
        writer.WriteStartObject();
        writer.WriteString("name", port.Name);
        writer.WriteString("displayName", port.DisplayName);
        writer.WriteString("type", port.Type.ToString());
        writer.WriteBoolean("isBrowsable", port.IsBrowsable);
        writer.WriteEndObject();
    }

    private static void WriteCommon(
        Utf8JsonWriter writer, string name, string typeName, string displayName, string? description, int order, bool isBrowsable, bool isSynthetic)
    {
        writer.WriteString("name", name);
        writer.WriteString("typeName", typeName);
        writer.WriteString("displayName", displayName);
        WriteIfSet(writer, "description", description);
        writer.WriteNumber("order", order);
        // Studio hides what does not say that it may be shown.
        writer.WriteBoolean("isBrowsable", isBrowsable);
        writer.WriteBoolean("isSerializable", true);
        writer.WriteBoolean("isSynthetic", isSynthetic);
    }

    private static void WriteIfSet(Utf8JsonWriter writer, string name, string? value)
    {
        if (value is not null)
            writer.WriteString(name, value);
    }
}

using System.Buffers;
using System.Globalization;
using System.Text.Json;
using Conclave.Workflows.Activities;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions.Scripting;

namespace Conclave.Workflows.Expressions;

/// <summary>What one evaluation of a script may read, and the answers to what it asks for while it runs.</summary>
internal sealed class ScriptScope(ActivityContext context, ScriptMentions mentions) : IScriptScope, IScriptHost
{
    public void Write(Utf8JsonWriter writer)
    {
        if (mentions.ReadsWorkflow)
            WriteWorkflow(writer);
        WriteVariables(writer);
        WriteInput(writer);
        if (mentions.ReadsOutputs)
            WriteOutputs(writer);
        if (context.Arguments is { } arguments)
            WriteArguments(writer, arguments);
        if (!mentions.ReadsConfiguration)
            return;
        writer.WriteStartObject("config"u8);
        foreach (var name in mentions.Configuration)
            WriteValue(writer, name, context.Host.GetConfiguration(name));
        writer.WriteEndObject();
    }

    public async ValueTask<ScriptValue> CallAsync(string function, JsonElement arguments, CancellationToken cancellationToken)
    {
        switch (function)
        {
            case "variable":
                return Value(context.GetVariable(Name(arguments)));
            case "input":
                return Value(context.GetInput(Name(arguments)));
            case "output":
                var activity = arguments.GetProperty("activity").GetString() ?? "";
                var output = arguments.TryGetProperty("name", out var name) ? name.GetString() : null;
                return Value(context.Instance.FindOutput(activity, output));
            case "secret":
                return ScriptValue.FromString(await context.Host.GetSecretAsync(Name(arguments), cancellationToken));
            case "config":
                return ScriptValue.FromString(context.Host.GetConfiguration(Name(arguments)));
            case "eventTriggerUrl":
                return ScriptValue.FromString(EventTriggerUrl(arguments));
            default:
                throw new ExpressionException("script.unknown_call", $"The engine does not know the script function '{function}'.");
        }
    }

    /// <summary>A script's value as a workflow value.</summary>
    public static object? ToWorkflowValue(ScriptValue value)
    {
        if (value.IsNull)
            return null;
        var json = value.ToElement();
        var text = json.ValueKind == JsonValueKind.String ? json.GetString()! : "";
        return value.Type switch
        {
            ScriptTypes.DateTime => DateTime.Parse(text, CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind),
            ScriptTypes.DateTimeOffset => DateTimeOffset.Parse(text, CultureInfo.InvariantCulture),
            ScriptTypes.TimeSpan => TimeSpan.Parse(text, CultureInfo.InvariantCulture),
            ScriptTypes.Guid => Guid.Parse(text),
            ScriptTypes.Bytes => Convert.FromBase64String(text),
            _ => ValueConverter.FromJson(json),
        };
    }

    private void WriteWorkflow(Utf8JsonWriter writer)
    {
        var instance = context.Instance;
        var definition = context.Node.Definition;
        writer.WriteStartObject("workflow"u8);
        writer.WriteString("definitionId"u8, definition.DefinitionId);
        writer.WriteString("definitionVersionId"u8, definition.Id);
        writer.WriteNumber("version"u8, definition.Version);
        writer.WriteString("instanceId"u8, instance.Id);
        if (instance.Name is { } name)
            writer.WriteString("instanceName"u8, name);
        if (instance.CorrelationId is { } correlationId)
            writer.WriteString("correlationId"u8, correlationId);
        writer.WriteEndObject();
    }

    private void WriteVariables(Utf8JsonWriter writer)
    {
        writer.WriteStartObject("variables"u8);
        List<string>? dynamicNames = null;
        for (var scope = context; scope is not null; scope = scope.Parent)
        {
            foreach (var variable in scope.Dynamic ?? [])
            {
                if (!mentions.Mentions(variable.Name) || dynamicNames?.Contains(variable.Name) == true)
                    continue;
                (dynamicNames ??= []).Add(variable.Name);
                WriteValue(writer, variable.Name, variable.Value);
            }

            if (scope.Node.Activity is Workflow)
                break;
        }

        foreach (var variable in mentions.Variables)
        {
            if (dynamicNames?.Contains(variable.Definition.Name) != true)
                WriteValue(writer, variable.Definition.Name, context.GetVariable(variable));
        }

        writer.WriteEndObject();
    }

    private void WriteInput(Utf8JsonWriter writer)
    {
        // Declared inputs exist even when nobody gave them, so that their accessors read null instead of failing.
        writer.WriteStartObject("input"u8);
        foreach (var declared in context.Node.Definition.Inputs)
        {
            if (mentions.Mentions(declared.Name))
                WriteValue(writer, declared.Name, context.GetInput(declared.Name));
        }

        foreach (var (name, value) in context.Instance.Input)
        {
            if (mentions.Mentions(name) && !context.Node.Definition.Inputs.Any(i => i.Name.Equals(name, StringComparison.OrdinalIgnoreCase)))
                WriteValue(writer, name, value);
        }

        writer.WriteEndObject();
    }

    private void WriteOutputs(Utf8JsonWriter writer)
    {
        writer.WriteStartObject("outputs"u8);
        foreach (var (node, key) in mentions.Activities(context.Instance.Graph))
        {
            writer.WriteStartObject(key);
            var values = context.Instance.ActivityOutputs?[node.Index];
            foreach (var output in node.Outputs)
                WriteValue(writer, output.Name, values?[output.Index]);
            writer.WriteEndObject();
        }

        writer.WriteEndObject();
        if (mentions.ReadsLastResult)
            WriteValue(writer, "lastResult", context.Instance.LastResult);
    }

    private static void WriteArguments(Utf8JsonWriter writer, DynamicVariable[] arguments)
    {
        writer.WriteStartObject("args"u8);
        foreach (var argument in arguments)
            WriteValue(writer, argument.Name, argument.Value);
        writer.WriteEndObject();
    }

    private static void WriteValue(Utf8JsonWriter writer, string name, object? value)
    {
        writer.WriteStartObject(name);
        writer.WritePropertyName("v"u8);
        WriteTyped(writer, value, out var type);
        if (type is not null)
            writer.WriteString("t"u8, type);
        writer.WriteEndObject();
    }

    private static void WriteTyped(Utf8JsonWriter writer, object? value, out string? type)
    {
        type = value switch
        {
            DateTime => ScriptTypes.DateTime,
            DateTimeOffset => ScriptTypes.DateTimeOffset,
            TimeSpan => ScriptTypes.TimeSpan,
            Guid => ScriptTypes.Guid,
            byte[] => ScriptTypes.Bytes,
            long and (> 9_007_199_254_740_991 or < -9_007_199_254_740_991) => ScriptTypes.Int64,
            _ => null,
        };
        if (type == ScriptTypes.Int64)
            writer.WriteStringValue(((long)value!).ToString(CultureInfo.InvariantCulture));
        else
            ValueConverter.WriteJson(writer, value);
    }

    private static ScriptValue Value(object? value)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using var writer = new Utf8JsonWriter(buffer);
        WriteTyped(writer, value, out var type);
        writer.Flush();
        return new ScriptValue(buffer.WrittenMemory, type);
    }

    private static string Name(JsonElement arguments) => arguments.GetProperty("name").GetString() ?? "";

    private string EventTriggerUrl(JsonElement arguments)
    {
        var hasEnd = arguments.TryGetProperty("lifetime", out var end) || arguments.TryGetProperty("expiresAt", out end);
        return context.Host.CreateEventTriggerUrl(arguments.GetProperty("eventName").GetString() ?? "", hasEnd ? end : default);
    }
}

using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Conclave.Inference.Providers;

/// <summary>What the bodies of several protocols have in common.</summary>
internal static class RequestJson
{
    /// <summary>Writes the settings that OpenAI and Ollama have by the same names: temperature, <c>top_p</c>, penalties, seed and stop sequences.</summary>
    public static void WriteSampling(this Utf8JsonWriter writer, ChatOptions options)
    {
        if (options.Temperature is { } temperature)
            writer.WriteNumber("temperature"u8, temperature);
        if (options.TopP is { } topP)
            writer.WriteNumber("top_p"u8, topP);
        if (options.FrequencyPenalty is { } frequency)
            writer.WriteNumber("frequency_penalty"u8, frequency);
        if (options.PresencePenalty is { } presence)
            writer.WriteNumber("presence_penalty"u8, presence);
        if (options.Seed is { } seed)
            writer.WriteNumber("seed"u8, seed);
        if (options.StopSequences is not { Count: > 0 } stops)
            return;
        writer.WriteStartArray("stop"u8);
        foreach (var stop in stops)
            writer.WriteStringValue(stop);
        writer.WriteEndArray();
    }

    /// <summary>Writes <c>tools</c> as OpenAI and Ollama have them.</summary>
    public static void WriteFunctions(this Utf8JsonWriter writer, IEnumerable<AIFunctionDeclaration> functions)
    {
        writer.WriteStartArray("tools"u8);
        foreach (var function in functions)
        {
            writer.WriteStartObject();
            writer.WriteString("type"u8, "function"u8);
            writer.WriteStartObject("function"u8);
            writer.WriteString("name"u8, function.Name);
            if (function.Description.Length > 0)
                writer.WriteString("description"u8, function.Description);
            writer.WriteParameters("parameters", function);
            if (function.AdditionalProperties.TryGetValue("strict", out var strict))
            {
                writer.WritePropertyName("strict"u8);
                writer.WriteAny(strict);
            }

            writer.WriteEndObject();
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }

    /// <summary>A tool as the function that it has to be.</summary>
    /// <exception cref="ModelServerException"><see cref="ModelServerFailure.BadRequest"/>: it is something else.</exception>
    public static AIFunctionDeclaration Function(this AITool tool) => tool as AIFunctionDeclaration
        ?? throw new ModelServerException(ModelServerFailure.BadRequest, $"The tool '{tool.Name}' is not a function; only functions can be given to this server.");
}

using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Conclave.Inference.Caching;

/// <summary>Hashes of what is asked: everything that an answer may depend on, and nothing else.</summary>
internal static class CallHash
{
    private static readonly JsonWriterOptions NotIndented = new() { Indented = false };

    /// <summary>The hash of a question.</summary>
    public static byte[] Of(ChatCall call, string model = "") => Hash(writer =>
    {
        writer.WriteString("model", model.Length > 0 ? model : call.Model);
        writer.WritePropertyName("messages");
        writer.WriteStartArray();
        foreach (var message in call.Messages)
            JsonSerializer.Serialize(writer, message, AIJsonUtilities.DefaultOptions.GetTypeInfo(typeof(ChatMessage)));
        writer.WriteEndArray();
        writer.WritePropertyName("options");
        // Tools are not among what options serialize.
        JsonSerializer.Serialize(writer, call.Options, AIJsonUtilities.DefaultOptions.GetTypeInfo(typeof(ChatOptions)));
        writer.WriteStartArray("tools");
        foreach (var tool in call.Options.Tools ?? [])
        {
            writer.WriteStringValue(tool.Name);
            writer.WriteStringValue(tool.Description);
            if (tool is AIFunctionDeclaration function)
                function.JsonSchema.WriteTo(writer);
        }

        writer.WriteEndArray();
    });

    /// <summary>The hash of texts to embed.</summary>
    public static byte[] Of(EmbedCall call) => Hash(writer =>
    {
        writer.WriteString("model", call.Model);
        writer.WriteNumber("dimensions", call.Dimensions ?? 0);
        writer.WriteStartArray("texts");
        foreach (var text in call.Texts)
            writer.WriteStringValue(text);
        writer.WriteEndArray();
    });

    /// <summary>The name under which an answer is cached: whose it is, and what was asked.</summary>
    public static string Key(string tenant, byte[] hash) => $"{tenant}/{Convert.ToHexStringLower(hash)}";

    /// <summary>The name under which the vector of a text is cached.</summary>
    public static string Key(string tenant, string model, int? dimensions, string text) =>
        Key(tenant, SHA256.HashData(Encoding.UTF8.GetBytes($"{model}\n{dimensions}\n{text}")));

    private static byte[] Hash(Action<Utf8JsonWriter> write)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer, NotIndented))
        {
            writer.WriteStartObject();
            write(writer);
            writer.WriteEndObject();
        }

        return SHA256.HashData(buffer.GetBuffer().AsSpan(0, (int)buffer.Length));
    }
}

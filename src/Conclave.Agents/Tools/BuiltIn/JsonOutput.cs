using System.Buffers;
using System.Text.Json;

namespace Conclave.Agents.Tools.BuiltIn;

/// <summary>Makes outputs.</summary>
internal static class JsonOutput
{
    /// <summary>An object.</summary>
    public static ToolOutput Object(Action<Utf8JsonWriter> write, ToolUsage? usage = null)
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            write(writer);
            writer.WriteEndObject();
        }

        return new ToolOutput(JsonElement.Parse(buffer.WrittenSpan), usage);
    }
}

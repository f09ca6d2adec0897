using System.Runtime.InteropServices;
using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Conclave.Inference.Providers.OpenAI;

/// <summary><c>/v1/embeddings</c>. Reads numbers and base64, whatever the server prefers to send.</summary>
internal sealed class OpenAIEmbeddings(OpenAIHost host, ModelServerConnection connection) : IEmbeddingGenerator<string, Embedding<float>>
{
    private readonly Uri _endpoint = connection.Endpoint(host.Path + "embeddings");

    public async Task<GeneratedEmbeddings<Embedding<float>>> GenerateAsync(
        IEnumerable<string> values, EmbeddingGenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        List<string> texts = [.. values];
        if (texts.Count == 0)
            return [];
        // OpenAI sends base64, which is a third of the size; of other servers not all know it.
        var encoding = host.Dialect == OpenAIDialect.OpenAI ? "base64" : "float";
        var body = WireJson.Object((texts, options, encoding), static (writer, state) => Write(writer, state.texts, state.options, state.encoding));
        using var answer = await connection.SendAsync(HttpMethod.Post, _endpoint, body, options?.ModelId, cancellationToken);
        return await answer.ReadJsonAsync(root => Read(root, texts.Count, options?.ModelId));
    }

    public object? GetService(Type serviceType, object? serviceKey = null) => serviceKey is null && serviceType.IsInstanceOfType(this) ? this : null;

    /// <summary>Nothing: the connection belongs to the client of the server.</summary>
    public void Dispose()
    {
    }

    private static void Write(Utf8JsonWriter writer, List<string> texts, EmbeddingGenerationOptions? options, string encoding)
    {
        writer.WriteString("model"u8, options?.ModelId);
        writer.WriteStartArray("input"u8);
        foreach (var text in texts)
            writer.WriteStringValue(text);
        writer.WriteEndArray();
        if (options?.Dimensions is { } dimensions)
            writer.WriteNumber("dimensions"u8, dimensions);
        writer.WriteString("encoding_format"u8, encoding);
        foreach (var (name, value) in options?.AdditionalProperties ?? [])
        {
            if (name is "model" or "input" or "dimensions" or "encoding_format" or "keep_alive" or "truncate" or "options")
                continue;
            writer.WritePropertyName(name);
            writer.WriteAny(value);
        }
    }

    private GeneratedEmbeddings<Embedding<float>> Read(JsonElement root, int count, string? model)
    {
        if (root.TryGetProperty("error", out _))
            throw connection.Failed(ServerError.Parse(root), model);
        var vectors = new float[count][];
        var position = 0;
        foreach (var item in root.ItemsOf("data"))
        {
            var index = item.NumberOf("index") ?? position;
            position++;
            if (index < 0 || index >= count || !item.TryGetProperty("embedding", out var embedding))
                throw Invalid();
            vectors[index] = embedding.ValueKind switch
            {
                JsonValueKind.Array => ReadNumbers(embedding),
                JsonValueKind.String => ReadBase64(embedding),
                _ => throw Invalid(),
            };
        }

        if (Array.Exists(vectors, v => v is null))
            throw Invalid();
        var embeddings = new GeneratedEmbeddings<Embedding<float>>(count);
        foreach (var vector in vectors)
            embeddings.Add(new Embedding<float>(vector) { ModelId = root.TextOf("model") ?? model });
        if (root.ObjectOf("usage") is { ValueKind: JsonValueKind.Object } usage)
            embeddings.Usage = new UsageDetails { InputTokenCount = usage.NumberOf("prompt_tokens"), TotalTokenCount = usage.NumberOf("total_tokens") };
        return embeddings;
    }

    /// <summary>Numbers of a vector.</summary>
    internal static float[] ReadNumbers(JsonElement array)
    {
        var vector = new float[array.GetArrayLength()];
        var i = 0;
        foreach (var number in array.EnumerateArray())
            vector[i++] = number.GetSingle();
        return vector;
    }

    private float[] ReadBase64(JsonElement text)
    {
        if (!text.TryGetBytesFromBase64(out var bytes) || bytes.Length % sizeof(float) != 0)
            throw Invalid();
        // The protocol's floats are little-endian, as are all machines that .NET runs on.
        return MemoryMarshal.Cast<byte, float>(bytes).ToArray();
    }

    private ModelServerException Invalid() => connection.Failed(ModelServerFailure.InvalidAnswer, "answered embeddings that do not match the texts");
}

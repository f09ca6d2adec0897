using System.Text.Json;
using Conclave.Inference.Providers.OpenAI;
using Microsoft.Extensions.AI;

namespace Conclave.Inference.Providers.Ollama;

/// <summary><c>/api/embed</c>.</summary>
internal sealed class OllamaEmbeddings(ModelServerConnection connection) : IEmbeddingGenerator<string, Embedding<float>>
{
    private readonly Uri _endpoint = connection.Endpoint("api/embed");

    public async Task<GeneratedEmbeddings<Embedding<float>>> GenerateAsync(
        IEnumerable<string> values, EmbeddingGenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        List<string> texts = [.. values];
        if (texts.Count == 0)
            return [];
        var body = WireJson.Object((texts, options), static (writer, state) => Write(writer, state.texts, state.options));
        using var answer = await connection.SendAsync(HttpMethod.Post, _endpoint, body, options?.ModelId, cancellationToken);
        return await answer.ReadJsonAsync(root => Read(root, texts.Count, options?.ModelId));
    }

    public object? GetService(Type serviceType, object? serviceKey = null) => serviceKey is null && serviceType.IsInstanceOfType(this) ? this : null;

    /// <summary>Nothing: the connection belongs to the client of the server.</summary>
    public void Dispose()
    {
    }

    private GeneratedEmbeddings<Embedding<float>> Read(JsonElement root, int count, string? model)
    {
        if (root.TryGetProperty("error", out _))
            throw connection.Failed(ServerError.Parse(root), model);
        var embeddings = new GeneratedEmbeddings<Embedding<float>>(count);
        foreach (var vector in root.ItemsOf("embeddings"))
            embeddings.Add(new Embedding<float>(OpenAIEmbeddings.ReadNumbers(vector)) { ModelId = root.TextOf("model") ?? model });
        if (embeddings.Count != count)
            throw connection.Failed(ModelServerFailure.InvalidAnswer, $"answered {embeddings.Count} embeddings for {count} texts");
        if (root.NumberOf("prompt_eval_count") is { } tokens)
            embeddings.Usage = new UsageDetails { InputTokenCount = tokens, TotalTokenCount = tokens };
        return embeddings;
    }

    private static void Write(Utf8JsonWriter writer, List<string> texts, EmbeddingGenerationOptions? options)
    {
        writer.WriteString("model"u8, options?.ModelId);
        writer.WriteStartArray("input"u8);
        foreach (var text in texts)
            writer.WriteStringValue(text);
        writer.WriteEndArray();
        if (options?.Dimensions is { } dimensions)
            writer.WriteNumber("dimensions"u8, dimensions);
        foreach (var (name, value) in options?.AdditionalProperties ?? [])
        {
            if (name is not ("truncate" or "keep_alive" or "options"))
                continue;
            writer.WritePropertyName(name);
            writer.WriteAny(value);
        }
    }
}

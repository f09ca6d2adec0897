using System.Text.Json;

namespace Conclave.Inference.Providers.OpenAI;

/// <summary>The models of a server that speaks OpenAI's API. The protocol tells little about them; the rest is known by who serves them.</summary>
internal sealed class OpenAIModels(OpenAIHost host, ModelServerConnection connection)
{
    private readonly Uri _endpoint = connection.Endpoint(host.Path + "models");

    public async Task<IReadOnlyList<ServedModel>> ListAsync(CancellationToken cancellationToken)
    {
        using var answer = await connection.SendAsync(HttpMethod.Get, _endpoint, null, null, cancellationToken);
        return await answer.ReadJsonAsync(Read);
    }

    private List<ServedModel> Read(JsonElement root)
    {
        if (root.TryGetProperty("error", out _))
            throw connection.Failed(ServerError.Parse(root), null);
        if (!root.TryGetProperty("data", out var data) || data.ValueKind != JsonValueKind.Array)
            throw connection.Failed(ModelServerFailure.InvalidAnswer, "listed its models in a way that is not OpenAI's");
        List<ServedModel> models = [];
        foreach (var item in data.EnumerateArray())
        {
            if (item.TextOf("id") is { Length: > 0 } id)
                models.Add(Read(item, id));
        }

        return models;
    }

    private ServedModel Read(JsonElement item, string id)
    {
        var meta = item.ObjectOf("meta");
        // vLLM, LM Studio, OpenRouter and its like, llama.cpp; the last one tells what the model was trained for when it does not tell what it is run with.
        var context = item.NumberOf("max_model_len") ?? item.NumberOf("max_context_length") ?? item.NumberOf("context_length") ?? meta.NumberOf("n_ctx") ?? meta.NumberOf("n_ctx_train");
        return new ServedModel
        {
            // Gemini lists resources, and takes the bare name in calls.
            Name = host == OpenAIHost.Gemini && id.StartsWith("models/", StringComparison.Ordinal) ? id[7..] : id,
            Capabilities = host.Dialect == OpenAIDialect.OpenAI ? OfOpenAI(id) : OfServer(id, host == OpenAIHost.Vllm ? "vllm" : item.TextOf("owned_by")),
            ContextSize = context is > 0 and <= int.MaxValue ? (int)context : null,
            SizeBytes = meta.NumberOf("size"),
            ModifiedAt = WireJson.FromUnix(item.NumberOf("created")),
        };
    }

    private static ModelCapabilities? OfServer(string id, string? owner)
    {
        if (id.Contains("embed", StringComparison.OrdinalIgnoreCase))
            return ModelCapabilities.Embeddings;
        // Whether a model calls tools depends on how the server was started, which it does not tell: operators do.
        return owner is "vllm" or "llamacpp" ? ModelCapabilities.Chat | ModelCapabilities.JsonSchema | ModelCapabilities.Continue : null;
    }

    private static ModelCapabilities? OfOpenAI(string id)
    {
        if (id.StartsWith("text-embedding-", StringComparison.Ordinal))
            return ModelCapabilities.Embeddings;
        if (id.Contains("audio", StringComparison.Ordinal) || id.Contains("realtime", StringComparison.Ordinal) || id.Contains("image", StringComparison.Ordinal) || id.Contains("transcribe", StringComparison.Ordinal) || id.Contains("tts", StringComparison.Ordinal))
            return ModelCapabilities.None;
        var chat = ModelCapabilities.Chat | ModelCapabilities.Tools | ModelCapabilities.JsonSchema;
        if (id.StartsWith("gpt-4o", StringComparison.Ordinal) || id.StartsWith("gpt-4.1", StringComparison.Ordinal))
            return chat | ModelCapabilities.Vision;
        if (id.StartsWith("gpt-5", StringComparison.Ordinal) || id.StartsWith("o3", StringComparison.Ordinal) || id.StartsWith("o4", StringComparison.Ordinal))
            return chat | ModelCapabilities.Vision | ModelCapabilities.Thinking;
        return id.StartsWith("gpt-4", StringComparison.Ordinal) || id.StartsWith("gpt-3.5-turbo", StringComparison.Ordinal) ? ModelCapabilities.Chat | ModelCapabilities.Tools : null;
    }
}

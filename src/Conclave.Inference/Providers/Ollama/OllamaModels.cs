using System.Collections.Concurrent;
using System.Text.Json;

namespace Conclave.Inference.Providers.Ollama;

/// <summary>The models of an Ollama: <c>/api/tags</c>, which of them are loaded from <c>/api/ps</c>, and what they can do from <c>/api/show</c>.</summary>
internal sealed class OllamaModels(ModelServerConnection connection)
{
    private readonly Uri _tags = connection.Endpoint("api/tags");
    private readonly Uri _loaded = connection.Endpoint("api/ps");
    private readonly Uri _show = connection.Endpoint("api/show");

    /// <summary>What <c>/api/show</c> says does not change while the digest stays; health checks come often.</summary>
    private readonly ConcurrentDictionary<string, Details> _details = new(StringComparer.Ordinal);

    public async Task<IReadOnlyList<ServedModel>> ListAsync(CancellationToken cancellationToken)
    {
        var models = await ListAsync(_tags, ReadTag, cancellationToken);
        var loaded = (await ListAsync(_loaded, item => NameOf(item) ?? "", cancellationToken)).ToHashSet(StringComparer.Ordinal);
        var known = new ServedModel[models.Count];
        await Parallel.ForAsync(0, models.Count, new ParallelOptions { MaxDegreeOfParallelism = 4, CancellationToken = cancellationToken }, async (i, token) =>
        {
            var details = await FindDetailsAsync(models[i], token);
            known[i] = models[i] with { IsLoaded = loaded.Contains(models[i].Name), Capabilities = details?.Capabilities, ContextSize = details?.ContextSize };
        });
        var digests = models.Select(m => m.Digest ?? m.Name).ToHashSet(StringComparer.Ordinal);
        foreach (var gone in _details.Keys.Where(k => !digests.Contains(k)))
            _details.TryRemove(gone, out _);
        return known;
    }

    private async Task<List<T>> ListAsync<T>(Uri endpoint, Func<JsonElement, T?> read, CancellationToken cancellationToken)
        where T : class
    {
        using var answer = await connection.SendAsync(HttpMethod.Get, endpoint, null, null, cancellationToken);
        return await answer.ReadJsonAsync(root =>
        {
            if (!root.TryGetProperty("models", out var items) || items.ValueKind is not (JsonValueKind.Array or JsonValueKind.Null))
                throw connection.Failed(ModelServerFailure.InvalidAnswer, "listed its models in a way that is not Ollama's");
            return root.ItemsOf("models").Select(read).OfType<T>().ToList();
        });
    }

    private static string? NameOf(JsonElement item) => item.TextOf("model") ?? item.TextOf("name");

    private static ServedModel? ReadTag(JsonElement item)
    {
        if (NameOf(item) is not { Length: > 0 } name)
            return null;
        var details = item.ObjectOf("details");
        return new ServedModel
        {
            Name = name,
            SizeBytes = item.NumberOf("size"),
            Digest = item.TextOf("digest"),
            ModifiedAt = WireJson.FromText(item.TextOf("modified_at")),
            Family = details.TextOf("family"),
            ParameterSize = details.TextOf("parameter_size"),
            Quantization = details.TextOf("quantization_level"),
        };
    }

    private async Task<Details?> FindDetailsAsync(ServedModel model, CancellationToken cancellationToken)
    {
        var key = model.Digest ?? model.Name;
        if (_details.TryGetValue(key, out var known))
            return known;
        try
        {
            var body = WireJson.Object(model.Name, static (writer, name) => writer.WriteString("model"u8, name));
            using var answer = await connection.SendAsync(HttpMethod.Post, _show, body, model.Name, cancellationToken);
            return _details[key] = await answer.ReadJsonAsync(ReadDetails);
        }
        catch (ModelServerException exception) when (exception.Failure is ModelServerFailure.ModelNotFound or ModelServerFailure.BadRequest or ModelServerFailure.ServerError)
        {
            // Deleted meanwhile, or broken: nothing is known about this one.
            return null;
        }
    }

    private static Details ReadDetails(JsonElement root)
    {
        var info = root.ObjectOf("model_info");
        var architecture = info.TextOf("general.architecture") ?? root.ObjectOf("details").TextOf("family") ?? "";
        var context = info.NumberOf(architecture + ".context_length");
        var capabilities = ModelCapabilities.None;
        if (root.TryGetProperty("capabilities", out var list) && list.ValueKind == JsonValueKind.Array)
        {
            foreach (var item in list.EnumerateArray())
                capabilities |= Capability(item.GetString());
        }
        else
        {
            // Ollama before 0.6.4 does not say.
            capabilities = architecture.Contains("bert", StringComparison.Ordinal) ? ModelCapabilities.Embeddings : Capability("completion");
            if (root.TextOf("template")?.Contains(".Tools", StringComparison.Ordinal) == true)
                capabilities |= ModelCapabilities.Tools;
        }

        return new Details(capabilities, context is > 0 and <= int.MaxValue ? (int)context : null);
    }

    private static ModelCapabilities Capability(string? name) => name switch
    {
        // Every model that completes is held to a schema by its grammar, and continues a message of the assistant that comes last.
        "completion" => ModelCapabilities.Chat | ModelCapabilities.JsonSchema | ModelCapabilities.Continue,
        "tools" => ModelCapabilities.Tools,
        "vision" => ModelCapabilities.Vision,
        "thinking" => ModelCapabilities.Thinking,
        "embedding" => ModelCapabilities.Embeddings,
        _ => ModelCapabilities.None,
    };

    private sealed record Details(ModelCapabilities Capabilities, int? ContextSize);
}

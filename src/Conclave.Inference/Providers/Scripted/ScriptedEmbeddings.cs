using Microsoft.Extensions.AI;

namespace Conclave.Inference.Providers.Scripted;

/// <summary>Vectors from hashes of words and of three letters in a row: equal for equal texts, near for texts that share words. No model is in them.</summary>
internal sealed class ScriptedEmbeddings(ScriptSource source) : IEmbeddingGenerator<string, Embedding<float>>
{
    public Task<GeneratedEmbeddings<Embedding<float>>> GenerateAsync(
        IEnumerable<string> values, EmbeddingGenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        try
        {
            cancellationToken.ThrowIfCancellationRequested();
            return Task.FromResult(Generate(values, options));
        }
        catch (Exception exception) when (exception is ModelServerException or OperationCanceledException)
        {
            return Task.FromException<GeneratedEmbeddings<Embedding<float>>>(exception);
        }
    }

    public object? GetService(Type serviceType, object? serviceKey = null) => serviceKey is null && serviceType.IsInstanceOfType(this) ? this : null;

    public void Dispose()
    {
    }

    private GeneratedEmbeddings<Embedding<float>> Generate(IEnumerable<string> values, EmbeddingGenerationOptions? options)
    {
        if (source.Current.Find(options?.ModelId) is not { } model || !model.CapabilityFlags.HasFlag(ModelCapabilities.Embeddings))
            throw new ModelServerException(ModelServerFailure.ModelNotFound, $"The script has no model '{options?.ModelId}' that embeds texts.");
        var dimensions = options?.Dimensions ?? model.Dimensions;
        if (dimensions is < 1 or > 8192)
            throw new ModelServerException(ModelServerFailure.BadRequest, "Vectors have 1 to 8192 dimensions.");
        var embeddings = new GeneratedEmbeddings<Embedding<float>> { AdditionalProperties = new() { [ScriptedProvider.Mark] = true } };
        var tokens = 0;
        foreach (var text in values)
        {
            embeddings.Add(new Embedding<float>(Embed(text, dimensions)) { ModelId = ScriptedProvider.ModelPrefix + model.Name });
            tokens += (text.Length + 3) / 4;
        }

        embeddings.Usage = new UsageDetails { InputTokenCount = tokens, TotalTokenCount = tokens };
        return embeddings;
    }

    private static float[] Embed(string text, int dimensions)
    {
        var vector = new float[dimensions];
        var lower = text.ToLowerInvariant().AsSpan();
        for (var start = 0; start < lower.Length;)
        {
            while (start < lower.Length && !char.IsLetterOrDigit(lower[start]))
                start++;
            var end = start;
            while (end < lower.Length && char.IsLetterOrDigit(lower[end]))
                end++;
            if (end > start)
                Add(vector, lower[start..end], 1);
            for (var i = start; i + 3 <= end; i++)
                Add(vector, lower[i..(i + 3)], 0.3f);
            start = end;
        }

        var length = MathF.Sqrt(vector.Sum(x => x * x));
        if (length == 0)
            vector[0] = length = 1;
        for (var i = 0; i < vector.Length; i++)
            vector[i] /= length;
        return vector;
    }

    /// <summary>FNV-1a, which is the same on every machine and in every version.</summary>
    private static void Add(float[] vector, ReadOnlySpan<char> word, float weight)
    {
        var hash = 2166136261u;
        foreach (var c in word)
            hash = (hash ^ c) * 16777619;
        vector[(hash >> 1) % (uint)vector.Length] += (hash & 1) == 0 ? weight : -weight;
    }
}

using System.Security.Cryptography;
using System.Text;
using Conclave.Inference;
using Conclave.Workflows.Runtime.Postgres;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Conclave.Agents.Tools;

/// <content>Finding tools by what they mean.</content>
public sealed partial class ToolRegistry
{
    private const string EmbeddingModel = "embed";
    private const int MostTextLength = 2_000;

    /// <summary>Embeds descriptions; null where there are no model calls.</summary>
    public IInference? Inference { get; set; }

    /// <summary>The tools that fit a wish best, only those that can be used. By meaning where a model for embeddings is served, else by words.</summary>
    /// <param name="tenant">Owner.</param>
    /// <param name="query">What is to be done, in words.</param>
    /// <param name="k">Most matches.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    public async Task<IReadOnlyList<ToolMatch>> SearchAsync(string tenant, string query, int k, CancellationToken cancellationToken)
    {
        var tools = List(tenant).Where(t => t.Problem is null).ToList();
        if (tools.Count == 0 || query.Length == 0 || k < 1)
            return [];
        var scores = await ScoreByMeaningAsync(tenant, query, tools, cancellationToken) ?? ScoreByWords(query, tools);
        return [.. tools.Zip(scores, (tool, score) => new ToolMatch(tool, score)).Where(m => m.Score > 0).OrderByDescending(m => m.Score).ThenBy(m => m.Tool.Name, StringComparer.Ordinal).Take(k)];
    }

    private async Task<double[]?> ScoreByMeaningAsync(string tenant, string query, List<RegisteredTool> tools, CancellationToken cancellationToken)
    {
        if (Inference is not { } inference)
            return null;
        try
        {
            var context = new CallContext { Tenant = tenant, Priority = CallPriority.P1, DataPolicy = DataPolicy.LocalOnly };
            var report = new CallReport();
            var asked = await inference.EmbedAsync(new EmbedCall(context, EmbeddingModel, [query[..Math.Min(query.Length, MostTextLength)]]), report, cancellationToken);
            // Vectors of different models cannot be compared.
            var model = $"{report.Model}/{asked[0].Vector.Length}";
            var texts = tools.ConvertAll(TextOf);
            var hashes = texts.ConvertAll(t => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(t))));
            var vectors = await ReadVectorsAsync(hashes, model, cancellationToken);
            var missing = Enumerable.Range(0, tools.Count).Where(i => !vectors.ContainsKey(hashes[i])).ToList();
            if (missing.Count > 0)
            {
                var embedded = await inference.EmbedAsync(new EmbedCall(context, EmbeddingModel, missing.ConvertAll(i => texts[i])), new CallReport(), cancellationToken);
                for (var i = 0; i < missing.Count; i++)
                    vectors[hashes[missing[i]]] = embedded[i].Vector.ToArray();
                await StoreVectorsAsync(missing.ConvertAll(i => hashes[i]), model, vectors, cancellationToken);
            }

            var wish = asked[0].Vector;
            return [.. hashes.Select(h => vectors[h].Length == wish.Length ? Cosine(wish.Span, vectors[h]) : 0)];
        }
        catch (InferenceException exception)
        {
            LogNoMeaning(exception.Message);
            return null;
        }
    }

    /// <summary>Which share of the wish's words a tool has, rare ones counting more; words of its name twice.</summary>
    private static double[] ScoreByWords(string query, List<RegisteredTool> tools)
    {
        var wishes = Words(query).Distinct().ToList();
        var names = tools.ConvertAll(t => Words(t.Name).ToHashSet());
        var texts = tools.ConvertAll(t => Words(TextOf(t)).ToHashSet());
        var weights = wishes.ConvertAll(word => Math.Log(1 + ((double)tools.Count / (1 + texts.Count(t => t.Contains(word))))));
        var most = weights.Sum() * 2;
        return [.. tools.Select((_, i) => most == 0 ? 0 : wishes.Select((word, w) => weights[w] * ((texts[i].Contains(word) ? 1 : 0) + (names[i].Contains(word) ? 1 : 0))).Sum() / most)];
    }

    private static double Cosine(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        var (product, lengthA, lengthB) = (0d, 0d, 0d);
        for (var i = 0; i < a.Length; i++)
        {
            product += (double)a[i] * b[i];
            lengthA += (double)a[i] * a[i];
            lengthB += (double)b[i] * b[i];
        }

        return lengthA > 0 && lengthB > 0 ? product / Math.Sqrt(lengthA * lengthB) : 0;
    }

    private static string TextOf(RegisteredTool tool)
    {
        var text = $"{tool.Name.Replace('-', ' ').Replace('_', ' ')} ({tool.Definition.Category}): {tool.Definition.Description}";
        return text[..Math.Min(text.Length, MostTextLength)];
    }

    private static IEnumerable<string> Words(string text)
    {
        var start = -1;
        for (var i = 0; i <= text.Length; i++)
        {
            if (i < text.Length && char.IsLetterOrDigit(text[i]))
            {
                if (start < 0)
                    start = i;
                continue;
            }

            if (start >= 0 && i - start > 1)
                yield return Stem(text[start..i].ToLowerInvariant());
            start = -1;
        }
    }

    // Enough for "charts" to find "chart", and "formatting" "format".
    private static string Stem(string word) => word switch
    {
        { Length: > 6 } when word.EndsWith("ting", StringComparison.Ordinal) => word[..^4],
        { Length: > 5 } when word.EndsWith("ing", StringComparison.Ordinal) => word[..^3],
        { Length: > 4 } when word.EndsWith("es", StringComparison.Ordinal) => word[..^2],
        { Length: > 3 } when word.EndsWith('s') => word[..^1],
        _ => word,
    };

    private async Task<Dictionary<string, float[]>> ReadVectorsAsync(List<string> hashes, string model, CancellationToken cancellationToken)
    {
        await using var command = _database.CreateCommand("select hash, vector from conclave.tool_vector where hash = any($1) and model = $2");
        command.Parameters.AddValue(hashes.ToArray());
        command.Parameters.AddValue(model);
        var vectors = new Dictionary<string, float[]>(StringComparer.Ordinal);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            vectors[reader.GetString(0)] = reader.GetFieldValue<float[]>(1);
        return vectors;
    }

    private async Task StoreVectorsAsync(List<string> hashes, string model, Dictionary<string, float[]> vectors, CancellationToken cancellationToken)
    {
        await using var batch = _database.CreateBatch();
        foreach (var hash in hashes)
        {
            var command = new NpgsqlBatchCommand("insert into conclave.tool_vector (hash, model, vector) values ($1, $2, $3) on conflict do nothing");
            command.Parameters.AddValue(hash);
            command.Parameters.AddValue(model);
            command.Parameters.AddValue(vectors[hash]);
            batch.BatchCommands.Add(command);
        }

        await batch.ExecuteNonQueryAsync(cancellationToken);
    }

    [LoggerMessage(4406, LogLevel.Debug, "Tools are looked for by words: {Reason}")]
    private partial void LogNoMeaning(string reason);
}

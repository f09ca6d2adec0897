using System.Globalization;
using System.Text.Json;

namespace Conclave.Inference.Providers.Anthropic;

/// <summary><c>/v1/models</c>. What the models can do is known by their generation: the API does not tell.</summary>
internal sealed class AnthropicModels(ModelServerConnection connection)
{
    /// <summary>The generation since which answers can be held to a schema.</summary>
    public const decimal FirstWithSchemas = 4.5m;

    private const int PageSize = 1000;

    public async Task<IReadOnlyList<ServedModel>> ListAsync(CancellationToken cancellationToken)
    {
        List<ServedModel> models = [];
        string? after = null;
        do
        {
            var path = after is null ? $"v1/models?limit={PageSize}" : $"v1/models?limit={PageSize}&after_id={Uri.EscapeDataString(after)}";
            using var answer = await connection.SendAsync(HttpMethod.Get, connection.Endpoint(path), null, null, cancellationToken);
            after = await answer.ReadJsonAsync(root => ReadPage(root, models));
        }
        while (after is not null);
        return models;
    }

    /// <summary>Whether a model continues a message of the assistant that comes last. Claude Opus 4.6 and Sonnet 4.6, and what came after, refuse it.</summary>
    public static bool Continues(string model) => GenerationOf(model) is < 4.6m;

    /// <summary>Reads a page.</summary>
    /// <returns>What the next one comes after; null for no next one.</returns>
    private string? ReadPage(JsonElement root, List<ServedModel> models)
    {
        if (!root.TryGetProperty("data", out var data) || data.ValueKind != JsonValueKind.Array)
            throw connection.Failed(ModelServerFailure.InvalidAnswer, "listed its models in a way that is not Anthropic's");
        foreach (var item in data.EnumerateArray())
        {
            if (item.TextOf("id") is { Length: > 0 } id)
                models.Add(Read(item, id));
        }

        var hasMore = root.TryGetProperty("has_more", out var more) && more.ValueKind == JsonValueKind.True && data.GetArrayLength() > 0;
        return hasMore ? root.TextOf("last_id") : null;
    }

    private static ServedModel Read(JsonElement item, string id)
    {
        var capabilities = ModelCapabilities.Chat | ModelCapabilities.Tools | ModelCapabilities.Vision;
        if (Continues(id))
            capabilities |= ModelCapabilities.Continue;
        // Extended thinking came with 3.7.
        if (GenerationOf(id) is null or >= 3.7m)
            capabilities |= ModelCapabilities.Thinking;
        if (GenerationOf(id) >= FirstWithSchemas)
            capabilities |= ModelCapabilities.JsonSchema;
        return new ServedModel
        {
            Name = id,
            Capabilities = capabilities,
            ContextSize = item.NumberOf("max_input_tokens") is > 0 and <= int.MaxValue and var size ? (int)size : 200_000,
            ModifiedAt = WireJson.FromText(item.TextOf("created_at")),
        };
    }

    /// <summary>4.5 of <c>claude-sonnet-4-5-20250929</c>, 3.7 of <c>claude-3-7-sonnet-latest</c>; null where the name has none.</summary>
    internal static decimal? GenerationOf(string model)
    {
        var digits = model.Split('-').Where(p => p.Length is 1 or 2 && p.All(char.IsAsciiDigit)).Take(2).ToArray();
        return digits.Length == 0 ? null : decimal.Parse(string.Join('.', digits), CultureInfo.InvariantCulture);
    }
}

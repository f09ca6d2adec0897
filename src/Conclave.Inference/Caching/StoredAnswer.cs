using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Conclave.Inference.Caching;

/// <summary>An answer as it is kept, with what the caller was told about it.</summary>
/// <param name="Response">What the model said, as JSON of a <see cref="ChatResponse"/>, or the vectors.</param>
/// <param name="Server">The server that said it.</param>
/// <param name="Provider">Kind of the server.</param>
/// <param name="Model">The model that said it.</param>
/// <param name="IsLocal">Whether the server is one of the house.</param>
/// <param name="InputTokens">Tokens read.</param>
/// <param name="OutputTokens">Tokens written.</param>
/// <param name="Cost">What it cost.</param>
internal sealed record StoredAnswer(
    JsonElement Response, string? Server, string? Provider, string? Model, bool IsLocal, long InputTokens, long OutputTokens, decimal Cost)
{
    /// <summary>Keeps an answer.</summary>
    public static StoredAnswer Of(ChatResponse response, CallReport report) =>
        From(JsonSerializer.SerializeToElement(response, AIJsonUtilities.DefaultOptions.GetTypeInfo(typeof(ChatResponse))), report);

    /// <summary>Keeps vectors.</summary>
    public static StoredAnswer Of(GeneratedEmbeddings<Embedding<float>> vectors, CallReport report) =>
        From(JsonSerializer.SerializeToElement([.. vectors.Select(v => v.Vector.ToArray())], CachingJson.Default.SingleArrayArray), report);

    /// <summary>The answer as updates.</summary>
    public IEnumerable<ChatResponseUpdate> ToUpdates()
    {
        var response = (ChatResponse)Response.Deserialize(AIJsonUtilities.DefaultOptions.GetTypeInfo(typeof(ChatResponse)))!;
        return response.ToChatResponseUpdates();
    }

    /// <summary>The vectors.</summary>
    public GeneratedEmbeddings<Embedding<float>> ToVectors() =>
        new(Response.Deserialize(CachingJson.Default.SingleArrayArray)!.Select(v => new Embedding<float>(v)))
        {
            Usage = new UsageDetails { InputTokenCount = InputTokens },
        };

    /// <summary>Tells the caller what it was told the first time.</summary>
    public void Fill(CallReport report, CacheOutcome outcome)
    {
        (report.Server, report.Provider, report.Model, report.IsLocal, report.Cache) = (Server, Provider, Model, IsLocal, outcome);
        (report.InputTokens, report.OutputTokens) = (InputTokens, OutputTokens);
        // A repeated call is the same call; one whose answer somebody else paid for costs nothing.
        report.Cost = outcome == CacheOutcome.Replay ? Cost : 0;
    }

    public byte[] ToUtf8() => JsonSerializer.SerializeToUtf8Bytes(this, CachingJson.Default.StoredAnswer);

    public static StoredAnswer FromUtf8(byte[] json) => JsonSerializer.Deserialize(json, CachingJson.Default.StoredAnswer)!;

    private static StoredAnswer From(JsonElement response, CallReport report) =>
        new(response, report.Server, report.Provider, report.Model, report.IsLocal, report.InputTokens, report.OutputTokens, report.Cost);
}

/// <summary>JSON of what is kept.</summary>
[System.Text.Json.Serialization.JsonSerializable(typeof(StoredAnswer))]
[System.Text.Json.Serialization.JsonSerializable(typeof(float[][]))]
internal sealed partial class CachingJson : System.Text.Json.Serialization.JsonSerializerContext;

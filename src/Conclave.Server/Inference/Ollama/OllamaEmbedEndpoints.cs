using System.Text.Json;
using Conclave.Inference;
using Conclave.Server.Api;
using Conclave.Server.Inference.OpenAI;
using Microsoft.Extensions.AI;

namespace Conclave.Server.Inference.Ollama;

/// <summary><c>POST /api/embed</c>, and <c>POST /api/embeddings</c> as it was before.</summary>
internal static class OllamaEmbedEndpoints
{
    public static async Task EmbedAsync(HttpContext context)
    {
        var startedAt = context.Clock().GetTimestamp();
        var body = await context.ReadObjectAsync();
        var model = body.RequiredText("model");
        var texts = body.Texts("input") ?? throw JsonReading.Bad("input", "is missing");
        if (texts.Count > EmbeddingEndpoint.MostTexts)
            throw JsonReading.Bad("input", $"must have at most {EmbeddingEndpoint.MostTexts} texts");
        var (report, vectors) = texts.Count == 0
            ? (new CallReport(), [])
            : await EmbedAsync(context, model, texts, body.Whole("dimensions", 1, 65_536));
        await context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            writer.WriteString("model", report.Model ?? model);
            writer.WriteStartArray("embeddings");
            foreach (var vector in vectors)
                WriteVector(writer, vector);
            writer.WriteEndArray();
            writer.WriteNumber("total_duration", context.Clock().GetElapsedTime(startedAt).Ticks * 100);
            writer.WriteNumber("load_duration", report.Waited.Ticks * 100);
            writer.WriteNumber("prompt_eval_count", vectors.Usage?.InputTokenCount ?? report.InputTokens);
            writer.WriteEndObject();
        });
    }

    public static async Task EmbedOneAsync(HttpContext context)
    {
        var body = await context.ReadObjectAsync();
        var model = body.RequiredText("model");
        var prompt = body.Text("prompt") ?? "";
        var vectors = prompt.Length == 0 ? [] : (await EmbedAsync(context, model, [prompt], null)).Vectors;
        await context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            writer.WritePropertyName("embedding");
            WriteVector(writer, vectors.Count > 0 ? vectors[0] : new Embedding<float>(Array.Empty<float>()));
            writer.WriteEndObject();
        });
    }

    private static async Task<(CallReport Report, GeneratedEmbeddings<Embedding<float>> Vectors)> EmbedAsync(HttpContext context, string model, List<string> texts, int? dimensions)
    {
        var caller = CallContexts.Read(context);
        var limit = context.RequestServices.GetRequiredService<RateLimits>().Enter(context, caller);
        var watch = new QueueWatch();
        var report = new CallReport { Changed = watch.Take };
        var vectors = await context.Inference().EmbedAsync(new EmbedCall(caller, model, texts, dimensions), report, context.RequestAborted);
        limit.Spend(vectors.Usage?.InputTokenCount ?? report.InputTokens);
        CallHeaders.Write(context.Response, report, watch);
        return (report, vectors);
    }

    private static void WriteVector(Utf8JsonWriter writer, Embedding<float> vector)
    {
        writer.WriteStartArray();
        foreach (var number in vector.Vector.Span)
            writer.WriteNumberValue(number);
        writer.WriteEndArray();
    }
}

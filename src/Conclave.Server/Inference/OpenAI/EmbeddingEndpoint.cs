using System.Runtime.InteropServices;
using System.Text.Json;
using Conclave.Inference;
using Conclave.Server.Api;
using Microsoft.Extensions.AI;

namespace Conclave.Server.Inference.OpenAI;

/// <summary><c>POST /v1/embeddings</c>.</summary>
internal static class EmbeddingEndpoint
{
    /// <summary>The most texts of one request; source: OpenAI's API reference.</summary>
    public const int MostTexts = 2048;

    public static async Task HandleAsync(HttpContext context)
    {
        var body = await context.ReadObjectAsync();
        var model = body.RequiredText("model");
        var texts = body.Texts("input") ?? throw JsonReading.Bad("input", "is missing");
        if (texts.Count is 0 or > MostTexts)
            throw JsonReading.Bad("input", $"must have 1 to {MostTexts} texts");
        if (texts.Exists(text => text.Length == 0))
            throw JsonReading.Bad("input", "must not have empty texts");
        var asBase64 = body.Text("encoding_format") switch
        {
            null or "float" => false,
            "base64" => true,
            _ => throw JsonReading.Bad("encoding_format", "must be float or base64"),
        };
        var caller = CallContexts.Read(context);
        var limit = context.RequestServices.GetRequiredService<RateLimits>().Enter(context, caller);
        var watch = new QueueWatch();
        var report = new CallReport { Changed = watch.Take };
        var vectors = await context.Inference().EmbedAsync(new EmbedCall(caller, model, texts, body.Whole("dimensions", 1, 65_536)), report, context.RequestAborted);
        var tokens = vectors.Usage?.InputTokenCount ?? report.InputTokens;
        limit.Spend(tokens);
        CallHeaders.Write(context.Response, report, watch);
        await context.WriteJsonAsync(writer => Write(writer, report.Model ?? model, vectors, asBase64, tokens));
    }

    private static void Write(Utf8JsonWriter writer, string model, GeneratedEmbeddings<Embedding<float>> vectors, bool asBase64, long tokens)
    {
        writer.WriteStartObject();
        writer.WriteString("object", "list");
        writer.WriteStartArray("data");
        for (var index = 0; index < vectors.Count; index++)
        {
            writer.WriteStartObject();
            writer.WriteString("object", "embedding");
            writer.WriteNumber("index", index);
            if (asBase64)
            {
                // Little-endian 32-bit floats, as the official clients read them.
                writer.WriteBase64String("embedding", MemoryMarshal.AsBytes(vectors[index].Vector.Span));
            }
            else
            {
                writer.WriteStartArray("embedding");
                foreach (var number in vectors[index].Vector.Span)
                    writer.WriteNumberValue(number);
                writer.WriteEndArray();
            }

            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteString("model", model);
        writer.WriteStartObject("usage");
        writer.WriteNumber("prompt_tokens", tokens);
        writer.WriteNumber("total_tokens", tokens);
        writer.WriteEndObject();
        writer.WriteEndObject();
    }
}

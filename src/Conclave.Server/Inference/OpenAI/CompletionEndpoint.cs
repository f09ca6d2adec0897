using System.Text.Json;
using Conclave.Inference;
using Conclave.Server.Api;
using Microsoft.Extensions.AI;

namespace Conclave.Server.Inference.OpenAI;

/// <summary><c>POST /v1/completions</c>: a text to go on from. The prompt is a message of the user, as models are asked today.</summary>
internal static class CompletionEndpoint
{
    public static async Task HandleAsync(HttpContext context)
    {
        var body = await context.ReadObjectAsync();
        var model = body.RequiredText("model");
        var prompts = body.Texts("prompt") ?? throw JsonReading.Bad("prompt", "is missing");
        if (prompts.Count == 0)
            throw JsonReading.Bad("prompt", "must have at least one text");
        var options = ChatRequest.ReadOptions(body);
        options.AdditionalProperties?.Remove("prompt");
        options.AdditionalProperties?.Remove("echo");
        options.AdditionalProperties?.Remove("suffix");
        options.AdditionalProperties?.Remove("best_of");
        if (body.Whole("n", 1, 1) is null && body.Member("n").ValueKind != JsonValueKind.Undefined)
            throw JsonReading.Bad("n", "must be 1");
        if (body.Member("suffix").ValueKind != JsonValueKind.Undefined)
            throw JsonReading.Bad("suffix", "is not offered: models of conversations do not fill gaps");
        var echo = body.Flag("echo", false);
        var isStream = body.Flag("stream", false);
        if (isStream && prompts.Count > 1)
            throw JsonReading.Bad("prompt", "must be one text for a stream");
        var caller = CallContexts.Read(context);
        var limit = context.RequestServices.GetRequiredService<RateLimits>().Enter(context, caller);
        var watch = new QueueWatch();
        var report = new CallReport { Changed = watch.Take };
        var answer = new CompletionAnswer(report, model, context.Clock().GetUtcNow());
        if (isStream)
        {
            var includesUsage = body.Object("stream_options") is { ValueKind: JsonValueKind.Object } stream && stream.Flag("include_usage", false);
            await StreamAsync(context, Call(prompts[0]), answer, watch, limit, echo ? prompts[0] : null, includesUsage);
            return;
        }

        var answers = new List<ChatResponse>();
        foreach (var prompt in prompts)
            answers.Add(await context.Inference().ChatAsync(Call(prompt), answers.Count == 0 ? report : new CallReport(), context.RequestAborted));
        limit.Spend(answers.Sum(a => a.Usage?.TotalTokenCount ?? 0));
        CallHeaders.Write(context.Response, report, watch);
        await context.WriteJsonAsync(writer => answer.Write(writer, [.. answers.Select((a, index) => ((echo ? prompts[index] : "") + a.Text, ChatAnswer.FinishReason(a.FinishReason, false)))], ChatAnswer.Sum(answers.Select(a => a.Usage))));

        ChatCall Call(string prompt) => new(caller, model, [new ChatMessage(ChatRole.User, prompt)], options);
    }

    private static async Task StreamAsync(HttpContext context, ChatCall call, CompletionAnswer answer, QueueWatch watch, RateLimitHold limit, string? echo, bool includesUsage)
    {
        using var stream = EventStream.Events(context.Response);
        UsageDetails? usage = null;
        ChatFinishReason? reason = null;
        try
        {
            await foreach (var update in context.StreamAsync(call, answer.Report, context.RequestAborted))
            {
                CallHeaders.Write(context.Response, answer.Report, watch);
                reason = update.FinishReason ?? reason;
                foreach (var counted in update.Contents.OfType<UsageContent>())
                    (usage ??= new UsageDetails()).Add(counted.Details);
                if (echo + update.Text is { Length: > 0 } text)
                    await stream.WriteAsync(answer.WriteChunk, (text, (string?)null), context.RequestAborted);
                echo = null;
            }

            await stream.WriteAsync(answer.WriteChunk, ("", (string?)ChatAnswer.FinishReason(reason, false)), context.RequestAborted);
            if (includesUsage)
                await stream.WriteAsync<UsageDetails?>((writer, counted) => answer.Write(writer, [], counted), usage, context.RequestAborted);
            await stream.WriteDoneAsync(context.RequestAborted);
        }
        catch (Exception exception) when (context.Response.HasStarted && !context.RequestAborted.IsCancellationRequested)
        {
            await stream.WriteAsync(OpenAIErrors.Write, OpenAIErrors.Describe(context, exception), context.RequestAborted);
        }
        finally
        {
            limit.Spend(usage?.TotalTokenCount ?? 0);
        }
    }

    private sealed class CompletionAnswer(CallReport report, string requested, DateTimeOffset createdAt)
    {
        public CallReport Report => report;

        public void Write(Utf8JsonWriter writer, IReadOnlyList<(string Text, string? Reason)> choices, UsageDetails? usage)
        {
            writer.WriteStartObject();
            writer.WriteString("id", $"cmpl-{report.CallId}");
            writer.WriteString("object", "text_completion");
            writer.WriteNumber("created", createdAt.ToUnixTimeSeconds());
            writer.WriteString("model", report.Model ?? requested);
            writer.WriteStartArray("choices");
            for (var index = 0; index < choices.Count; index++)
            {
                writer.WriteStartObject();
                writer.WriteNumber("index", index);
                writer.WriteString("text", choices[index].Text);
                writer.WriteNull("logprobs");
                writer.WriteString("finish_reason", choices[index].Reason);
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
            ChatAnswer.WriteUsage(writer, usage);
            writer.WriteEndObject();
        }

        public void WriteChunk(Utf8JsonWriter writer, (string Text, string? Reason) chunk) => Write(writer, [chunk], null);
    }
}

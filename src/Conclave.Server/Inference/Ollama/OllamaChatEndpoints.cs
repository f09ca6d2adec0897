using System.Text.Json;
using Conclave.Inference;
using Conclave.Server.Api;
using Conclave.Server.Inference.OpenAI;
using Microsoft.Extensions.AI;

namespace Conclave.Server.Inference.Ollama;

/// <summary><c>POST /api/chat</c> and <c>POST /api/generate</c>.</summary>
internal static class OllamaChatEndpoints
{
    /// <summary>Answers a conversation; one without messages loads or unloads the model.</summary>
    public static async Task ChatAsync(HttpContext context)
    {
        var body = await context.ReadObjectAsync();
        var model = body.RequiredText("model");
        var messages = OllamaRequest.Messages(body);
        if (messages.Count == 0)
        {
            await OllamaModelEndpoints.LoadAsync(context, model, body, isChat: true);
            return;
        }

        var options = OllamaRequest.ReadOptions(body);
        options.Tools = ToolReader.Read(body);
        await AnswerAsync(context, body, new ChatCall(CallContexts.Read(context), model, messages, options), isChat: true);
    }

    /// <summary>Goes on from a prompt; without one it loads or unloads the model.</summary>
    public static async Task GenerateAsync(HttpContext context)
    {
        var body = await context.ReadObjectAsync();
        var model = body.RequiredText("model");
        var prompt = body.Text("prompt") ?? "";
        var images = OllamaRequest.Images(body, "").ToList();
        if (prompt.Length == 0 && images.Count == 0)
        {
            await OllamaModelEndpoints.LoadAsync(context, model, body, isChat: false);
            return;
        }

        if (body.Text("suffix") is { Length: > 0 })
            throw JsonReading.Bad("suffix", "is not offered: the gateway asks models as conversations, which do not fill gaps");
        if (body.Text("template") is { Length: > 0 } || body.Flag("raw", false))
            throw JsonReading.Bad(body.Flag("raw", false) ? "raw" : "template", "is not offered: the model's own template is used, whichever server answers");
        var messages = new List<ChatMessage>();
        if (body.Text("system") is { Length: > 0 } system)
            messages.Add(new ChatMessage(ChatRole.System, system));
        messages.Add(new ChatMessage(ChatRole.User, [new TextContent(prompt), .. images]));
        await AnswerAsync(context, body, new ChatCall(CallContexts.Read(context), model, messages, OllamaRequest.ReadOptions(body)), isChat: false);
    }

    private static async Task AnswerAsync(HttpContext context, JsonElement body, ChatCall call, bool isChat)
    {
        var limit = context.RequestServices.GetRequiredService<RateLimits>().Enter(context, call.Context);
        var watch = new QueueWatch();
        var answer = new OllamaAnswer(new CallReport { Changed = watch.Take }, call.Model, isChat, context.Clock());
        using var stream = EventStream.Lines(context.Response);
        try
        {
            if (!body.Flag("stream", true))
            {
                foreach (var update in (await context.AnswerAsync(call, answer.Report, context.RequestAborted)).ToChatResponseUpdates())
                    answer.Take(update);
                CallHeaders.Write(context.Response, answer.Report, watch);
                await context.WriteJsonAsync(writer => answer.WriteEnd(writer, isWhole: true));
                return;
            }

            await foreach (var update in context.StreamAsync(call, answer.Report, context.RequestAborted))
            {
                if (answer.Take(update) is not { } piece)
                    continue;
                CallHeaders.Write(context.Response, answer.Report, watch);
                await stream.WriteAsync(answer.WritePiece, piece, context.RequestAborted);
            }

            CallHeaders.Write(context.Response, answer.Report, watch);
            await stream.WriteAsync(answer.WriteEnd, false, context.RequestAborted);
        }
        catch (Exception exception) when (context.Response.HasStarted && !context.RequestAborted.IsCancellationRequested)
        {
            await stream.WriteAsync(OllamaErrors.Write, OpenAIErrors.Describe(context, exception).Message, context.RequestAborted);
        }
        finally
        {
            limit.Spend(answer.Usage?.TotalTokenCount ?? 0);
        }
    }
}

using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;

namespace Conclave.Tests.Inference.Doubles;

/// <summary>Speaks Anthropic's Messages API; streams only, as that is how it is asked.</summary>
public sealed class AnthropicDouble : ModelServerDouble
{
    protected override string? KeyOf(HttpRequest request) => request.Headers["x-api-key"];

    protected override Task HandleAsync(HttpContext context, DoubleRequest request, CancellationToken cancellationToken)
    {
        if (!request.Headers.ContainsKey("anthropic-version"))
            return WriteErrorAsync(context, 400, "invalid_request_error", "anthropic-version: header is required");
        return (request.Method, request.Path) switch
        {
            ("POST", "/v1/messages") => ChatAsync(context, request, cancellationToken),
            ("GET", "/v1/models") => WriteJsonAsync(context, new JsonObject
            {
                ["data"] = new JsonArray([.. Models.Select(m => new JsonObject { ["type"] = "model", ["id"] = m.Name, ["display_name"] = m.Name, ["created_at"] = "2025-09-29T00:00:00Z" })]),
                ["has_more"] = false,
                ["last_id"] = Models.LastOrDefault()?.Name,
            }),
            _ => WriteErrorAsync(context, 404, "not_found_error", "Not found"),
        };
    }

    protected override Task WriteErrorAsync(HttpContext context, int status, string type, string message) => WriteJsonAsync(context, Error(type, message), status);

    private static JsonObject Error(string type, string message) => new() { ["type"] = "error", ["error"] = new JsonObject { ["type"] = type, ["message"] = message } };

    private async Task ChatAsync(HttpContext context, DoubleRequest request, CancellationToken cancellationToken)
    {
        if (!Models.Any(m => m.Name == request.Model && !m.IsLie))
        {
            await WriteErrorAsync(context, 404, "not_found_error", $"model: {request.Model}");
            return;
        }

        if (!request.Body.TryGetProperty("max_tokens", out _))
        {
            await WriteErrorAsync(context, 400, "invalid_request_error", "max_tokens: Field required");
            return;
        }

        var answer = Answer(request);
        if (await FailsAtOnceAsync(context, answer, cancellationToken))
            return;
        context.Response.ContentType = "text/event-stream; charset=utf-8";
        var index = 0;
        await WriteAsync(new JsonObject
        {
            ["type"] = "message_start",
            ["message"] = new JsonObject
            {
                ["id"] = "msg_" + Guid.NewGuid().ToString("N"),
                ["type"] = "message",
                ["role"] = "assistant",
                ["model"] = request.Model,
                ["content"] = new JsonArray(),
                ["stop_reason"] = null,
                ["usage"] = new JsonObject { ["input_tokens"] = answer.InputTokens - answer.CachedTokens, ["cache_read_input_tokens"] = answer.CachedTokens, ["cache_creation_input_tokens"] = 0, ["output_tokens"] = 1 },
            },
        });
        await WriteAsync(new JsonObject { ["type"] = "ping" });
        if (answer.Thinking is { } thinking)
        {
            await StartAsync(new JsonObject { ["type"] = "thinking", ["thinking"] = "" });
            await DeltaAsync(new JsonObject { ["type"] = "thinking_delta", ["thinking"] = thinking });
            await DeltaAsync(new JsonObject { ["type"] = "signature_delta", ["signature"] = "signed" });
            await StopAsync();
        }

        if (answer.Tokens.Count > 0)
        {
            await StartAsync(new JsonObject { ["type"] = "text", ["text"] = "" });
            for (var i = 0; i < answer.Tokens.Count; i++)
            {
                if (await FailsBeforeTokenAsync(context, answer, i, () => WriteAsync(Error(answer.ErrorType, answer.ErrorMessage)), cancellationToken))
                    return;
                await DeltaAsync(new JsonObject { ["type"] = "text_delta", ["text"] = answer.Tokens[i] });
            }

            await StopAsync();
        }

        foreach (var (name, arguments) in answer.ToolCalls)
        {
            await StartAsync(new JsonObject { ["type"] = "tool_use", ["id"] = "toolu_" + Guid.NewGuid().ToString("N"), ["name"] = name, ["input"] = new JsonObject() });
            foreach (var part in (string[])[arguments[..(arguments.Length / 2)], arguments[(arguments.Length / 2)..]])
                await DeltaAsync(new JsonObject { ["type"] = "input_json_delta", ["partial_json"] = part });
            await StopAsync();
        }

        var reason = answer.FinishReason == "length" ? "max_tokens" : answer.ToolCalls.Count > 0 ? "tool_use" : "end_turn";
        await WriteAsync(new JsonObject
        {
            ["type"] = "message_delta",
            ["delta"] = new JsonObject { ["stop_reason"] = reason, ["stop_sequence"] = null },
            ["usage"] = new JsonObject { ["output_tokens"] = answer.Tokens.Count + answer.ToolCalls.Count },
        });
        await WriteAsync(new JsonObject { ["type"] = "message_stop" });

        Task StartAsync(JsonObject block) => WriteAsync(new JsonObject { ["type"] = "content_block_start", ["index"] = index, ["content_block"] = block });
        Task DeltaAsync(JsonObject delta) => WriteAsync(new JsonObject { ["type"] = "content_block_delta", ["index"] = index, ["delta"] = delta });
        Task StopAsync() => WriteAsync(new JsonObject { ["type"] = "content_block_stop", ["index"] = index++ });

        async Task WriteAsync(JsonObject data)
        {
            await context.Response.Body.WriteAsync(Encoding.UTF8.GetBytes($"event: {data["type"]}\ndata: {data.ToJsonString()}\n\n"), cancellationToken);
            await context.Response.Body.FlushAsync(cancellationToken);
        }
    }
}

using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Conclave.Inference.Providers;

/// <summary>What a server said about a failure.</summary>
/// <param name="Message">In words; null for nothing.</param>
/// <param name="Type">Its type or code, such as <c>context_length_exceeded</c>; null for none.</param>
/// <param name="Status">The HTTP status that it names, inside an answer that began well; null for none.</param>
internal readonly partial record struct ServerError(string? Message, string? Type, int? Status = null)
{
    private const int MaxMessage = 600;

    /// <summary>
    /// Reads the shapes that servers use: <c>{"error":"…"}</c> (Ollama), <c>{"error":{"message","type","code"}}</c> (OpenAI, vLLM, llama.cpp, Anthropic),
    /// <c>{"message","type","code"}</c> (older vLLM), <c>{"detail":"…"}</c> (FastAPI), or text.
    /// </summary>
    public static ServerError Parse(ReadOnlySpan<byte> body)
    {
        try
        {
            var reader = new Utf8JsonReader(body);
            if (JsonDocument.TryParseValue(ref reader, out var document))
            {
                using (document)
                    return Parse(document.RootElement);
            }
        }
        catch (JsonException)
        {
        }

        var text = Encoding.UTF8.GetString(body).Trim();
        return new ServerError(text.Length == 0 || text[0] == '<' ? null : text, null);
    }

    /// <inheritdoc cref="Parse(ReadOnlySpan{byte})"/>
    public static ServerError Parse(JsonElement root)
    {
        if (root.ValueKind != JsonValueKind.Object)
            return new ServerError(root.ToString(), null);
        var error = root.TryGetProperty("error", out var inner) ? inner : root;
        if (error.ValueKind == JsonValueKind.String)
            return new ServerError(error.GetString(), root.TextOf("type"));
        if (error.ValueKind != JsonValueKind.Object)
            return new ServerError(root.GetRawText(), null);
        var code = error.TextOf("code");
        int? status = error.TryGetProperty("code", out var number) && number.ValueKind == JsonValueKind.Number && number.TryGetInt32(out var n) ? n : null;
        var message = error.TextOf("message") ?? (error.TryGetProperty("detail", out var detail) ? detail.ToString() : error.GetRawText());
        return new ServerError(message, string.Join(' ', new[] { code, error.TextOf("type") }.Where(t => t is not null)), status);
    }

    /// <summary>The same without secrets and without endless text.</summary>
    public ServerError Without(string? secret)
    {
        if (Message is not { Length: > 0 } text)
            return this;
        if (secret is not null)
            text = text.Replace(secret, "***", StringComparison.Ordinal);
        text = Keys().Replace(text, "***");
        return this with { Message = text.Length > MaxMessage ? text[..MaxMessage] + "…" : text };
    }

    /// <summary>Keys as servers repeat them, whole or masked.</summary>
    [GeneratedRegex(@"\b(sk|rk|pk|key)-[A-Za-z0-9_*\-]{6,}|(?<=Bearer )\S{8,}", RegexOptions.CultureInvariant)]
    private static partial Regex Keys();
}

/// <summary>Tells kinds of failures from what servers say.</summary>
internal static class ServerFailures
{
    /// <summary>How OpenAI, vLLM, llama.cpp, LM Studio, LiteLLM, Anthropic and Ollama say that a conversation is too long, in lower case.</summary>
    private static readonly string[] TooLong =
    [
        "context_length_exceeded", "exceed_context_size", "contextwindowexceeded", "maximum context length", "max context length", "context length of only",
        "exceeds the context length", "exceeds maximum context", "available context size", "context window", "exceed context limit", "longer than the maximum model length",
        "greater than the context length", "exceeds max_model_len", "maximum model length", "prompt is too long", "prompt too long", "input is too long", "context the overflows",
    ];

    private static readonly string[] RefusedContent = ["content_policy_violation", "content_filter", "content management policy", "content policy", "responsible ai policy", "usage policies"];

    private static readonly string[] OutOfCredit = ["insufficient_quota", "billing_not_active", "billing_error", "credit balance is too low", "exceeded your current quota"];

    /// <summary>Makes the exception for an error.</summary>
    /// <param name="server">The server's name.</param>
    /// <param name="status">The HTTP status; null when the error came inside an answer that began well.</param>
    /// <param name="error">What the server said, without secrets.</param>
    /// <param name="model">The model that was asked for; null for none.</param>
    /// <param name="retryAfter">When the server wants to be asked again.</param>
    public static ModelServerException Classify(string server, int? status, ServerError error, string? model, TimeSpan? retryAfter)
    {
        var failure = KindOf(status ?? error.Status, $"{error.Type} {error.Message}".ToLowerInvariant(), model is not null);
        var what = status is { } code ? $"answered {code}" : "reported an error in its answer";
        var about = model is null ? "" : $" about the model '{model}'";
        return new ModelServerException(failure, $"The model server '{server}' {what}{about}: {error.Message ?? "no reason given"}")
        {
            Status = status ?? error.Status,
            Code = error.Type?.Split(' ')[0],
            Said = error.Message,
            RetryAfter = failure == ModelServerFailure.Overloaded ? retryAfter : null,
        };
    }

    private static ModelServerFailure KindOf(int? status, string text, bool namesModel)
    {
        // Servers answer a conversation that is too long with 400, 413, 422 or 500.
        if (status is null or 400 or 413 or 422 or 500 && Has(text, TooLong))
            return ModelServerFailure.ContextTooLong;
        if (status is null or 400 or 403 or 422 && Has(text, RefusedContent))
            return ModelServerFailure.Refused;
        if (status is null or 400 or 402 or 403 or 429 && Has(text, OutOfCredit))
            return ModelServerFailure.Unauthorized;
        return status switch
        {
            401 or 402 or 403 => ModelServerFailure.Unauthorized,
            404 => namesModel ? ModelServerFailure.ModelNotFound : ModelServerFailure.InvalidAnswer,
            408 => ModelServerFailure.Timeout,
            429 or 503 or 529 => ModelServerFailure.Overloaded,
            >= 500 => ModelServerFailure.ServerError,
            >= 400 => IsUnknownModel(text) ? ModelServerFailure.ModelNotFound : ModelServerFailure.BadRequest,
            _ => FromWords(text),
        };
    }

    private static ModelServerFailure FromWords(string text)
    {
        if (Has(text, "overloaded", "rate_limit", "rate limit", "too many requests", "server busy"))
            return ModelServerFailure.Overloaded;
        if (Has(text, "authentication_error", "permission_error", "invalid api key", "invalid_api_key"))
            return ModelServerFailure.Unauthorized;
        if (IsUnknownModel(text))
            return ModelServerFailure.ModelNotFound;
        return Has(text, "invalid_request_error", "badrequesterror") ? ModelServerFailure.BadRequest : ModelServerFailure.ServerError;
    }

    private static bool IsUnknownModel(string text) =>
        Has(text, "model_not_found", "not_found_error") || (text.Contains("model", StringComparison.Ordinal) && Has(text, "not found", "does not exist", "no such model", "file does not exist", "invalid model name"));

    private static bool Has(string text, params ReadOnlySpan<string> words)
    {
        foreach (var word in words)
        {
            if (text.Contains(word, StringComparison.Ordinal))
                return true;
        }

        return false;
    }
}

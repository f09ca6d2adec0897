using System.Globalization;
using System.Text;
using System.Text.Json;
using Conclave.Inference;
using Conclave.Server.Inference.OpenAI;
using Microsoft.Extensions.AI;

namespace Conclave.Server.Inference.Ollama;

/// <summary>
/// Writes what models say as <c>/api/chat</c> and <c>/api/generate</c> do: pieces with <c>done: false</c>, then one with <c>done: true</c> that has the
/// reason and the statistics, durations in nanoseconds.
/// </summary>
internal sealed class OllamaAnswer(CallReport report, string requested, bool isChat, TimeProvider time)
{
    private readonly long _startedAt = time.GetTimestamp();
    private readonly List<FunctionCallContent> _calls = [];
    private readonly StringBuilder _text = new();
    private readonly StringBuilder _thinking = new();
    private bool _isScripted;

    /// <summary>The report of the call.</summary>
    public CallReport Report => report;

    /// <summary>Why the model stopped; null where it did not say.</summary>
    public ChatFinishReason? FinishReason { get; private set; }

    /// <summary>What the model read and wrote.</summary>
    public UsageDetails? Usage { get; private set; }

    /// <summary>Takes an update.</summary>
    /// <returns>The piece to send; null when there is nothing to send in it.</returns>
    public OllamaPiece? Take(ChatResponseUpdate update)
    {
        FinishReason = update.FinishReason ?? FinishReason;
        _isScripted |= update.AdditionalProperties?.ContainsKey("conclave.scripted") == true;
        var piece = new OllamaPiece();
        foreach (var content in update.Contents)
        {
            switch (content)
            {
                case TextReasoningContent thought:
                    piece.Thinking += thought.Text;
                    break;
                case TextContent part:
                    piece.Text += part.Text;
                    break;
                case FunctionCallContent call:
                    (piece.Calls ??= []).Add(call);
                    _calls.Add(call);
                    break;
                case UsageContent counted:
                    (Usage ??= new UsageDetails()).Add(counted.Details);
                    break;
            }
        }

        _text.Append(piece.Text);
        _thinking.Append(piece.Thinking);
        return piece.IsEmpty ? null : piece;
    }

    /// <summary>Writes a piece of a stream.</summary>
    public void WritePiece(Utf8JsonWriter writer, OllamaPiece piece)
    {
        Begin(writer);
        WriteContent(writer, piece);
        writer.WriteBoolean("done", false);
        writer.WriteEndObject();
    }

    /// <summary>Writes the end of a stream.</summary>
    public void WriteEnd(Utf8JsonWriter writer, bool isWhole)
    {
        Begin(writer);
        WriteContent(writer, isWhole
            ? new OllamaPiece { Text = _text.ToString(), Thinking = _thinking.Length > 0 ? _thinking.ToString() : null, Calls = _calls }
            : new OllamaPiece { Text = "" });
        writer.WriteBoolean("done", true);
        writer.WriteString("done_reason", FinishReason == ChatFinishReason.Length ? "length" : "stop");
        if (!isChat)
        {
            // Numbers of tokens, which no gateway over several servers has: an empty context begins a new conversation, as the prompt alone would.
            writer.WriteStartArray("context");
            writer.WriteEndArray();
        }

        var total = time.GetElapsedTime(_startedAt);
        var answered = report.TimeToFirstToken is { } first && first <= total ? first : total;
        var waited = report.Waited < answered ? report.Waited : answered;
        writer.WriteNumber("total_duration", Nanoseconds(total));
        writer.WriteNumber("load_duration", Nanoseconds(waited));
        writer.WriteNumber("prompt_eval_count", Usage?.InputTokenCount ?? report.InputTokens);
        writer.WriteNumber("prompt_eval_duration", Nanoseconds(answered - waited));
        writer.WriteNumber("eval_count", Usage?.OutputTokenCount ?? report.OutputTokens);
        writer.WriteNumber("eval_duration", Nanoseconds(total - answered));
        if (_isScripted)
        {
            writer.WriteStartObject("conclave");
            writer.WriteBoolean("scripted", true);
            writer.WriteEndObject();
        }

        writer.WriteEndObject();
    }

    /// <summary>A time as Ollama writes it: RFC 3339 with fractions.</summary>
    public static string Time(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fffffff'Z'", CultureInfo.InvariantCulture);

    private static long Nanoseconds(TimeSpan time) => Math.Max(0, time.Ticks) * 100;

    private void Begin(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteString("model", report.Model ?? requested);
        writer.WriteString("created_at", Time(time.GetUtcNow()));
    }

    private void WriteContent(Utf8JsonWriter writer, OllamaPiece piece)
    {
        if (!isChat)
        {
            writer.WriteString("response", piece.Text ?? "");
            if (piece.Thinking is not null)
                writer.WriteString("thinking", piece.Thinking);
            return;
        }

        writer.WriteStartObject("message");
        writer.WriteString("role", "assistant");
        writer.WriteString("content", piece.Text ?? "");
        if (piece.Thinking is not null)
            writer.WriteString("thinking", piece.Thinking);
        if (piece.Calls is { Count: > 0 } calls)
        {
            writer.WriteStartArray("tool_calls");
            foreach (var call in calls)
            {
                writer.WriteStartObject();
                writer.WriteString("id", call.CallId);
                writer.WriteStartObject("function");
                writer.WriteString("name", call.Name);
                writer.WritePropertyName("arguments");
                ChatAnswer.WriteArguments(writer, call.Arguments);
                writer.WriteEndObject();
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
        }

        writer.WriteEndObject();
    }
}

/// <summary>A piece of an answer.</summary>
internal sealed class OllamaPiece
{
    public string? Text { get; set; }

    public string? Thinking { get; set; }

    public List<FunctionCallContent>? Calls { get; set; }

    public bool IsEmpty => string.IsNullOrEmpty(Text) && string.IsNullOrEmpty(Thinking) && Calls is null;
}

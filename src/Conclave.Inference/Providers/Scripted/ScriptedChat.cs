using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.Extensions.AI;

namespace Conclave.Inference.Providers.Scripted;

/// <summary>Answers a conversation by the first rule that fits it, word by word.</summary>
internal sealed class ScriptedChat(ScriptSource source, ModelServer server, TimeProvider time) : StreamingChat
{
    public override async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        options ??= new ChatOptions();
        var script = source.Current;
        if (script.Find(options.ModelId) is not { } model)
            throw new ModelServerException(ModelServerFailure.ModelNotFound, $"The script of the server '{server.Name}' has no model '{options.ModelId}'; it has: {string.Join(", ", script.Models.Select(m => m.Name))}.");
        if (!model.CapabilityFlags.HasFlag(ModelCapabilities.Chat))
            throw new ModelServerException(ModelServerFailure.BadRequest, $"The scripted model '{model.Name}' does not chat.");
        var question = ScriptQuestion.From(messages, options);
        if (question.InputTokens > model.Context)
            throw new ModelServerException(ModelServerFailure.ContextTooLong, $"The conversation has about {question.InputTokens} tokens; the scripted model '{model.Name}' takes {model.Context}.");
        var groups = new Dictionary<string, string>(StringComparer.Ordinal);
        var rule = FindRule(script, model, question, groups);
        var answer = new Answer(ScriptedProvider.ModelPrefix + model.Name, time.GetUtcNow());

        await WaitAsync(rule.DelayTime, cancellationToken);
        var pause = rule.TokensPerSecond is { } speed ? TimeSpan.FromSeconds(1 / speed) : TimeSpan.Zero;
        var said = 0;
        var thoughts = rule.Thinking is null ? [] : Words(question.Fill(rule.Thinking, groups, answer.Model, question.Schema));
        var limit = options.MaxOutputTokens ?? int.MaxValue;
        var words = Words(Rest(rule, question, groups, answer.Model));
        foreach (var (word, isThought) in thoughts.Select(w => (w, true)).Concat(words.Select(w => (w, false))))
        {
            if (said == limit)
                break;
            if (rule.Fail is { } failure && said == failure.After)
                await FailAsync(failure, cancellationToken);
            if (said > 0)
                await WaitAsync(pause, cancellationToken);
            said++;
            yield return answer.Update(isThought ? new TextReasoningContent(word) : new TextContent(word));
        }

        if (rule.Fail is { } late && said <= late.After)
            await FailAsync(late, cancellationToken);
        var isCutShort = said == limit && said < thoughts.Count + words.Count;
        var calls = isCutShort ? [] : rule.ToolCalls;
        foreach (var call in calls)
            yield return answer.Update(Call(call, question, groups, answer.Model));
        var last = answer.Update(new UsageContent(new UsageDetails
        {
            InputTokenCount = question.InputTokens,
            OutputTokenCount = said + calls.Count,
            TotalTokenCount = question.InputTokens + said + calls.Count,
            ReasoningTokenCount = Math.Min(said, thoughts.Count),
        }));
        last.FinishReason = isCutShort ? ChatFinishReason.Length : calls.Count > 0 ? ChatFinishReason.ToolCalls : new ChatFinishReason(rule.Finish ?? "stop");
        yield return last;
    }

    private ScriptRule FindRule(Script script, ScriptModel model, ScriptQuestion question, Dictionary<string, string> groups)
    {
        try
        {
            foreach (var rule in script.Rules)
            {
                groups.Clear();
                if ((rule.Model is null || script.Find(rule.Model) == model) && rule.When.Holds(question, groups) && rule.TryUse())
                    return rule;
            }
        }
        catch (RegexMatchTimeoutException exception)
        {
            throw new ModelServerException(ModelServerFailure.ServerError, $"A pattern in the script of the server '{server.Name}' takes too long: {exception.Pattern}", exception);
        }

        throw new ModelServerException(ModelServerFailure.BadRequest, $"No rule in the script of the server '{server.Name}' fits this conversation. A last rule without conditions answers everything else.");
    }

    /// <summary>What is left to say when the caller's text already begins the reply.</summary>
    private static string Rest(ScriptRule rule, ScriptQuestion question, Dictionary<string, string> groups, string model)
    {
        if (rule.Reply is null)
            return "";
        var reply = question.Fill(rule.Reply, groups, model, question.Schema);
        return question.Begun.Length > 0 && reply.StartsWith(question.Begun, StringComparison.Ordinal) ? reply[question.Begun.Length..] : reply;
    }

    private static FunctionCallContent Call(ScriptToolCall call, ScriptQuestion question, Dictionary<string, string> groups, string model)
    {
        var properties = question.Tools.GetValueOrDefault(call.Name).ObjectOf("properties");
        var arguments = call.Arguments.ToDictionary(a => a.Key, a => question.FillArgument(a.Value, groups, model, properties.ObjectOf(a.Key)));
        // By way of JSON, so that callers get what they get from real servers.
        using var document = JsonDocument.Parse(WireJson.ToJson(arguments));
        return new FunctionCallContent("call_" + Guid.CreateVersion7().ToString("N"), call.Name, WireJson.Arguments(document.RootElement));
    }

    private async Task FailAsync(ScriptFailure failure, CancellationToken cancellationToken)
    {
        if (failure.Failure is null)
            await Task.Delay(server.Timeout, time, cancellationToken);
        throw new ModelServerException(failure.Failure ?? ModelServerFailure.Timeout, failure.Message ?? $"The script of the server '{server.Name}' says to fail: {failure.Kind}.")
        {
            RetryAfter = failure.RetryAfterTime,
        };
    }

    private Task WaitAsync(TimeSpan wait, CancellationToken cancellationToken) =>
        wait > TimeSpan.Zero ? Task.Delay(wait, time, cancellationToken) : Task.CompletedTask;

    /// <summary>Words with the spaces after them: the script's tokens.</summary>
    private static List<string> Words(string text)
    {
        List<string> words = [];
        for (var start = 0; start < text.Length;)
        {
            var end = start;
            while (end < text.Length && !char.IsWhiteSpace(text[end]))
                end++;
            while (end < text.Length && char.IsWhiteSpace(text[end]))
                end++;
            words.Add(text[start..end]);
            start = end;
        }

        return words;
    }

    private sealed record Answer(string Model, DateTimeOffset CreatedAt)
    {
        private readonly string _id = "scripted-" + Guid.CreateVersion7().ToString("N");

        public ChatResponseUpdate Update(AIContent content) => new()
        {
            Role = ChatRole.Assistant,
            Contents = [content],
            ResponseId = _id,
            MessageId = _id,
            ModelId = Model,
            CreatedAt = CreatedAt,
            AdditionalProperties = new() { [ScriptedProvider.Mark] = true },
        };
    }
}

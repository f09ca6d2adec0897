using System.Text;
using Microsoft.Extensions.AI;

namespace Conclave.Inference.Gateway;

/// <content>The text so far, what it took, and how it is continued.</content>
internal sealed partial class ChatRun
{
    private readonly StringBuilder _text = new();
    private readonly Lock _textLock = new();
    private readonly UsageDetails _usage = new();
    private IReadOnlyList<CallSlice> _slices = [];
    private string? _messageId;
    private string? _responseId;
    private bool _hasTaken;
    private bool _isContinued;
    private bool _isUsageMissing;

    /// <summary>What there is by now, for another process to go on with; null when there is nothing that could be continued. From any thread.</summary>
    public CallSnapshot? Snapshot
    {
        get
        {
            if (!CanBeMoved)
                return null;
            lock (_textLock)
            {
                // Of the slice that runs nothing is counted yet.
                return _text.Length == 0 ? null
                    : new CallSnapshot(_text.ToString(), report.InputTokens, report.OutputTokens + (_current?.Pieces ?? 0), report.Cost, _slices);
            }
        }
    }

    private void Take(ChatResponseUpdate update)
    {
        if (report.TimeToFirstToken is null && update.Contents.Count > 0 && update.Contents[0] is not UsageContent)
        {
            report.TimeToFirstToken = clock.Elapsed;
            report.Tell(CallPhase.Streaming);
        }

        foreach (var content in update.Contents)
        {
            switch (content)
            {
                case TextContent text:
                    lock (_textLock)
                        _text.Append(text.Text);
                    break;
                case FunctionCallContent:
                    _calledTool = true;
                    break;
                case UsageContent usage when _isContinued:
                    // The caller sees one answer, so it sees what all of its parts took.
                    var sum = Copy(_usage);
                    sum.Add(usage.Details);
                    usage.Details = sum;
                    break;
            }
        }

        if (!_isContinued)
        {
            _messageId ??= update.MessageId;
            _responseId ??= update.ResponseId;
            return;
        }

        (update.MessageId, update.ResponseId) = (_messageId ?? update.MessageId, _responseId ?? update.ResponseId);
    }

    private ChatResponseUpdate Restore(CallSnapshot snapshot)
    {
        _text.Append(snapshot.Text);
        _usage.Add(new UsageDetails { InputTokenCount = snapshot.InputTokens, OutputTokenCount = snapshot.OutputTokens });
        (report.InputTokens, report.OutputTokens, report.Cost) = (snapshot.InputTokens, snapshot.OutputTokens, snapshot.Cost);
        foreach (var slice in snapshot.Slices)
            report.Slices.Add(slice);
        _slices = snapshot.Slices;
        (_isContinued, _messageId) = (true, $"msg_{report.CallId}");
        report.TimeToFirstToken = clock.Elapsed;
        return new ChatResponseUpdate(ChatRole.Assistant, snapshot.Text) { MessageId = _messageId };
    }

    private IReadOnlyList<ChatMessage> MessagesSoFar() =>
        _text.Length == 0 ? call.Messages : [.. call.Messages, new ChatMessage(ChatRole.Assistant, _text.ToString())];

    private ChatOptions OptionsFor(RouteCandidate candidate)
    {
        var options = call.Options.Clone();
        options.ModelId = candidate.Model.Name;
        if (Budget is { IsCounted: true } || call.Context.MaxCost is not null)
            options.MaxOutputTokens ??= Tokens.MostOutput;
        // A part of the answer has been written.
        if (_isContinued && options.MaxOutputTokens is { } most)
            options.MaxOutputTokens = (int)Math.Max(1, most - (_usage.OutputTokenCount ?? 0));
        return options;
    }

    private async ValueTask EndAsync(ChatAttempt attempt)
    {
        clock.Returned();
        await attempt.DisposeAsync();
        var details = attempt.Usage;
        if (details is null && (attempt.End != AttemptEnd.Failed || attempt.HasBegun))
            details = new UsageDetails { InputTokenCount = Tokens.Read(call), OutputTokenCount = attempt.Pieces };
        _isUsageMissing = attempt.Usage is null && attempt.End == AttemptEnd.Completed;
        if (details is not null)
            _usage.Add(details);
        var (input, output) = (_usage.InputTokenCount ?? 0, _usage.OutputTokenCount ?? 0);
        var (read, written) = (input - report.InputTokens, output - report.OutputTokens);
        _hasTaken = read + written > 0;
        (report.InputTokens, report.OutputTokens, report.CachedInputTokens) = (input, output, _usage.CachedInputTokenCount ?? 0);
        report.Cost += Price.Of(attempt.Candidate.Model, read, written);
        report.Slices.Add(attempt.Slice(gateway.Time.GetUtcNow(), written));
        lock (_textLock)
            (_slices, _current) = ([.. report.Slices], null);
        if (attempt.End is AttemptEnd.Yielded or AttemptEnd.Failed && _text.Length > 0)
        {
            _isContinued = true;
            _messageId ??= $"msg_{report.CallId}";
        }

        _resumed = attempt.ToResume();
    }

    private async Task StoreAsync(CancellationToken cancellationToken)
    {
        Note($"{_candidate!.Server.Name} was left after {report.OutputTokens} tokens, for a call whose turn it was.");
        if (Snapshot is { } snapshot)
        {
            HasStored = true;
            await gateway.StoreSnapshotAsync(call, snapshot, report.CallId, cancellationToken);
        }

        if (gateway.IsStopping)
            throw InferenceGateway.Stopping();
    }

    private static UsageDetails Copy(UsageDetails details)
    {
        var copy = new UsageDetails();
        copy.Add(details);
        return copy;
    }
}

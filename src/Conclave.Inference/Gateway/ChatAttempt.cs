using Conclave.Inference.Pool;
using Conclave.Inference.Providers;
using Conclave.Inference.Scheduling;
using Microsoft.Extensions.AI;

namespace Conclave.Inference.Gateway;

/// <summary>How a stay of a call on a server ended.</summary>
internal enum AttemptEnd
{
    /// <summary>It has not.</summary>
    None,

    /// <summary>The answer is whole.</summary>
    Completed,

    /// <summary>The server failed; see <see cref="ChatAttempt.Failure"/>.</summary>
    Failed,

    /// <summary>It gave its slot to a more urgent call, or the gateway stops.</summary>
    Yielded,
}

/// <summary>One stay of a call on one server: reads its updates, watches for silence and for being asked to yield, and frees the slot.</summary>
internal sealed class ChatAttempt : IAsyncDisposable
{
    // The provider watches too, and says better what happened; this is for providers that do not.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    private readonly SlotGrant _grant;
    private readonly ServerCall _call;
    private readonly CancellationToken _callEnds;
    private readonly CancellationTokenSource _stop;
    private readonly CancellationTokenRegistration _yield;
    private readonly CancellationTokenRegistration _drain;
    private readonly TimeProvider _time;
    private readonly ITimer _silence;
    private readonly TimeSpan _timeout;
    private readonly Func<Task<bool>>? _mayYield;
    private readonly Lock _lock = new();
    private IAsyncEnumerator<ChatResponseUpdate>? _updates;
    private bool _canYield;
    private long _waitsSince;
    private bool _isThinking;
    private Task? _asking;
    private bool _wasAsked;
    private bool _isYielding;
    private bool _isFinished;

    /// <summary>Begins a stay; nothing is sent yet.</summary>
    /// <param name="candidate">Where.</param>
    /// <param name="grant">Its slot.</param>
    /// <param name="call">The call to the server.</param>
    /// <param name="canYield">Whether it can be continued elsewhere.</param>
    /// <param name="mayYield">Asked once before it gives its slot to another call; null when it always may. Does not throw.</param>
    /// <param name="time">The clock.</param>
    /// <param name="drain">Cancelled when the gateway stops.</param>
    /// <param name="callEnds">Ends the call.</param>
    public ChatAttempt(
        RouteCandidate candidate, SlotGrant grant, ServerCall call, bool canYield, Func<Task<bool>>? mayYield, TimeProvider time, CancellationToken drain, CancellationToken callEnds)
    {
        _mayYield = mayYield;
        (Candidate, _grant, _call, _callEnds, _canYield, _time) = (candidate, grant, call, callEnds, canYield, time);
        _timeout = candidate.Server.Timeout + Patience;
        _stop = CancellationTokenSource.CreateLinkedTokenSource(callEnds);
        _silence = time.CreateTimer(static self => ((ChatAttempt)self!).OnSilence(), this, _timeout, Timeout.InfiniteTimeSpan);
        if (canYield)
        {
            _yield = grant.Yield.UnsafeRegister(static self => ((ChatAttempt)self!).OnAsked(), this);
            _drain = drain.UnsafeRegister(static self => ((ChatAttempt)self!).Yield(), this);
        }
    }

    /// <summary>Where it runs.</summary>
    public RouteCandidate Candidate { get; }

    /// <summary>The last update.</summary>
    public ChatResponseUpdate Current => _updates!.Current;

    /// <summary>How it ended.</summary>
    public AttemptEnd End { get; private set; }

    /// <summary>What went wrong; null unless <see cref="End"/> says so.</summary>
    public ModelServerException? Failure { get; private set; }

    /// <summary>Text, a tool call or a thought came.</summary>
    public bool HasBegun { get; private set; }

    /// <summary>What the server counted; null when it was cut off before it did.</summary>
    public UsageDetails? Usage { get; private set; }

    /// <summary>Tokens written, as far as they can be told without the server's count: one for each piece.</summary>
    public int Pieces { get; private set; }

    /// <summary>Sends the request; nothing is read yet.</summary>
    public void Send(IReadOnlyList<ChatMessage> messages, ChatOptions options) =>
        _updates = _call.Client.Chat.GetStreamingResponseAsync(messages, options, _stop.Token).GetAsyncEnumerator(_stop.Token);

    /// <summary>Waits for the next update; false once it has ended, see <see cref="End"/>.</summary>
    /// <exception cref="OperationCanceledException">The call itself ended: its caller went away, or its deadline passed.</exception>
    public async ValueTask<bool> MoveNextAsync()
    {
        Volatile.Write(ref _waitsSince, _time.GetTimestamp());
        try
        {
            if (!await _updates!.MoveNextAsync())
            {
                if (_isFinished)
                    Complete();
                else if (_isYielding)
                    Yielded();
                else
                    Fail(new ModelServerException(ModelServerFailure.Cut, $"{Candidate.Server.Name} ended its answer without saying that it is whole."));
                return false;
            }
        }
        catch (OperationCanceledException) when (!_callEnds.IsCancellationRequested && _stop.IsCancellationRequested)
        {
            if (_isYielding)
                Yielded();
            else
                Fail(new ModelServerException(ModelServerFailure.Timeout, $"{Candidate.Server.Name} said nothing for {_timeout.TotalSeconds:0.#} s."));
            return false;
        }
        catch (ModelServerException) when (_callEnds.IsCancellationRequested)
        {
            throw new OperationCanceledException(_callEnds);
        }
        catch (ModelServerException exception)
        {
            if (_isYielding)
                Yielded();
            else
                Fail(exception);
            return false;
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            // A provider's mistake is no reason to lose the call: another server may do better.
            Fail(new ModelServerException(ModelServerFailure.InvalidAnswer, $"The answer of {Candidate.Server.Name} could not be read: {exception.Message}", exception));
            return false;
        }
        finally
        {
            Volatile.Write(ref _waitsSince, 0);
        }

        return Take(_updates.Current);
    }

    /// <summary>What is kept of it.</summary>
    public CallSlice Slice(DateTimeOffset endedAt, long tokens) => new(_grant.QueuedAt, _grant.StartedAt, endedAt, Candidate.Server.Name, tokens);

    /// <summary>With what the call queues again: it keeps its age.</summary>
    public SlotRequest ToResume() => _grant.ToResume(1);

    /// <summary>Ends the request if it still runs, and frees the slot at once.</summary>
    public async ValueTask DisposeAsync()
    {
        await _yield.DisposeAsync();
        await _drain.DisposeAsync();
        await _silence.DisposeAsync();
        // The slot first: a server that takes its time to end a request keeps nobody else waiting in our queue.
        _grant.Settle(Usage is { } usage ? (usage.InputTokenCount ?? 0) - (usage.CachedInputTokenCount ?? 0) + (usage.OutputTokenCount ?? 0) : Pieces);
        if (End != AttemptEnd.Completed)
            await _stop.CancelAsync();
        _grant.Dispose();
        if (_asking is { } asking)
            await asking;
        try
        {
            if (_updates is not null)
                await _updates.DisposeAsync();
        }
        catch (Exception exception) when (exception is ModelServerException or OperationCanceledException or HttpRequestException or IOException)
        {
            // It was over already.
        }

        _call.Dispose();
        _stop.Dispose();
    }

    private bool Take(ChatResponseUpdate update)
    {
        lock (_lock)
        {
            // What came while it was being stopped is written again by whoever continues.
            if (_isYielding)
            {
                Yielded();
                return false;
            }

            var contents = update.Contents;
            for (var i = 0; i < contents.Count; i++)
            {
                switch (contents[i])
                {
                    case UsageContent usage:
                        Usage = usage.Details;
                        break;
                    case TextContent { Text.Length: > 0 }:
                        HasBegun = true;
                        _isThinking = false;
                        Pieces++;
                        _grant.ReportTokens(1);
                        break;
                    case TextReasoningContent:
                        // Thoughts cannot be handed to another server, so the call stays until it says something.
                        _isThinking = true;
                        Pieces++;
                        _grant.ReportTokens(1);
                        break;
                    case FunctionCallContent:
                        HasBegun = true;
                        _canYield = false;
                        Pieces++;
                        break;
                }
            }

            if (update.FinishReason is not null)
            {
                _isFinished = true;
                _canYield = false;
            }

            if (_wasAsked && _canYield && !_isThinking)
                _isYielding = true;
        }

        if (_isYielding)
            Stop();
        return true;
    }

    private void OnAsked()
    {
        if (_mayYield is { } mayYield)
            _asking = YieldIfAsync(mayYield);
        else
            Yield();
    }

    private async Task YieldIfAsync(Func<Task<bool>> mayYield)
    {
        if (await mayYield())
            Yield();
    }

    private void Yield()
    {
        lock (_lock)
        {
            _wasAsked = true;
            if (!_canYield || _isThinking || _isYielding)
                return;
            _isYielding = true;
        }

        Stop();
    }

    // A caller that takes its time to read is no silence of the server. Looks when the timer is due, so that a token need not change it.
    private void OnSilence()
    {
        var since = Volatile.Read(ref _waitsSince);
        var left = since == 0 ? _timeout : _timeout - _time.GetElapsedTime(since);
        if (left <= TimeSpan.Zero)
            Stop();
        else
            _silence.Change(left, Timeout.InfiniteTimeSpan);
    }

    private void Stop()
    {
        try
        {
            _stop.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // It has ended meanwhile.
        }
    }

    private void Complete()
    {
        End = AttemptEnd.Completed;
        _call.Succeed();
    }

    private void Yielded()
    {
        End = AttemptEnd.Yielded;
        _call.Succeed();
    }

    private void Fail(ModelServerException failure)
    {
        (End, Failure) = (AttemptEnd.Failed, failure);
        _call.Fail(failure);
    }
}

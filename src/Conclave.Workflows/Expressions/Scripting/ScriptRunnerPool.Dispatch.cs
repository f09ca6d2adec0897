using Microsoft.Extensions.Logging;

namespace Conclave.Workflows.Expressions.Scripting;

// Which runner gets which request, and when another runner starts.
public sealed partial class ScriptRunnerPool
{
    private const int MaxInFlight = 32;
    // Half of a Linux pipe: what a busy runner has not read fits in the pipe, so writing never waits for it.
    private const int MaxUnansweredBytes = 32 * 1024;
    private const int BusyEnoughForAnother = 3;
    // A runner that is killed while it starts is bad luck, and several are a cause.
    private const int MaxStartFailures = 3;
    private const int FrameSlack = 1024 * 1024;
    private static readonly TimeSpan WatchPeriod = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan StartAgainAfter = TimeSpan.FromSeconds(5);

    private readonly ScriptRunnerOptions _options;
    private readonly ILogger<ScriptRunnerPool> _logger;
    private readonly TimeProvider _time;
    private readonly TimeSpan _overdue;
    private readonly Lock _gate = new();
    private readonly LinkedList<RunnerRequest> _waiting = new();
    private readonly List<RunnerProcess> _runners = [];
    private readonly CancellationTokenSource _disposing = new();
    private Task _starting = Task.CompletedTask;
    private NodeRuntime? _node;
    private long? _startFailed;
    private int _startFailures;
    private ITimer? _watch;
    private uint _lastId;
    private bool _disposed;

    internal int LargestFrame => _options.MaxResultBytes + FrameSlack;

    /// <summary>The runners' process ids, for tests and diagnostics.</summary>
    internal IReadOnlyList<int> ProcessIds
    {
        get { lock (_gate) return [.. _runners.Where(r => r.IsReady).Select(r => r.ProcessId)]; }
    }

    public async ValueTask DisposeAsync()
    {
        RunnerProcess[] runners;
        RunnerRequest[] abandoned;
        Task starting;
        lock (_gate)
        {
            if (_disposed) return;
            _disposed = true;
            runners = [.. _runners];
            starting = _starting;
            abandoned = [.. _waiting, .. runners.SelectMany(r => r.Order).Select(f => f.Request).OfType<RunnerRequest>()];
            _waiting.Clear();
        }

        foreach (var request in abandoned) request.Fail(new ObjectDisposedException(nameof(ScriptRunnerPool)));
        await _disposing.CancelAsync();
        if (_watch is not null) await _watch.DisposeAsync();
        foreach (var runner in runners) runner.Kill();
        await starting;
        await Task.WhenAll(runners.Select(r => r.Ended));
        _disposing.Dispose();
    }

    private async Task<ReadOnlyMemory<byte>> SubmitAsync(RunnerRequest request)
    {
        request.CancellationToken.ThrowIfCancellationRequested();
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            if (_waiting.Count >= _options.MaxQueuedRequests)
            {
                throw new ScriptException(ScriptFailure.Busy,
                    $"{_waiting.Count} scripts are waiting for a runner already. Try again later, add cores, or raise " +
                    $"{ScriptRunnerOptions.Section}:{nameof(ScriptRunnerOptions.MaxQueuedRequests)}.")
                { ScriptName = request.Name };
            }

            _waiting.AddLast(request);
        }

        Dispatch();
        using var registration = request.CancellationToken.UnsafeRegister(
            static (state, _) => ((Cancellation)state!).Run(), new Cancellation(this, request));
        try
        {
            var answer = await request.Answer;
            request.Payload.Release();
            return answer;
        }
        catch (ScriptException exception) when (request.CancellationToken.IsCancellationRequested)
        {
            // What the script calls is cancelled by the same token, maybe first: its script fails of that.
            throw new OperationCanceledException("The request was cancelled.", exception, request.CancellationToken);
        }
    }

    private sealed record Cancellation(ScriptRunnerPool Pool, RunnerRequest Request)
    {
        public void Run() => Pool.Cancel(Request);
    }

    private void Cancel(RunnerRequest request)
    {
        RunnerProcess? runner;
        lock (_gate)
        {
            _waiting.Remove(request);
            runner = request.Runner;
            if (request.InFlight is { } place)
            {
                place.Request = null;
                runner!.Append(FrameKind.Cancel, place.Id, default);
            }
        }

        request.Cancel();
        runner?.Flush();
    }

    /// <summary>Hands waiting requests to the least loaded runners; starts a runner where that seems worth it.</summary>
    private void Dispatch()
    {
        RunnerProcess? first = null;
        List<RunnerProcess>? more = null;
        lock (_gate)
        {
            while (_waiting.First is { } node && LeastLoaded(node.Value) is { } runner)
            {
                _waiting.RemoveFirst();
                Assign(runner, node.Value);
                if (first is null || first == runner) first = runner;
                else (more ??= []).Add(runner);
            }

            StartIfNeeded();
        }

        first?.Flush();
        foreach (var runner in more ?? []) runner.Flush();
    }

    private RunnerProcess? LeastLoaded(RunnerRequest request)
    {
        RunnerProcess? best = null;
        foreach (var runner in _runners)
        {
            if (!runner.IsReady || runner.IsLeaving || runner.IsKilled || runner.Order.Count >= MaxInFlight) continue;
            if (runner.Order.Count > 0)
            {
                if (runner.UnansweredBytes + request.Payload.Length > MaxUnansweredBytes) continue;
                if (request.IsSuspect || runner.Order.Peek().Request is { IsSuspect: true }) continue;
            }

            if (best is null || runner.Order.Count < best.Order.Count) best = runner;
        }

        return best;
    }

    private void Assign(RunnerProcess runner, RunnerRequest request)
    {
        var place = new InFlight(++_lastId, request, FrameHeader.Size + request.Payload.Length);
        request.InFlight = place;
        request.Runner = runner;
        if (runner.Order.Count == 0) runner.Since = _time.GetTimestamp();
        runner.Order.Enqueue(place);
        runner.UnansweredBytes += place.Bytes;
        runner.Append(request.Kind, place.Id, request.Payload.Written);
    }

    private void StartIfNeeded()
    {
        if (_disposed || !_starting.IsCompleted || _runners.Count >= _options.RunnerCount) return;
        if (_runners.Any(r => !r.IsReady)) return;
        // With no runner at all the requests that come in are worth another try.
        if (_runners.Count > 0 && _startFailed is { } failed && _time.GetElapsedTime(failed) < StartAgainAfter) return;
        var hasSpare = _runners.Count == 0 || _runners.Any(r => r.Order.Count < BusyEnoughForAnother);
        if (_waiting.Count == 0 && hasSpare) return;
        _watch ??= _time.CreateTimer(
            static state => ((ScriptRunnerPool)state!).Watch(), this, WatchPeriod, WatchPeriod);
        _starting = Task.Run(StartRunnerAsync);
    }

    private async Task StartRunnerAsync()
    {
        try
        {
            _node ??= await NodeRuntime.FindAsync(_options, _disposing.Token);
            var runner = new RunnerProcess(_node.StartRunner(_options), this) { Since = _time.GetTimestamp() };
            lock (_gate)
            {
                _runners.Add(runner);
                if (_disposed) runner.IsKilled = true;
            }

            runner.Start();
            if (_disposing.IsCancellationRequested)
            {
                runner.Kill();
                await runner.Ended;
            }
        }
        catch (OperationCanceledException)
        {
            // The pool is being disposed.
        }
        catch (ScriptException exception)
        {
            LogCannotStart(exception);
            FailWaiting(exception.Message);
        }
    }

    private void FailWaiting(string message)
    {
        RunnerRequest[] waiting;
        lock (_gate)
        {
            _startFailed = _time.GetTimestamp();
            // While another runner works, its requests can still be served.
            if (_runners.Any(r => r.IsReady)) return;
            waiting = [.. _waiting];
            _waiting.Clear();
        }

        foreach (var request in waiting)
            request.Fail(new ScriptException(ScriptFailure.Unavailable, message) { ScriptName = request.Name });
    }
}

using System.Text.Json;
using Microsoft.Extensions.Logging;

namespace Conclave.Workflows.Expressions.Scripting;

// Which runner gets which request, and what happens when one stops.
public sealed partial class ScriptRunnerPool
{
    private const int MaxInFlight = 32;
    // Half of a Linux pipe: what a busy runner has not read fits in the pipe, so writing never waits for it.
    private const int MaxUnansweredBytes = 32 * 1024;
    private const int BusyEnoughForAnother = 3;
    private const int FrameSlack = 1024 * 1024;
    private static readonly TimeSpan WatchPeriod = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(30);

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
            abandoned = [.. _waiting, .. _runners.SelectMany(r => r.Order).Select(f => f.Request).OfType<RunnerRequest>()];
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
        var answer = await request.Answer;
        request.Payload.Release();
        return answer;
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
            while (_waiting.First is { } node && LeastLoaded(node.Value.Payload.Length) is { } runner)
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

    private RunnerProcess? LeastLoaded(int bytes)
    {
        RunnerProcess? best = null;
        foreach (var runner in _runners)
        {
            if (!runner.IsReady || runner.IsLeaving || runner.IsKilled || runner.Order.Count >= MaxInFlight) continue;
            if (runner.Order.Count > 0 && runner.UnansweredBytes + bytes > MaxUnansweredBytes) continue;
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
        if (_waiting.Count == 0 && (_runners.Count == 0 || _runners.Any(r => r.Order.Count < BusyEnoughForAnother))) return;
        _watch ??= _time.CreateTimer(static state => ((ScriptRunnerPool)state!).Watch(), this, WatchPeriod, WatchPeriod);
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
            // While another runner works, its requests can still be served.
            if (_runners.Any(r => r.IsReady)) return;
            waiting = [.. _waiting];
            _waiting.Clear();
        }

        foreach (var request in waiting)
            request.Fail(new ScriptException(ScriptFailure.Unavailable, message) { ScriptName = request.Name });
    }

    internal void OnFrame(RunnerProcess runner, FrameHeader header, byte[] payload)
    {
        switch (header.Kind)
        {
            case FrameKind.Ready:
                lock (_gate) runner.IsReady = true;
                LogStarted(runner.ProcessId, _time.GetElapsedTime(runner.Since).TotalMilliseconds);
                break;
            case FrameKind.Leaving:
                lock (_gate) runner.IsLeaving = true;
                break;
            case FrameKind.Call:
                OnCall(runner, header.Id, payload);
                break;
            case FrameKind.Result or FrameKind.Error:
                OnAnswer(runner, header, payload);
                break;
            default:
                throw new InvalidDataException($"The runner sent a frame of kind {header.Kind}.");
        }
    }

    internal void OnFramesRead(RunnerProcess runner)
    {
        if (_waiting.Count > 0 || !runner.IsReady) Dispatch();
    }

    private void OnAnswer(RunnerProcess runner, FrameHeader header, byte[] payload)
    {
        RunnerRequest? request;
        lock (_gate)
        {
            if (!runner.Order.TryPeek(out var place) || place.Id != header.Id)
                throw new InvalidDataException($"The runner answered request {header.Id}, which is not the next one.");
            runner.Order.Dequeue();
            runner.UnansweredBytes -= place.Bytes;
            runner.Since = _time.GetTimestamp();
            request = place.Request;
            if (request is not null) request.InFlight = null;
        }

        if (request is null) return;
        if (header.Kind == FrameKind.Result) request.Complete(payload);
        else request.Fail(ReadError(payload, request.Name));
    }

    private static ScriptException ReadError(byte[] payload, string? name)
    {
        try
        {
            return RunnerAnswers.ReadError(payload, name);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or FormatException)
        {
            throw new InvalidDataException("The runner sent an error that is not JSON.", exception);
        }
    }

    private void OnCall(RunnerProcess runner, uint id, byte[] payload)
    {
        RunnerRequest? request = null;
        lock (_gate)
        {
            if (runner.Order.TryPeek(out var place) && place.Id == id) request = place.Request;
        }

        _ = Task.Run(() => ReplyAsync(runner, id, request, payload));
    }

    private static async Task ReplyAsync(RunnerProcess runner, uint id, RunnerRequest? request, byte[] payload)
    {
        var reply = new PooledBuffer();
        try
        {
            var value = await CallHostAsync(runner, request, payload);
            using var writer = new Utf8JsonWriter(reply, WriterOptions);
            value.WriteTo(writer);
        }
#pragma warning disable CA1031 // Whatever the host throws becomes an error inside the script.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            reply.Clear();
            using var writer = new Utf8JsonWriter(reply, WriterOptions);
            writer.WriteStartObject();
            writer.WriteString("error"u8, exception.Message);
            writer.WriteEndObject();
        }

        runner.Append(FrameKind.Reply, id, reply.Written);
        reply.Release();
        runner.Flush();
    }

    private static async ValueTask<ScriptValue> CallHostAsync(RunnerProcess runner, RunnerRequest? request, byte[] payload)
    {
        using var document = JsonDocument.Parse(payload);
        var function = document.RootElement.GetProperty("function"u8).GetString()!;
        if (request is null) throw new OperationCanceledException("The request was cancelled.");
        if (request.Host is null) throw new NotSupportedException($"'{function}' is not available to this script.");
        using var cancellation = CancellationTokenSource.CreateLinkedTokenSource(request.CancellationToken, runner.Stopped);
        return await request.Host.CallAsync(function, document.RootElement.GetProperty("arguments"u8), cancellation.Token);
    }

    /// <summary>Kills runners that are overdue; takes requests away from behind a slow one.</summary>
    private void Watch()
    {
        List<RunnerProcess>? overdue = null;
        List<RunnerProcess>? relieved = null;
        lock (_gate)
        {
            foreach (var runner in _runners)
            {
                if (runner.IsKilled) continue;
                var elapsed = _time.GetElapsedTime(runner.Since);
                if (runner.IsReady ? runner.Order.Count > 0 && elapsed > _overdue : elapsed > StartLimit)
                {
                    runner.IsKilled = runner.IsOverdue = true;
                    (overdue ??= []).Add(runner);
                }
                else if (runner.IsReady && runner.Order.Count > 1 && elapsed > WatchPeriod)
                {
                    TakeBack(runner);
                    (relieved ??= []).Add(runner);
                }
            }
        }

        foreach (var runner in overdue ?? [])
        {
            LogOverdue(runner.ProcessId, _overdue.TotalSeconds);
            runner.Kill();
        }

        foreach (var runner in relieved ?? []) runner.Flush();
        if (relieved is not null) Dispatch();
    }

    // They have not started: the runner answers in order. Scripts change nothing, so one that is evaluated after all,
    // because the cancellation came too late, does no harm.
    private void TakeBack(RunnerProcess runner)
    {
        if (!_runners.Any(r => r != runner && r.IsReady && r.Order.Count == 0)) return;
        foreach (var place in runner.Order.Skip(1).Reverse())
        {
            if (place.Request is null) continue;
            runner.Append(FrameKind.Cancel, place.Id, default);
            ReturnToQueue(place);
        }
    }

    private void ReturnToQueue(InFlight place)
    {
        var request = place.Request!;
        place.Request = null;
        request.InFlight = null;
        request.Runner = null;
        _waiting.AddFirst(request);
    }

    internal void OnEnded(RunnerProcess runner)
    {
        RunnerRequest? culprit = null;
        lock (_gate)
        {
            _runners.Remove(runner);
            if (_disposed) return;
            var unanswered = runner.Order.ToArray();
            var blamed = runner.IsLeaving ? 0 : Math.Min(1, unanswered.Length);
            if (blamed == 1) culprit = unanswered[0].Request;
            foreach (var place in unanswered.Skip(blamed).Reverse())
            {
                if (place.Request is not null) ReturnToQueue(place);
            }
        }

        culprit?.Fail(runner.IsOverdue
            ? new ScriptException(ScriptFailure.Timeout,
                $"The script ran longer than {_options.TimeLimit.TotalSeconds:0.###} s, the time limit, and its runner was killed.")
            { ScriptName = culprit.Name }
            : new ScriptException(ScriptFailure.Crashed, "The runner stopped while it evaluated the script.")
            { ScriptName = culprit.Name });
        if (!runner.IsReady)
        {
            var exception = new ScriptException(ScriptFailure.Unavailable,
                $"The script runner stopped while it started: {runner.Diagnostics()}");
            LogCannotStart(exception);
            FailWaiting(exception.Message);
        }
        else if (!runner.IsOverdue)
        {
            LogEnded(runner.ProcessId, runner.Diagnostics());
        }

        Dispatch();
    }

    internal void OnDiagnostic(RunnerProcess runner, string line) => LogDiagnostic(runner.ProcessId, line);

    [LoggerMessage(1301, LogLevel.Information, "Script runner {ProcessId} is ready after {Milliseconds:F0} ms")]
    private partial void LogStarted(int processId, double milliseconds);

    [LoggerMessage(1302, LogLevel.Warning,
        "Script runner {ProcessId} did not answer for {Seconds:F1} s and is killed; its script fails, the others move to another runner")]
    private partial void LogOverdue(int processId, double seconds);

    [LoggerMessage(1303, LogLevel.Warning,
        "Script runner {ProcessId} ended; a new one starts when needed. Its last messages: {Diagnostics}")]
    private partial void LogEnded(int processId, string diagnostics);

    [LoggerMessage(1304, LogLevel.Error, "No script runner can be started; JavaScript and Liquid expressions fail")]
    private partial void LogCannotStart(Exception exception);

    [LoggerMessage(1305, LogLevel.Warning, "Script runner {ProcessId} says: {Line}")]
    private partial void LogDiagnostic(int processId, string line);
}

using System.Text.Json;
using Microsoft.Extensions.Logging;

namespace Conclave.Workflows.Expressions.Scripting;

// What runners send, and what happens when one is slow or stops.
public sealed partial class ScriptRunnerPool
{
    internal void OnFrame(RunnerProcess runner, FrameHeader header, byte[] payload)
    {
        switch (header.Kind)
        {
            case FrameKind.Ready:
                lock (_gate) (runner.IsReady, _startFailures) = (true, 0);
                LogStarted(runner.ProcessId, _time.GetElapsedTime(runner.Since).TotalMilliseconds);
                break;
            case FrameKind.Started:
                MarkStarted(runner, header.Id);
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
        var request = MarkStarted(runner, id);
        _ = Task.Run(() => ReplyAsync(runner, id, request, payload));
    }

    private RunnerRequest? MarkStarted(RunnerProcess runner, uint id)
    {
        lock (_gate)
        {
            if (!runner.Order.TryPeek(out var place) || place.Id != id) return null;
            place.HasStarted = true;
            return place.Request;
        }
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

    private static async ValueTask<ScriptValue> CallHostAsync(
        RunnerProcess runner, RunnerRequest? request, byte[] payload)
    {
        using var document = JsonDocument.Parse(payload);
        var function = document.RootElement.GetProperty("function"u8).GetString()!;
        if (request is null) throw new OperationCanceledException("The request was cancelled.");
        if (request.Host is null) throw new NotSupportedException($"'{function}' is not available to this script.");
        using var cancellation =
            CancellationTokenSource.CreateLinkedTokenSource(request.CancellationToken, runner.Stopped);
        var arguments = document.RootElement.GetProperty("arguments"u8);
        return await request.Host.CallAsync(function, arguments, cancellation.Token);
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
            // Answers are sent in batches, so the first unanswered request may have been finished and the next one
            // be the cause. Where that is open, all of them run again, each alone.
            var isKnown = unanswered.Length == 1 || (unanswered.Length > 0 && unanswered[0].HasStarted);
            var blamed = isKnown && !runner.IsLeaving ? 1 : 0;
            if (blamed == 1) culprit = unanswered[0].Request;
            foreach (var place in unanswered.Skip(blamed).Reverse())
            {
                if (place.Request is null) continue;
                place.Request.IsSuspect |= !isKnown && !runner.IsLeaving;
                ReturnToQueue(place);
            }
        }

        culprit?.Fail(runner.IsOverdue
            ? new ScriptException(ScriptFailure.Timeout,
                $"The script ran longer than {_options.TimeLimit.TotalSeconds:0.###} s, the time limit, " +
                "and its runner was killed.")
            { ScriptName = culprit.Name }
            : new ScriptException(ScriptFailure.Crashed, "The runner stopped while it evaluated the script.")
            { ScriptName = culprit.Name });
        if (!runner.IsReady && ++_startFailures >= MaxStartFailures)
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
        "Script runner {ProcessId} did not answer for {Seconds:F1} s and is killed; its script fails, " +
        "the others move to another runner")]
    private partial void LogOverdue(int processId, double seconds);

    [LoggerMessage(1303, LogLevel.Warning,
        "Script runner {ProcessId} ended; a new one starts when needed. Its last messages: {Diagnostics}")]
    private partial void LogEnded(int processId, string diagnostics);

    [LoggerMessage(1304, LogLevel.Error, "No script runner can be started; JavaScript and Liquid expressions fail")]
    private partial void LogCannotStart(Exception exception);

    [LoggerMessage(1305, LogLevel.Warning, "Script runner {ProcessId} says: {Line}")]
    private partial void LogDiagnostic(int processId, string line);
}

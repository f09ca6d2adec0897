using System.Collections.Concurrent;
using System.Text.Json;
using Conclave.Inference.Activities;
using Conclave.Inference.StructuredOutput;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions.Scripting;
using Conclave.Workflows.Runtime.Stimuli;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Conclave.Inference.Syscalls;

/// <summary>Answers syscalls: takes them from the database and gives the answer back there. What a dead process left is taken up when its lease ends.</summary>
public sealed partial class SyscallWorker : IAsyncDisposable
{
    private const int MostRunning = 256;
    private static readonly TimeSpan Lease = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan Poll = TimeSpan.FromSeconds(2);

    private readonly SyscallStore _store;
    private readonly IInference _inference;
    private readonly ScriptRunnerPool? _schemas;
    private readonly ISyscallTools? _tools;
    private readonly StimulusDelivery? _stimuli;
    private readonly ILogger _logger;
    private readonly Guid _owner = Guid.CreateVersion7();
    private readonly CancellationTokenSource _stop = new();
    private readonly SemaphoreSlim _wake = new(0, 1);
    private readonly ConcurrentDictionary<(string Tenant, string Pid), Running> _running = new();
    private readonly Task _working;

    /// <summary>Starts to work.</summary>
    /// <param name="store">Where they are.</param>
    /// <param name="inference">Who answers.</param>
    /// <param name="schemas">Checks JSON; without it, syscalls with JSON output fail.</param>
    /// <param name="tools">Calls tools; without it, syscalls that need some fail.</param>
    /// <param name="stimuli">Tells workflows that wait; null where none do.</param>
    /// <param name="logger">Told what goes wrong.</param>
    public SyscallWorker(SyscallStore store, IInference inference, ScriptRunnerPool? schemas, ISyscallTools? tools, StimulusDelivery? stimuli, ILogger<SyscallWorker> logger)
    {
        (_store, _inference, _schemas, _tools, _stimuli, _logger) = (store, inference, schemas, tools, stimuli, logger);
        store.Submitted += Wake;
        _working = Task.Run(WorkAsync);
    }

    /// <summary>Stops those that run; they are taken up again where they were, here or elsewhere.</summary>
    public async ValueTask DisposeAsync()
    {
        _store.Submitted -= Wake;
        await _stop.CancelAsync();
        await _working;
        await Task.WhenAll(_running.Values.Select(r => r.Task));
        _stop.Dispose();
        _wake.Dispose();
    }

    private void Wake()
    {
        try
        {
            _wake.Release();
        }
        catch (Exception exception) when (exception is SemaphoreFullException or ObjectDisposedException)
        {
            // It is awake, or stops.
        }
    }

    private async Task WorkAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                await RenewAsync();
                await TellAsync();
                var room = MostRunning - _running.Count;
                var claimed = room > 0 ? await _store.ClaimAsync(_owner, Lease, room, _stop.Token) : [];
                foreach (var syscall in claimed)
                    Start(syscall);
                await _wake.WaitAsync(Poll, _stop.Token);
            }
            catch (OperationCanceledException) when (_stop.IsCancellationRequested)
            {
                return;
            }
            catch (NpgsqlException exception)
            {
                LogAway(exception);
                await Task.Delay(Poll, CancellationToken.None);
            }
        }
    }

    private async Task RenewAsync()
    {
        var running = _running.Values.Select(r => r.Syscall).ToList();
        if (running.Count == 0)
            return;
        foreach (var key in await _store.RenewAsync(_owner, Lease, running, _stop.Token))
        {
            if (_running.TryGetValue(key, out var cancelled))
                await cancelled.Stop.CancelAsync();
        }
    }

    /// <summary>Tells workflows of what has ended. Whoever is told twice, because it cannot be noted or because another process does so as well, goes on once.</summary>
    private async Task TellAsync()
    {
        if (_stimuli is null)
            return;
        foreach (var ended in await _store.FindUntoldAsync(MostRunning, _stop.Token))
        {
            try
            {
                await _stimuli.DeliverAsync(AskLater.Ended(ended), _stop.Token);
                await _store.SetToldAsync(ended, _stop.Token);
            }
            catch (Exception exception) when (exception is not (NpgsqlException or OperationCanceledException))
            {
                // The others are told all the same; this one is tried again with the next look.
                LogUntold(ended.Pid, ended.InstanceId!, exception);
            }
        }
    }

    private void Start(Syscall syscall)
    {
        var key = (syscall.Tenant, syscall.Pid);
        var stop = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        var start = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var task = Task.Run(async () =>
        {
            await start.Task;
            try
            {
                await RunAsync(syscall, stop.Token);
            }
            finally
            {
                _running.TryRemove(key, out _);
                stop.Dispose();
            }
        });
        _running[key] = new Running(syscall, stop, task);
        start.SetResult();
    }

    private async Task RunAsync(Syscall syscall, CancellationToken cancellationToken)
    {
        var report = new CallReport { Changed = r => OnChanged(syscall, r) };
        try
        {
            var done = syscall;
            try
            {
                done = syscall with { Response = await AnswerAsync(syscall, report, cancellationToken), Slices = [.. report.Slices] };
            }
            catch (InferenceException exception) when (exception.Code != "inference.stopping")
            {
                done = syscall with { Error = exception.Message, ErrorCode = exception.Code, Slices = [.. report.Slices] };
            }
            catch (WorkflowException exception)
            {
                done = syscall with { Error = exception.Message, ErrorCode = exception.Code, Slices = [.. report.Slices] };
            }

            await _store.EndAsync(done, _owner, CancellationToken.None);
            if (syscall.InstanceId is not null)
                Wake();
        }
        catch (Exception exception) when (exception is OperationCanceledException or InferenceException)
        {
            // The text so far is kept under the syscall's key.
            await ReleaseAsync(syscall);
        }
        catch (Exception exception)
        {
            LogFailed(syscall.Pid, exception);
            await ReleaseAsync(syscall);
        }
    }

    private async Task ReleaseAsync(Syscall syscall)
    {
        try
        {
            await _store.ReleaseAsync(syscall, _owner, CancellationToken.None);
        }
        catch (NpgsqlException exception)
        {
            LogAway(exception);
        }
    }

    private async Task<string> AnswerAsync(Syscall syscall, CallReport report, CancellationToken cancellationToken)
    {
        var query = JsonElement.Parse(syscall.Query);
        if (SyscallAction.UsesTools(syscall.Action))
        {
            var tools = _tools ?? throw new InferenceException(InferenceFailure.Unavailable, "syscall.no_tools", "This process has no tools.");
            return await new ToolChain(_inference, tools).AnswerAsync(syscall, query, report, cancellationToken);
        }

        var call = SyscallQuery.Read(query, syscall);
        if (syscall.Action != SyscallAction.ChatWithJsonOutput)
            return SyscallQuery.Write(await _inference.ChatAsync(call, report, cancellationToken));
        if (_schemas is null)
            throw new InferenceException(InferenceFailure.Unavailable, "inference.no_schemas", "This process cannot check JSON Schemas: it has no script runner.");
        var answer = await new StructuredAnswers(_inference, _schemas).AskAsync(call, SyscallQuery.Schema(query), report, cancellationToken);
        return SyscallQuery.Write(answer.Response, answer.Value);
    }

    // For people who look; not worth waiting for.
    private void OnChanged(Syscall syscall, CallReport report)
    {
        var status = report.Phase switch
        {
            CallPhase.Queued when report.Slices.Count > 0 => SyscallStatus.Suspending,
            CallPhase.Running => SyscallStatus.Executing,
            _ => (SyscallStatus?)null,
        };
        if (status is not { } now || !_running.TryGetValue((syscall.Tenant, syscall.Pid), out var running))
            return;
        running.Tell(async () =>
        {
            try
            {
                await _store.SetStatusAsync(syscall, _owner, now, _stop.Token);
            }
            catch (Exception exception) when (exception is NpgsqlException or OperationCanceledException)
            {
                LogStatus(syscall.Pid, exception);
            }
        });
    }

    private sealed record Running(Syscall Syscall, CancellationTokenSource Stop, Task Task)
    {
        private readonly Lock _lock = new();
        private Task _told = Task.CompletedTask;

        // One after the other.
        public void Tell(Func<Task> tell)
        {
            lock (_lock)
                _told = _told.ContinueWith(_ => tell(), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default).Unwrap();
        }
    }

    [LoggerMessage(4221, LogLevel.Warning, "Syscalls cannot be read or written right now; it is tried again")]
    private partial void LogAway(Exception exception);

    [LoggerMessage(4222, LogLevel.Error, "Syscall {Pid} failed for a reason of our own; it is tried again")]
    private partial void LogFailed(string pid, Exception exception);

    [LoggerMessage(4224, LogLevel.Error, "Workflow {InstanceId} could not be told that syscall {Pid} has ended; it is tried again")]
    private partial void LogUntold(string pid, string instanceId, Exception exception);

    [LoggerMessage(4223, LogLevel.Debug, "The status of syscall {Pid} could not be written")]
    private partial void LogStatus(string pid, Exception exception);
}

using System.Threading.Channels;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Definitions;
using Conclave.Workflows.Runtime.Executions;
using Conclave.Workflows.Runtime.Instances;
using Conclave.Workflows.Runtime.Journal;
using Conclave.Workflows.Runtime.Operations;
using Conclave.Workflows.Runtime.Postgres;
using Conclave.Workflows.Runtime.Queue;
using Conclave.Workflows.Runtime.Replay;
using Conclave.Workflows.Runtime.Stimuli;
using Conclave.Workflows.Runtime.Timers;
using Conclave.Workflows.Runtime.Watching;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Conclave.Workflows.Runtime;

/// <summary>The durable runtime of one process: everything that runs workflows on a database, put together.</summary>
public sealed partial class WorkflowRuntime : IAsyncDisposable
{
    private static readonly TimeSpan MaintenanceInterval = TimeSpan.FromHours(1);
    private static readonly TimeSpan StatisticsInterval = TimeSpan.FromSeconds(10);

    private readonly NpgsqlDataSource _database;
    private readonly TimeProvider _time;
    private readonly GroupCommit _commits;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stop = new();
    private readonly CancellationTokenSource _drain = new();
    private readonly CancellationTokenSource _abort = new();
    private readonly Channel<(string Tenant, string DefinitionId)> _changed = Channel.CreateUnbounded<(string, string)>();
    private readonly Dictionary<string, Action<string, string>> _heard = new(StringComparer.Ordinal);
    private readonly List<Func<CancellationToken, Task>> _reloads = [];
    private readonly List<Task> _tasks = [];
    private Task _working = Task.CompletedTask;

    /// <summary>Puts a runtime together; <see cref="StartAsync"/> begins.</summary>
    /// <param name="database">The database, whose schema is current.</param>
    /// <param name="options">Settings.</param>
    /// <param name="newEngine">Makes the engine of a tenant around its library.</param>
    /// <param name="services">What workflows may ask of this process.</param>
    /// <param name="loggers">Makes logs.</param>
    /// <param name="time">The clock.</param>
    public WorkflowRuntime(
        NpgsqlDataSource database,
        RuntimeOptions options,
        Func<WorkflowLibrary, WorkflowEngine> newEngine,
        WorkflowServices services,
        ILoggerFactory loggers,
        TimeProvider time)
    {
        _database = database;
        _time = time;
        _logger = loggers.CreateLogger<WorkflowRuntime>();
        Options = options;
        Catalog = new DefinitionCatalog(database, time, newEngine);
        Instances = new InstanceStore(database);
        Signal = new WorkSignal(database, loggers.CreateLogger<WorkSignal>());
        Queue = new WorkQueue(database, Signal);
        Journal = new JournalStore(database, time, loggers.CreateLogger<JournalStore>());
        Maintenance = new Maintenance(database, Journal, options, time);
        _commits = new GroupCommit(database, Signal, options, loggers.CreateLogger<GroupCommit>());
        Runner = new InstanceRunner(Catalog, Instances, Queue, _commits, options, loggers.CreateLogger<InstanceRunner>()) { Services = services };
        Stimuli = new StimulusDelivery(database, Runner, Signal);
        Operations = new InstanceOperations(Runner, database, Queue);
        Alterations = new AlterationPlans(database, Operations, Signal);
        Executions = new ActivityExecutions(Journal, Runner);
        Replay = new InstanceReplay(Journal, Runner.Catalog);
        Watch = new InstanceWatch(database, time, loggers.CreateLogger<InstanceWatch>());
        Runner.Committed = (tenant, instance) =>
        {
            Watch.Stored(tenant, instance.Id);
            services.Stored?.Invoke(Watch, tenant, instance);
        };
        Pause = new WorkerPause(database) { Draining = Runner.InterruptAll };
        Worker = new Worker(Queue, Signal, Runner, Stimuli, Pause, time, loggers.CreateLogger<Worker>()) { Alter = Alterations.RunAsync };
        if (options.UseTimers)
            Timers = new TimerScheduler(database, Runner, loggers, time);
    }

    /// <summary>Settings.</summary>
    public RuntimeOptions Options { get; }

    /// <summary>The workflows.</summary>
    public DefinitionCatalog Catalog { get; }

    /// <summary>The instances.</summary>
    public InstanceStore Instances { get; }

    /// <summary>The queue.</summary>
    public WorkQueue Queue { get; }

    /// <summary>Wakes workers.</summary>
    public WorkSignal Signal { get; }

    /// <summary>The journal.</summary>
    public JournalStore Journal { get; }

    /// <summary>Runs bursts.</summary>
    public InstanceRunner Runner { get; }

    /// <summary>Delivers stimuli.</summary>
    public StimulusDelivery Stimuli { get; }

    /// <summary>What people do to instances.</summary>
    public InstanceOperations Operations { get; }

    /// <summary>Changes to many instances.</summary>
    public AlterationPlans Alterations { get; }

    /// <summary>Executions of activities.</summary>
    public ActivityExecutions Executions { get; }

    /// <summary>Instances as they stood at a point of their journal.</summary>
    public InstanceReplay Replay { get; }

    /// <summary>Keeps all workers from taking work.</summary>
    public WorkerPause Pause { get; }

    /// <summary>Tells who looks at instances what becomes of them.</summary>
    public InstanceWatch Watch { get; }

    /// <summary>Takes work from the queue.</summary>
    public Worker Worker { get; }

    /// <summary>Long waits and workflows that start by the clock; null when the options turn them off.</summary>
    public TimerScheduler? Timers { get; }

    /// <summary>Partitions and rows that have served their time.</summary>
    public Maintenance Maintenance { get; }

    /// <summary>Hears what processes tell each other on a channel of PostgreSQL's, over the connection that listens anyway. To be said before <see cref="StartAsync"/>.</summary>
    /// <param name="channel">The channel: small letters and underscores.</param>
    /// <param name="told">Told channel and payload; returns at once and does not throw. What was told while the connection was lost, it does not hear.</param>
    /// <param name="reload">Reads everything again, once the connection is back; null for what need not be made up for.</param>
    public void Hear(string channel, Action<string, string> told, Func<CancellationToken, Task>? reload = null)
    {
        _heard.Add(channel, told);
        if (reload is not null)
            _reloads.Add(reload);
    }

    /// <summary>Reads what is published, and begins to listen and to renew leases.</summary>
    /// <param name="isWorker">Whether this process takes work from the queue.</param>
    /// <param name="cancellationToken">Stops starting.</param>
    public async Task StartAsync(bool isWorker, CancellationToken cancellationToken)
    {
        await Maintenance.RunAsync(cancellationToken);
        var listening = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _tasks.Add(Task.Run(() => ListenAsync(listening), CancellationToken.None));
        await listening.Task.WaitAsync(cancellationToken);
        await Catalog.LoadAsync(cancellationToken);
        _tasks.Add(Task.Run(FollowAsync, CancellationToken.None));
        _tasks.Add(Task.Run(() => RepeatAsync(Options.Lease / 3, Runner.RenewAsync), CancellationToken.None));
        _tasks.Add(Task.Run(() => RepeatAsync(MaintenanceInterval, Maintenance.RunAsync), CancellationToken.None));
        _tasks.Add(Task.Run(() => RepeatAsync(StatisticsInterval, new TableStatistics(_database).UpdateAsync), CancellationToken.None));
        if (!isWorker)
            return;
        if (Timers is not null)
        {
            await Timers.StartAsync(cancellationToken);
            Worker.Schedule = Timers.ScheduleAsync;
        }

        Stimuli.ResumeNow = Worker.TryResumeAsync;
        _working = Task.Run(() => Worker.RunAsync(_drain.Token, _abort.Token), CancellationToken.None);
    }

    /// <summary>Starts an instance: here and at once if this process works and has room, else through the queue.</summary>
    /// <param name="tenant">Owner of the instance.</param>
    /// <param name="instance">The instance, pending.</param>
    /// <param name="priority">How urgent it is.</param>
    /// <returns>Whether it was stored: not when one with its id exists, or something refuses it. It runs on.</returns>
    public async Task<CommitOutcome> StartInstanceAsync(string tenant, WorkflowInstance instance, WorkPriority priority) =>
        await Worker.TryStartAsync(tenant, instance, priority) ?? await Runner.EnqueueAsync(tenant, instance, priority);

    /// <summary>Takes no more work, and waits for what runs; what takes too long is put back.</summary>
    public async Task StopAsync()
    {
        if (_stop.IsCancellationRequested)
            return;
        await _drain.CancelAsync();
        _abort.CancelAfter(Options.DrainTimeout);
        if (Timers is not null)
            await Timers.StopAsync();
        await _working;
        await _stop.CancelAsync();
        await Task.WhenAll(_tasks);
        await _commits.DisposeAsync();
        await Watch.DisposeAsync();
        await Signal.DisposeAsync();
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        if (Timers is not null)
            await Timers.DisposeAsync();
        Catalog.Dispose();
        _stop.Dispose();
        _drain.Dispose();
        _abort.Dispose();
    }

    private async Task RepeatAsync(TimeSpan interval, Func<CancellationToken, Task> action)
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                await Task.Delay(interval, _time, _stop.Token);
                await action(_stop.Token);
            }
            catch (OperationCanceledException) when (_stop.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception) when (exception is NpgsqlException or TimeoutException or InvalidOperationException)
            {
                LogFailed(action.Method.Name, exception);
            }
        }
    }

    /// <summary>Hears of work, of changed workflows and of instances to interrupt.</summary>
    private async Task ListenAsync(TaskCompletionSource listening)
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                await using var connection = await _database.OpenConnectionAsync(_stop.Token);
                connection.Notification += (_, e) => Notified(e);
#pragma warning disable CA2100    // The names are those of our own code.
                await using (var command = new NpgsqlCommand(
                    $"listen {WorkSignal.Channel}; listen {DefinitionStore.Channel}; listen {InterruptChannel}; {InstanceWatch.ListenSql}; listen {WorkerPause.Channel}{string.Concat(_heard.Keys.Select(c => $"; listen {c}"))}", connection))
                    await command.ExecuteNonQueryAsync(_stop.Token);
#pragma warning restore CA2100
                await Watch.LoadAsync(_stop.Token);
                await Pause.LoadAsync(_stop.Token);
                // What was told while nobody listened is read again.
                if (!listening.TrySetResult())
                {
                    await Catalog.LoadAsync(_stop.Token);
                    Timers?.SyncAll();
                    foreach (var reload in _reloads)
                        await reload(_stop.Token);
                }

                Signal.WakeLocal();
                while (true)
                    await connection.WaitAsync(_stop.Token);
            }
            catch (OperationCanceledException) when (_stop.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception) when (exception is NpgsqlException or TimeoutException or InvalidOperationException or System.IO.IOException)
            {
                LogFailed(nameof(ListenAsync), exception);
                await Task.Delay(TimeSpan.FromSeconds(1), _time, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    /// <summary>Channel that tells which instance is to stop running, as <c>tenant:instanceId</c>.</summary>
    internal const string InterruptChannel = "conclave_interrupt";

    private void Notified(NpgsqlNotificationEventArgs notification)
    {
        if (notification.Channel == WorkSignal.Channel)
        {
            Signal.WakeLocal();
            return;
        }

        if (Watch.Hear(notification.Channel, notification.Payload))
            return;
        if (_heard.TryGetValue(notification.Channel, out var told))
        {
            told(notification.Channel, notification.Payload);
            return;
        }

        if (notification.Channel == WorkerPause.Channel)
        {
            Pause.Hear(notification.Payload);
            Signal.WakeLocal();
            return;
        }

        var colon = notification.Payload.IndexOf(':', StringComparison.Ordinal);
        if (colon < 0)
            return;
        var (tenant, id) = (notification.Payload[..colon], notification.Payload[(colon + 1)..]);
        if (notification.Channel == InterruptChannel)
            Runner.Interrupt(tenant, id);
        else
            _changed.Writer.TryWrite((tenant, id));
    }

    /// <summary>Takes over what other processes changed.</summary>
    private async Task FollowAsync()
    {
        try
        {
            await foreach (var (tenant, definitionId) in _changed.Reader.ReadAllAsync(_stop.Token))
            {
                try
                {
                    await Catalog.RefreshAsync(tenant, definitionId, _stop.Token);
                }
                catch (Exception exception) when (exception is NpgsqlException or TimeoutException or InvalidOperationException)
                {
                    // The connection that listens is lost as well; everything is read again once it is back.
                    LogFailed(nameof(FollowAsync), exception);
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The process stops.
        }
    }

    [LoggerMessage(2601, LogLevel.Warning, "{Action} failed; it is tried again.")]
    private partial void LogFailed(string action, Exception exception);
}

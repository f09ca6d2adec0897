using System.Threading.Channels;
using Conclave.Workflows.Runtime.Instances;
using Conclave.Workflows.Runtime.Queue;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using Quartz;

namespace Conclave.Workflows.Runtime.Timers;

/// <summary>Long waits, and workflows that start by the clock, on a Quartz cluster in the same database. See <c>docs/timers.md</c>.</summary>
/// <remarks>
/// Quartz is an alarm clock here: what is true stays in Conclave's own tables. An alarm that rings twice, late or for something
/// that is gone does no harm, so that nothing needs a transaction across both.
/// </remarks>
public sealed partial class TimerScheduler : IAsyncDisposable
{
    private const string TablePrefix = "conclave.qrtz_";
    private const int ConcurrentJobs = 10;
    private static readonly TimeSpan LongestRetryDelay = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan FullSyncInterval = TimeSpan.FromMinutes(10);

    private readonly NpgsqlDataSource _database;
    private readonly InstanceRunner _runner;
    private readonly ILoggerFactory _loggers;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stop = new();
    private readonly Channel<Change> _changes = Channel.CreateUnbounded<Change>();
    private readonly Channel<Wait> _waits = Channel.CreateUnbounded<Wait>();
    private Task _running = Task.CompletedTask;
    private volatile IScheduler? _scheduler;

    /// <summary>Puts it together; <see cref="StartAsync"/> begins.</summary>
    /// <param name="database">The database, whose schema is current.</param>
    /// <param name="runner">Starts instances.</param>
    /// <param name="loggers">Makes logs.</param>
    /// <param name="time">The clock.</param>
    public TimerScheduler(NpgsqlDataSource database, InstanceRunner runner, ILoggerFactory loggers, TimeProvider time)
    {
        _database = database;
        _runner = runner;
        _loggers = loggers;
        _logger = loggers.CreateLogger<TimerScheduler>();
        _time = time;
    }

    /// <summary>Whether timers fire in this process; before that, long waits stay in the queue.</summary>
    public bool IsRunning => _scheduler is not null;

    /// <summary>Begins in the background: a process need not wait for its timers, and tries again when they cannot start.</summary>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        _runner.Catalog.Changed += OnChanged;
        _running = Task.Run(RunAsync, CancellationToken.None);
        return Task.CompletedTask;
    }

    /// <summary>Fires nothing more, and waits for what is firing; what takes too long fires again elsewhere.</summary>
    public async Task StopAsync()
    {
        if (_stop.IsCancellationRequested)
            return;
        _runner.Catalog.Changed -= OnChanged;
        await _stop.CancelAsync();
        await _running;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _stop.Dispose();
    }

    private async Task RunAsync()
    {
        for (var attempt = 1; !_stop.IsCancellationRequested; attempt++)
        {
            try
            {
                await using var factory = NewFactory();
                var scheduler = await factory.GetScheduler(_stop.Token);
                try
                {
                    await StartSchedulerAsync(scheduler);
                    await using var repeat = _time.CreateTimer(_ => SyncAll(), null, FullSyncInterval, FullSyncInterval);
                    await Task.WhenAll(FollowAsync(scheduler), StoreWaitsAsync(scheduler));
                }
                finally
                {
                    _scheduler = null;
                    LeaveWaits();
                    using var timeout = new CancellationTokenSource(_runner.Options.DrainTimeout);
                    await scheduler.Shutdown(true, timeout.Token);
                }
            }
            catch (OperationCanceledException) when (_stop.IsCancellationRequested)
            {
                return;
            }
            // Whatever keeps the timers from starting, the process goes on without them and tries again.
            catch (Exception exception)
            {
                LogNotRunning(attempt, exception);
                await Task.Delay(RetryDelay.After(attempt, TimeSpan.FromSeconds(1), LongestRetryDelay, Random.Shared), _time, _stop.Token)
                    .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private async Task StartSchedulerAsync(IScheduler scheduler)
    {
        await scheduler.AddJob(WaitsJob(), AddJobOptions.Replacing, _stop.Token);
        await scheduler.Start(_stop.Token);
        _scheduler = scheduler;
        SyncAll();
        LogRunning(_runner.Options.Owner);
    }

    private StandaloneSchedulerFactory NewFactory() => QuartzSchedulerBuilder.Create(quartz =>
    {
        quartz.Services.AddSingleton(_loggers);
        // Without a provider Quartz takes the factory for an empty one, and logs elsewhere.
        quartz.Services.AddSingleton<ILoggerProvider>(NullLoggerProvider.Instance);
        quartz.Services.AddSingleton(this);
        quartz.UseTimeProvider(_time);
        quartz.UseDefaultThreadPool(ConcurrentJobs);
        quartz.ConfigureScheduler(options =>
        {
            options.InstanceName = "conclave";
            options.InstanceId = _runner.Options.Owner.ToString("N");
            // Another process takes over what this one had in mind within seconds.
            options.IdleWaitTime = TimeSpan.FromSeconds(5);
            options.ShutdownJobInterruption = ShutdownJobInterruption.Always;
        });
        quartz.UsePersistentStore(store =>
        {
            store.UsePostgres(source => source.DataSourceFactory = _ => _database);
            store.UseSystemTextJsonSerializer();
            store.UseClustering();
            store.ProvisionSchema();
            store.ConfigureStore(options =>
            {
                options.TablePrefix = TablePrefix;
                options.StoreJobDataAsStrings = true;
                options.RecoverFiringsCancelledByShutdown = true;
            });
        });
    }).Build();

    /// <summary>A trigger that fires once, however late.</summary>
    private ITrigger Once(TriggerKey key, JobKey job, DateTimeOffset at, JobDataMap data) => TriggerBuilder.Create(_time)
        .WithIdentity(key)
        .ForJob(job)
        .StartAt(at)
        .UsingJobData(data)
        // Not a misfire however late: Quartz handles few of those at a time.
        .WithSchedule(SimpleScheduleBuilder.Create().WithRepeatCount(0).WithMisfireInstruction(SimpleTriggerMisfireInstruction.IgnoreMisfires))
        .Build();

    [LoggerMessage(2701, LogLevel.Information, "Timers run as {Owner}.")]
    private partial void LogRunning(Guid owner);

    [LoggerMessage(2702, LogLevel.Error, "Timers do not run (attempt {Attempt}); workflows do not start by the clock in this process until they do.")]
    private partial void LogNotRunning(int attempt, Exception exception);

    /// <summary>A workflow that changed; empty for all.</summary>
    private sealed record Change(string Tenant, string DefinitionId);
}

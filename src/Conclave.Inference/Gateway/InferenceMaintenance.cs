using Conclave.Workflows.Runtime.Postgres;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Conclave.Inference.Gateway;

/// <summary>What has to be done once an hour: partitions of the log, and rows that have served their time.</summary>
public sealed partial class InferenceMaintenance : IAsyncDisposable
{
    private const int Batch = 1_000;
    private static readonly TimeSpan Interval = TimeSpan.FromHours(1);

    private static readonly string[] Expired =
    [
        "delete from conclave.inference_answer where (tenant, key) in (select tenant, key from conclave.inference_answer where expires_at <= now() limit 1000)",
        "delete from conclave.inference_cache where (tenant, hash) in (select tenant, hash from conclave.inference_cache where expires_at <= now() limit 1000)",
        "delete from conclave.inference_snapshot where (tenant, key) in (select tenant, key from conclave.inference_snapshot where updated_at <= now() - interval '1 day' limit 1000)",
        "delete from conclave.inference_syscall where (tenant, pid) in (select tenant, pid from conclave.inference_syscall where status = 3 and ended_at <= now() - interval '30 days' limit 1000)",
    ];

    private readonly NpgsqlDataSource _database;
    private readonly TimeSpan? _retention;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stop = new();
    private Task _running = Task.CompletedTask;

    /// <summary>Does nothing yet.</summary>
    /// <param name="database">The database.</param>
    /// <param name="retention">How long records of calls are kept; null keeps them.</param>
    /// <param name="time">The clock.</param>
    /// <param name="logger">Told what was dropped, and what goes wrong.</param>
    public InferenceMaintenance(NpgsqlDataSource database, TimeSpan? retention, TimeProvider time, ILogger<InferenceMaintenance> logger) =>
        (_database, _retention, _time, _logger) = (database, retention, time, logger);

    /// <summary>Does it once, and then every hour.</summary>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await RunAsync(cancellationToken);
        _running = Task.Run(RepeatAsync, CancellationToken.None);
    }

    /// <summary>Does everything that is due. Any number of processes may call it.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        foreach (var dropped in await MonthlyPartitions.MaintainAsync(_database, "inference_call", _time.GetUtcNow(), _retention, cancellationToken))
            LogDropped(dropped);
        foreach (var sql in Expired)
        {
#pragma warning disable CA2100    // The texts are constants.
            await using var command = _database.CreateCommand(sql);
#pragma warning restore CA2100
            while (await command.ExecuteNonQueryAsync(cancellationToken) == Batch)
                cancellationToken.ThrowIfCancellationRequested();
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        _stop.Dispose();
    }

    private async Task RepeatAsync()
    {
        using var timer = new PeriodicTimer(Interval, _time);
        while (true)
        {
            try
            {
                if (!await timer.WaitForNextTickAsync(_stop.Token))
                    return;
                await RunAsync(_stop.Token);
            }
            catch (OperationCanceledException) when (_stop.IsCancellationRequested)
            {
                return;
            }
            catch (NpgsqlException exception)
            {
                LogFailed(exception);
            }
        }
    }

    [LoggerMessage(4231, LogLevel.Information, "The partition {Partition} of records of model calls is past its retention and was dropped.")]
    private partial void LogDropped(string partition);

    [LoggerMessage(4232, LogLevel.Warning, "Rows of model calls that have served their time could not be deleted; it is tried again in an hour.")]
    private partial void LogFailed(Exception exception);
}

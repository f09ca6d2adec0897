using Conclave.Agents.Approvals;
using Conclave.Server.Hosting;
using Npgsql;

namespace Conclave.Server.Approvals;

/// <summary>Looks once a minute for approvals and workflows that do not fit each other. A decision and its resumption are one transaction, so it should find none.</summary>
internal sealed partial class ApprovalWatchdog(ServerRuntime server, IServiceProvider services, TimeProvider time, ILogger<ApprovalWatchdog> logger) : BackgroundService
{
    private static readonly TimeSpan Interval = TimeSpan.FromMinutes(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            await server.Started.WaitAsync(stoppingToken);
            var store = services.GetRequiredService<ApprovalStore>();
            using var timer = new PeriodicTimer(Interval, time);
            while (await timer.WaitForNextTickAsync(stoppingToken))
                await LookAsync(store, stoppingToken);
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The server stops.
        }
    }

    private async Task LookAsync(ApprovalStore store, CancellationToken cancellationToken)
    {
        try
        {
            if (await store.MendAsync(cancellationToken) is > 0 and var mended)
                LogMended(mended);
        }
        catch (Exception exception) when (exception is NpgsqlException or TimeoutException)
        {
            LogFailed(exception);
        }
    }

    [LoggerMessage(4611, LogLevel.Warning, "{Count} approvals did not fit the workflows that wait for them and were mended.")]
    private partial void LogMended(int count);

    [LoggerMessage(4612, LogLevel.Warning, "Approvals could not be looked through; it is tried again in a minute.")]
    private partial void LogFailed(Exception exception);
}

using Conclave.Workflows.Runtime.Postgres;
using Npgsql;

namespace Conclave.Workflows.Runtime.Queue;

/// <summary>Who paused the workers, and why.</summary>
/// <param name="Actor">Who.</param>
/// <param name="Reason">Why; null when nobody said.</param>
/// <param name="Since">When.</param>
public sealed record PausedBy(string Actor, string? Reason, DateTimeOffset Since);

/// <summary>Keeps the workers of all processes from taking work until somebody resumes them. What waits is kept, and requests still run their first burst.</summary>
public sealed class WorkerPause(NpgsqlDataSource database)
{
    /// <summary>Channel on which workers hear of it.</summary>
    internal const string Channel = "conclave_pause";

    private const string Paused = "paused";
    private const string Resumed = "resumed";
    private const string Drain = "drain";

    private volatile bool _isPaused;

    /// <summary>Whether workers take no work.</summary>
    public bool IsPaused => _isPaused;

    /// <summary>Called when bursts that run are to stop after their current activity.</summary>
    internal Action? Draining { get; init; }

    /// <summary>Pauses all workers.</summary>
    /// <param name="actor">Who asks for it.</param>
    /// <param name="reason">Why; null when nobody said.</param>
    /// <param name="drains">Whether bursts that run stop after their current activity; what is left of them goes on when workers are resumed.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    public async Task PauseAsync(string actor, string? reason, bool drains, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"""
            with paused as (
                insert into conclave.worker_pause (actor, reason) values ($1, $2) on conflict (is_on) do nothing)
            select pg_notify('{Channel}', $3)
            """);
        command.Parameters.AddText(actor);
        command.Parameters.AddText(reason);
        command.Parameters.AddText(drains ? Drain : Paused);
        await command.ExecuteNonQueryAsync(cancellationToken);
        _isPaused = true;
    }

    /// <summary>Lets all workers take work again.</summary>
    public async Task ResumeAsync(CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            $"with gone as (delete from conclave.worker_pause) select pg_notify('{Channel}', '{Resumed}')");
        await command.ExecuteNonQueryAsync(cancellationToken);
        _isPaused = false;
    }

    /// <summary>Who paused the workers; null when they work.</summary>
    public async Task<PausedBy?> FindAsync(CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("select actor, reason, since from conclave.worker_pause");
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken)
            ? new PausedBy(reader.GetString(0), reader.IsDBNull(1) ? null : reader.GetString(1), reader.GetFieldValue<DateTimeOffset>(2))
            : null;
    }

    internal async Task LoadAsync(CancellationToken cancellationToken) => _isPaused = await FindAsync(cancellationToken) is not null;

    /// <summary>Takes a notification in.</summary>
    internal void Hear(string payload)
    {
        _isPaused = payload != Resumed;
        if (payload == Drain)
            Draining?.Invoke();
    }
}

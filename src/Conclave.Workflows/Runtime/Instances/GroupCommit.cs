using System.Data;
using Conclave.Workflows.Runtime.Postgres;
using Conclave.Workflows.Runtime.Queue;
using Conclave.Workflows.Runtime.Telemetry;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Conclave.Workflows.Runtime.Instances;

/// <summary>Stores bursts. Those that end while a transaction is on its way share the next one.</summary>
/// <remarks>
/// One transaction is one batch without a round trip in between. If any commit of a group is refused, nothing of the group is
/// stored; each is then tried alone. Whoever commits while no writer is busy writes for itself and for those that came
/// meanwhile, then passes the turn on: a commit that is alone changes no thread.
/// </remarks>
public sealed partial class GroupCommit : IAsyncDisposable
{
    /// <summary>SQLSTATE of <c>conclave.refuse_unless</c>.</summary>
    private const string RefusedState = "CC001";

    // How often a writer lets others run before it takes the next group: those whose commit has just been stored are about to
    // end their next step, and are in the group then instead of waiting for it.
    private const int Rounds = 2;

    private readonly NpgsqlDataSource _database;
    private readonly WorkSignal _signal;
    private readonly Guid _owner;
    private readonly TimeSpan _lease;
    private readonly int _largestGroup;
    private readonly int _writers;
    private readonly ILogger<GroupCommit> _logger;
    private readonly Lock _gate = new();
    private readonly Queue<Pending> _waiting = [];
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _writing;
    private int _lastGroup;
    private bool _isClosed;

    /// <summary>Makes ready to write.</summary>
    /// <param name="database">The database.</param>
    /// <param name="signal">Wakes workers when a commit brought work.</param>
    /// <param name="options">Size of groups, number of writers, leases.</param>
    /// <param name="logger">The log.</param>
    public GroupCommit(NpgsqlDataSource database, WorkSignal signal, RuntimeOptions options, ILogger<GroupCommit> logger)
    {
        _database = database;
        _signal = signal;
        _owner = options.Owner;
        _lease = options.Lease;
        _largestGroup = options.LargestGroup;
        _writers = options.Writers;
        _logger = logger;
    }

    /// <summary>Stores a burst.</summary>
    /// <exception cref="NpgsqlException">The database failed; the commit did or did not happen.</exception>
    public async Task<CommitOutcome> CommitAsync(InstanceCommit commit)
    {
        var pending = new Pending(commit);
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_isClosed, this);
            if (_writing == _writers)
                _waiting.Enqueue(pending);
            else
            {
                _writing++;
                pending.Done.SetResult(null);
            }
        }

        return await pending.Done.Task ?? await WriteAsync(new Pending(commit));
    }

    /// <summary>Waits for what is under way and stops.</summary>
    public async ValueTask DisposeAsync()
    {
        lock (_gate)
        {
            _isClosed = true;
            if (_writing == 0)
                return;
        }

        await _ended.Task;
    }

    /// <summary>Stores a commit whose turn it is, and those that wait with it.</summary>
    private async Task<CommitOutcome> WriteAsync(Pending own)
    {
        for (var round = 0; round < Rounds && _lastGroup > 1; round++)
            await Task.Yield();
        var group = new List<Pending> { own };
        lock (_gate)
        {
            while (group.Count < _largestGroup && _waiting.TryDequeue(out var pending))
                group.Add(pending);
            _lastGroup = group.Count;
        }

        try
        {
            await StoreTogetherAsync(group);
        }
        finally
        {
            PassOn();
        }

        return (await own.Done.Task)!.Value;
    }

    private void PassOn()
    {
        Pending? next;
        lock (_gate)
        {
            if (!_waiting.TryDequeue(out next) && --_writing == 0 && _isClosed)
                _ended.SetResult();
        }

        next?.Done.SetResult(null);
    }

    private async Task StoreTogetherAsync(List<Pending> group)
    {
        try
        {
            await StoreAsync(group.ConvertAll(p => p.Commit));
            End(group, CommitOutcome.Stored);
        }
        catch (PostgresException exception) when (group.Count > 1 ? !DatabaseOutage.Is(exception) : IsLostRace(exception))
        {
            foreach (var single in group)
                await StoreAloneAsync(single);
        }
        catch (Exception exception)
        {
            Fail(group, exception);
        }
    }

    private async Task StoreAloneAsync(Pending pending)
    {
        try
        {
            await StoreAsync([pending.Commit]);
            End([pending], CommitOutcome.Stored);
        }
        catch (Exception exception)
        {
            Fail([pending], exception);
        }
    }

    private void End(List<Pending> group, CommitOutcome outcome)
    {
        var hasWork = false;
        foreach (var pending in group)
        {
            hasWork |= pending.Commit.Work.Count > 0;
            pending.Done.SetResult(outcome);
        }

        if (hasWork)
            _signal.Wake();
    }

    private void Fail(List<Pending> group, Exception exception)
    {
        CommitOutcome? outcome = exception switch
        {
            PostgresException { SqlState: RefusedState } when group.Count == 1 => CommitOutcome.Refused,
            PostgresException { SqlState: PostgresErrorCodes.UniqueViolation, TableName: "workflow_instance" } when group.Count == 1 => CommitOutcome.Exists,
            _ => null,
        };
        if (outcome is null)
            LogFailed(group.Count, exception);
        foreach (var pending in group)
        {
            if (outcome is { } known)
                pending.Done.SetResult(known);
            else
                pending.Done.SetException(exception);
        }
    }

    /// <summary>Whether PostgreSQL undid the commit in favour of another one. What the burst did to the world must not be done again for that.</summary>
    private static bool IsLostRace(PostgresException exception) =>
        exception.SqlState is PostgresErrorCodes.DeadlockDetected or PostgresErrorCodes.SerializationFailure;

    private async Task StoreAsync(List<InstanceCommit> group)
    {
        var started = WorkflowTelemetry.Now();
        var isStored = false;
        await using var connection = await _database.OpenConnectionAsync();
        await using var batch = connection.CreateBatch();
        CommitSql.Add(batch, group, _owner, _lease);
        try
        {
            await batch.ExecuteNonQueryAsync();
            isStored = true;
        }
        catch (PostgresException)
        {
            // Statements that were being prepared when another failed are not what Npgsql takes them for afterwards
            // (npgsql#6391, open in 10.0.0): a later command on this connection would read the answer of another.
            if (connection.State == ConnectionState.Open)
                connection.UnprepareAll();
            throw;
        }
        finally
        {
            WorkflowTelemetry.Committed(group.Count, isStored, started);
        }
    }

    [LoggerMessage(2201, LogLevel.Error, "{Count} bursts could not be stored. Their work is tried again.")]
    private partial void LogFailed(int count, Exception exception);

    private sealed record Pending(InstanceCommit Commit)
    {
        /// <summary>How it ended; null when it is its turn to write.</summary>
        public TaskCompletionSource<CommitOutcome?> Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}

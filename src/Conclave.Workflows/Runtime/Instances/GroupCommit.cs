using Conclave.Workflows.Runtime.Postgres;
using Conclave.Workflows.Runtime.Queue;
using Conclave.Workflows.Runtime.Telemetry;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Conclave.Workflows.Runtime.Instances;

/// <summary>Stores bursts. Those that end while a transaction is on its way share the next one.</summary>
/// <remarks>
/// One transaction is one batch without a round trip in between. If any commit of a group is refused, nothing of the group is
/// stored; each is then tried alone.
/// </remarks>
public sealed partial class GroupCommit : IAsyncDisposable
{
    /// <summary>SQLSTATE of <c>conclave.refuse_unless</c>.</summary>
    private const string RefusedState = "CC001";

    private const int Rounds = 2;

    /// <summary>How long those wait for others that lately were several at once; about as long as a commit takes.</summary>
    internal static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(2);

    private readonly NpgsqlDataSource _database;
    private readonly WorkSignal _signal;
    private readonly Guid _owner;
    private readonly TimeSpan _lease;
    private readonly ILogger<GroupCommit> _logger;
    private readonly GroupedWork<InstanceCommit, CommitOutcome> _groups;

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
        _logger = logger;
        _groups = new(options.Writers, options.LargestGroup, StoreAsync) { Yields = Rounds, Patience = Patience };
    }

    /// <summary>Stores a burst.</summary>
    /// <exception cref="NpgsqlException">The database failed; the commit did or did not happen.</exception>
    public Task<CommitOutcome> CommitAsync(InstanceCommit commit) =>
        // A burst that goes on waits for its commit, and those beside it come by themselves.
        _groups.RunAsync(commit, isPatient: !commit.Instances.Exists(i => i.KeepsHold));

    /// <summary>Waits for what is under way and stops.</summary>
    public ValueTask DisposeAsync() => new(_groups.CloseAsync());

    private async Task<IReadOnlyList<CommitOutcome>> StoreAsync(IReadOnlyList<InstanceCommit> group)
    {
        try
        {
            try
            {
                await WriteAsync(group);
            }
            catch (PostgresException exception) when (group.Count == 1 && IsLostRace(exception))
            {
                await WriteAsync(group);
            }
        }
        catch (PostgresException exception) when (group.Count == 1 && OutcomeOf(exception) is { } outcome)
        {
            return [outcome];
        }
        catch (Exception exception)
        {
            // A group is tried again one by one, unless the database is away.
            if (group.Count == 1 || exception is not PostgresException || DatabaseOutage.Is(exception))
                LogFailed(group.Count, exception);
            throw;
        }

        if (group.Any(c => c.Work.Count > 0))
            _signal.Wake();
        return [.. Enumerable.Repeat(CommitOutcome.Stored, group.Count)];
    }

    private static CommitOutcome? OutcomeOf(PostgresException exception) => exception switch
    {
        { SqlState: RefusedState } => CommitOutcome.Refused,
        { SqlState: PostgresErrorCodes.UniqueViolation, TableName: "workflow_instance" } => CommitOutcome.Exists,
        _ => null,
    };

    /// <summary>Whether PostgreSQL undid the commit in favour of another one. What the burst did to the world must not be done again for that.</summary>
    private static bool IsLostRace(PostgresException exception) =>
        exception.SqlState is PostgresErrorCodes.DeadlockDetected or PostgresErrorCodes.SerializationFailure;

    private async Task WriteAsync(IReadOnlyList<InstanceCommit> group)
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
            connection.UnprepareAfterFailure();
            throw;
        }
        finally
        {
            WorkflowTelemetry.Committed(group.Count, isStored, started);
        }
    }

    [LoggerMessage(2201, LogLevel.Error, "{Count} bursts could not be stored. Their work is tried again.")]
    private partial void LogFailed(int count, Exception exception);
}

using System.Runtime.CompilerServices;
using Npgsql;

namespace Conclave.Workflows.Runtime.Postgres;

/// <summary>Statements of many callers in few round trips: those that come while others are on their way go together with the next ones.</summary>
/// <remarks>
/// For short statements that come very often, each of which stands for itself. A batch is one transaction: one round trip, one commit. When one of its statements fails, each is made again
/// alone, so that only whoever is to blame hears of it. What reads never waits for what writes. A statement that is on its way is waited for: cancellation counts before it is sent.
/// </remarks>
public sealed class SharedBatches
{
    private const int Lanes = 2;
    private const int LargestBatch = 32;

    private static readonly ConditionalWeakTable<NpgsqlDataSource, SharedBatches> All = [];

    private readonly NpgsqlDataSource _database;
    private readonly GroupedWork<Statement, int> _reads;
    private readonly GroupedWork<Statement, int> _writes;

    private SharedBatches(NpgsqlDataSource database)
    {
        _database = database;
        _reads = new(Lanes, LargestBatch, SendAsync);
        _writes = new(Lanes, LargestBatch, SendAsync);
    }

    /// <summary>Those of a database: all who use it share them.</summary>
    public static SharedBatches Of(NpgsqlDataSource database) => All.GetValue(database, static d => new SharedBatches(d));

    /// <summary>Reads rows.</summary>
    /// <param name="sql">A statement that gives rows.</param>
    /// <param name="bind">Adds its parameters.</param>
    /// <param name="read">Reads the rows of its answer, and nothing behind them.</param>
    /// <param name="cancellationToken">Keeps it from being sent.</param>
    public async Task<T> QueryAsync<T>(string sql, Action<NpgsqlParameterCollection> bind, Func<NpgsqlDataReader, Task<T>> read, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        T found = default!;
        await _reads.RunAsync(new Statement(sql, bind, async reader => found = await read(reader)));
        return found;
    }

    /// <summary>Writes.</summary>
    /// <param name="sql">A statement that gives no rows.</param>
    /// <param name="bind">Adds its parameters.</param>
    /// <param name="cancellationToken">Keeps it from being sent.</param>
    /// <returns>How many rows it has changed.</returns>
    public async Task<int> ExecuteAsync(string sql, Action<NpgsqlParameterCollection> bind, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return await _writes.RunAsync(new Statement(sql, bind, null));
    }

    private async Task<IReadOnlyList<int>> SendAsync(IReadOnlyList<Statement> statements)
    {
        await using var connection = await _database.OpenConnectionAsync();
        await using var batch = connection.CreateBatch();
        foreach (var statement in statements)
        {
            var command = batch.CreateBatchCommand();
#pragma warning disable CA2100 // Statements are constants of those who call; values are parameters.
            command.CommandText = statement.Sql;
#pragma warning restore CA2100
            statement.Bind(command.Parameters);
            batch.BatchCommands.Add(command);
        }

        try
        {
            await using (var reader = await batch.ExecuteReaderAsync())
                await ReadAsync(statements, reader);
            var changed = new int[statements.Count];
            for (var i = 0; i < changed.Length; i++)
                changed[i] = batch.BatchCommands[i].RecordsAffected;
            return changed;
        }
        catch (PostgresException)
        {
            connection.UnprepareAfterFailure();
            throw;
        }
    }

    /// <summary>Reads the answers; statements that give no rows have none.</summary>
    private static async Task ReadAsync(IReadOnlyList<Statement> statements, NpgsqlDataReader reader)
    {
        var isFirst = true;
        foreach (var statement in statements)
        {
            if (statement.Read is null)
                continue;
            if (!isFirst)
                await reader.NextResultAsync();
            isFirst = false;
            await statement.Read(reader);
        }

        while (await reader.NextResultAsync())
        {
            // Whether the rest succeeded is told behind it.
        }
    }

    private sealed record Statement(string Sql, Action<NpgsqlParameterCollection> Bind, Func<NpgsqlDataReader, Task>? Read);
}

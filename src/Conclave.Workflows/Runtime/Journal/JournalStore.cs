using System.Runtime.CompilerServices;
using Conclave.Workflows.Runtime.Postgres;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Conclave.Workflows.Runtime.Journal;

/// <summary>An entry of the journal with the version that it is from.</summary>
/// <param name="VersionId">Id of the definition's version.</param>
/// <param name="Entry">The entry.</param>
public sealed record StoredJournalEntry(string VersionId, JournalEntry Entry);

/// <summary>A part of an instance's log as it is stored; <see cref="JournalChunkReader"/> reads it.</summary>
/// <param name="FirstSequence">Place of the first entry in the log.</param>
/// <param name="Entries">The entries.</param>
public sealed record StoredJournalChunk(long FirstSequence, byte[] Entries)
{
    /// <summary>Goes through the entries.</summary>
    public JournalChunkReader Read() => new(FirstSequence, Entries);
}

/// <summary>What somebody did to an instance.</summary>
/// <param name="Sequence">Place in the instance's log: it came before the entry of this number.</param>
/// <param name="Operation">What was done.</param>
/// <param name="Actor">Who did it.</param>
/// <param name="Reason">Why; null when nobody said.</param>
/// <param name="Details">More about it; null for nothing.</param>
/// <param name="CreatedAt">When.</param>
public sealed record InstanceOperation(long Sequence, string Operation, string Actor, string? Reason, string? Details, DateTimeOffset CreatedAt)
{
    /// <summary>What it changed in the instance, as a part of the journal without entries; null for nothing.</summary>
    internal StoredJournalChunk? Notes { get; init; }
}

/// <summary>Reads the journal, and keeps its partitions.</summary>
public sealed partial class JournalStore(NpgsqlDataSource database, TimeProvider time, ILogger<JournalStore> logger)
{
    // A part has up to 1,024 entries.
    private const int PageSize = 16;

    /// <summary>Reads entries of an instance, oldest first.</summary>
    /// <param name="tenant">Owner of the instance.</param>
    /// <param name="instanceId">The instance.</param>
    /// <param name="after">Only entries with a larger sequence number; -1 for all.</param>
    /// <param name="limit">Most entries.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    public async Task<List<StoredJournalEntry>> ReadAsync(
        string tenant, string instanceId, long after, int limit, CancellationToken cancellationToken)
    {
        var found = new List<StoredJournalEntry>();
        var entries = new List<JournalEntry>();
        await foreach (var chunk in ReadChunksAsync(tenant, instanceId, after, cancellationToken))
        {
            entries.Clear();
            var versionId = JournalChunk.Read(chunk.FirstSequence, chunk.Entries, entries);
            found.AddRange(entries.Where(e => e.Sequence > after).Take(limit - found.Count).Select(e => new StoredJournalEntry(versionId, e)));
            if (found.Count >= limit)
                break;
        }

        return found;
    }

    /// <summary>Reads the log of an instance as it is stored, oldest first, a few parts in memory at a time.</summary>
    /// <param name="tenant">Owner of the instance.</param>
    /// <param name="instanceId">The instance.</param>
    /// <param name="after">Only parts with entries of a larger sequence number; -1 for all.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    public async IAsyncEnumerable<StoredJournalChunk> ReadChunksAsync(
        string tenant, string instanceId, long after, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        for (var last = -1L; ;)
        {
            // No connection is held while the caller works with what it got, which may need one itself.
            var page = await ReadPageAsync(tenant, instanceId, after, last, cancellationToken);
            foreach (var chunk in page)
                yield return chunk;
            if (page.Count < PageSize)
                yield break;
            last = page[^1].FirstSequence;
        }
    }

    private async Task<List<StoredJournalChunk>> ReadPageAsync(
        string tenant, string instanceId, long after, long last, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("""
            select first_sequence, entries from conclave.journal
             where tenant = $1 and instance_id = $2 and first_sequence + count > $3 and first_sequence > $4
             order by first_sequence limit $5
            """);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = tenant });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = instanceId });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = after + 1 });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = last });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = PageSize });
        var page = new List<StoredJournalChunk>();
        await using var reader = await command.ExecuteReaderAsync(System.Data.CommandBehavior.SequentialAccess, cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            page.Add(new StoredJournalChunk(reader.GetInt64(0), reader.GetFieldValue<byte[]>(1)));
        return page;
    }

    /// <summary>Reads what people did to an instance, oldest first.</summary>
    public async Task<List<InstanceOperation>> ReadOperationsAsync(string tenant, string instanceId, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("""
            select sequence, operation, actor, reason, details, created_at, notes from conclave.instance_operation
             where tenant = $1 and instance_id = $2 order by id
            """);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = tenant });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = instanceId });
        var found = new List<InstanceOperation>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            found.Add(new InstanceOperation(
                reader.GetInt64(0),
                reader.GetString(1),
                reader.GetString(2),
                reader.IsDBNull(3) ? null : reader.GetString(3),
                reader.IsDBNull(4) ? null : reader.GetString(4),
                reader.GetFieldValue<DateTimeOffset>(5))
            {
                Notes = reader.IsDBNull(6) ? null : new StoredJournalChunk(reader.GetInt64(0), reader.GetFieldValue<byte[]>(6)),
            });
        }

        return found;
    }

    /// <summary>Makes the partitions of this month and the next, and drops those that ended before the retention.</summary>
    /// <param name="retention">How long entries are kept; null keeps them.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    public async Task MaintainAsync(TimeSpan? retention, CancellationToken cancellationToken)
    {
        foreach (var dropped in await MonthlyPartitions.MaintainAsync(database, "journal", time.GetUtcNow(), retention, cancellationToken))
            LogDropped(dropped);
    }

    [LoggerMessage(2501, LogLevel.Information, "The journal's partition {Partition} is past its retention and was dropped.")]
    private partial void LogDropped(string partition);
}

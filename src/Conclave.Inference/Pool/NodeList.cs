using Conclave.Workflows.Runtime.Postgres;
using Npgsql;

namespace Conclave.Inference.Pool;

/// <summary>The processes that share the servers, as far as they have said lately that they live. The database's clock counts.</summary>
internal sealed class NodeList(NpgsqlDataSource database, ServerPoolOptions options)
{
    /// <summary>Payload of a notification when a process came or went.</summary>
    public const string NodesChanged = "nodes";

    private const int BeatsUntilGone = 5;

    /// <summary>This process.</summary>
    public string Id { get; } = Guid.CreateVersion7().ToString("N");

    /// <summary>How long a process may say nothing before it counts as gone.</summary>
    public TimeSpan LongestSilence => options.Heartbeat * BeatsUntilGone;

    /// <summary>Those that live, in the same order everywhere.</summary>
    public IReadOnlyList<string> Living { get; private set; } = [];

    /// <summary>Says that this process lives, forgets those that are gone, and reads who else lives.</summary>
    /// <returns>Whether anything has changed.</returns>
    public async Task<bool> BeatAsync(CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"""
            with me as (
                insert into conclave.inference_node as n (id, name, seen_at) values ($1, $2, clock_timestamp())
                on conflict (id) do update set seen_at = clock_timestamp()
                returning xmax = 0 as is_new
            ), gone as (
                delete from conclave.inference_node where id <> $1 and seen_at < clock_timestamp() - $3 returning id
            ), told as (
                select pg_notify('{ServerStore.Channel}', '{NodesChanged}')
                  from (select 1 from me where is_new union all select 1 from gone) as changes limit 1
            )
            select n.id from conclave.inference_node n
             where n.id <> $1 and n.seen_at >= clock_timestamp() - $3 and (select count(*) from told) >= 0
            """);
        command.Parameters.AddValue(Id);
        command.Parameters.AddValue(options.NodeName);
        command.Parameters.AddValue(LongestSilence);
        var living = new List<string> { Id };
        await using (var reader = await command.ExecuteReaderAsync(cancellationToken))
        {
            while (await reader.ReadAsync(cancellationToken))
                living.Add(reader.GetString(0));
        }

        living.Sort(StringComparer.Ordinal);
        if (living.SequenceEqual(Living))
            return false;
        Living = living;
        return true;
    }

    /// <summary>Gives the slots of this process to the others.</summary>
    public async Task LeaveAsync(CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"""
            with gone as (delete from conclave.inference_node where id = $1 returning 1)
            select pg_notify('{ServerStore.Channel}', '{NodesChanged}') from gone
            """);
        command.Parameters.AddValue(Id);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}

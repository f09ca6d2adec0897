using Conclave.Workflows.Runtime.Instances;
using Conclave.Workflows.Runtime.Postgres;
using Npgsql;

namespace Conclave.Workflows.Runtime.Stimuli;

/// <summary>Finds the one instance that waits for a stimulus. Stimuli that come while a read is on its way share the next one.</summary>
internal sealed class WaitingReads(NpgsqlDataSource database)
{
    private const int LargestGroup = 64;
    private const int Rounds = 2;

    // Stimuli come together when the commit that caused them was a group; read together, their bursts are committed together as well.
    private readonly GroupedWork<Stimulus, WaitingInstance?> _reads = new(1, LargestGroup, stimuli => ReadAsync(database, stimuli)) { Yields = Rounds, Patience = GroupCommit.Patience };

    /// <summary>The instance; null when it is none, not one, or held by somebody.</summary>
    public Task<WaitingInstance?> FindAsync(Stimulus stimulus, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return _reads.RunAsync(stimulus);
    }

    private static async Task<IReadOnlyList<WaitingInstance?>> ReadAsync(NpgsqlDataSource database, IReadOnlyList<Stimulus> stimuli)
    {
        await using var connection = await database.OpenConnectionAsync();
        try
        {
            return await ReadAsync(connection, stimuli);
        }
        catch (PostgresException)
        {
            connection.UnprepareAfterFailure();
            throw;
        }
    }

    private static async Task<WaitingInstance?[]> ReadAsync(NpgsqlConnection connection, IReadOnlyList<Stimulus> stimuli)
    {
        await using var command = new NpgsqlCommand("select * from conclave.find_waiting($1, $2, $3, $4, $5)", connection);
        command.Parameters.AddArray(stimuli, s => s.Tenant);
        command.Parameters.AddArray(stimuli, s => s.Name);
        command.Parameters.AddArray(stimuli, s => s.Key);
        command.Parameters.AddArray(stimuli, s => s.InstanceId);
        command.Parameters.AddArray(stimuli, s => s.CorrelationId);
        var found = new WaitingInstance?[stimuli.Count];
        var counts = new int[stimuli.Count];
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
        {
            var place = reader.GetInt32(0) - 1;
            var isAlone = ++counts[place] == 1;
            found[place] = isAlone && reader.GetBoolean(6)
                ? new WaitingInstance(
                    new HeldInstance(stimuli[place].Tenant, reader.GetString(1), reader.GetString(3), reader.GetInt64(4), reader.GetFieldValue<byte[]>(5)),
                    reader.GetInt32(2))
                : null;
        }

        return found;
    }
}

using System.Data;
using Conclave.Workflows.Runtime.Instances;
using Conclave.Workflows.Runtime.Postgres;
using Npgsql;

namespace Conclave.Workflows.Runtime.Stimuli;

/// <summary>Finds the one instance that waits for a stimulus. Stimuli that come while a read is on its way share the next one.</summary>
internal sealed class WaitingReads(NpgsqlDataSource database)
{
    private const int LargestGroup = 64;

    private readonly Lock _gate = new();
    private Group? _open;
    private Task _last = Task.CompletedTask;

    /// <summary>The instance; null when it is none, not one, or held by somebody.</summary>
    public async Task<WaitingInstance?> FindAsync(Stimulus stimulus, CancellationToken cancellationToken)
    {
        Group group;
        Task previous;
        int place;
        lock (_gate)
        {
            group = _open ??= new Group();
            place = group.Stimuli.Count;
            group.Stimuli.Add(stimulus);
            previous = _last;
            if (place == 0)
                _last = group.Found.Task;
            if (group.Stimuli.Count == LargestGroup)
                _open = null;
        }

        // The first of a group reads for all of it, when the group before is done.
        if (place == 0)
            await ReadAsync(group, previous);
        try
        {
            return (await group.Found.Task.WaitAsync(cancellationToken))[place];
        }
        catch (PostgresException) when (group.Stimuli.Count > 1)
        {
            // Another one of the group may be to blame.
            return (await ReadAsync([stimulus]))[0];
        }
    }

    private async Task ReadAsync(Group group, Task previous)
    {
        await previous.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        lock (_gate)
        {
            if (_open == group)
                _open = null;
        }

        try
        {
            group.Found.SetResult(await ReadAsync(group.Stimuli));
        }
        catch (Exception exception)
        {
            group.Found.SetException(exception);
        }
    }

    private async Task<WaitingInstance?[]> ReadAsync(List<Stimulus> stimuli)
    {
        await using var connection = await database.OpenConnectionAsync();
        try
        {
            return await ReadAsync(connection, stimuli);
        }
        catch (PostgresException)
        {
            // As after a commit that failed (npgsql#6391).
            if (connection.State == ConnectionState.Open)
                connection.UnprepareAll();
            throw;
        }
    }

    private static async Task<WaitingInstance?[]> ReadAsync(NpgsqlConnection connection, List<Stimulus> stimuli)
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

    private sealed class Group
    {
        public List<Stimulus> Stimuli { get; } = [];

        /// <summary>What was found, in the order of the stimuli.</summary>
        public TaskCompletionSource<WaitingInstance?[]> Found { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}

using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Instances;
using Npgsql;

namespace Conclave.Tests.Runtime;

/// <summary>Transactions that store the same instances.</summary>
public sealed class CommitOrderTests
{
    [Fact]
    public async Task Commits_OfTheSameInstancesInOtherOrder_WaitForEachOtherAndNeverDeadlock()
    {
        await using var host = await TestRuntime.StartAsync(isWorker: false);
        await host.PublishAsync("""{ "id": "w-1", "definitionId": "w", "root": { "id": "a", "type": "Elsa.WriteLine", "version": 1, "text": "x" } }""");
        var first = await CommitAsync(host, "a");
        var second = await CommitAsync(host, "b");
        // Each holds one of the two rows, so that each transaction has begun with another one unless both have one order.
        await using var firstHolder = await HoldAsync(host, "a");
        await using var secondHolder = await HoldAsync(host, "b");

        Task<string?>[] stores = [StoreAsync(host, first, second), StoreAsync(host, second, first)];
        await WaitingAsync(host);
        await firstHolder.CloseAsync();
        await WaitingAsync(host);
        await secondHolder.CloseAsync();

        // Whoever comes second finds the instances taken.
        Assert.Equal([null, "CC001"], (await Task.WhenAll(stores)).Order(StringComparer.Ordinal));
    }

    private static async Task<InstanceCommit> CommitAsync(TestRuntime host, string id)
    {
        await host.EnqueueAsync("w", new WorkflowStart { InstanceId = id });
        var held = (await host.Runtime.Instances.ReadAsync(TestRuntime.Tenant, id, default))!;
        var commit = new InstanceCommit();
        commit.Instances.Add(InstanceWrite.Of(TestRuntime.Tenant, await host.ReadAsync(id), held.State, held.Fence, keepsHold: false));
        return commit;
    }

    /// <summary>A connection that has locked an instance until it is closed.</summary>
    private static async Task<NpgsqlConnection> HoldAsync(TestRuntime host, string id)
    {
        var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(host.Database.ConnectionString) { Pooling = false }.ConnectionString);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand("begin; select from conclave.workflow_instance where id = @id for update", connection);
        command.Parameters.AddWithValue("id", id);
        await command.ExecuteNonQueryAsync();
        return connection;
    }

    private static async Task<string?> StoreAsync(TestRuntime host, params InstanceCommit[] group)
    {
        await using var connection = await host.Database.OpenConnectionAsync();
        await using var batch = connection.CreateBatch();
        CommitSql.Add(batch, group, Guid.NewGuid(), TimeSpan.FromMinutes(1));
        try
        {
            await batch.ExecuteNonQueryAsync();
            return null;
        }
        catch (PostgresException exception)
        {
            return exception.SqlState;
        }
    }

    private static Task WaitingAsync(TestRuntime host) => TestRuntime.UntilAsync(async () =>
        await host.Database.QueryAsync<long>("select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'") == 2);
}

using Conclave.Tests.Runtime.Postgres;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime;
using Npgsql;

namespace Conclave.Tests.Runtime;

public sealed class OutageTests
{
    private const string Line = """{ "definitionId": "line", "root": { "id": "say", "type": "Elsa.WriteLine", "version": 1, "text": "hello" } }""";

    [Fact]
    public async Task Burst_DatabaseFullForMoreThanAllAttempts_IsStoredOnceThereIsRoom()
    {
        await using var host = await TestRuntime.StartAsync(options: new RuntimeOptions { MaxAttempts = 2, PollInterval = TimeSpan.FromMilliseconds(50) });
        await host.PublishAsync(Line);
        await ExecuteAsync(host, """
            create sequence conclave.refusals;
            create function conclave.refuse_journal() returns trigger language plpgsql as $$
            begin
                perform nextval('conclave.refusals');
                raise exception 'could not extend file' using errcode = 'disk_full';
            end $$;
            create trigger refuse before insert on conclave.journal execute function conclave.refuse_journal()
            """);

        var id = await host.EnqueueAsync("line");
        await TestRuntime.UntilAsync(async () =>
        {
            await using var count = host.Database.DataSource.CreateCommand("select last_value from conclave.refusals");
            return (long)(await count.ExecuteScalarAsync())! > 3;
        });
        await ExecuteAsync(host, "drop trigger refuse on conclave.journal");

        await host.WaitAsync(id, WorkflowSubStatus.Finished);
        Assert.Equal(0, (await host.Runtime.Queue.GetStatsAsync(null, default)).Dead);
    }

    [Fact]
    public async Task Commit_LosesADeadlock_IsTriedAgainWithoutTheBurst()
    {
        await using var host = await TestRuntime.StartAsync(options: new RuntimeOptions { MaxAttempts = 1, PollInterval = TimeSpan.FromMilliseconds(50) });
        await host.PublishAsync(Line);
        await ExecuteAsync(host, """
            create sequence conclave.refusals;
            create function conclave.refuse_journal() returns trigger language plpgsql as $$
            begin
                if nextval('conclave.refusals') = 1 then
                    raise exception 'deadlock detected' using errcode = 'deadlock_detected';
                end if;
                return null;
            end $$;
            create trigger refuse before insert on conclave.journal execute function conclave.refuse_journal()
            """);

        var run = await host.StartAsync("line");

        Assert.Equal(WorkflowSubStatus.Finished, run.Instance.SubStatus);
        await host.WaitAsync(run.Instance.Id, WorkflowSubStatus.Finished);
    }

    [Fact]
    public async Task Renew_RowsAreBeingStored_DoesNotWaitAndKeepsThem()
    {
        await using var host = await TestRuntime.StartAsync(isWorker: false);
        await host.PublishAsync(Line);
        var id = await host.EnqueueAsync("line");
        var (owner, lease) = (host.Runtime.Options.Owner, host.Runtime.Options.Lease);
        var work = Assert.Single(Assert.Single(await host.Runtime.Queue.ClaimAsync(owner, lease, 1, default)).Work);
        await using var connection = await host.Database.DataSource.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await using var storing = new NpgsqlCommand("update conclave.workflow_instance set fence = fence + 1; delete from conclave.work_item", connection, transaction);
        await storing.ExecuteNonQueryAsync();

        var kept = await host.Runtime.Queue.RenewAsync(owner, lease, [work.Id], [(TestRuntime.Tenant, id)], default).WaitAsync(TimeSpan.FromSeconds(10));

        Assert.Contains((TestRuntime.Tenant, id), kept);
    }

    private static Task ExecuteAsync(TestRuntime host, string sql) => PostgresServer.ExecuteAsync(host.Database.DataSource, sql);
}

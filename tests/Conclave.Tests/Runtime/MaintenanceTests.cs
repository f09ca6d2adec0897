using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime;
using Conclave.Workflows.Runtime.Postgres;

namespace Conclave.Tests.Runtime;

/// <summary>What is thrown away once it has served its time.</summary>
public sealed class MaintenanceTests
{
    [Fact]
    public async Task Journal_WholeMonthsPastItsRetention_AreDropped()
    {
        await using var database = await Postgres.PostgresServer.NewDatabaseAsync();
        foreach (var month in (int[])[1, 2, 3])
        {
            await MaintainAsync(month, 10, null);
            await database.ExecuteAsync($"insert into conclave.journal (tenant, instance_id, first_sequence, count, entries, created_at) values ('acme', 'of-{month}', 0, 1, '', '2026-0{month}-20+00')");
        }

        // From 24 February on it is kept, and with that the whole of February.
        var dropped = await MaintainAsync(4, 10, TimeSpan.FromDays(45));

        Assert.Equal(["journal_2026_01"], dropped);
        Assert.Equal("of-2 of-3", await database.QueryAsync<string>("select string_agg(instance_id, ' ' order by created_at) from conclave.journal"));
        Assert.Empty(await MaintainAsync(4, 10, TimeSpan.FromDays(45)));

        async Task<IReadOnlyList<string>> MaintainAsync(int month, int day, TimeSpan? retention) =>
            await MonthlyPartitions.MaintainAsync(database, "journal", new DateTimeOffset(2026, month, day, 0, 0, 0, TimeSpan.Zero), retention, default);
    }

    [Fact]
    public async Task Instances_ThatEndedBeforeTheirRetention_AreDeletedAndOthersStay()
    {
        await using var host = await TestRuntime.StartAsync(isWorker: false);
        await host.PublishAsync("""{ "id": "large-1", "definitionId": "large", "inputs": [ { "name": "Text", "type": "String" } ], "root": { "id": "w", "type": "Elsa.WriteLine", "version": 1, "text": "x" } }""");
        await host.PublishAsync("""{ "id": "waits-1", "definitionId": "waits", "root": { "id": "e", "type": "Elsa.Event", "version": 1, "eventName": "Go" } }""");
        var ended = (await host.StartAsync("large", new WorkflowStart { Input = new Dictionary<string, object?> { ["Text"] = new string('x', 200_000) } })).Instance.Id;
        var waiting = (await host.StartAsync("waits")).Instance.Id;
        Assert.Equal(1, await CountBlobsAsync());

        await MaintainAsync(host, TimeSpan.FromMinutes(59));
        Assert.NotNull(await host.FindAsync(ended));
        await MaintainAsync(host, TimeSpan.FromMinutes(61));

        Assert.Null(await host.FindAsync(ended));
        Assert.Equal(0, await CountBlobsAsync());
        Assert.Equal(WorkflowSubStatus.Suspended, (await host.FindAsync(waiting))!.SubStatus);

        Task<long> CountBlobsAsync() => host.Database.QueryAsync<long>("select count(*) from conclave.blob");
    }

    [Fact]
    public async Task StimuliAndAnswers_PastTheirTime_AreDeleted()
    {
        await using var host = await TestRuntime.StartAsync(isWorker: false);
        await host.PublishEventAsync("Early", instanceId: "nobody-yet");
        await host.Database.ExecuteAsync("""
            insert into conclave.stimulus (tenant, id, name, hash, is_waiting, expires_at, created_at) values ('acme', 'old', 'n', '', true, now() - interval '1 second', now());
            insert into conclave.http_reply (tenant, scope, key, request_hash, reply, expires_at) values
                ('acme', 's', 'answered', '', 'x', now() - interval '1 second'), ('acme', 's', 'fresh', '', 'x', now() + interval '1 hour'),
                ('acme', 's', 'died', '', null, now() - interval '1 second'), ('acme', 's', 'died long ago', '', null, now() - interval '25 hours');
            """);

        await MaintainAsync(host, TimeSpan.Zero);

        Assert.Equal(1, await host.Database.QueryAsync<long>("select count(*) from conclave.stimulus"));
        Assert.Equal("died fresh", await host.Database.QueryAsync<string>("select string_agg(key, ' ' order by key) from conclave.http_reply"));
    }

    [Fact]
    public async Task Approvals_ThatEndedBeforeTheirRetention_AreDeletedWithTheirHistory()
    {
        await using var host = await TestRuntime.StartAsync(isWorker: false);
        await host.PublishAsync("""{ "id": "waits-1", "definitionId": "waits", "root": { "id": "e", "type": "Elsa.Event", "version": 1, "eventName": "Go" } }""");
        var running = (await host.StartAsync("waits")).Instance.Id;
        await host.Database.ExecuteAsync($"""
            insert into conclave.approval
            select (json_populate_record(null::conclave.approval, json_build_object(
                'tenant', 'acme', 'id', a.id, 'kind', 'approval', 'instance_id', a.instance, 'activity_id', 'x', 'title', 't', 'description', '', 'is_editable', false, 'allow_self', false,
                'assignees', '[]'::json, 'groups', '[]'::json, 'quorum', 1, 'denial_is_final', true, 'priority', 2, 'reminders', 0, 'escalation_assignees', '[]'::json, 'escalation_groups', '[]'::json,
                'valid_for', '0', 'valid_until', a.valid, 'status', a.status, 'created_at', now(), 'updated_at', now()))).*
              from (values ('old', 'gone', 'rejected', null::timestamptz), ('open', 'gone', 'pending', null), ('usable', 'gone', 'approved', now() + interval '1 day'), ('asked', '{running}', 'approved', null)) a(id, instance, status, valid);
            insert into conclave.approval_decision (tenant, approval_id, account_id, account_name, decision, action_hash, created_at) values ('acme', 'old', 'a', 'ann', 'reject', '', now()), ('acme', 'asked', 'a', 'ann', 'approve', '', now());
            insert into conclave.approval_event (tenant, approval_id, kind, data, created_at) values ('acme', 'old', 'rejected', '[]', now()), ('acme', 'open', 'requested', '[]', now());
            """);

        await MaintainAsync(host, TimeSpan.FromMinutes(59));
        Assert.Equal(4, await host.Database.QueryAsync<long>("select count(*) from conclave.approval"));
        await MaintainAsync(host, TimeSpan.FromMinutes(61));

        Assert.Equal("asked open usable", await host.Database.QueryAsync<string>("select string_agg(id, ' ' order by id) from conclave.approval"));
        Assert.Equal("asked", await host.Database.QueryAsync<string>("select string_agg(approval_id, ' ') from conclave.approval_decision"));
        Assert.Equal("open", await host.Database.QueryAsync<string>("select string_agg(approval_id, ' ') from conclave.approval_event"));
    }

    private static Task MaintainAsync(TestRuntime host, TimeSpan later) => new Maintenance(
        host.Database,
        host.Runtime.Journal,
        new RuntimeOptions { InstanceRetention = TimeSpan.FromHours(1), ApprovalRetention = TimeSpan.FromHours(1) },
        new ManualTime(DateTimeOffset.UtcNow + later)).RunAsync(default);
}

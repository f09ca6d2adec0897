using Conclave.Tests.Runtime.Postgres;
using Conclave.Workflows.Runtime.Queue;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;

namespace Conclave.Tests.Runtime.Queue;

[System.Diagnostics.CodeAnalysis.SuppressMessage("Design", "CA1001", Justification = "DisposeAsync of the test does it.")]
public sealed class WorkQueueTests : IAsyncLifetime
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan AlreadyOver = TimeSpan.FromSeconds(-1);

    private TestDatabase _database = null!;
    private WorkSignal _signal = null!;
    private WorkQueue _queue = null!;

    public async Task InitializeAsync()
    {
        _database = await PostgresServer.NewDatabaseAsync();
        _signal = new WorkSignal(_database, NullLogger<WorkSignal>.Instance);
        _queue = new WorkQueue(_database, _signal);
    }

    public async Task DisposeAsync()
    {
        await _signal.DisposeAsync();
        await _database.DisposeAsync();
    }

    [Fact]
    public async Task Claim_FourWorkersAtOnce_TakesEveryItemExactlyOnce()
    {
        await _queue.EnqueueAsync([.. Enumerable.Range(0, 200).Select(i => Work($"i{i}"))], default);

        var claims = await Task.WhenAll(Enumerable.Range(0, 4).Select(async _ =>
        {
            List<string> mine = [];
            while (await ClaimAsync(Guid.NewGuid(), Minute, 10) is { Count: > 0 } claimed)
                mine.AddRange(claimed.Select(w => w.InstanceId));
            return mine;
        }));

        Assert.Equal(200, claims.Sum(c => c.Count));
        Assert.Equal(200, claims.SelectMany(c => c).Distinct().Count());
    }

    [Fact]
    public async Task Claim_SeveralPriorities_TakesTheMostUrgentFirst()
    {
        await _queue.EnqueueAsync([Work("bulk", WorkPriority.P3), Work("ordinary"), Work("safety", WorkPriority.P0)], default);

        List<string> order = [];
        for (var i = 0; i < 3; i++)
            order.Add((await ClaimAsync(Guid.NewGuid(), Minute, 1))[0].InstanceId);

        Assert.Equal(["safety", "ordinary", "bulk"], order);
    }

    [Fact]
    public async Task Claim_OneTenantHasThousands_TheOtherGetsItsShare()
    {
        await _queue.EnqueueAsync([.. Enumerable.Range(0, 2_000).Select(i => Work($"many{i}"))], default);
        await _queue.EnqueueAsync([.. Enumerable.Range(0, 5).Select(i => Work($"few{i}") with { Tenant = "globex" })], default);

        var claimed = await ClaimAsync(Guid.NewGuid(), Minute, 10);

        Assert.Equal(5, claimed.Count(w => w.Tenant == "globex"));
        Assert.Equal(5, claimed.Count(w => w.Tenant == "acme"));
    }

    [Fact]
    public async Task Claim_QueueThatWasVacuumedWhenItWasEmpty_ReadsNoMoreThanItTakes()
    {
        // One row at the end keeps the pages: since then PostgreSQL expects next to nothing in them, however long the queue is.
        await _database.ExecuteAsync("insert into conclave.work_item (tenant, instance_id, kind, priority, due_at) select 't', '', 1, 2, now() from generate_series(1, 5000)");
        await _database.ExecuteAsync("delete from conclave.work_item where id < (select max(id) from conclave.work_item)");
        await _database.ExecuteAsync("vacuum analyze conclave.work_item");
        await _database.ExecuteAsync("insert into conclave.work_item (tenant, instance_id, kind, priority, due_at) select 't', '', 1, 2, now() from generate_series(1, 5000)");
        await using var connection = await _database.DataSource.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();

        const string Read = "select idx_tup_fetch + seq_tup_read from pg_stat_xact_user_tables where schemaname = 'conclave' and relname = 'work_item'";

        var before = await ScalarAsync(Read);
        Assert.Equal(50L, await ScalarAsync("select count(*) from conclave.claim_work(gen_random_uuid(), interval '1 minute', 50)"));

        // Fifty to find and fifty to take, and a few to find the tenants.
        Assert.InRange(await ScalarAsync(Read) - before, 50, 300);

        async Task<long> ScalarAsync(string sql)
        {
#pragma warning disable CA2100    // A constant above.
            await using var command = new NpgsqlCommand(sql, connection, transaction);
#pragma warning restore CA2100
            return (long)(await command.ExecuteScalarAsync())!;
        }
    }

    [Fact]
    public async Task Claim_NotYetDue_TakesNothing()
    {
        var due = DateTimeOffset.UtcNow.AddHours(1);
        await _queue.EnqueueAsync([Work("later") with { DueAt = due }], default);

        Assert.Empty(await ClaimAsync(Guid.NewGuid(), Minute, 10));
        Assert.Equal(due, (await _queue.FindNextDueAsync(default))!.Value, TimeSpan.FromMilliseconds(1));
        Assert.Equal((0, 1), ((await _queue.GetStatsAsync("acme", default)).Due, (await _queue.GetStatsAsync("acme", default)).Delayed));
    }

    [Fact]
    public async Task Claim_LeaseOfAnotherRanOut_TakesTheItemAgainWithTheNextAttempt()
    {
        await _queue.EnqueueAsync([Work("i")], default);
        var first = await ClaimAsync(Guid.NewGuid(), AlreadyOver, 1);
        var second = await ClaimAsync(Guid.NewGuid(), Minute, 1);

        Assert.Equal(first[0].Id, second[0].Id);
        Assert.Equal([1, 2], new[] { first[0].Attempt, second[0].Attempt });
    }

    [Fact]
    public async Task Retry_LeaseLost_ChangesNothing()
    {
        await _queue.EnqueueAsync([Work("i")], default);
        var late = Guid.NewGuid();
        var first = await ClaimAsync(late, AlreadyOver, 1);
        await ClaimAsync(Guid.NewGuid(), Minute, 1);

        Assert.False(await _queue.RetryAsync(first[0], late, TimeSpan.Zero, true, default));
        Assert.False(await _queue.BuryAsync(first[0], late, "too late", default));
    }

    [Fact]
    public async Task Bury_ThenRequeue_BringsTheWorkBack()
    {
        await _queue.EnqueueAsync([Work("i") with { Payload = [1, 2, 3], Bookmark = 7 }], default);
        var owner = Guid.NewGuid();
        var claimed = await ClaimAsync(owner, Minute, 1);

        Assert.True(await _queue.BuryAsync(claimed[0], owner, "broken", default));
        Assert.Empty(await ClaimAsync(owner, Minute, 1));
        Assert.Equal("broken", Assert.Single(await _queue.ListDeadAsync("acme", null, 10, default)).Error);
        Assert.Empty(await _queue.ListDeadAsync("globex", null, 10, default));
        Assert.False(await _queue.RequeueAsync("globex", claimed[0].Id, default));
        Assert.True(await _queue.RequeueAsync("acme", claimed[0].Id, default));
        var again = await ClaimAsync(owner, Minute, 1);
        Assert.Equal([1, 2, 3], again[0].Payload!);
        Assert.Equal((1, 7), (again[0].Attempt, again[0].Bookmark));
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(4, 8)]
    [InlineData(30, 60)]
    public void RetryDelay_Attempt_StaysWithinItsBound(int attempt, double boundSeconds)
    {
        var random = new Random(7);
        var delays = Enumerable.Range(0, 200)
            .Select(_ => RetryDelay.After(attempt, TimeSpan.FromSeconds(1), Minute, random).TotalSeconds).ToList();

        Assert.All(delays, d => Assert.InRange(d, 0, boundSeconds));
        Assert.Contains(delays, d => d > boundSeconds / 2);
    }

    private async Task<List<ClaimedWork>> ClaimAsync(Guid owner, TimeSpan lease, int limit) =>
        [.. (await _queue.ClaimAsync(owner, lease, limit, default)).SelectMany(c => c.Work)];

    private static NewWork Work(string instanceId, WorkPriority priority = WorkPriority.P2) =>
        new("acme", instanceId, WorkKind.Run, priority, DateTimeOffset.UtcNow.AddSeconds(-1));
}

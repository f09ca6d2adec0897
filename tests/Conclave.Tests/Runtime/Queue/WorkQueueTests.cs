using Conclave.Tests.Runtime.Postgres;
using Conclave.Workflows.Runtime.Queue;

namespace Conclave.Tests.Runtime.Queue;

public sealed class WorkQueueTests : IAsyncLifetime
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    private TestDatabase _database = null!;
    private WorkQueue _queue = null!;

    public async Task InitializeAsync()
    {
        _database = await PostgresServer.NewDatabaseAsync();
        _queue = new WorkQueue(_database.DataSource);
    }

    public async Task DisposeAsync() => await _database.DisposeAsync();

    [Fact]
    public async Task Claim_FourWorkersAtOnce_TakesEveryItemExactlyOnce()
    {
        for (var i = 0; i < 200; i++)
            await _queue.EnqueueAsync(Work($"i{i}"), default);

        var claims = await Task.WhenAll(Enumerable.Range(0, 4).Select(async _ =>
        {
            List<ClaimedWork> mine = [];
            while (await _queue.ClaimAsync(Guid.NewGuid(), Minute, 10, mine, default) > 0)
            {
            }

            return mine;
        }));

        var ids = claims.SelectMany(c => c).Select(w => w.InstanceId).ToList();
        Assert.Equal(200, ids.Count);
        Assert.Equal(200, ids.Distinct().Count());
    }

    [Fact]
    public async Task Claim_SeveralPriorities_TakesTheMostUrgentFirst()
    {
        await _queue.EnqueueAsync(Work("bulk", WorkPriority.P3), default);
        await _queue.EnqueueAsync(Work("ordinary", WorkPriority.P2), default);
        await _queue.EnqueueAsync(Work("safety", WorkPriority.P0), default);

        List<ClaimedWork> claimed = [];
        for (var i = 0; i < 3; i++)
            await _queue.ClaimAsync(Guid.NewGuid(), Minute, 1, claimed, default);

        Assert.Equal(["safety", "ordinary", "bulk"], claimed.Select(w => w.InstanceId));
    }

    [Fact]
    public async Task Claim_NotYetDue_TakesNothing()
    {
        await _queue.EnqueueAsync(Work("later") with { DueAt = DateTimeOffset.UtcNow.AddHours(1) }, default);

        Assert.Equal(0, await _queue.ClaimAsync(Guid.NewGuid(), Minute, 10, [], default));
    }

    [Fact]
    public async Task Claim_LeaseOfAnotherRanOut_TakesTheItemAgainWithTheNextAttempt()
    {
        await _queue.EnqueueAsync(Work("i"), default);
        List<ClaimedWork> first = [];
        List<ClaimedWork> second = [];
        await _queue.ClaimAsync(Guid.NewGuid(), TimeSpan.FromSeconds(-1), 1, first, default);
        await _queue.ClaimAsync(Guid.NewGuid(), Minute, 1, second, default);

        Assert.Equal(first[0].Id, second[0].Id);
        Assert.Equal([1, 2], new[] { first[0].Attempt, second[0].Attempt });
    }

    [Fact]
    public async Task Retry_LeaseLost_ChangesNothing()
    {
        await _queue.EnqueueAsync(Work("i"), default);
        var late = Guid.NewGuid();
        List<ClaimedWork> first = [];
        await _queue.ClaimAsync(late, TimeSpan.FromSeconds(-1), 1, first, default);
        await _queue.ClaimAsync(Guid.NewGuid(), Minute, 1, [], default);

        Assert.False(await _queue.RetryAsync(first[0], late, TimeSpan.Zero, default));
        Assert.False(await _queue.BuryAsync(first[0], late, "too late", default));
    }

    [Fact]
    public async Task Bury_ThenRequeue_BringsTheWorkBack()
    {
        await _queue.EnqueueAsync(Work("i") with { Payload = [1, 2, 3] }, default);
        var owner = Guid.NewGuid();
        List<ClaimedWork> claimed = [];
        await _queue.ClaimAsync(owner, Minute, 1, claimed, default);

        Assert.True(await _queue.BuryAsync(claimed[0], owner, "broken", default));
        Assert.Equal(0, await _queue.ClaimAsync(owner, Minute, 1, [], default));
        Assert.False(await _queue.RequeueAsync("globex", claimed[0].Id, default));
        Assert.True(await _queue.RequeueAsync("acme", claimed[0].Id, default));
        List<ClaimedWork> again = [];
        await _queue.ClaimAsync(owner, Minute, 1, again, default);
        Assert.Equal([1, 2, 3], again[0].Payload!);
        Assert.Equal(1, again[0].Attempt);
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

    private static NewWork Work(string instanceId, WorkPriority priority = WorkPriority.P2) =>
        new("acme", instanceId, WorkKind.Run, priority, DateTimeOffset.UtcNow.AddSeconds(-1), null);
}

using Conclave.Workflows.Runtime.Postgres;
using Npgsql;

namespace Conclave.Tests.Runtime.Postgres;

/// <summary>Work of many callers in few groups, and statements in few round trips.</summary>
public sealed class SharedBatchesTests
{
    [Fact]
    public async Task Groups_WhoComesWhileOneIsUnderWay_GoesWithTheNext_InTheOrderOfComing()
    {
        var gate = new TaskCompletionSource();
        List<int[]> groups = [];
        var work = new GroupedWork<int, int>(1, 3, async items =>
        {
            groups.Add([.. items]);
            if (groups.Count == 1)
                await gate.Task;
            return [.. items.Select(i => i * 10)];
        });

        var all = Enumerable.Range(1, 6).Select(i => work.RunAsync(i)).ToList();
        gate.SetResult();

        Assert.Equal(Enumerable.Range(1, 6).Select(i => i * 10), await Task.WhenAll(all));
        Assert.Equal(["1", "2 3 4", "5 6"], groups.Select(g => string.Join(' ', g)));
    }

    [Fact]
    public async Task Groups_WorkFails_EachHearsOfIt_AndTheLaneIsPassedOn()
    {
        var gate = new TaskCompletionSource();
        var work = new GroupedWork<int, int>(1, 10, async items =>
        {
            await gate.Task;
            return items.Contains(2) ? throw new InvalidOperationException("broken") : items;
        });

        var (first, second, third) = (work.RunAsync(1), work.RunAsync(2), work.RunAsync(3));
        gate.SetResult();

        Assert.Equal(1, await first);
        await Assert.ThrowsAsync<InvalidOperationException>(() => second);
        await Assert.ThrowsAsync<InvalidOperationException>(() => third);
        Assert.Equal(4, await work.RunAsync(4));
    }

    [Fact]
    public async Task Groups_Closed_WaitsForWhatIsUnderWayAndTakesNoMore()
    {
        var gate = new TaskCompletionSource();
        var work = new GroupedWork<int, int>(1, 10, async items =>
        {
            await gate.Task;
            return items;
        });
        var (first, second) = (work.RunAsync(1), work.RunAsync(2));

        var closing = work.CloseAsync();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => work.RunAsync(3));
        Assert.False(closing.IsCompleted);
        gate.SetResult();

        await closing;
        Assert.Equal((1, 2), (await first, await second));
    }

    [Fact]
    public async Task Groups_AsManyAsLately_AreWaitedFor()
    {
        var (work, groups) = await WithGroupOfThreeAsync(TimeSpan.FromMinutes(5));

        var all = Enumerable.Range(5, 2).Select(i => work.RunAsync(i)).ToList();
        Assert.Equal(2, groups.Count);
        all.Add(work.RunAsync(7));

        int[] results = await Task.WhenAll(all);
        Assert.Equal([5, 6, 7], results);
        Assert.Equal(["1", "2 3 4", "5 6 7"], groups);
    }

    [Fact]
    public async Task Groups_OneThatIsNotPatient_WaitsForNobody()
    {
        var (work, groups) = await WithGroupOfThreeAsync(TimeSpan.FromMinutes(5));

        Assert.Equal(5, await work.RunAsync(5, isPatient: false));

        Assert.Equal(["1", "2 3 4", "5"], groups);
    }

    [Fact]
    public async Task Groups_OneThatIsNotPatient_TakesThoseThatWaitWithIt()
    {
        var (work, groups) = await WithGroupOfThreeAsync(TimeSpan.FromMinutes(5));

        var waiting = work.RunAsync(5);
        await work.RunAsync(6, isPatient: false);

        Assert.Equal(5, await waiting);
        Assert.Equal(["1", "2 3 4", "5 6"], groups);
    }

    [Fact]
    public async Task Groups_NobodyElseComes_GoesOn()
    {
        var (work, groups) = await WithGroupOfThreeAsync(TimeSpan.FromMilliseconds(1));

        for (var i = 5; i < 25; i++)
            Assert.Equal(i, await work.RunAsync(i));

        Assert.Equal(22, groups.Count);
    }

    [Fact]
    public async Task Groups_OneThatIsAlone_WaitsForNobody()
    {
        var work = new GroupedWork<int, int>(1, 10, Task.FromResult) { Yields = 2, Patience = TimeSpan.FromMinutes(5) };

        for (var i = 0; i < 100; i++)
            Assert.Equal(i, await work.RunAsync(i));
    }

    [Fact]
    public async Task Groups_ClosedWhileOneWaitsForOthers_DoesIt()
    {
        var (work, _) = await WithGroupOfThreeAsync(TimeSpan.FromMilliseconds(50));
        var waiting = work.RunAsync(5);

        await work.CloseAsync();

        Assert.Equal(5, await waiting);
    }

    /// <summary>Work that has just been done for three together.</summary>
    private static async Task<(GroupedWork<int, int> Work, List<string> Groups)> WithGroupOfThreeAsync(TimeSpan patience)
    {
        var gate = new TaskCompletionSource();
        List<string> groups = [];
        var work = new GroupedWork<int, int>(1, 10, DoAsync) { Patience = patience };
        var all = Enumerable.Range(1, 4).Select(i => work.RunAsync(i)).ToList();
        gate.SetResult();
        await Task.WhenAll(all);
        return (work, groups);

        async Task<IReadOnlyList<int>> DoAsync(IReadOnlyList<int> items)
        {
            groups.Add(string.Join(' ', items));
            await gate.Task;
            return items;
        }
    }

    [Fact]
    public async Task Statements_OneFails_OnlyItsCallerHearsOfIt()
    {
        await using var database = await PostgresServer.NewDatabaseAsync();
        await database.ExecuteAsync("create table t (n int primary key check (n > 0))");
        var batches = SharedBatches.Of(database.DataSource);

        var all = Enumerable.Range(-2, 60).Select(n => AddAsync(n)).ToList();
        await Task.WhenAll(all).ContinueWith(_ => { }, TaskScheduler.Default);

        Assert.Equal(3, all.Count(t => t.IsFaulted));
        Assert.All(all.Where(t => t.IsFaulted), t => Assert.Equal(PostgresErrorCodes.CheckViolation, Assert.IsType<PostgresException>(t.Exception!.InnerException).SqlState));
        Assert.All(all.Where(t => !t.IsFaulted), t => Assert.Equal(1, t.Result));
        Assert.Equal(57, await database.QueryAsync<long>("select count(*) from t"));

        Task<int> AddAsync(int n) => batches.ExecuteAsync("insert into t (n) values ($1)", p => p.Add(new NpgsqlParameter<int> { TypedValue = n }), default);
    }

    [Fact]
    public async Task Statements_ReadTogether_EachGetsItsOwnRows()
    {
        await using var database = await PostgresServer.NewDatabaseAsync();
        var batches = SharedBatches.Of(database.DataSource);

        var all = await Task.WhenAll(Enumerable.Range(0, 80).Select(n => batches.QueryAsync(
            "select g from generate_series(1, $1) g",
            p => p.Add(new NpgsqlParameter<int> { TypedValue = n % 7 }),
            async reader =>
            {
                var rows = 0;
                while (await reader.ReadAsync())
                    rows++;
                return rows;
            },
            default)));

        Assert.Equal(Enumerable.Range(0, 80).Select(n => n % 7), all);
    }

    [Fact]
    public async Task Statement_CancelledBeforeItIsSent_IsNotSent()
    {
        await using var database = await PostgresServer.NewDatabaseAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => SharedBatches.Of(database.DataSource).ExecuteAsync("create table never (n int)", _ => { }, new CancellationToken(true)));

        Assert.Equal(0, await database.QueryAsync<long>("select count(*) from pg_class where relname = 'never'"));
    }
}

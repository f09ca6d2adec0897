using Conclave.Inference.Pool;
using Conclave.Inference.Providers;
using Microsoft.Extensions.Logging.Abstractions;

namespace Conclave.Tests.Inference.Pool;

public sealed class ModelPullTests
{
    private static ModelPulls New(TestPool test, ServerPool pool) => new(test.Database, pool, TimeProvider.System, NullLogger<ModelPulls>.Instance);

    private static async Task<(ServerPool Pool, PooledServer Server)> StartAsync(TestPool test)
    {
        var pool = await test.StartAsync();
        var server = pool.FindByName("gpu1") ?? await pool.AddAsync(TestPool.Server("gpu1"), null, "ann", default);
        await pool.UntilAsync(() => server.Accepts);
        return (pool, server);
    }

    [Fact]
    public async Task StartAsync_Twice_IsOnePullThatEveryProcessSees()
    {
        await using var test = await TestPool.NewAsync();
        var (one, server) = await StartAsync(test);
        var (two, other) = await StartAsync(test);
        await using var here = New(test, one);
        await using var there = New(test, two);

        var pull = await here.StartAsync(server, "llama3.2:3b", "ann", default);
        Assert.Equal(pull.Id, (await there.StartAsync(other, "LLAMA3.2:3b", "bob", default)).Id);
        Assert.Single(await there.ListAsync(default));

        test.Provider["http://gpu1:11434"].Pulling.SetResult();
        var steps = new List<ModelPull>();
        await foreach (var step in there.WatchAsync(pull.Id, default))
            steps.Add(step);
        Assert.Equal(("success", null, 100L), (steps[^1].Status, steps[^1].Error, steps[^1].CompletedBytes));
        Assert.Equal("llama3.2:3b", Assert.Single(server.Models).Name);
        Assert.NotEqual(pull.Id, (await here.StartAsync(server, "llama3.2:3b", "ann", default)).Id);
    }

    [Fact]
    public async Task CancelAsync_FromAnotherProcess_EndsIt()
    {
        await using var test = await TestPool.NewAsync();
        var (one, server) = await StartAsync(test);
        var (two, _) = await StartAsync(test);
        await using var here = New(test, one);
        await using var there = New(test, two);
        var pull = await here.StartAsync(server, "m", "ann", default);
        Assert.True(await there.CancelAsync(pull.Id, default));

        // The server says nothing; it ends all the same.
        ModelPull? last = null;
        await foreach (var step in here.WatchAsync(pull.Id, default))
            last = step;
        Assert.Equal("Somebody cancelled it.", last!.Error);
        Assert.False(await there.CancelAsync(pull.Id, default));
    }

    [Fact]
    public async Task StartAsync_ServerFails_SaysWhyAndMayBeTriedAgain()
    {
        await using var test = await TestPool.NewAsync();
        var (pool, server) = await StartAsync(test);
        await using var pulls = New(test, pool);
        test.Provider["http://gpu1:11434"].Failure = new ModelServerException(ModelServerFailure.ModelNotFound, "no such model in the library");
        var pull = await pulls.StartAsync(server, "nosuch", "ann", default);
        ModelPull? last = null;
        await foreach (var step in pulls.WatchAsync(pull.Id, default))
            last = step;
        Assert.Equal("no such model in the library", last!.Error);
        Assert.NotNull(last.EndedAt);
    }

    [Fact]
    public async Task DisposeAsync_WhileItPulls_SaysThatItWasStopped()
    {
        await using var test = await TestPool.NewAsync();
        var (pool, server) = await StartAsync(test);
        var pulls = New(test, pool);
        var pull = await pulls.StartAsync(server, "m", "ann", default);
        await pulls.DisposeAsync();
        await using var others = New(test, pool);
        Assert.Contains("was stopped", (await others.FindAsync(pull.Id, default))!.Error, StringComparison.Ordinal);
    }
}

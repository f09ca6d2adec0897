using Conclave.Inference;
using Conclave.Inference.Providers;

namespace Conclave.Tests.Inference.Pool;

public sealed class ServerPoolTests
{
    [Fact]
    public async Task AddAsync_Server_IsAskedAndUsableInEveryPool()
    {
        await using var test = await TestPool.NewAsync();
        var (one, two) = (await test.StartAsync(), await test.StartAsync());
        test.Provider["http://gpu1:11434"].Models = [new ServedModel { Name = "llama3.2:3b" }];

        var added = await one.AddAsync(TestPool.Server("gpu1"), apiKey: null, "ann", default);
        await one.UntilAsync(() => added.Accepts);
        await two.UntilAsync(() => two.FindByName("GPU1") is { Accepts: true });

        Assert.Equal("llama3.2:3b", Assert.Single(added.Models).Name);
        using var call = two.FindByName("gpu1")!.TryBegin("llama3.2:3b");
        Assert.NotNull(call);
        Assert.Equal(1, two.FindByName("gpu1")!.Running);
    }

    [Fact]
    public async Task SetModeAsync_Draining_FinishesWhatRunsAndTakesNoMore()
    {
        await using var test = await TestPool.NewAsync();
        var (one, two) = (await test.StartAsync(), await test.StartAsync());
        var server = await one.AddAsync(TestPool.Server("gpu1"), null, "ann", default);
        await one.UntilAsync(() => server.Accepts);
        var call = server.TryBegin("m")!;

        await two.SetModeAsync(server.Server.Id, ServerMode.Draining, "bob", default);
        await one.UntilAsync(() => !server.Accepts);

        Assert.Null(server.TryBegin("m"));
        Assert.Equal(1, server.Running);
        call.Succeed();
        call.Dispose();
        Assert.Equal(0, server.Running);
        await one.SetModeAsync(server.Server.Id, ServerMode.Active, "bob", default);
        Assert.True(server.Accepts);
    }

    [Fact]
    public async Task DeleteAsync_EmptiedAndRefilled_RunningCallsKeepTheirClient()
    {
        await using var test = await TestPool.NewAsync();
        var pool = await test.StartAsync();
        var server = await pool.AddAsync(TestPool.Server("gpu1"), null, "ann", default);
        await pool.UntilAsync(() => server.Accepts);
        var call = server.TryBegin("m")!;

        Assert.True(await pool.DeleteAsync(server.Server.Id, default));
        Assert.Empty(pool.Servers);
        Assert.True(server.IsRemoved);
        Assert.Equal(0, test.Provider["http://gpu1:11434"].Disposed);
        call.Dispose();
        Assert.Equal(1, test.Provider["http://gpu1:11434"].Disposed);

        var again = await pool.AddAsync(TestPool.Server("gpu1"), null, "ann", default);
        await pool.UntilAsync(() => again.Accepts);
        Assert.NotNull(again.TryBegin("m"));
    }

    [Fact]
    public async Task Fail_ModelNotFound_DisbelievesTheListAndAsksAgain()
    {
        await using var test = await TestPool.NewAsync();
        var pool = await test.StartAsync();
        var target = test.Provider["http://gpu1:11434"];
        target.Models = [new ServedModel { Name = "a" }, new ServedModel { Name = "b" }];
        var server = await pool.AddAsync(TestPool.Server("gpu1"), null, "ann", default);
        await pool.UntilAsync(() => server.Accepts);
        var asked = target.NextCheckAsync();

        using (var call = server.TryBegin("a")!)
            call.Fail(new ModelServerException(ModelServerFailure.ModelNotFound, "model 'a' not found"));
        await asked;

        Assert.Contains("said that it does not have it", server.WhyNot("a"), StringComparison.Ordinal);
        Assert.Null(server.TryBegin("a"));
        Assert.NotNull(server.TryBegin("b"));
    }

    [Fact]
    public async Task Nodes_TwoPoolsThenOne_ShareTheSlotsAndGiveThemBack()
    {
        await using var test = await TestPool.NewAsync();
        var one = await test.StartAsync();
        var added = await one.AddAsync(TestPool.Server("gpu1", slots: 5), null, "ann", default);
        Assert.Equal(5, added.Slots);

        var two = await test.StartAsync();
        await one.UntilAsync(() => added.Slots < 5);
        Assert.Equal(5, added.Slots + two.FindByName("gpu1")!.Slots);
        Assert.InRange(added.Slots, 2, 3);

        await two.DisposeAsync();
        await one.UntilAsync(() => added.Slots == 5);
    }
}

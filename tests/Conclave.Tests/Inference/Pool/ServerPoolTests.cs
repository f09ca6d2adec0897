using System.Text;
using Conclave.Inference;
using Conclave.Inference.Pool;
using Conclave.Inference.Providers;
using Conclave.Workflows.Runtime;

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

    [Fact]
    public async Task Changed_ServerThatCame_IsAmongTheServers()
    {
        await using var test = await TestPool.NewAsync();
        var pool = await test.StartAsync();
        var found = new System.Collections.Concurrent.ConcurrentBag<bool>();
        pool.Changed += server => found.Add(pool.Servers.Contains(server));

        await pool.AddAsync(TestPool.Server("gpu1"), null, "ann", default);

        Assert.NotEmpty(found);
        Assert.DoesNotContain(false, found);
    }

    [Fact]
    public async Task AddAsync_Key_IsEncryptedAndBoundToItsAddress()
    {
        await using var test = await TestPool.NewAsync();
        var cipher = new SecretCipher(new string('s', 32), "conclave.inference");
        var (one, two) = (await test.StartAsync(cipher: cipher), await test.StartAsync(cipher: cipher));
        var added = await one.AddAsync(TestPool.Server("gpu1"), "sk-very-secret", "ann", default);
        await two.UntilAsync(() => two.FindByName("gpu1") is not null);

        Assert.Equal(["sk-very-secret", "sk-very-secret"], test.Provider["http://gpu1:11434"].Keys);
        var row = await test.Database.QueryAsync<byte[]>("select api_key from conclave.inference_server");
        Assert.DoesNotContain("secret", Encoding.Latin1.GetString(row), StringComparison.Ordinal);

        // Whoever changes the address without knowing the key does not get it sent there.
        var moved = added.Server with { Address = new Uri("http://evil:11434") };
        Assert.Equal("inference.key_needed", (await Assert.ThrowsAsync<PoolException>(() => one.UpdateAsync(moved, null, null, "eve", default))).Code);
        await test.Database.ExecuteAsync("update conclave.inference_server set address = 'http://evil:11434', version = version + 1");
        await one.ReloadAsync(default);
        Assert.Equal([null], test.Provider["http://evil:11434"].Keys.Distinct());
    }

    [Fact]
    public async Task AddAsync_KeyWithoutSecret_IsRefusedAndNothingStored()
    {
        await using var test = await TestPool.NewAsync();
        var pool = await test.StartAsync();
        var exception = await Assert.ThrowsAsync<PoolException>(() => pool.AddAsync(TestPool.Server("gpu1"), "sk-1", "ann", default));
        Assert.Equal("inference.no_encryption", exception.Code);
        Assert.Empty(pool.Servers);
    }

    [Fact]
    public async Task StartAsync_Configured_IsImportedOnceAndReadOnlyButForItsMode()
    {
        await using var test = await TestPool.NewAsync();
        var options = TestPool.Options with { Servers = [new ConfiguredServer(TestPool.Server("gpu1"), "sk-conf")] };
        var one = await test.StartAsync(options);
        var two = await test.StartAsync(options with { Servers = [new ConfiguredServer(TestPool.Server("gpu1", slots: 9), "sk-conf")] });
        var server = Assert.Single(two.Servers);

        Assert.Equal((9, ServerSource.Configuration, 2), (server.Server.Slots, server.Stored.Source, server.Stored.Version));
        Assert.Equal(["sk-conf", "sk-conf"], test.Provider["http://gpu1:11434"].Keys);
        Assert.Null(server.Stored.EncryptedKey);
        Assert.Equal("inference.server_configured", (await Assert.ThrowsAsync<PoolException>(() => two.UpdateAsync(server.Server with { Slots = 1 }, null, null, "ann", default))).Code);
        Assert.Equal("inference.server_configured", (await Assert.ThrowsAsync<PoolException>(() => one.DeleteAsync(server.Server.Id, default))).Code);
        await one.SetModeAsync(server.Server.Id, ServerMode.Maintenance, "ann", default);
        await two.UntilAsync(() => server.Server.Mode == ServerMode.Maintenance);
    }

    [Fact]
    public async Task StartAsync_OllamaOnItsPort_IsFoundOnceWhileThereIsNoRealServer()
    {
        await using var test = await TestPool.NewAsync();
        var options = TestPool.Options with { DiscoverOllama = true };
        test.Provider["http://127.0.0.1:11434"].Models = [new ServedModel { Name = "m" }];
        var (one, two) = (test.New(options), test.New(options));
        await Task.WhenAll(one.StartAsync(default), two.StartAsync(default));
        await two.ReloadAsync(default);

        Assert.Equal(("ollama", ServerSource.Discovery), Assert.Single(one.Servers) is var found ? (found.Server.Name, found.Stored.Source) : default);
        Assert.Single(two.Servers);
    }

    [Fact]
    public async Task StartAsync_NoOllama_FindsNothingUntilOneAppears()
    {
        await using var test = await TestPool.NewAsync();
        test.Provider["http://127.0.0.1:11434"].Failure = new ModelServerException(ModelServerFailure.Unreachable, "refused");
        var pool = await test.StartAsync(TestPool.Options with { DiscoverOllama = true });
        Assert.Empty(pool.Servers);

        test.Provider["http://127.0.0.1:11434"].Failure = null;
        Assert.True(await pool.LookForOllamaAsync(default));
        Assert.Equal("ollama", Assert.Single(pool.Servers).Server.Name);
    }

    [Fact]
    public async Task UpdateAsync_OldVersionOrNonsense_ChangesNothing()
    {
        await using var test = await TestPool.NewAsync();
        var pool = await test.StartAsync();
        var server = await pool.AddAsync(TestPool.Server("gpu1"), null, "ann", default);
        await pool.AddAsync(TestPool.Server("gpu2"), null, "ann", default);
        foreach (var (change, version, code) in (IEnumerable<(ModelServer, int?, string)>)
            [
                (server.Server with { Slots = 5 }, 7, "inference.server_changed"),
                (server.Server with { Slots = 0 }, 1, "inference.server_invalid"),
                (server.Server with { Name = "a b" }, 1, "inference.server_invalid"),
                (server.Server with { Provider = "nobody" }, 1, "inference.server_invalid"),
                (server.Server with { Address = new Uri("file:///etc/passwd") }, 1, "inference.server_invalid"),
                (server.Server with { Address = new Uri("http://me:pw@gpu1") }, 1, "inference.server_invalid"),
                (server.Server with { Name = "GPU2" }, 1, "inference.server_exists"),
                (server.Server with { Id = "gone" }, 1, "inference.server_not_found"),
            ])
            Assert.Equal(code, (await Assert.ThrowsAsync<PoolException>(() => pool.UpdateAsync(change, null, version, "bob", default))).Code);
        Assert.Equal(1, server.Stored.Version);
        Assert.Equal("inference.server_exists", (await Assert.ThrowsAsync<PoolException>(() => pool.AddAsync(TestPool.Server("Gpu1"), null, "bob", default))).Code);
        Assert.Equal(6, (await pool.UpdateAsync(server.Server with { Slots = 6 }, null, 1, "bob", default)).Slots);
    }
}

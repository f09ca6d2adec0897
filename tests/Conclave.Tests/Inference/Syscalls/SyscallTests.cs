using Conclave.Inference;
using Conclave.Inference.Syscalls;
using Conclave.Tests.Inference.Gateway;
using Conclave.Tests.Runtime;
using Microsoft.Extensions.Logging.Abstractions;

namespace Conclave.Tests.Inference.Syscalls;

public sealed class SyscallTests
{
    [Fact]
    public async Task Submit_Chat_IsAnsweredWithItsTimes()
    {
        await using var gateway = await TestGateway.StartAsync();
        await gateway.AddAsync("a");
        var store = new SyscallStore(gateway.Database.DataSource, TimeProvider.System);
        await using var worker = Worker(store, gateway);

        var done = await DoneAsync(store, await SubmitAsync(store));

        Assert.Contains("Hello from a", done.Response, StringComparison.Ordinal);
        var slice = Assert.Single(done.Slices);
        Assert.True(slice.QueuedAt <= slice.StartedAt && slice.StartedAt <= slice.EndedAt);
        Assert.NotNull(done.EndedAt);
    }

    [Fact]
    public async Task Worker_StopsInTheMiddle_AnotherGoesOnWhereItWas()
    {
        await using var gateway = await TestGateway.StartAsync();
        var server = await gateway.AddAsync("a");
        server.Answer = (request, token) => request.Begun is null ? FakeServer.SayThenHang(["one "], token) : FakeServer.Say([$"[after '{request.Begun}'] two"], token);
        var store = new SyscallStore(gateway.Database.DataSource, TimeProvider.System);
        string pid;
        await using (Worker(store, gateway))
        {
            pid = await SubmitAsync(store);
            await TestRuntime.UntilAsync(() => Task.FromResult(gateway.Scheduler.Snapshot().Running is [{ Tokens: 1 }]));
        }

        Assert.Equal(SyscallStatus.Active, (await store.FindAsync(TestGateway.Tenant, pid, default))!.Status);
        await using var second = Worker(store, gateway);
        var done = await DoneAsync(store, pid);

        Assert.Equal("one [after 'one '] two", System.Text.Json.JsonElement.Parse(done.Response!).GetProperty("response_message").GetString());
        Assert.Equal(2, done.Slices.Count);
    }

    [Fact]
    public async Task Worker_WasKilled_AnotherTakesItUpWhenTheLeaseEnds()
    {
        await using var gateway = await TestGateway.StartAsync();
        await gateway.AddAsync("a");
        var store = new SyscallStore(gateway.Database.DataSource, TimeProvider.System);
        var pid = await SubmitAsync(store);
        await gateway.Database.ExecuteAsync("update conclave.inference_syscall set status = 1, owner = gen_random_uuid(), lease_until = now() + interval '1 second'");

        await using var worker = Worker(store, gateway);

        Assert.Contains("Hello from a", (await DoneAsync(store, pid)).Response, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Submit_NoSuchModel_IsDoneWithAnError()
    {
        await using var gateway = await TestGateway.StartAsync();
        await gateway.AddAsync("a");
        var store = new SyscallStore(gateway.Database.DataSource, TimeProvider.System);
        await using var worker = Worker(store, gateway);

        var done = await DoneAsync(store, await SubmitAsync(store, """{"model":"none","messages":[{"role":"user","content":"hi"}]}"""));

        Assert.Null(done.Response);
        Assert.Equal("inference.model_not_found", done.ErrorCode);
    }

    [Fact]
    public async Task Cancel_WhileItRuns_FreesItsSlot()
    {
        await using var gateway = await TestGateway.StartAsync();
        (await gateway.AddAsync("a")).Answer = (_, token) => FakeServer.SayThenHang(["one "], token);
        var store = new SyscallStore(gateway.Database.DataSource, TimeProvider.System);
        await using var worker = Worker(store, gateway);
        var pid = await SubmitAsync(store);
        await TestRuntime.UntilAsync(() => Task.FromResult(gateway.Scheduler.Snapshot().Running.Count == 1));

        Assert.True(await store.CancelAsync(TestGateway.Tenant, pid, default));

        await TestRuntime.UntilAsync(() => Task.FromResult(gateway.Scheduler.Snapshot().Running.Count == 0));
        Assert.Equal("syscall.cancelled", (await store.FindAsync(TestGateway.Tenant, pid, default))!.ErrorCode);
        Assert.False(await store.CancelAsync(TestGateway.Tenant, pid, default));
    }

    private static SyscallWorker Worker(SyscallStore store, TestGateway gateway) =>
        new(store, gateway.Gateway, null, null, null, NullLogger<SyscallWorker>.Instance);

    private static async Task<string> SubmitAsync(SyscallStore store, string query = """{"model":"m","messages":[{"role":"user","content":"hi"}]}""")
    {
        var syscall = new Syscall(TestGateway.Tenant, Guid.CreateVersion7().ToString("N"), "agent-1", "agent", SyscallAction.Chat, query, CallPriority.P2, SyscallStatus.Active, DateTimeOffset.UtcNow);
        await store.AddAsync(syscall, default);
        return syscall.Pid;
    }

    private static async Task<Syscall> DoneAsync(SyscallStore store, string pid)
    {
        Syscall? found = null;
        await TestRuntime.UntilAsync(async () => (found = await store.FindAsync(TestGateway.Tenant, pid, default))!.Status == SyscallStatus.Done);
        return found!;
    }
}

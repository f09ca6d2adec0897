using System.Threading.Channels;
using Conclave.Inference;
using Conclave.Inference.Budgets;
using Conclave.Inference.Scheduling;
using Conclave.Tests.Inference.Providers;

namespace Conclave.Tests.Inference.Gateway;

public sealed class PreemptionTests
{
    private static readonly CallContext Urgent = new() { Tenant = TestGateway.Tenant, Priority = CallPriority.P0 };

    [Fact]
    public async Task UrgentCall_SlotIsTaken_OvertakesAndTheOtherGoesOnWhereItWas()
    {
        await using var gateway = await TestGateway.StartAsync();
        var server = await gateway.AddAsync("a", slots: 1);
        var pieces = Channel.CreateUnbounded<string>();
        server.Answer = (request, token) => request.Messages[0].Text == "urgent" ? FakeServer.Say(["done"], token)
            : request.Begun is { } begun ? FakeServer.Say([$"[after '{begun}'] three"], token)
            : FakeServer.SayFrom(pieces.Reader, token);
        var report = new CallReport();
        var said = Channel.CreateUnbounded<string>();
        var slow = Task.Run(async () =>
        {
            var text = "";
            await foreach (var update in gateway.Gateway.StreamAsync(TestGateway.Call("slow"), report, default))
            {
                text += update.Text;
                said.Writer.TryWrite(text);
            }

            return text;
        });
        pieces.Writer.TryWrite("one ");
        pieces.Writer.TryWrite("two ");
        while (await said.Reader.ReadAsync() != "one two ")
        {
        }

        Assert.Equal("done", (await gateway.AskAsync(TestGateway.Call("urgent", Urgent))).Text);

        Assert.Equal("one two [after 'one two '] three", await slow);
        Assert.Equal(2, report.Slices.Count);
        Assert.Equal([2L, 1L], report.Slices.Select(s => s.Tokens));
        Assert.True(report.Slices[1].QueuedAt >= report.Slices[0].EndedAt.AddMilliseconds(-1));
        // What it had is not kept longer than it is of use.
        Assert.Equal(0, await gateway.Database.QueryAsync<long>("select count(*) from conclave.inference_snapshot"));
        gateway.AssertIdle();
    }

    [Fact]
    public async Task UrgentCall_TheOtherIsStopped_ItsTextIsInTheDatabaseMeanwhile()
    {
        await using var gateway = await TestGateway.StartAsync();
        var server = await gateway.AddAsync("a", slots: 1);
        var pieces = Channel.CreateUnbounded<string>();
        var urgent = Channel.CreateUnbounded<string>();
        server.Answer = (request, token) => request.Messages[0].Text == "urgent" ? FakeServer.SayFrom(urgent.Reader, token)
            : request.Begun is not null ? FakeServer.Say(["three"], token)
            : FakeServer.SayFrom(pieces.Reader, token);
        var slow = gateway.AskAsync(TestGateway.Call("slow"));
        pieces.Writer.TryWrite("one two ");
        while (gateway.Scheduler.Snapshot().Running is not [{ Tokens: 1 }])
            await Task.Yield();

        var overtaking = gateway.AskAsync(TestGateway.Call("urgent", Urgent));
        await Conclave.Tests.Runtime.TestRuntime.UntilAsync(async () => await gateway.Database.QueryAsync<long>("select count(*) from conclave.inference_snapshot where text = 'one two '") == 1);
        urgent.Writer.TryComplete();

        await overtaking;
        Assert.Equal("one two three", (await slow).Text);
    }

    [Fact]
    public async Task Preemption_CallOnABudget_NothingIsTakenThatWasNotSetAside()
    {
        await using var gateway = await TestGateway.StartAsync();
        await BudgetAsync(gateway, tokens: 1_000);
        var server = await gateway.AddAsync("a", slots: 1);
        var (pieces, rest) = (Channel.CreateUnbounded<string>(), Channel.CreateUnbounded<string>());
        // Every slice reads 300 tokens, so that three of them take more than one was thought to.
        server.Answer = (request, token) => request.Messages[0].Text == "urgent" ? FakeServer.Say(["done"], token) : SayFrom(request.Begun is null ? pieces.Reader : rest.Reader, token);
        var slow = gateway.AskAsync(Slow);
        pieces.Writer.TryWrite("one ");
        while (gateway.Scheduler.Snapshot().Running is not [{ Tokens: 1 }])
            await Task.Yield();
        var before = await UseAsync(gateway);
        await gateway.AskAsync(TestGateway.Call("urgent", Urgent));
        while (gateway.Scheduler.Snapshot().Running is not [{ Tokens: 0 }])
            await Task.Yield();
        var meanwhile = await UseAsync(gateway);
        rest.Writer.TryWrite("two");
        rest.Writer.Complete();

        Assert.Equal("one two", (await slow).Text);

        // What the second slice may take is set aside while the first one's still is.
        Assert.Equal(2 * before.Reserved.Tokens, meanwhile.Reserved.Tokens);
        var after = await UseAsync(gateway);
        Assert.Equal(0, after.Reserved.Tokens);
        Assert.True(after.Spent.Tokens > before.Reserved.Tokens, $"{after.Spent.Tokens} tokens");
        Assert.True(after.Spent.Tokens <= meanwhile.Reserved.Tokens, $"{after.Spent.Tokens} tokens");
    }

    [Fact]
    public async Task Preemption_BudgetDoesNotSufficeForAnotherSlice_CallKeepsItsSlot()
    {
        await using var gateway = await TestGateway.StartAsync();
        // For one slice, not for two.
        await BudgetAsync(gateway, tokens: 500);
        var server = await gateway.AddAsync("a", slots: 1);
        var pieces = Channel.CreateUnbounded<string>();
        server.Answer = (request, token) => request.Messages[0].Text == "urgent" ? FakeServer.Say(["done"], token) : SayFrom(pieces.Reader, token);
        var report = new CallReport();
        var slow = gateway.AskAsync(Slow, report);
        pieces.Writer.TryWrite("one ");
        while (gateway.Scheduler.Snapshot().Running is not [{ Tokens: 1 }])
            await Task.Yield();
        var urgent = gateway.AskAsync(TestGateway.Call("urgent", Urgent));
        while (gateway.Scheduler.Snapshot().Running is not [{ YieldRequested: true }])
            await Task.Yield();
        pieces.Writer.TryWrite("two");
        pieces.Writer.Complete();

        Assert.Equal("one two", (await slow).Text);
        Assert.Equal("done", (await urgent).Text);

        Assert.Single(report.Slices);
        gateway.AssertIdle();
    }

    [Fact]
    public async Task Continuation_BudgetDoesNotSufficeForAnotherSlice_EndsWithATypedError()
    {
        await using var gateway = await TestGateway.StartAsync();
        await BudgetAsync(gateway, tokens: 500);
        (await gateway.AddAsync("a")).Answer = (_, _) => FakeServer.SayThenFail(["one ", "two "], Conclave.Inference.Providers.ModelServerFailure.Cut);
        await gateway.AddAsync("b");

        var failure = await gateway.FailAsync(Slow);

        Assert.Equal("inference.budget_exhausted", failure.Code);
        Assert.Empty(gateway.Models["b"].Requests);
        Assert.Equal(0, (await UseAsync(gateway)).Reserved.Tokens);
    }

    [Fact]
    public Task RoundRobin_QuantumInTokens_LongCallsTakeTurns() =>
        TakeTurnsAsync(new SchedulerOptions { Policy = SchedulingPolicy.RoundRobin, QuantumTokens = 5 });

    [Fact]
    public Task RoundRobin_QuantumInTime_LongCallsTakeTurns() =>
        TakeTurnsAsync(new SchedulerOptions { Policy = SchedulingPolicy.RoundRobin, QuantumTokens = null, QuantumTime = TimeSpan.FromSeconds(5) });

    // Three calls of 18 tokens on one slot, a token a second on a clock that stands still else: each has the slot for five, five, five and three tokens, one after the other.
    private static async Task TakeTurnsAsync(SchedulerOptions scheduling)
    {
        const int Calls = 3, Tokens = 18, Quantum = 5;
        var clock = new ManualClock();
        await using var gateway = await TestGateway.StartAsync(scheduling: scheduling, clock: clock);
        var server = await gateway.AddAsync("a", slots: 1);
        var allAreThere = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var turns = new List<string>();
        var done = 0;
        server.Answer = (request, token) => Count(request, token);
        var reports = Enumerable.Range(0, Calls).Select(_ => new CallReport()).ToArray();

        // Calls of one flow go in the order of their arrival, so only those of several take turns.
        var asking = new List<Task<Microsoft.Extensions.AI.ChatResponse>>();
        for (var i = 0; i < Calls; i++)
        {
            asking.Add(gateway.AskAsync(TestGateway.Call($"call {i}", new CallContext { Tenant = TestGateway.Tenant, AgentId = $"agent{i}" }), reports[i]));
            while (gateway.Scheduler.Snapshot() is var state && state.Running.Count + state.Waiting.Count <= i)
                await Task.Yield();
        }

        allAreThere.SetResult();
        var answers = await Task.WhenAll(asking);

        var whole = string.Concat(Enumerable.Range(0, Tokens).Select(i => $"{i} "));
        Assert.All(answers, answer => Assert.Equal(whole, answer.Text));
        Assert.All(reports, report => Assert.Equal([Quantum, Quantum, Quantum, Tokens - (3 * Quantum)], report.Slices.Select(s => s.Tokens)));
        Assert.Equal(Enumerable.Range(0, Calls * 4).Select(i => $"call {i % Calls}"), turns);
        gateway.AssertIdle();

        async IAsyncEnumerable<Microsoft.Extensions.AI.ChatResponseUpdate> Count(FakeRequest request, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken token)
        {
            await allAreThere.Task;
            turns.Add(request.Messages[0].Text);
            var from = request.Begun?.Split(' ', StringSplitOptions.RemoveEmptyEntries).Length ?? 0;
            for (var i = from; i < Tokens; i++)
            {
                // The one before stores its text before it queues again.
                while (gateway.Scheduler.Snapshot().Waiting.Count < Calls - 1 - done)
                    await Task.Yield();
                token.ThrowIfCancellationRequested();
                yield return FakeServer.Piece($"{i} ");
                if (i < Tokens - 1)
                    clock.Advance(TimeSpan.FromSeconds(1));
            }

            done++;
            yield return FakeServer.End(10, Tokens - from);
        }
    }

    private static ChatCall Slow => TestGateway.Call(
        new string('x', 4 * 296), new CallContext { Tenant = TestGateway.Tenant, AgentId = "slow" }, new Microsoft.Extensions.AI.ChatOptions { MaxOutputTokens = 100 });

    private static Task<bool> BudgetAsync(TestGateway gateway, long tokens) =>
        gateway.Budgets.PutAsync(new Budget { Tenant = TestGateway.Tenant, Name = "slow", Scope = BudgetScope.Agent, Subject = "slow", Period = BudgetPeriod.Run, Tokens = tokens }, "test", default);

    private static async Task<BudgetUse> UseAsync(TestGateway gateway) => Assert.Single(Assert.Single(await gateway.Budgets.ListAsync(TestGateway.Tenant, null, default)).Uses);

    private static async IAsyncEnumerable<Microsoft.Extensions.AI.ChatResponseUpdate> SayFrom(ChannelReader<string> pieces, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken token)
    {
        var count = 0;
        await foreach (var piece in pieces.ReadAllAsync(token))
        {
            count++;
            yield return FakeServer.Piece(piece);
        }

        yield return FakeServer.End(300, count);
    }
}

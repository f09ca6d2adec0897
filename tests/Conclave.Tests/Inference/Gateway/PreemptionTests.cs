using System.Threading.Channels;
using Conclave.Inference;
using Conclave.Inference.Scheduling;

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
    public async Task RoundRobin_OthersWait_LongCallsTakeTurns()
    {
        await using var gateway = await TestGateway.StartAsync(scheduling: new SchedulerOptions { Policy = SchedulingPolicy.RoundRobin, QuantumTokens = 5 });
        var server = await gateway.AddAsync("a", slots: 1);
        var allAreThere = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        server.Answer = (request, token) => Count(request, allAreThere.Task, token);
        var reports = Enumerable.Range(0, 3).Select(_ => new CallReport()).ToArray();

        // Calls of one flow go in the order of their arrival, so only those of several take turns.
        var asking = reports.Select((r, i) => gateway.AskAsync(TestGateway.Call("count", new CallContext { Tenant = TestGateway.Tenant, AgentId = $"agent{i}" }), r)).ToArray();
        while (gateway.Scheduler.Snapshot().Waiting.Count < 2)
            await Task.Yield();
        allAreThere.SetResult();
        var answers = await Task.WhenAll(asking);

        var whole = string.Concat(Enumerable.Range(0, 20).Select(i => $"{i} "));
        Assert.All(answers, answer => Assert.Equal(whole, answer.Text));
        Assert.Contains(reports, r => r.Slices.Count > 1);
        Assert.All(reports, r => Assert.Equal(20, r.OutputTokens));
        gateway.AssertIdle();

        static async IAsyncEnumerable<Microsoft.Extensions.AI.ChatResponseUpdate> Count(FakeRequest request, Task start, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken token)
        {
            await start;
            var from = request.Begun?.Split(' ', StringSplitOptions.RemoveEmptyEntries).Length ?? 0;
            for (var i = from; i < 20; i++)
            {
                token.ThrowIfCancellationRequested();
                await Task.Yield();
                yield return FakeServer.Piece($"{i} ");
            }

            yield return FakeServer.End(10, 20 - from);
        }
    }
}

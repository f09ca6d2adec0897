using System.Threading.Channels;
using Conclave.Inference;
using Conclave.Inference.Gateway;
using Conclave.Inference.Providers;

namespace Conclave.Tests.Inference.Gateway;

public sealed class IdempotencyTests
{
    private static readonly CallContext Keyed = new() { Tenant = TestGateway.Tenant, IdempotencyKey = "k1" };

    [Fact]
    public async Task Call_RepeatedWithItsKey_GetsTheFirstAnswerAndNoModelIsAsked()
    {
        await using var gateway = await TestGateway.StartAsync();
        var server = await gateway.AddAsync("a");
        var (first, second) = (new CallReport(), new CallReport());

        var answer = await gateway.AskAsync(TestGateway.Call(context: Keyed), first);
        server.Answer = (_, token) => FakeServer.Say(["something else"], token);
        var again = await gateway.AskAsync(TestGateway.Call(context: Keyed), second);

        Assert.Equal(answer.Text, again.Text);
        Assert.Equal(answer.FinishReason, again.FinishReason);
        Assert.Equal(answer.Usage!.OutputTokenCount, again.Usage!.OutputTokenCount);
        Assert.Single(server.Requests);
        Assert.Equal(CacheOutcome.Replay, second.Cache);
        Assert.Equal((first.Cost, first.Model, first.Server), (second.Cost, second.Model, second.Server));
        await gateway.Log.FlushAsync(default);
        Assert.Equal(first.Cost, await gateway.Database.QueryAsync<decimal>("select sum(cost) from conclave.inference_call"));
    }

    [Fact]
    public async Task Call_SameKeyOtherQuestion_IsRefused()
    {
        await using var gateway = await TestGateway.StartAsync();
        await gateway.AddAsync("a");
        await gateway.AskAsync(TestGateway.Call(context: Keyed));

        var failure = await gateway.FailAsync(TestGateway.Call("Something else", Keyed));

        Assert.Equal((InferenceFailure.IdempotencyConflict, "inference.key_reused"), (failure.Failure, failure.Code));
    }

    [Fact]
    public async Task Call_RepeatedWhileTheFirstRuns_WaitsForItsAnswer()
    {
        await using var gateway = await TestGateway.StartAsync();
        var pieces = Channel.CreateUnbounded<string>();
        var server = await gateway.AddAsync("a");
        server.Answer = (_, token) => FakeServer.SayFrom(pieces.Reader, token);

        var first = gateway.AskAsync(TestGateway.Call(context: Keyed));
        while (server.Running == 0)
            await Task.Yield();
        var second = gateway.AskAsync(TestGateway.Call(context: Keyed));
        pieces.Writer.TryWrite("once");
        pieces.Writer.TryComplete();

        Assert.Equal("once", (await first).Text);
        Assert.Equal("once", (await second).Text);
        Assert.Single(server.Requests);
    }

    [Fact]
    public async Task Call_GatewayDiesBetweenAnswerAndItsCaller_RepeatedCallPaysNothing()
    {
        await using var first = await TestGateway.StartAsync();
        var server = await first.AddAsync("a");

        // The caller sees the last piece, and is gone before it can note anything.
        await foreach (var update in first.Gateway.StreamAsync(TestGateway.Call(context: Keyed), new CallReport(), default))
        {
            if (update.FinishReason is not null)
                break;
        }

        await using var second = await TestGateway.StartAsync(first.Database, first.Models);
        Assert.Equal("Hello from a", (await second.AskAsync(TestGateway.Call(context: Keyed))).Text);
        Assert.Single(server.Requests);
    }

    [Fact]
    public async Task Call_GatewayRestartsInTheMiddle_RepeatedCallGoesOnWhereItWas()
    {
        await using var first = await TestGateway.StartAsync();
        var server = await first.AddAsync("a");
        server.Answer = (request, token) => request.Begun is null ? FakeServer.SayThenHang(["one ", "two "], token) : FakeServer.Say([$"[after '{request.Begun}'] three"], token);
        var said = Channel.CreateUnbounded<string>();
        var call = Task.Run(async () =>
        {
            await foreach (var update in first.Gateway.StreamAsync(TestGateway.Call(context: Keyed), new CallReport(), default))
                said.Writer.TryWrite(update.Text);
        });
        await said.Reader.ReadAsync();
        await said.Reader.ReadAsync();

        await first.Gateway.StopAsync(TimeSpan.FromSeconds(30));
        Assert.Equal("inference.stopping", (await Assert.ThrowsAsync<InferenceException>(() => call)).Code);
        await using var second = await TestGateway.StartAsync(first.Database, first.Models);
        var report = new CallReport();
        var answer = await second.AskAsync(TestGateway.Call(context: Keyed), report);

        Assert.Equal("one two [after 'one two '] three", answer.Text);
        Assert.Equal(2, report.Slices.Count);
        Assert.Equal(3, report.OutputTokens);
        Assert.Equal(0, await first.Database.QueryAsync<long>("select count(*) from conclave.inference_snapshot"));
    }

    [Fact]
    public async Task Call_ProcessWasKilledInTheMiddle_RepeatedCallTakesOverWhenTheLeaseEnds()
    {
        var options = new InferenceOptions { IdempotencyLease = TimeSpan.FromSeconds(2), SnapshotInterval = TimeSpan.FromMilliseconds(100) };
        await using var first = await TestGateway.StartAsync(options: options);
        var server = await first.AddAsync("a");
        server.Answer = (request, token) => request.Begun is null ? FakeServer.SayThenHang(["one "], token) : FakeServer.Say(["two"], token);
        using var killed = new CancellationTokenSource();
        _ = first.AskAsync(TestGateway.Call(context: Keyed), cancellationToken: killed.Token);
        await Conclave.Tests.Runtime.TestRuntime.UntilAsync(async () => await first.Database.QueryAsync<long>("select count(*) from conclave.inference_snapshot where text = 'one '") == 1);
        // As if the process were gone: another has the row, and nobody renews it.
        await first.Database.ExecuteAsync("update conclave.inference_answer set owner = gen_random_uuid(), lease_until = now() + interval '1 second'");

        await using var second = await TestGateway.StartAsync(first.Database, first.Models, options: options);
        Assert.Equal("one two", (await second.AskAsync(TestGateway.Call(context: Keyed))).Text);
        await killed.CancelAsync();
    }

    [Fact]
    public async Task Call_FailedWithItsKey_CanBeRepeated()
    {
        await using var gateway = await TestGateway.StartAsync();
        var server = await gateway.AddAsync("a");
        server.Answer = (_, _) => FakeServer.SayThenFail([], ModelServerFailure.BadRequest);
        await gateway.FailAsync(TestGateway.Call(context: Keyed));
        server.Answer = (_, token) => FakeServer.Say(["better"], token);

        Assert.Equal("better", (await gateway.AskAsync(TestGateway.Call(context: Keyed))).Text);
    }
}

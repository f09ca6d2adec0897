using Conclave.Inference;
using Conclave.Inference.Providers;
using Microsoft.Extensions.AI;

namespace Conclave.Tests.Inference.Gateway;

public sealed class FailoverTests
{
    [Fact]
    public async Task Call_OneServer_AnswersWithUsageReportAndRecord()
    {
        await using var gateway = await TestGateway.StartAsync();
        await gateway.AddAsync("a");
        var phases = new List<CallPhase>();
        var report = new CallReport { Changed = r => phases.Add(r.Phase) };

        var answer = await gateway.AskAsync(report: report);

        Assert.Equal("Hello from a", answer.Text);
        Assert.Equal(10, answer.Usage!.InputTokenCount);
        Assert.Equal(["Queued", "Running", "Streaming", "Completed"], phases.Select(p => p.ToString()));
        Assert.Equal(("a", "m", "fake", 3L), (report.Server, report.Model, report.Provider, report.OutputTokens));
        Assert.Equal(((10 * 1m) + (3 * 2m)) / 1_000_000m, report.Cost);
        await gateway.Log.FlushAsync(default);
        Assert.Equal($"{report.CallId}/m/a/4", await gateway.Database.QueryAsync<string>("select id || '/' || model || '/' || server || '/' || outcome from conclave.inference_call"));
        gateway.AssertIdle();
    }

    [Theory]
    [InlineData(ModelServerFailure.Unreachable)]
    [InlineData(ModelServerFailure.Timeout)]
    [InlineData(ModelServerFailure.ServerError)]
    [InlineData(ModelServerFailure.Cut)]
    [InlineData(ModelServerFailure.InvalidAnswer)]
    [InlineData(ModelServerFailure.Overloaded)]
    [InlineData(ModelServerFailure.Unauthorized)]
    [InlineData(ModelServerFailure.ModelNotFound)]
    [InlineData(ModelServerFailure.ContextTooLong)]
    public async Task Call_FirstServerFailsBeforeItSpeaks_SecondAnswersAndDecisionSaysWhy(ModelServerFailure failure)
    {
        await using var gateway = await TestGateway.StartAsync();
        (await gateway.AddAsync("a")).Answer = (_, _) => FakeServer.SayThenFail([], failure);
        await gateway.AddAsync("b");
        var report = new CallReport();

        var answer = await gateway.AskAsync(report: report);

        Assert.Equal("Hello from b", answer.Text);
        Assert.Contains(report.Decision!.Reasons, r => r.Contains("a failed", StringComparison.Ordinal));
        Assert.Equal(1, gateway.Models["a"].Requests.Count(_ => true));
        gateway.AssertIdle();
    }

    [Theory]
    [InlineData(ModelServerFailure.Cut)]
    [InlineData(ModelServerFailure.ServerError)]
    [InlineData(ModelServerFailure.Timeout)]
    public async Task Call_ServerDiesInTheMiddle_AnotherContinuesTheText(ModelServerFailure failure)
    {
        await using var gateway = await TestGateway.StartAsync();
        (await gateway.AddAsync("a")).Answer = (_, _) => FakeServer.SayThenFail(["one ", "two "], failure);
        (await gateway.AddAsync("b")).Answer = (request, token) => FakeServer.Say([$"after '{request.Begun}' three"], token);
        var report = new CallReport();

        var answer = await gateway.AskAsync(report: report);

        Assert.Equal("one two after 'one two ' three", answer.Text);
        Assert.Single(answer.Messages);
        Assert.Equal(["a", "b"], report.Slices.Select(s => s.Server));
        Assert.Equal(3, report.OutputTokens);
        Assert.Equal(report.OutputTokens, answer.Usage!.OutputTokenCount);
        gateway.AssertIdle();
    }

    [Fact]
    public async Task Call_ServerDiesInTheMiddleAndNobodyCanContinue_SaysSo()
    {
        await using var gateway = await TestGateway.StartAsync();
        foreach (var name in (string[])["a", "b"])
        {
            gateway.Models[name].Models = [new ServedModel { Name = "m", Capabilities = ModelCapabilities.Chat, ContextSize = 1_000 }];
            (await gateway.AddAsync(name)).Answer = (_, _) => FakeServer.SayThenFail(["one "], ModelServerFailure.Cut);
        }

        var failure = await gateway.FailAsync();

        Assert.Equal("inference.cut", failure.Code);
        Assert.Equal(1, gateway.Models["a"].Requests.Count + gateway.Models["b"].Requests.Count);
    }

    [Fact]
    public async Task Call_ServerDiesAfterAToolCall_IsNotRepeatedElsewhere()
    {
        await using var gateway = await TestGateway.StartAsync();
        (await gateway.AddAsync("a")).Answer = (_, _) => CallThenFail();
        await gateway.AddAsync("b");

        var failure = await gateway.FailAsync();

        Assert.Equal("inference.cut_in_tool_call", failure.Code);
        Assert.Empty(gateway.Models["b"].Requests);

        static async IAsyncEnumerable<ChatResponseUpdate> CallThenFail()
        {
            yield return new ChatResponseUpdate(ChatRole.Assistant, [new FunctionCallContent("c1", "pay")]);
            await Task.Yield();
            throw new ModelServerException(ModelServerFailure.Cut, "gone");
        }
    }

    [Fact]
    public async Task Call_ServerHangsAndItsProviderDoesNotNotice_IsTakenElsewhere()
    {
        await using var gateway = await TestGateway.StartAsync();
        (await gateway.AddAsync("a", timeout: TimeSpan.FromSeconds(1))).Answer = (_, token) => FakeServer.SayThenHang(["one "], token);
        (await gateway.AddAsync("b")).Answer = (_, token) => FakeServer.Say(["two"], token);

        Assert.Equal("one two", (await gateway.AskAsync()).Text);
        Assert.Equal(0, gateway.Models["a"].Running);
    }

    [Theory]
    [InlineData(ModelServerFailure.BadRequest, "inference.bad_request")]
    [InlineData(ModelServerFailure.Refused, "inference.refused")]
    public async Task Call_RequestIsWrongWhoeverAnswers_IsNotTriedElsewhere(ModelServerFailure failure, string code)
    {
        await using var gateway = await TestGateway.StartAsync();
        (await gateway.AddAsync("a")).Answer = (_, _) => FakeServer.SayThenFail([], failure);
        await gateway.AddAsync("b");

        Assert.Equal(code, (await gateway.FailAsync()).Code);
        Assert.Empty(gateway.Models["b"].Requests);
        gateway.AssertIdle();
    }

    [Fact]
    public async Task Call_EveryServerFails_NamesThemAll()
    {
        await using var gateway = await TestGateway.StartAsync();
        (await gateway.AddAsync("a")).Answer = (_, _) => FakeServer.SayThenFail([], ModelServerFailure.ServerError);
        (await gateway.AddAsync("b")).Answer = (_, _) => FakeServer.SayThenFail([], ModelServerFailure.InvalidAnswer);

        var failure = await gateway.FailAsync();

        Assert.Equal((InferenceFailure.ServerFailed, "inference.server_failed"), (failure.Failure, failure.Code));
        Assert.Contains("a failed", failure.Message, StringComparison.Ordinal);
        Assert.Contains("b failed", failure.Message, StringComparison.Ordinal);
        await gateway.Log.FlushAsync(default);
        Assert.Equal("inference.server_failed", await gateway.Database.QueryAsync<string>("select error from conclave.inference_call"));
    }

    [Fact]
    public async Task Call_CallerGoesAway_SlotIsFreeAndServerIsToldToStop()
    {
        await using var gateway = await TestGateway.StartAsync();
        (await gateway.AddAsync("a", slots: 1)).Answer = (_, token) => FakeServer.SayThenHang(["one "], token);
        using var caller = new CancellationTokenSource();
        var report = new CallReport();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (var update in gateway.Gateway.StreamAsync(TestGateway.Call(), report, caller.Token))
                await caller.CancelAsync();
        });

        gateway.AssertIdle();
        Assert.Equal(0, gateway.Models["a"].Running);
        Assert.Equal(CallPhase.Cancelled, report.Phase);
    }

    [Fact]
    public async Task Call_CallerStopsReading_SlotIsFree()
    {
        await using var gateway = await TestGateway.StartAsync();
        (await gateway.AddAsync("a", slots: 1)).Answer = (_, token) => FakeServer.SayThenHang(["one "], token);

        await foreach (var update in gateway.Gateway.StreamAsync(TestGateway.Call(), new CallReport(), default))
            break;

        gateway.AssertIdle();
        Assert.Equal(0, gateway.Models["a"].Running);
    }

    [Fact]
    public async Task Call_DeadlinePassesWhileTheModelWorks_SaysSo()
    {
        await using var gateway = await TestGateway.StartAsync();
        (await gateway.AddAsync("a")).Answer = (_, token) => FakeServer.SayThenHang([], token);
        var context = new CallContext { Tenant = TestGateway.Tenant, Deadline = DateTimeOffset.UtcNow.AddMilliseconds(200) };

        Assert.Equal(InferenceFailure.DeadlineExceeded, (await gateway.FailAsync(TestGateway.Call(context: context))).Failure);
        gateway.AssertIdle();
    }

    [Fact]
    public async Task Calls_PoolIsEmptiedAndRefilledUnderLoad_EveryOneHasAnAnswerOrAClearError()
    {
        await using var gateway = await TestGateway.StartAsync();
        await gateway.AddAsync("a", slots: 2);
        using var stop = new CancellationTokenSource();
        var answered = 0;
        var refused = 0;
        var callers = Enumerable.Range(0, 16).Select(_ => Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                try
                {
                    var answer = await gateway.AskAsync();
                    Assert.StartsWith("Hello from ", answer.Text, StringComparison.Ordinal);
                    Interlocked.Increment(ref answered);
                }
                catch (InferenceException exception)
                {
                    Assert.Contains(exception.Failure, new[] { InferenceFailure.Unavailable, InferenceFailure.ModelNotFound, InferenceFailure.ServerFailed });
                    Interlocked.Increment(ref refused);
                    await Task.Yield();
                }
            }
        })).ToList();

        for (var round = 0; round < 5; round++)
        {
            foreach (var server in gateway.Pool.Servers.ToList())
                await gateway.Pool.DeleteAsync(server.Server.Id, default);
            await gateway.AddAsync($"b{round}", slots: 2);
            var before = Volatile.Read(ref answered);
            while (Volatile.Read(ref answered) < before + 20)
                await Task.Yield();
        }

        await stop.CancelAsync();
        await Task.WhenAll(callers).WaitAsync(TimeSpan.FromSeconds(30));
        gateway.AssertIdle();
        await gateway.Log.FlushAsync(default);
        // Refusals come faster than rows; those that had no room are counted.
        Assert.Equal(answered + refused, await gateway.Database.QueryAsync<long>("select count(*) from conclave.inference_call where outcome in (4, 5)") + gateway.Log.Dropped);
    }
}

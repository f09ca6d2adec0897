using Conclave.Inference;
using Conclave.Inference.Pool;
using Conclave.Inference.Providers;
using Microsoft.Extensions.Logging.Abstractions;

namespace Conclave.Tests.Inference.Pool;

public sealed class PooledServerTests
{
    private static readonly ModelServerException Broken = new(ModelServerFailure.ServerError, "500");
    private static readonly ModelServerException Away = new(ModelServerFailure.Unreachable, "connection refused");

    private readonly ManualTime _time = new();
    private readonly TestProvider _provider = new();
    private readonly List<(int Slots, bool Accepts)> _told = [];

    private TestProvider.TestServer Target => _provider["http://gpu1:11434"];

    private async Task<PooledServer> NewAsync(params ServedModel[] given)
    {
        var server = TestPool.Server("gpu1") with { Models = given };
        var pooled = new PooledServer(
            new StoredServer(server, ServerSource.Operator, 1, null, default, "ann"), _provider.Connect(server, null), 4, TestPool.Options, _time, NullLogger.Instance,
            s => _told.Add((s.Slots, s.Accepts)));
        await pooled.CheckAsync(default);
        return pooled;
    }

    private static void Fail(PooledServer server, Exception exception, int times = 4, string model = "m")
    {
        for (var i = 0; i < times; i++)
        {
            using var call = server.TryBegin(model)!;
            call.Fail(exception);
        }
    }

    [Fact]
    public async Task Fail_OneModelOften_OpensItsBreakerAloneAndOneCallTries()
    {
        var server = await NewAsync();
        Fail(server, Broken);

        Assert.Equal("open", server.BreakerOf("m"));
        Assert.Null(server.TryBegin("m"));
        Assert.NotNull(server.TryBegin("other"));
        Assert.True(server.Accepts);

        _time.Advance(TimeSpan.FromSeconds(5));
        var trial = server.TryBegin("m");
        Assert.NotNull(trial);
        Assert.Equal("half-open", server.BreakerOf("m"));
        Assert.Null(server.TryBegin("m"));
        trial.Succeed();
        Assert.Equal("closed", server.BreakerOf("m"));
        Assert.NotNull(server.TryBegin("m"));
    }

    [Fact]
    public async Task Fail_Trial_WaitsLongerEachTime()
    {
        var server = await NewAsync();
        Fail(server, Broken);
        _time.Advance(TimeSpan.FromSeconds(5));
        Fail(server, Broken, 1);
        _time.Advance(TimeSpan.FromSeconds(5));
        Assert.Null(server.TryBegin("m"));
        _time.Advance(TimeSpan.FromSeconds(5));
        // Its caller went away, so nothing is known: it stays open.
        server.TryBegin("m")!.Dispose();
        Assert.Equal("open", server.BreakerOf("m"));
        Assert.Null(server.TryBegin("m"));
    }

    [Fact]
    public async Task Fail_WhatIsNotTheServersFault_OpensNothing()
    {
        var server = await NewAsync();
        foreach (var failure in (ModelServerFailure[])[ModelServerFailure.BadRequest, ModelServerFailure.Refused, ModelServerFailure.ContextTooLong])
            Fail(server, new ModelServerException(failure, "no"), 20);
        for (var i = 0; i < 20; i++)
            server.TryBegin("m")!.Dispose();
        Fail(server, new OperationCanceledException(), 20);
        Assert.Equal("closed", server.BreakerOf("m"));
    }

    [Fact]
    public async Task Fail_Unreachable_StopsTheServerUntilACheckReachesIt()
    {
        var server = await NewAsync();
        Fail(server, Away);
        Assert.False(server.Accepts);
        Assert.Contains("circuit breaker is open", server.WhyNot("m"), StringComparison.Ordinal);
        Assert.Equal((4, false), _told[^1]);

        _time.Advance(TimeSpan.FromSeconds(5));
        Target.Failure = Away;
        await server.CheckAsync(default);
        Assert.False(server.Accepts);

        Target.Failure = null;
        _time.Advance(TimeSpan.FromSeconds(10));
        await server.CheckAsync(default);
        Assert.True(server.Accepts);
        Assert.Equal((4, true), _told[^1]);
    }

    [Fact]
    public async Task CheckAsync_OneLostAnswer_IsForgiven()
    {
        var server = await NewAsync();
        Target.Failure = Away;
        Assert.Equal(HealthStatus.Healthy, (await server.CheckAsync(default)).Status);
        var health = await server.CheckAsync(default);
        Assert.Equal((HealthStatus.Unhealthy, "connection refused"), (health.Status, health.Message));
        Assert.False(server.Accepts);
        Target.Failure = null;
        Assert.Equal(HealthStatus.Healthy, (await server.CheckAsync(default)).Status);
        Assert.True(server.Accepts);
    }

    [Fact]
    public async Task Fail_Overloaded_RestsAsLongAsTheServerWants()
    {
        var server = await NewAsync();
        Fail(server, new ModelServerException(ModelServerFailure.Overloaded, "429") { RetryAfter = TimeSpan.FromSeconds(20) }, 1);
        Assert.Null(server.TryBegin("m"));
        Assert.NotNull(server.TryBegin("other"));
        _time.Advance(TimeSpan.FromSeconds(20));
        Assert.NotNull(server.TryBegin("m"));
    }

    [Fact]
    public async Task Models_OperatorsSayMore_IsMerged()
    {
        Target.Models = [new ServedModel { Name = "llama3.2:latest", SizeBytes = 7, ContextSize = 4096 }, new ServedModel { Name = "gpt-x" }];
        var server = await NewAsync(
            new ServedModel { Name = "*", InputPrice = 1 },
            new ServedModel { Name = "llama3.2", ContextSize = 100, InputPrice = 2 },
            new ServedModel { Name = "hidden", OutputPrice = 3 });

        Assert.Equal(
            [
                new ServedModel { Name = "llama3.2:latest", SizeBytes = 7, ContextSize = 100, InputPrice = 2 },
                new ServedModel { Name = "gpt-x", InputPrice = 1 },
                new ServedModel { Name = "hidden", InputPrice = 1, OutputPrice = 3 },
            ],
            server.Models);
        Assert.Equal("llama3.2:latest", server.FindModel("LLAMA3.2")!.Name);
    }
}

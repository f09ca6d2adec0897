using Conclave.Inference;
using Conclave.Inference.Budgets;
using Conclave.Inference.Gateway;
using Microsoft.Extensions.AI;

namespace Conclave.Tests.Inference.Gateway;

public sealed class CacheTests
{
    private static readonly CallContext Cached = new() { Tenant = TestGateway.Tenant, Cache = CachePolicy.Use };

    [Fact]
    public async Task Embeddings_BudgetForTwoCalls_ThirdIsRefusedAndNoServerAsked()
    {
        await using var gateway = await TestGateway.StartAsync();
        var server = await gateway.AddAsync("a");
        await gateway.Budgets.PutAsync(
            new Budget { Tenant = TestGateway.Tenant, Name = "texts", Scope = BudgetScope.Agent, Subject = "ann", Period = BudgetPeriod.Run, Tokens = 2 }, "test", default);
        var context = new CallContext { Tenant = TestGateway.Tenant, AgentId = "ann" };
        for (var i = 0; i < 2; i++)
            await gateway.Gateway.EmbedAsync(new EmbedCall(context, "e", [$"t{i}"]), new CallReport(), default);

        var failure = await Assert.ThrowsAsync<InferenceException>(() => gateway.Gateway.EmbedAsync(new EmbedCall(context, "e", ["t2"]), new CallReport(), default));

        Assert.Equal("inference.budget_exhausted", failure.Code);
        Assert.Equal(2, server.Embedded.Count);
        var use = Assert.Single(Assert.Single(await gateway.Budgets.ListAsync(TestGateway.Tenant, null, default)).Uses);
        Assert.Equal((2L, 0L), (use.Spent.Tokens, use.Reserved.Tokens));
        // What is known already costs nothing, so it needs no budget.
        await gateway.Gateway.EmbedAsync(new EmbedCall(context with { AgentId = null, Cache = CachePolicy.Use }, "e", ["t0"]), new CallReport(), default);
        await gateway.Gateway.EmbedAsync(new EmbedCall(context with { Cache = CachePolicy.Use }, "e", ["t0"]), new CallReport(), default);
    }

    [Fact]
    public async Task Call_EqualToAnEarlierOne_GetsItsAnswerForNothing()
    {
        await using var gateway = await TestGateway.StartAsync();
        var server = await gateway.AddAsync("a");
        await gateway.AskAsync(TestGateway.Call(context: Cached));
        var report = new CallReport();

        var answer = await gateway.AskAsync(TestGateway.Call(context: Cached), report);

        Assert.Equal("Hello from a", answer.Text);
        Assert.Single(server.Requests);
        Assert.Equal((CacheOutcome.Hit, 0m), (report.Cache, report.Cost));
        // Another process finds it in the database.
        await using var other = await TestGateway.StartAsync(gateway.Database, gateway.Models);
        await other.AskAsync(TestGateway.Call(context: Cached));
        Assert.Single(server.Requests);
    }

    [Fact]
    public async Task Call_DiffersInAnythingThatMatters_AsksTheModel()
    {
        await using var gateway = await TestGateway.StartAsync();
        var server = await gateway.AddAsync("a");
        ChatCall[] calls =
        [
            TestGateway.Call(context: Cached),
            TestGateway.Call("Something else", Cached),
            TestGateway.Call(context: Cached with { Tenant = "t2" }),
            TestGateway.Call(context: Cached, options: new ChatOptions { Temperature = 0.5f }),
            TestGateway.Call(context: Cached, options: new ChatOptions { Tools = [new ToolDeclaration("t", "d", default)] }),
            TestGateway.Call(context: Cached with { Cache = CachePolicy.Refresh }),
            TestGateway.Call(context: Cached with { Cache = CachePolicy.Off }),
        ];

        foreach (var call in calls)
            await gateway.AskAsync(call);

        Assert.Equal(calls.Length, server.Requests.Count);
    }

    [Fact]
    public async Task Embed_SomeTextsAreKnown_OnlyTheOthersAreSent()
    {
        await using var gateway = await TestGateway.StartAsync();
        var server = await gateway.AddAsync("a");
        await gateway.Gateway.EmbedAsync(new EmbedCall(Cached, "e", ["one", "three"]), new CallReport(), default);

        var vectors = await gateway.Gateway.EmbedAsync(new EmbedCall(Cached, "e", ["one", "seventeen", "three"]), new CallReport(), default);

        Assert.Equal([3f, 9f, 5f], vectors.Select(v => v.Vector.Span[0]));
        Assert.Equal(["seventeen"], server.Embedded.Last());
    }

    [Fact]
    public async Task Embed_ManyCallsAtOnce_GoInFewRequestsAndEachGetsItsOwn()
    {
        await using var gateway = await TestGateway.StartAsync(options: new InferenceOptions { EmbeddingWindow = TimeSpan.FromSeconds(1), EmbeddingBatch = 8 });
        var server = await gateway.AddAsync("a");
        var first = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var normal = server.Embed;
        server.Embed = async (texts, token) =>
        {
            await first.Task;
            return await normal(texts, token);
        };
        var context = new CallContext { Tenant = TestGateway.Tenant };

        var calls = Enumerable.Range(1, 17).Select(i => gateway.Gateway.EmbedAsync(new EmbedCall(context, "e", [new string('x', i)]), new CallReport(), default)).ToArray();
        // One goes at once; the others come meanwhile, and each full batch goes too.
        while (server.Embedded.Count < 3)
            await Task.Yield();
        first.SetResult();
        var vectors = await Task.WhenAll(calls);

        Assert.Equal(Enumerable.Range(1, 17).Select(i => (float)i), vectors.Select(v => v[0].Vector.Span[0]));
        Assert.Equal(3, server.Embedded.Count);
        gateway.AssertIdle();
    }

    [Fact]
    public async Task Call_SeveralChoices_EachIsACallAndUsageIsSummed()
    {
        await using var gateway = await TestGateway.StartAsync();
        var server = await gateway.AddAsync("a", slots: 2);
        var options = new ChatOptions { AdditionalProperties = new() { ["n"] = System.Text.Json.JsonElement.Parse("3") } };
        var report = new CallReport();

        var answer = await gateway.AskAsync(TestGateway.Call(options: options), report);

        Assert.Equal(3, answer.Messages.Count);
        Assert.All(answer.Messages, m => Assert.Equal("Hello from a", m.Text));
        Assert.Equal(9, answer.Usage!.OutputTokenCount);
        Assert.Equal(9, report.OutputTokens);
        Assert.Equal(3, server.Requests.Count);
    }

    [Fact]
    public async Task Call_CouldCostMoreThanItMay_IsRefusedBeforeAnybodyIsAsked()
    {
        await using var gateway = await TestGateway.StartAsync();
        var server = await gateway.AddAsync("a");
        var context = new CallContext { Tenant = TestGateway.Tenant, MaxCost = 0.000001m };

        var failure = await gateway.FailAsync(TestGateway.Call(context: context));

        Assert.Equal((InferenceFailure.BudgetExhausted, "inference.too_dear"), (failure.Failure, failure.Code));
        Assert.Empty(server.Requests);
    }

    [Fact]
    public async Task Calls_BudgetIsForSome_OthersAreRefusedAndNothingIsOverspent()
    {
        await using var gateway = await TestGateway.StartAsync();
        var server = await gateway.AddAsync("a");
        await gateway.Budgets.PutAsync(new Budget { Tenant = TestGateway.Tenant, Name = "b", Scope = BudgetScope.Tenant, Period = BudgetPeriod.Day, Tokens = 300 }, "test", default);
        var options = new ChatOptions { MaxOutputTokens = 50 };

        var outcomes = await Task.WhenAll(Enumerable.Range(0, 40).Select(async _ =>
        {
            try
            {
                await gateway.AskAsync(TestGateway.Call(options: options));
                return true;
            }
            catch (InferenceException exception)
            {
                Assert.Equal(InferenceFailure.BudgetExhausted, exception.Failure);
                return false;
            }
        }));

        Assert.Contains(true, outcomes);
        Assert.Contains(false, outcomes);
        Assert.Equal(outcomes.Count(o => o), server.Requests.Count);
        Assert.True(server.Requests.Count * 13 <= 300);
    }
}

using Conclave.Inference;
using Conclave.Inference.Gateway;
using Conclave.Inference.Pool;
using Conclave.Inference.Routing;
using Microsoft.Extensions.Logging.Abstractions;
using static Conclave.Tests.Inference.Routing.RouterFixture;

namespace Conclave.Tests.Inference.Routing;

public sealed class AliasTests
{
    private static ModelAlias Alias(string name, params RoutingRule[] rules) => new() { Name = name, Rules = rules };

    private static RoutingRule Rule(string name, params string[] models) => new() { Name = name, Targets = [.. models.Select(m => new RuleTier { Models = [m] })] };

    private static async Task SaveAsync(RouterFixture test, ModelAlias alias) => Assert.NotNull(await test.Aliases.SaveAsync("default", alias, 0, "ann", default));

    [Fact]
    public async Task Plan_Conditions_TheFirstRuleThatFitsDecides()
    {
        await using var test = await NewAsync(House("gpu1", Model("small"), Model("large"), Model("agent")));
        await SaveAsync(test, Alias(
            "mine",
            Rule("agents", "agent") with { When = new RuleConditions { Agents = ["a1"] } },
            Rule("easy", "small") with { When = new RuleConditions { MaxComplexity = 0.3 } },
            Rule("hard", "large")));

        Assert.Equal(["0:gpu1/agent"], test.Route(Call("mine", context: Context with { AgentId = "a1" })));
        var easy = test.Router.Plan(Call("mine", "Hi"));
        Assert.Equal(["0:gpu1/small"], Show(easy));
        Assert.Equal("easy", easy.Decision.Rule);
        Assert.InRange(easy.Decision.Complexity!.Value, 0, 0.3);
        var hard = test.Router.Plan(Call("mine", "Prove step by step why this works, compare the design, explain trade-offs:\n```\nint x;\n```\n" + new string('a', 8_000)));
        Assert.Equal(["0:gpu1/large"], Show(hard));
        Assert.Contains(hard.Decision.Reasons, r => r.StartsWith("The complexity is 0.", StringComparison.Ordinal) && r.Contains("for reasoning (", StringComparison.Ordinal));
        Assert.Contains(hard.Decision.Reasons, r => r.StartsWith("The rule 'easy' was passed over: it is for complexities below 0.3", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Plan_TiersPricesAndFallThrough_FollowTheRule()
    {
        await using var test = await NewAsync(House("gpu1", Model("small")), Cloud("cheap", 2, "big"), Cloud("dear", 50, "big"));
        await SaveAsync(test, Alias(
            "mine",
            Rule("gone", "no-such-*"),
            Rule("main", "small", "big") with { MaxOutputPrice = 10, Targets = [new RuleTier { Models = ["small"], MaxWaitSeconds = 2 }, new RuleTier { Models = ["b*"] }] }));

        var plan = test.Router.Plan(Call("mine"));
        Assert.Equal(["0:gpu1/small", "1:cheap/big"], Show(plan));
        Assert.Equal([TimeSpan.FromSeconds(2), null], plan.Candidates.Select(c => c.MaxWait));
        Assert.Contains(plan.Decision.Reasons, r => r == "dear/big was left out: a million tokens written cost 50, and the rule allows 10.");
        Assert.Contains(plan.Decision.Reasons, r => r == "The rule 'gone' fits, but there is none of its models.");
        Assert.Equal(["0:gpu1/small"], test.Route(Call("mine", context: Context with { DataPolicy = DataPolicy.LocalOnly })));
    }

    [Fact]
    public async Task Plan_NoRuleFits_SaysWhy()
    {
        await using var test = await NewAsync(House("gpu1", Model("small")));
        await SaveAsync(test, Alias("mine", Rule("others", "small") with { When = new RuleConditions { Tenants = ["x"] } }));
        var exception = Assert.Throws<InferenceException>(() => test.Router.Plan(Call("mine")));
        Assert.Equal("inference.no_rule", exception.Code);
        Assert.Contains("it is for other tenants", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Plan_Sequential_ModelsTakeTurns()
    {
        await using var test = await NewAsync(House("gpu1", Model("a"), Model("b"), Model("c")));
        await SaveAsync(test, Alias("turns", Rule("all", "c", "a", "b") with { Strategy = RoutingStrategy.Sequential }));
        var firsts = Enumerable.Range(0, 6).Select(_ => test.Route(Call("turns"))[0]);
        Assert.Equal(["0:gpu1/c", "0:gpu1/a", "0:gpu1/b", "0:gpu1/c", "0:gpu1/a", "0:gpu1/b"], firsts);
        Assert.Equal(3, test.Router.Plan(Call("turns")).Candidates.Select(c => c.Tier).Distinct().Count());
    }

    [Fact]
    public async Task Plan_Smart_LearnsFromRatingsOfSimilarCalls()
    {
        await using var test = await NewAsync(Cloud("cheap", 1, "small"), Cloud("dear", 30, "big"));
        await SaveAsync(test, Alias("best", Rule("all", "*") with { Strategy = RoutingStrategy.Smart }));
        // Nothing is known: the cheap one.
        Assert.Equal("0:cheap/small", test.Route(Call("best", "Translate this poem into French"))[0]);

        for (var i = 0; i < 5; i++)
        {
            await RateAsync(test, $"p{i}", "small", 0.1, $"Prove the theorem about prime numbers {i}");
            await RateAsync(test, $"q{i}", "big", 0.95, $"Prove the theorem about prime numbers {i}");
            await RateAsync(test, $"t{i}", "small", 0.9, $"Translate poem {i} into French");
        }

        await test.Rated.LoadAsync(default);
        var proof = test.Router.Plan(Call("best", "Prove the theorem about prime numbers 7"));
        Assert.Equal("0:dear/big", Show(proof)[0]);
        Assert.Contains(proof.Decision.Reasons, r => r.StartsWith("big would probably reach a quality of 0.9", StringComparison.Ordinal));
        Assert.Equal("0:cheap/small", test.Route(Call("best", "Translate this poem into French"))[0]);
    }

    [Fact]
    public async Task RateAsync_CallInTheLog_CountsForWhatItWasAbout()
    {
        await using var test = await NewAsync(House("gpu1", Model("m")));
        await using var log = new CallLog(test.Database, NullLogger<CallLog>.Instance);
        var plan = test.Router.Plan(Call("m", "Prove the theorem"));
        log.Add(new CallRecord
        {
            Id = "c1",
            Context = Context,
            Operation = "chat",
            Requested = "m",
            Model = "m",
            Outcome = CallPhase.Completed,
            CreatedAt = DateTimeOffset.UtcNow,
            EndedAt = DateTimeOffset.UtcNow,
            Slices = [],
            OutputTokens = 7,
            Decision = plan.Decision,
        });
        await log.FlushAsync(default);

        Assert.True(await test.Rated.RateAsync("default", "c1", 0.3, "ann", default));
        Assert.True(await test.Rated.RateAsync("default", "c1", 0.8, "ann", default));
        Assert.False(await test.Rated.RateAsync("default", "c2", 1, "ann", default));
        Assert.False(await test.Rated.RateAsync("other", "c1", 1, "ann", default));

        var rated = Assert.Single(test.Rated.Of("default"));
        Assert.Equal(("m", 0.8, 7), (rated.Model, rated.Rating, rated.OutputTokens));
        Assert.Equal(TextFeatures.Of("Prove the theorem"), rated.Features);
    }

    [Fact]
    public async Task SaveAsync_Versions_RefuseLostUpdatesAndKeepHistory()
    {
        await using var test = await NewAsync(House("gpu1", Model("a"), Model("b")));
        var first = await test.Aliases.SaveAsync("default", Alias("fast", Rule("r", "b")), 0, "ann", default);
        Assert.Equal(1, first!.Version);
        Assert.Equal(["0:gpu1/b"], test.Route(Call("fast")));
        Assert.Null(await test.Aliases.SaveAsync("default", Alias("fast", Rule("r", "a")), 0, "bob", default));
        Assert.Equal(2, (await test.Aliases.SaveAsync("default", Alias("fast", Rule("r", "a")), 1, "bob", default))!.Version);
        Assert.False(await test.Aliases.DeleteAsync("default", "fast", 1, "ann", default));
        Assert.True(await test.Aliases.DeleteAsync("default", "fast", 2, "ann", default));

        // The default counts again.
        Assert.Equal(["0:gpu1/a", "0:gpu1/b"], test.Route(Call("fast")).Order());
        Assert.Equal([(3, "ann"), (2, "bob"), (1, "ann")], (await test.Aliases.HistoryAsync("default", "fast", default)).Select(v => (v.Version, v.CreatedBy)));
        Assert.Equal(4, (await test.Aliases.SaveAsync("default", Alias("fast", Rule("r", "a")), 0, "ann", default))!.Version);
    }

    [Fact]
    public async Task SaveAsync_Nonsense_NamesEveryProblemAndChangesNothing()
    {
        await using var test = await NewAsync(House("gpu1", Model("a")));
        var alias = Alias("bad name", Rule("r") with { QualityTolerance = 2 }, Rule("r", "a") with { When = new RuleConditions { MinComplexity = 0.9, MaxComplexity = 0.1 } });
        var exception = await Assert.ThrowsAsync<PoolException>(() => test.Aliases.SaveAsync("default", alias, null, "ann", default));
        foreach (var part in (string[])["'name'", "rules[0].targets", "qualityTolerance", "there twice", "no call would fit"])
            Assert.Contains(part, exception.Message, StringComparison.Ordinal);
        Assert.Null(test.Aliases.FindStored("default", "bad name"));
    }

    private static Task RateAsync(RouterFixture test, string id, string model, double rating, string text) =>
        test.Rated.StoreAsync("default", id, model, rating, 300, [.. TextFeatures.Of(text).Select(f => (byte)f)], "ann", default);
}

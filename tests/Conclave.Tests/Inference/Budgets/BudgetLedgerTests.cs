using Conclave.Inference;
using Conclave.Inference.Budgets;
using Conclave.Tests.Runtime.Postgres;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;

namespace Conclave.Tests.Inference.Budgets;

public sealed class BudgetLedgerTests : IAsyncLifetime
{
    private static readonly CallContext Agent = new() { Tenant = "t", AgentId = "a", InstanceId = "run-1", ApiKeyId = "key" };
    private readonly ManualTime _time = new(new DateTimeOffset(2026, 11, 25, 22, 0, 0, TimeSpan.Zero));
    private TestDatabase _database = null!;
    private BudgetLedger _ledger = null!;

    public async Task InitializeAsync()
    {
        _database = await PostgresServer.NewDatabaseAsync();
        _ledger = NewLedger();
    }

    public async Task DisposeAsync()
    {
        await _ledger.DisposeAsync();
        await _database.DisposeAsync();
    }

    [Fact]
    public async Task Reserve_ThousandCallsOnABudgetForAHundredThroughTwoLedgers_OverspendsNothing()
    {
        await using var other = NewLedger();
        await PutAsync("hundred", BudgetScope.Tenant, "", tokens: 1_000);
        await PutAsync("agents", BudgetScope.Agent, Budget.Each, tokens: 1_000_000);

        var outcomes = await Task.WhenAll(Enumerable.Range(0, 1_000).Select(i => Task.Run(async () =>
        {
            var context = Agent with { AgentId = $"a{i % 7}" };
            try
            {
                var reservation = await (i % 2 == 0 ? _ledger : other).ReserveAsync(context, new BudgetAmount(0, 10), default);
                await reservation!.SettleAsync(new BudgetAmount(0, 10));
                return 1;
            }
            catch (InferenceException exception) when (exception.Code == "inference.budget_exhausted")
            {
                return 0;
            }
        })));

        Assert.Equal(100, outcomes.Sum());
        var use = Assert.Single((await ReportAsync("hundred")).Uses);
        Assert.Equal((1_000L, 0L, 100L), (use.Spent.Tokens, use.Reserved.Tokens, use.Calls));
        Assert.Equal(1_000, (await ReportAsync("agents")).Uses.Sum(u => u.Spent.Tokens));
        Assert.Equal(0L, await _database.QueryAsync<long>("select count(*) from conclave.inference_reservation"));
    }

    [Fact]
    public async Task Reserve_NoBudgetApplies_TouchesNoDatabase()
    {
        await PutAsync("others", BudgetScope.Agent, "somebody-else", tokens: 1);
        var gone = NpgsqlDataSource.Create(_database.ConnectionString);
        await using var ledger = new BudgetLedger(gone, _time, NullLogger<BudgetLedger>.Instance);
        Assert.Null(await ledger.ReserveAsync(Agent, new BudgetAmount(1, 1), default));
        await gone.DisposeAsync();

        Assert.Null(await ledger.ReserveAsync(Agent, new BudgetAmount(1, 1), default));
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await ledger.ReserveAsync(Agent with { AgentId = "somebody-else" }, new BudgetAmount(1, 1), default));
    }

    [Fact]
    public async Task Reserve_OneOfSeveralBudgetsDoesNotSuffice_ReservesOnNoneAndSaysWhichAndWhenItResets()
    {
        await PutAsync("tenant", BudgetScope.Tenant, "", money: 100);
        await PutAsync("agent-day", BudgetScope.Agent, "a", money: 5, tokens: 10_000);
        await PutAsync("run", BudgetScope.Instance, Budget.Each, BudgetPeriod.Run, money: 50);
        await PutAsync("key", BudgetScope.ApiKey, "key", BudgetPeriod.Month, money: 70);
        var first = await _ledger.ReserveAsync(Agent, new BudgetAmount(3, 100), default);
        await first!.SettleAsync(new BudgetAmount(2.5m, 80));
        await using var second = await _ledger.ReserveAsync(Agent, new BudgetAmount(2, 100), default);

        var refused = await Assert.ThrowsAsync<InferenceException>(async () => await _ledger.ReserveAsync(Agent, new BudgetAmount(1, 100), default));

        Assert.Equal(InferenceFailure.BudgetExhausted, refused.Failure);
        Assert.Contains("'agent-day' of agent 'a'", refused.Message, StringComparison.Ordinal);
        Assert.Contains("of 5.00, 2.50 are spent and 2.00 reserved", refused.Message, StringComparison.Ordinal);
        Assert.Contains("2026-11-26T00:00:00Z", refused.Message, StringComparison.Ordinal);
        Assert.Equal(TimeSpan.FromHours(2), refused.RetryAfter);
        foreach (var name in new[] { "tenant", "agent-day", "run", "key" })
        {
            var use = Assert.Single((await ReportAsync(name)).Uses);
            Assert.Equal((2.5m, 2m), (use.Spent.Money, use.Reserved.Money));
        }

        // What is free of charge passes budgets of money that are used up.
        await using var free = await _ledger.ReserveAsync(Agent, new BudgetAmount(0, 100), default);
        Assert.NotNull(free);
    }

    [Fact]
    public async Task Reserve_NextDay_StartsAnew()
    {
        await PutAsync("day", BudgetScope.Tenant, "", tokens: 100);
        await using var late = await _ledger.ReserveAsync(Agent, new BudgetAmount(0, 100), default);
        await Assert.ThrowsAsync<InferenceException>(async () => await _ledger.ReserveAsync(Agent, new BudgetAmount(0, 1), default));

        _time.Advance(TimeSpan.FromHours(2));
        await _ledger.RenewAsync(default);
        await using var next = await _ledger.ReserveAsync(Agent, new BudgetAmount(0, 60), default);
        await late!.SettleAsync(new BudgetAmount(0, 90));

        var uses = (await _ledger.GetUsesAsync("t", "day", null, null, 10, default))!;
        Assert.Equal([(60L, 0L), (0L, 90L)], uses.Select(u => (u.Reserved.Tokens, u.Spent.Tokens)));
        Assert.Equal(new DateTimeOffset(2026, 11, 26, 0, 0, 0, TimeSpan.Zero), uses[0].Starts);
    }

    [Fact]
    public async Task Hold_CallsDrawOnIt_RefusedWhenItIsUsedUpAndTheRestIsGivenBack()
    {
        await PutAsync("tenant", BudgetScope.Tenant, "", tokens: 1_000);
        await PutAsync("helper", BudgetScope.Agent, "helper", tokens: 50);
        var run = await _ledger.HoldAsync(Agent, new BudgetAmount(0, 300), TimeSpan.FromHours(1), default);
        var within = Agent with { Reservation = run };
        // 700 are left for others, none of which the run's calls take.
        await using var rest = await _ledger.ReserveAsync(Agent, new BudgetAmount(0, 700), default);

        var one = await _ledger.ReserveAsync(within, new BudgetAmount(0, 200), default);
        var refused = await Assert.ThrowsAsync<InferenceException>(async () => await _ledger.ReserveAsync(within, new BudgetAmount(0, 101), default));
        Assert.Contains("100 tokens left", refused.Message, StringComparison.Ordinal);
        await one!.SettleAsync(new BudgetAmount(0, 20));
        // A budget that the run's reservation does not cover is asked by itself.
        var helper = within with { AgentId = "helper" };
        await Assert.ThrowsAsync<InferenceException>(async () => await _ledger.ReserveAsync(helper, new BudgetAmount(0, 51), default));
        var two = await _ledger.ReserveAsync(helper, new BudgetAmount(0, 50), default);
        Assert.Equal(50, Assert.Single((await ReportAsync("helper")).Uses).Reserved.Tokens);

        Assert.True(await _ledger.ReleaseAsync(run, default));
        Assert.Equal((20L, 750L), await TenantUseAsync());
        await two!.SettleAsync(new BudgetAmount(0, 30));

        Assert.Equal((50L, 700L), await TenantUseAsync());
        Assert.Equal(30, Assert.Single((await ReportAsync("helper")).Uses).Spent.Tokens);
        Assert.Equal("inference.reservation_gone", (await Assert.ThrowsAsync<InferenceException>(async () => await _ledger.ReserveAsync(within, new BudgetAmount(0, 1), default))).Code);
    }

    [Fact]
    public async Task Hold_Nested_CountsEachCallOnceOnEveryBudget()
    {
        await PutAsync("tenant", BudgetScope.Tenant, "", tokens: 1_000);
        var run = await _ledger.HoldAsync(Agent, new BudgetAmount(0, 500), TimeSpan.FromHours(1), default);
        var child = await _ledger.HoldAsync(Agent with { Reservation = run }, new BudgetAmount(0, 200), TimeSpan.FromHours(1), default);
        await Assert.ThrowsAsync<InferenceException>(() => _ledger.HoldAsync(Agent with { Reservation = run }, new BudgetAmount(0, 301), TimeSpan.FromHours(1), default));

        var call = await _ledger.ReserveAsync(Agent with { Reservation = child }, new BudgetAmount(0, 150), default);
        await _ledger.ReleaseAsync(child, default);
        Assert.Equal((0L, 500L), await TenantUseAsync());
        // More than was set aside counts too.
        await call!.SettleAsync(new BudgetAmount(0, 160));
        Assert.Equal((160L, 340L), await TenantUseAsync());
        await using var wide = await _ledger.ReserveAsync(Agent with { Reservation = run }, new BudgetAmount(0, 340), default);
        await _ledger.ReleaseAsync(run, default);
        Assert.Equal((160L, 340L), await TenantUseAsync());
        await wide!.SettleAsync(default);

        Assert.Equal((160L, 0L), await TenantUseAsync());
    }

    [Fact]
    public async Task Settle_HeldCallsEndAndAreReleasedAtOnce_NothingIsLeftReserved()
    {
        await PutAsync("tenant", BudgetScope.Tenant, "", tokens: 1_000_000);
        await PutAsync("runs", BudgetScope.Instance, Budget.Each, BudgetPeriod.Run, tokens: 1_000_000);
        await using var other = NewLedger();

        await Task.WhenAll(Enumerable.Range(0, 20).Select(i => Task.Run(async () =>
        {
            var context = Agent with { InstanceId = $"run-{i % 5}" };
            var run = await _ledger.HoldAsync(context, new BudgetAmount(0, 1_000), TimeSpan.FromHours(1), default);
            var child = await other.HoldAsync(context with { Reservation = run }, new BudgetAmount(0, 500), TimeSpan.FromHours(1), default);
            var calls = await Task.WhenAll(Enumerable.Range(0, 10).Select(c =>
                (c % 2 == 0 ? _ledger : other).ReserveAsync(context with { Reservation = c < 5 ? run : child }, new BudgetAmount(0, 50), default).AsTask()));
            await Task.WhenAll(calls.Select(c => c!.SettleAsync(new BudgetAmount(0, 7)))
                .Append(_ledger.ReleaseAsync(run, default)).Append(other.ReleaseAsync(child, default)));
        })));

        Assert.Equal((1_400L, 0L), await TenantUseAsync());
        Assert.All((await ReportAsync("runs")).Uses, u => Assert.Equal((280L, 0L), (u.Spent.Tokens, u.Reserved.Tokens)));
        Assert.Equal(0L, await _database.QueryAsync<long>("select count(*) from conclave.inference_reservation"));
    }

    [Fact]
    public async Task Reserve_ProcessDied_ItsCallsCountWholeAndItsRunsAreGivenBack()
    {
        await PutAsync("tenant", BudgetScope.Tenant, "", tokens: 1_000);
        var dying = NewLedger();
        var run = await dying.HoldAsync(Agent, new BudgetAmount(0, 600), BudgetLedger.Lease, default);
        await dying.ReserveAsync(Agent with { Reservation = run }, new BudgetAmount(0, 100), default);
        await using var living = await _ledger.ReserveAsync(Agent, new BudgetAmount(0, 300), default);
        await dying.DisposeAsync();

        _time.Advance(BudgetLedger.Lease / 2);
        await _ledger.RenewAsync(default);
        await Assert.ThrowsAsync<InferenceException>(async () => await _ledger.ReserveAsync(Agent, new BudgetAmount(0, 200), default));
        _time.Advance(BudgetLedger.Lease / 2);
        // Nobody has looked since: who needs the room does.
        await using var next = await _ledger.ReserveAsync(Agent, new BudgetAmount(0, 600), default);

        Assert.Equal((100L, 900L), await TenantUseAsync());
    }

    [Fact]
    public async Task Dispose_NotSettled_GivesEverythingBack()
    {
        await PutAsync("tenant", BudgetScope.Tenant, "", tokens: 1_000);
        await using (await _ledger.ReserveAsync(Agent, new BudgetAmount(0, 1_000), default))
            Assert.Equal((0L, 1_000L), await TenantUseAsync());

        Assert.Equal((0L, 0L), await TenantUseAsync());
    }

    [Fact]
    public async Task Put_ByAnotherProcess_IsKnownAfterTheNextLook()
    {
        Assert.Null(await _ledger.ReserveAsync(Agent, new BudgetAmount(0, 10), default));
        await using var other = NewLedger();
        await other.PutAsync(new Budget { Tenant = "t", Name = "new", Scope = BudgetScope.Agent, Subject = Budget.Each, Period = BudgetPeriod.Day, Tokens = 5 }, "test", default);

        await _ledger.LookAsync(default);

        await Assert.ThrowsAsync<InferenceException>(async () => await _ledger.ReserveAsync(Agent, new BudgetAmount(0, 10), default));
        // Its own budget replaces the one for each.
        await PutAsync("own", BudgetScope.Agent, "a", tokens: 50);
        await using var more = await _ledger.ReserveAsync(Agent, new BudgetAmount(0, 10), default);
        Assert.NotNull(more);
        Assert.True(await other.DeleteAsync("t", "own", default));
        Assert.False(await other.DeleteAsync("t", "own", default));
        await _ledger.LookAsync(default);
        await Assert.ThrowsAsync<InferenceException>(async () => await _ledger.ReserveAsync(Agent, new BudgetAmount(0, 10), default));
        Assert.Null(await _ledger.ReserveAsync(Agent with { Tenant = "other" }, new BudgetAmount(0, 10), default));
    }

    [Theory]
    [InlineData("", "a", 1)]
    [InlineData("with space", "a", 1)]
    [InlineData("ok", "", 1)]
    [InlineData("ok", "a", -1)]
    [InlineData("ok", "a", null)]
    public async Task Put_Wrong_ChangesNothing(string name, string subject, int? tokens)
    {
        var budget = new Budget { Tenant = "t", Name = name, Scope = BudgetScope.Agent, Subject = subject, Period = BudgetPeriod.Day, Tokens = tokens };

        var refused = await Assert.ThrowsAsync<InferenceException>(() => _ledger.PutAsync(budget, "test", default));

        Assert.Equal((InferenceFailure.BadRequest, "inference.budget_invalid"), (refused.Failure, refused.Code));
        Assert.Empty(await _ledger.ListAsync("t", null, default));
    }

    private BudgetLedger NewLedger() => new(_database, _time, NullLogger<BudgetLedger>.Instance);

    private Task<bool> PutAsync(string name, BudgetScope scope, string subject, BudgetPeriod period = BudgetPeriod.Day, decimal? money = null, long? tokens = null) =>
        _ledger.PutAsync(new Budget { Tenant = "t", Name = name, Scope = scope, Subject = subject, Period = period, Money = money, Tokens = tokens }, "test", default);

    private async Task<BudgetReport> ReportAsync(string name) => Assert.Single(await _ledger.ListAsync("t", name, default));

    private async Task<(long Spent, long Reserved)> TenantUseAsync()
    {
        var use = Assert.Single((await ReportAsync("tenant")).Uses);
        return (use.Spent.Tokens, use.Reserved.Tokens);
    }
}

using Conclave.Agents.Approvals;
using static Conclave.Tests.Agents.Approvals.ApprovalHost;

namespace Conclave.Tests.Agents.Approvals;

public sealed class DecideTests : IAsyncLifetime
{
    private ApprovalHost _host = null!;

    public async Task InitializeAsync() => _host = await ApprovalHost.StartAsync();

    public Task DisposeAsync() => _host.DisposeAsync().AsTask();

    [Fact]
    public async Task Quorum_OfTwoAndManyAtOnce_TakesOneVoteOfEachPersonAndEndsOnce()
    {
        var instance = await _host.StartAsync(Ask(more: """ "quorum": 2, """));
        var approval = await _host.PendingOneAsync(instance);

        var answers = await Task.WhenAll(Enumerable.Range(0, 12).Select(async n =>
        {
            try
            {
                await _host.SayAsync(approval, n % 2 == 0 ? Ann : Bob);
                return "";
            }
            catch (ApprovalException exception)
            {
                return exception.Code;
            }
        }));

        Assert.Equal(2, answers.Count(a => a.Length == 0));
        Assert.All(answers.Where(a => a.Length > 0), a => Assert.True(a is ApprovalCodes.AlreadyVoted or ApprovalCodes.AlreadyDecided, a));
        Assert.Equal("Approved", await _host.ResultAsync(instance, "Decision"));
        var votes = (await _host.Store.FindAsync(Tenant, approval.Id, default))!.Votes;
        Assert.Equal(["ann", "bob"], votes.Select(v => v.Person.Name).Order());
        Assert.Equal(1, (await _host.KindsAsync(approval.Id)).Count(k => k == "approved"));
    }

    [Fact]
    public async Task Quorum_SamePersonTwice_CountsOnce()
    {
        var approval = await _host.PendingOneAsync(await _host.StartAsync(Ask(more: """ "quorum": 2, """)));
        await _host.SayAsync(approval, Ann);

        await RefusedAsync(ApprovalCodes.AlreadyVoted, () => _host.SayAsync(approval, Ann));
        await RefusedAsync(ApprovalCodes.AlreadyVoted, () => _host.SayAsync(approval, Ann, ApprovalVerdict.Reject));

        Assert.Equal(ApprovalStatus.Pending, (await _host.Store.FindAsync(Tenant, approval.Id, default))!.Status);
    }

    [Fact]
    public async Task Quorum_SomebodyEdits_TheFirstOneHasToAgreeAgain()
    {
        var approval = await _host.PendingOneAsync(await _host.StartAsync(Ask(more: """ "quorum": 2, """)));
        await _host.SayAsync(approval, Ann);
        var edited = await _host.SayAsync(approval, Bob, arguments: """{"amount":10,"order":"A-7"}""");
        Assert.Equal(ApprovalStatus.Pending, edited.Status);

        await RefusedAsync(ApprovalCodes.ActionChanged, () => _host.SayAsync(approval, Ann));
        var decided = await _host.SayAsync(edited, Ann);

        Assert.Equal((ApprovalStatus.Approved, edited.CurrentHash), (decided.Status, decided.CurrentHash));
    }

    [Theory]
    [InlineData(true, ApprovalStatus.Rejected)]
    [InlineData(false, ApprovalStatus.Pending)]
    public async Task Refusal_OneOfAQuorumOfTwo_EndsItOnlyWhenItIsFinal(bool isFinal, ApprovalStatus expected)
    {
        var approval = await _host.PendingOneAsync(await _host.StartAsync(Ask(more: $$""" "quorum": 2, "denialIsFinal": {{(isFinal ? "true" : "false")}}, """)));

        var said = await _host.SayAsync(approval, Ann, ApprovalVerdict.Reject);

        Assert.Equal(expected, said.Status);
        if (!isFinal)
            Assert.Equal(ApprovalStatus.Rejected, (await _host.SayAsync(approval, Bob, ApprovalVerdict.Reject)).Status);
    }

    [Fact]
    public async Task OwnRequest_OfWhomItIsAskedFor_IsRefused()
    {
        var approval = await _host.PendingOneAsync(await _host.StartAsync(Ask(more: """ "onBehalfOf": "Ann", """)));
        Assert.Equal(Ann.Id, approval.RequesterId);

        await RefusedAsync(ApprovalCodes.OwnRequest, () => _host.SayAsync(approval, Ann));

        Assert.Equal(0, await _host.Store.CountAsync(Tenant, Ann.Id, default));
        Assert.Equal(1, await _host.Store.CountAsync(Tenant, Bob.Id, default));
        await _host.SayAsync(approval, Bob);
    }

    [Fact]
    public async Task OwnRequest_WhereItIsAllowed_IsTaken()
    {
        var approval = await _host.PendingOneAsync(await _host.StartAsync(Ask(more: """ "onBehalfOf": "ann", "allowSelf": true, """)));

        Assert.Equal(ApprovalStatus.Approved, (await _host.SayAsync(approval, Ann)).Status);
    }

    [Fact]
    public async Task Decide_WhoMayNot_IsRefused()
    {
        var approval = await _host.PendingOneAsync(await _host.StartAsync(Ask(more: $$""" "assignees": {{Wrapped("""["ann"]""")}}, """)));

        await RefusedAsync(ApprovalCodes.NotAssigned, () => _host.SayAsync(approval, Bob));
        await RefusedAsync(ApprovalCodes.NotAllowed, () => _host.SayAsync(approval, Vera));
        await RefusedAsync(ApprovalCodes.NotAllowed, () => _host.SayAsync(approval, new Person("nobody", "nobody")));
        await _host.AddAccountAsync("other", new Person("id-eve", "eve"), "administrator");
        await RefusedAsync(ApprovalCodes.NotAllowed, () => _host.SayAsync(approval, new Person("id-eve", "eve")));
        await RefusedAsync(ApprovalCodes.NotFound, () => _host.Store.DecideAsync("other", approval.Id, new Person("id-eve", "eve"), Decision(approval), default));
        await _host.Database.ExecuteAsync("update conclave.account set is_locked = true where id = 'id-ann'");
        await RefusedAsync(ApprovalCodes.NotAllowed, () => _host.SayAsync(approval, Ann));

        Assert.Equal(["requested"], await _host.KindsAsync(approval.Id));
    }

    [Fact]
    public async Task Decide_NamesNobodyHas_NobodyIsAsked()
    {
        var approval = await _host.PendingOneAsync(await _host.StartAsync(Ask(more: $$""" "assignees": {{Wrapped("""["zoe"]""")}}, """)));

        await RefusedAsync(ApprovalCodes.NotAssigned, () => _host.SayAsync(approval, Ann));

        Assert.Contains("zoe", (await _host.Store.HistoryAsync(Tenant, approval.Id, default))![0].Data.GetRawText(), StringComparison.Ordinal);
        await _host.Store.ReassignAsync(Tenant, approval.Id, Cleo, ["ann"], [], "Zoe has left.", default);
        await _host.SayAsync(approval, Ann);
    }

    [Fact]
    public async Task Decide_AnActionThatThePersonDidNotSee_IsRefused()
    {
        var approval = await _host.PendingOneAsync(await _host.StartAsync(Ask()));

        await RefusedAsync(ApprovalCodes.ActionChanged, () => _host.Store.DecideAsync(Tenant, approval.Id, Ann, new ApprovalDecision(ApprovalVerdict.Approve), default));
        await RefusedAsync(ApprovalCodes.ActionChanged, () => _host.Store.DecideAsync(Tenant, approval.Id, Ann, new ApprovalDecision(ApprovalVerdict.Approve) { ActionHash = new string('0', 64) }, default));
    }

    [Fact]
    public async Task Decide_EditWhereItIsNotAllowed_IsRefused()
    {
        var approval = await _host.PendingOneAsync(await _host.StartAsync(Ask(more: """ "editable": false, """)));

        await RefusedAsync(ApprovalCodes.NotEditable, () => _host.SayAsync(approval, Ann, arguments: """{"amount":1}"""));
        await RefusedAsync(ApprovalCodes.BadDecision, () => _host.SayAsync(approval, Ann, ApprovalVerdict.Reject, arguments: """{"amount":120,"order":"A-7"}"""));
        await _host.SayAsync(approval, Ann, arguments: """{"order":"A-7","amount":120}""");
    }

    [Fact]
    public async Task Decide_SameKeyAgain_IsTheSameDecision()
    {
        var approval = await _host.PendingOneAsync(await _host.StartAsync(Ask()));
        var decision = Decision(approval) with { IdempotencyKey = "k1" };

        var first = await _host.Store.DecideAsync(Tenant, approval.Id, Ann, decision, default);
        var again = await _host.Store.DecideAsync(Tenant, approval.Id, Ann, decision, default);

        Assert.Equal(first.DecidedAt, again.DecidedAt);
        Assert.Single(again.Votes);
        await RefusedAsync(ApprovalCodes.AlreadyDecided, () => _host.SayAsync(approval, Bob));
    }

    [Fact]
    public async Task Votes_AreNeverChanged()
    {
        var approval = await _host.PendingOneAsync(await _host.StartAsync(Ask()));
        await _host.SayAsync(approval, Ann);

        var refused = await Assert.ThrowsAsync<Npgsql.PostgresException>(() => _host.Database.ExecuteAsync("update conclave.approval_decision set decision = 'reject'"));

        Assert.Contains("never changed", refused.MessageText, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Delegate_ToSomebodyElse_TheyDecideInstead()
    {
        var instance = await _host.StartAsync(Ask(more: $$""" "assignees": {{Wrapped("""["ann"]""")}}, "onBehalfOf": "cleo", """));
        var approval = await _host.PendingOneAsync(instance);
        await RefusedAsync(ApprovalCodes.NotAssigned, () => _host.Store.DelegateAsync(Tenant, approval.Id, Bob, "bob", null, default));
        await RefusedAsync(ApprovalCodes.UnknownPerson, () => _host.Store.DelegateAsync(Tenant, approval.Id, Ann, "vera", null, default));
        await RefusedAsync(ApprovalCodes.OwnRequest, () => _host.Store.DelegateAsync(Tenant, approval.Id, Ann, "cleo", null, default));

        await _host.Store.DelegateAsync(Tenant, approval.Id, Ann, "Bob", "I am away.", default);

        await RefusedAsync(ApprovalCodes.NotAssigned, () => _host.SayAsync(approval, Ann));
        await _host.SayAsync(approval, Bob);
        Assert.Equal("Approved", await _host.ResultAsync(instance, "Decision"));
        Assert.Equal(["requested", "delegated", "approved"], await _host.KindsAsync(approval.Id));
    }

    [Fact]
    public async Task List_ShowsEveryoneWhatWaitsForThem_AndNothingOfOtherTenants()
    {
        var forAnn = await _host.PendingOneAsync(await _host.StartAsync(Ask(more: $$""" "assignees": {{Wrapped("""["ann"]""")}}, """)));
        var forAdministrators = await _host.PendingOneAsync(await _host.StartAsync(Ask(more: $$""" "groups": {{Wrapped("""["administrator"]""")}}, """)));
        var forAll = await _host.PendingOneAsync(await _host.StartAsync(Ask()));

        Assert.Equal([forAll.Id, forAnn.Id], await IdsAsync(Ann));
        Assert.Equal([forAll.Id, forAdministrators.Id], await IdsAsync(Cleo));
        Assert.Empty(await _host.Store.ListAsync("other", new ApprovalFilter(), null, 10, default));
        var page = await _host.Store.ListAsync(Tenant, new ApprovalFilter(), null, 2, default);
        Assert.Equal([forAll.Id, forAdministrators.Id], page.Select(a => a.Id));
        Assert.Equal([forAnn.Id], (await _host.Store.ListAsync(Tenant, new ApprovalFilter(), (page[^1].CreatedAt, page[^1].Id), 2, default)).Select(a => a.Id));

        async Task<List<string>> IdsAsync(Person person) =>
            [.. (await _host.Store.ListAsync(Tenant, new ApprovalFilter { WaitsFor = person.Id }, null, 10, default)).Select(a => a.Id)];
    }
}

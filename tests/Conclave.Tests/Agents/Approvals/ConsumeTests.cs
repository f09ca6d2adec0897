using Conclave.Agents.Actions;
using Conclave.Agents.Approvals;
using static Conclave.Tests.Agents.Approvals.ApprovalHost;

namespace Conclave.Tests.Agents.Approvals;

/// <summary>An approval is good for exactly one action.</summary>
public sealed class ConsumeTests : IAsyncLifetime
{
    private ApprovalHost _host = null!;

    public async Task InitializeAsync() => _host = await ApprovalHost.StartAsync();

    public Task DisposeAsync() => _host.DisposeAsync().AsTask();

    [Fact]
    public async Task Approved_IsTakenOnce_AndTheSameKeyIsTheSameTaking()
    {
        var approval = await ApprovedAsync();

        await TakeAsync(approval, Action(), "run-1");
        await TakeAsync(approval, Action(), "run-1");

        await RefusedAsync(ApprovalCodes.Used, () => TakeAsync(approval, Action(), "run-2"));
        Assert.Equal(1, (await _host.KindsAsync(approval.Id)).Count(k => k == "used"));
    }

    [Fact]
    public async Task Approved_TakenByManyAtOnce_OneGetsIt()
    {
        var approval = await ApprovedAsync();

        var taken = await Task.WhenAll(Enumerable.Range(0, 10).Select(async n =>
        {
            try
            {
                await TakeAsync(approval, Action(), $"run-{n}");
                return true;
            }
            catch (ApprovalException exception) when (exception.Code == ApprovalCodes.Used)
            {
                return false;
            }
        }));

        Assert.Equal(1, taken.Count(t => t));
    }

    [Fact]
    public async Task Edited_OnlyTheEditedArgumentsRun()
    {
        var approval = await ApprovedAsync("""{"amount":80,"order":"A-7"}""");

        await RefusedAsync(ApprovalCodes.ArgumentsChanged, () => TakeAsync(approval, Action(), "run-1"));
        await TakeAsync(approval, Action("""{"order":"A-7","amount":80.0}"""), "run-1");
    }

    [Fact]
    public async Task AnotherAction_IsRefused_AndTheApprovalIsStillGood()
    {
        var approval = await ApprovedAsync();

        await RefusedAsync(ApprovalCodes.ArgumentsChanged, () => TakeAsync(approval, Action("""{"amount":121,"order":"A-7"}"""), "k"));
        await RefusedAsync(ApprovalCodes.ArgumentsChanged, () => TakeAsync(approval, Action("""{"amount":120,"order":"A-7","to":"me"}"""), "k"));
        await RefusedAsync(ApprovalCodes.WrongAgent, () => TakeAsync(approval, Action(agent: "other"), "k"));
        await RefusedAsync(ApprovalCodes.ToolChanged, () => TakeAsync(approval, Action(toolHash: "h2"), "k"));
        await RefusedAsync(ApprovalCodes.ToolChanged, () => TakeAsync(approval, Action(tool: "payout"), "k"));
        await RefusedAsync(ApprovalCodes.WrongAgent, () => TakeAsync(approval, Action() with { Tenant = "other" }, "k"));
        await RefusedAsync(ApprovalCodes.NotFound, () => _host.Store.ConsumeAsync("other", approval.Id, Action(), "k", default));

        await TakeAsync(approval, Action(), "k");
    }

    [Fact]
    public async Task NotApproved_IsRefused()
    {
        var pending = await _host.PendingOneAsync(await _host.StartAsync(Ask()));
        await RefusedAsync(ApprovalCodes.NotApproved, () => TakeAsync(pending, Action(), "k"));

        await _host.SayAsync(pending, Ann, ApprovalVerdict.Reject);

        await RefusedAsync(ApprovalCodes.NotApproved, () => TakeAsync(pending, Action(), "k"));
    }

    [Fact]
    public async Task TooOld_IsRefused()
    {
        var approval = await ApprovedAsync(more: """ "validFor": "01:00:00", """);

        await RefusedAsync(ApprovalCodes.Expired, () => _host.At(DateTimeOffset.UtcNow.AddMinutes(61)).ConsumeAsync(Tenant, approval.Id, Action(), "k", default));
        await _host.At(DateTimeOffset.UtcNow.AddMinutes(59)).ConsumeAsync(Tenant, approval.Id, Action(), "k", default);
        // Whoever has it already may repeat what was under way.
        await _host.At(DateTimeOffset.UtcNow.AddMinutes(61)).ConsumeAsync(Tenant, approval.Id, Action(), "k", default);
    }

    [Theory]
    [InlineData("update conclave.account set is_locked = true where id = 'id-ann'")]
    [InlineData("update conclave.account set roles = array['viewer'] where id = 'id-ann'")]
    [InlineData("delete from conclave.account where id = 'id-ann'")]
    public async Task ApproverLostTheRight_IsRefused(string what)
    {
        var approval = await ApprovedAsync();
        await _host.Database.ExecuteAsync(what);

        await RefusedAsync(ApprovalCodes.ApproverLost, () => TakeAsync(approval, Action(), "k"));
    }

    [Fact]
    public async Task PermissionRevoked_IsRefused()
    {
        var approval = await ApprovedAsync();
        _host.Store.Recheck = (action, _) => ValueTask.FromResult<string?>($"The agent may not use '{action.Tool}' any more.");

        await RefusedAsync(ApprovalCodes.PermissionRevoked, () => TakeAsync(approval, Action(), "k"));

        _host.Store.Recheck = null;
        await TakeAsync(approval, Action(), "k");
    }

    private Task TakeAsync(Approval approval, ProposedAction action, string key) => _host.Store.ConsumeAsync(Tenant, approval.Id, action, key, default);

    private async Task<Approval> ApprovedAsync(string? arguments = null, string more = "")
    {
        var approval = await _host.PendingOneAsync(await _host.StartAsync(Ask(more: more)));
        return await _host.SayAsync(approval, Ann, arguments: arguments);
    }
}

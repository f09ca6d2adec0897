using Bunit;
using Conclave.Agents.Approvals;
using Conclave.Server.Accounts;
using Conclave.Server.Web.Inbox;
using static Conclave.Tests.Server.Web.InboxPageTests;

namespace Conclave.Tests.Server.Web;

/// <summary>What is asked, and the ways to answer.</summary>
public sealed class ApprovalPanelTests : IAsyncLifetime
{
    private const string Form = """{"type":"object","properties":{"reason":{"type":"string"},"amount":{"type":"integer"}},"required":["reason"]}""";

    private PageHost _host = null!;

    public async Task InitializeAsync() => _host = await PageHost.StartAsync();

    public Task DisposeAsync() => _host.DisposeAsync().AsTask();

    [Fact]
    public void NoSuchApproval_SaysSo()
    {
        var panel = Draw("nothing");

        panel.WaitForAssertion(() => Assert.Equal("There is no such approval", panel.Find("h2").TextContent));
    }

    [Fact]
    public async Task Action_IsShownExactly_WithItsHash()
    {
        await _host.AskAsync("a1");

        var panel = Draw("a1");
        panel.WaitForElement("article");

        Assert.Contains("exactly this runs", panel.Find("#action-title").TextContent, StringComparison.Ordinal);
        Assert.Equal("refund", panel.Find(".tool code").TextContent);
        Assert.Equal(["amount", "order"], panel.FindAll(".values tbody th").Select(t => t.TextContent));
        Assert.Contains((await FindAsync("a1")).CurrentHash!, panel.Find(".exact").TextContent, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Approve_IsStoredInTheVisitorsName_AndTheButtonsGo()
    {
        await _host.AskAsync("a1");
        var panel = Draw("a1");
        panel.WaitForElement(".decide");
        panel.Find("#comment").Input("fine");

        await panel.InvokeAsync(() => Button(panel, "Approve").ClickAsync(new()));

        panel.WaitForAssertion(() => Assert.Empty(panel.FindAll(".decide")));
        var approval = await FindAsync("a1");
        Assert.Equal((ApprovalStatus.Approved, "ann"), (approval.Status, Assert.Single(approval.Votes).Person.Name));
        Assert.Contains("Approved by ann", panel.Find(".history").TextContent, StringComparison.Ordinal);
        Assert.Contains("fine", panel.Find(".history blockquote").TextContent, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Reject_IsStored()
    {
        await _host.AskAsync("a1");
        var panel = Draw("a1");
        panel.WaitForElement(".decide");

        await panel.InvokeAsync(() => Button(panel, "Reject").ClickAsync(new()));

        panel.WaitForAssertion(() => Assert.Empty(panel.FindAll(".decide")));
        Assert.Equal(ApprovalStatus.Rejected, (await FindAsync("a1")).Status);
    }

    [Fact]
    public async Task Edit_ShowsTheDifference_AndWhatIsFilledInIsWhatIsApproved()
    {
        await _host.AskAsync("a1");
        var panel = Draw("a1");
        panel.WaitForElement(".decide");
        await panel.InvokeAsync(() => Button(panel, "Change the arguments").ClickAsync(new()));

        await panel.InvokeAsync(() => panel.Find("#arguments-amount").InputAsync("80"));

        Assert.Equal("80", panel.Find(".values tr.changed ins").TextContent);
        Assert.Equal("120", panel.Find(".values tr.changed del").TextContent);
        Assert.Contains("80", panel.Find(".changes").TextContent, StringComparison.Ordinal);
        await panel.InvokeAsync(() => Button(panel, "Approve with changes").ClickAsync(new()));
        panel.WaitForAssertion(() => Assert.Empty(panel.FindAll(".decide")));
        Assert.Contains("\"amount\":80", (await FindAsync("a1")).CurrentAction, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Edit_Dropped_ApprovesWhatWasAsked()
    {
        await _host.AskAsync("a1");
        var panel = Draw("a1");
        panel.WaitForElement(".decide");
        await panel.InvokeAsync(() => Button(panel, "Change the arguments").ClickAsync(new()));
        await panel.InvokeAsync(() => panel.Find("#arguments-amount").InputAsync("80"));

        await panel.InvokeAsync(() => Button(panel, "Do not change anything").ClickAsync(new()));

        Assert.Empty(panel.FindAll(".changes"));
        Assert.NotNull(Button(panel, "Approve"));
    }

    [Fact]
    public async Task NotEditable_OffersNoChange()
    {
        await _host.AskAsync("a1", ("is_editable", false));
        var panel = Draw("a1");
        panel.WaitForElement(".decide");

        Assert.DoesNotContain("Change the arguments", panel.Markup, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Form_MissingField_IsSaidAtTheField_AndNothingIsStored()
    {
        await _host.AskAsync("a1", ("form", Form));
        var panel = Draw("a1");
        panel.WaitForElement("#form-reason");

        await panel.InvokeAsync(() => Button(panel, "Approve").ClickAsync(new()));

        Assert.Equal("alert", panel.Find(".field .problem").GetAttribute("role"));
        Assert.Equal(ApprovalStatus.Pending, (await FindAsync("a1")).Status);
        await panel.InvokeAsync(() => panel.Find("#form-reason").InputAsync("late"));
        Assert.Empty(panel.FindAll(".field .problem"));
    }

    [Fact]
    public async Task Form_WrongKind_IsSaidAtTheField()
    {
        await _host.AskAsync("a1", ("form", Form));
        var panel = Draw("a1");
        panel.WaitForElement("#form-reason");
        await panel.InvokeAsync(() => panel.Find("#form-reason").InputAsync("late"));
        await panel.InvokeAsync(() => panel.Find("#form-amount").InputAsync("many"));

        await panel.InvokeAsync(() => Button(panel, "Approve").ClickAsync(new()));

        Assert.Single(panel.FindAll(".field .problem"));
        Assert.Equal(ApprovalStatus.Pending, (await FindAsync("a1")).Status);
    }

    [Fact]
    public async Task Task_IsDoneWithWhatIsFilledIn()
    {
        await _host.AskAsync("t1", ("kind", "task"), ("action", null), ("action_hash", null), ("current_action", null), ("current_hash", null), ("form", Form));
        var panel = Draw("t1");
        panel.WaitForElement("#form-reason");
        await panel.InvokeAsync(() => panel.Find("#form-reason").InputAsync("packed"));

        await panel.InvokeAsync(() => Button(panel, "Done").ClickAsync(new()));

        panel.WaitForAssertion(() => Assert.Contains("packed", panel.Find("#data-title").ParentElement!.TextContent, StringComparison.Ordinal));
        Assert.Equal(ApprovalStatus.Done, (await FindAsync("t1")).Status);
    }

    [Fact]
    public async Task OwnRequest_CannotBeDecided_AndSaysWhy()
    {
        await _host.AskAsync("a1", ("requester", "ann"), ("requester_id", PageHost.Ann.Id));
        var panel = Draw("a1");
        panel.WaitForElement("article");

        Assert.Empty(panel.FindAll(".decide"));
        Assert.Contains("on your behalf", panel.Find(".note").TextContent, StringComparison.Ordinal);
    }

    [Fact]
    public async Task OthersAreAsked_CannotBeDecided_AndSaysWhy()
    {
        await _host.AskAsync("a1", ("assignees", new[] { PageHost.Bob.Id }));
        _host.As(PageHost.Ann, Permissions.ReadApprovals, Permissions.DecideApprovals);
        var panel = Draw("a1");
        panel.WaitForElement("article");

        Assert.Empty(panel.FindAll(".decide"));
        Assert.Equal("Others are asked to decide.", panel.Find(".note").TextContent);
        Assert.Contains("asks bob", panel.Find(".facts").TextContent, StringComparison.Ordinal);
    }

    [Fact]
    public async Task MayOnlySee_HasNoButtonsAndNoRemark()
    {
        await _host.AskAsync("a1");
        _host.As(PageHost.Ann, Permissions.ReadApprovals);
        var panel = Draw("a1");
        panel.WaitForElement("article");

        Assert.Empty(panel.FindAll("button"));
        Assert.Contains("does not decide", panel.Find(".note").TextContent, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Quorum_OneOfTwo_WaitsForTheOther()
    {
        await _host.AskAsync("a1", ("quorum", 2));
        var panel = Draw("a1");
        panel.WaitForElement(".decide");

        await panel.InvokeAsync(() => Button(panel, "Approve").ClickAsync(new()));

        panel.WaitForAssertion(() => Assert.Contains("1 of 2 agreed", panel.Find(".facts").TextContent, StringComparison.Ordinal));
        Assert.Contains("You have decided", panel.Find(".note").TextContent, StringComparison.Ordinal);
        Assert.Equal(ApprovalStatus.Pending, (await FindAsync("a1")).Status);
    }

    [Fact]
    public async Task HandOn_AnotherIsAsked()
    {
        await _host.AskAsync("a1", ("assignees", new[] { PageHost.Ann.Id }));
        var panel = Draw("a1");
        panel.WaitForElement("#heir");
        Assert.DoesNotContain(panel.FindAll("#heir option"), o => o.TextContent == "ann");
        Assert.True(Button(panel, "Hand on").HasAttribute("disabled"));
        await panel.InvokeAsync(() => panel.Find("#heir").ChangeAsync(new() { Value = "bob" }));

        await panel.InvokeAsync(() => Button(panel, "Hand on").ClickAsync(new()));

        panel.WaitForAssertion(() => Assert.Contains("to bob", panel.Find(".history").TextContent, StringComparison.Ordinal));
        Assert.Empty(panel.FindAll(".decide"));
    }

    [Fact]
    public async Task AskSomebodyElse_NeedsTheRight()
    {
        await _host.AskAsync("a1");
        _host.As(PageHost.Ann, Permissions.ReadApprovals, Permissions.DecideApprovals);
        var without = Draw("a1");
        without.WaitForElement("article");
        Assert.Empty(without.FindAll(".manage"));

        _host.As(PageHost.Ann, Permissions.ReadApprovals, Permissions.ManageApprovals);
        var with = Draw("a1");
        with.WaitForElement(".manage");
        await with.Find("#others").ChangeAsync(new() { Value = "bob" });
        await Button(with, "Ask").ClickAsync(new());

        with.WaitForAssertion(() => Assert.Contains("asks bob", with.Find(".facts").TextContent, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Remark_IsAddedOnceItSaysSomething()
    {
        await _host.AskAsync("a1");
        var panel = Draw("a1");
        panel.WaitForElement("#remark");
        Assert.True(Button(panel, "Add").HasAttribute("disabled"));
        await panel.InvokeAsync(() => panel.Find("#remark").InputAsync("look at the invoice"));

        await panel.InvokeAsync(() => Button(panel, "Add").ClickAsync(new()));

        panel.WaitForAssertion(() => Assert.Contains("look at the invoice", panel.Find(".history").TextContent, StringComparison.Ordinal));
    }

    [Fact]
    public async Task SomebodyElseDecidesMeanwhile_PanelFollows()
    {
        await _host.AskAsync("a1");
        var panel = Draw("a1");
        panel.WaitForElement(".decide");

        await _host.Approvals.DecideAsync(PageHost.Tenant, "a1", PageHost.Bob, new ApprovalDecision(ApprovalVerdict.Approve) { ActionHash = (await FindAsync("a1")).CurrentHash }, default);

        panel.WaitForAssertion(() => Assert.Contains("Approved by bob", panel.Find(".history").TextContent, StringComparison.Ordinal));
        Assert.Empty(panel.FindAll(".decide"));
    }

    [Fact]
    public async Task TextOfOthers_IsNoMarkup()
    {
        await _host.AskAsync("a1", ("title", "<script>alert(1)</script>"), ("description", "<img src=x onerror=alert(1)>"));

        var panel = Draw("a1");
        panel.WaitForElement("article");

        Assert.Empty(panel.FindAll("script, img"));
        Assert.Equal("<script>alert(1)</script>", panel.Find("h2").TextContent);
    }

    private IRenderedComponent<ApprovalPanel> Draw(string id) => _host.Draw<ApprovalPanel>(p => p.Add(x => x.Id, id));

    private async Task<Approval> FindAsync(string id) => (await _host.Approvals.FindAsync(PageHost.Tenant, id, default))!;
}

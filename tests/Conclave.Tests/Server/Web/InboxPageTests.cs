using Bunit;
using Conclave.Agents.Approvals;
using Conclave.Server.Accounts;
using Conclave.Server.Web.Inbox;

namespace Conclave.Tests.Server.Web;

/// <summary>The inbox: what is listed, for whom, and when.</summary>
public sealed class InboxPageTests : IAsyncLifetime
{
    private PageHost _host = null!;

    public async Task InitializeAsync() => _host = await PageHost.StartAsync();

    public Task DisposeAsync() => _host.DisposeAsync().AsTask();

    [Fact]
    public void NothingWaits_SaysSoAndWhatWillHappen()
    {
        var page = _host.Draw<InboxPage>();

        page.WaitForAssertion(() => Assert.Equal("Nothing waits for you", page.Find(".empty h2").TextContent));
        Assert.Contains("appears here by itself", page.Find(".empty p").TextContent, StringComparison.Ordinal);
    }

    [Fact]
    public void MayNotRead_SaysWhichRightIsMissing()
    {
        _host.As(PageHost.Ann, Permissions.ReadAgents);

        var page = _host.Draw<InboxPage>();

        page.WaitForAssertion(() => Assert.Equal("Not allowed", page.Find("h1").TextContent));
        Assert.Contains(Permissions.ReadApprovals, page.Markup, StringComparison.Ordinal);
    }

    [Fact]
    public async Task MayRead_MayNotDecide_SeesNothingOfHisOwn_AndAllThatWaits()
    {
        await _host.AskAsync("a1");
        _host.As(PageHost.Ann, Permissions.ReadApprovals);

        var page = _host.Draw<InboxPage>();
        page.WaitForAssertion(() => Assert.Contains("does not decide", page.Find(".empty p").TextContent, StringComparison.Ordinal));
        await page.InvokeAsync(() => Button(page, "All waiting").ClickAsync(new()));

        page.WaitForAssertion(() => Assert.Equal("Refund a1", page.Find(".card-title").TextContent));
    }

    [Fact]
    public async Task Mine_LeavesOutWhatOthersAreAskedFor()
    {
        await _host.AskAsync("mine", ("assignees", new[] { PageHost.Ann.Id }));
        await _host.AskAsync("theirs", ("assignees", new[] { PageHost.Bob.Id }));
        await _host.AskAsync("anybodys");

        var page = _host.Draw<InboxPage>();

        page.WaitForAssertion(() => Assert.Equal(["Refund anybodys", "Refund mine"], page.FindAll(".card-title").Select(t => t.TextContent).Order()));
        Assert.Contains("For me (2)", page.Markup, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Urgent_ComesFirstAndIsMarked()
    {
        await _host.AskAsync("urgent", ("priority", 0));
        await _host.AskAsync("newer");

        var page = _host.Draw<InboxPage>();

        page.WaitForAssertion(() => Assert.Equal(["Refund urgent", "Refund newer"], page.FindAll(".card-title").Select(t => t.TextContent)));
        Assert.Equal("P0", page.Find(".tag.urgent").TextContent);
    }

    [Fact]
    public async Task Due_IsShownWhileItWaits()
    {
        await _host.AskAsync("a1", ("due_at", DateTimeOffset.UtcNow.AddHours(2)));

        var page = _host.Draw<InboxPage>();

        page.WaitForAssertion(() => Assert.Contains("due", page.Find(".card-facts").TextContent, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Decided_ListsWhatHasEnded()
    {
        await _host.AskAsync("open");
        await _host.AskAsync("closed", ("status", "rejected"), ("decided_at", DateTimeOffset.UtcNow));

        var page = _host.Draw<InboxPage>();
        page.WaitForElement(".card");
        await page.InvokeAsync(() => Button(page, "Decided").ClickAsync(new()));

        page.WaitForAssertion(() => Assert.Equal("Refund closed", Assert.Single(page.FindAll(".card-title")).TextContent));
        Assert.Equal("rejected", page.Find(".card .tag").TextContent);
        Assert.Equal("true", Button(page, "Decided").GetAttribute("aria-pressed"));
    }

    [Fact]
    public async Task Task_IsToDo()
    {
        await _host.AskAsync("t1", ("kind", "task"), ("action", null), ("action_hash", null), ("current_action", null), ("current_hash", null));

        var page = _host.Draw<InboxPage>();

        page.WaitForAssertion(() => Assert.Equal("to do", page.Find(".card .tag").TextContent));
    }

    [Fact]
    public async Task MoreThanAPage_IsShownOnDemand()
    {
        for (var i = 0; i < 53; i++)
            await _host.AskAsync($"a{i:00}");

        var page = _host.Draw<InboxPage>();
        page.WaitForAssertion(() => Assert.Equal(50, page.FindAll(".card").Count));
        await page.InvokeAsync(() => page.Find("button.more").ClickAsync(new()));

        page.WaitForAssertion(() => Assert.Equal(53, page.FindAll(".card").Count));
        Assert.Empty(page.FindAll("button.more"));
    }

    [Fact]
    public async Task SomebodyDecides_ListFollowsByItself()
    {
        await _host.AskAsync("a1");
        var page = _host.Draw<InboxPage>();
        page.WaitForElement(".card");

        var approval = await _host.Approvals.FindAsync(PageHost.Tenant, "a1", default);
        await _host.Approvals.DecideAsync(PageHost.Tenant, "a1", PageHost.Bob, new ApprovalDecision(ApprovalVerdict.Reject) { ActionHash = approval!.CurrentHash }, default);

        page.WaitForAssertion(() => Assert.Equal("Nothing waits for you", page.Find(".empty h2").TextContent));
    }

    [Fact]
    public async Task DatabaseIsAway_SaysSoAndTriesAgain()
    {
        await _host.AskAsync("a1");
        await _host.Database.ExecuteAsync("alter table conclave.approval rename to approval_gone");
        var page = _host.Draw<InboxPage>();
        page.WaitForAssertion(() => Assert.Contains("did not answer", page.Find("[role=alert]").TextContent, StringComparison.Ordinal));
        Assert.Empty(page.FindAll(".loading"));

        await _host.Database.ExecuteAsync("alter table conclave.approval_gone rename to approval");
        await page.InvokeAsync(() => Button(page, "Try again").ClickAsync(new()));

        page.WaitForAssertion(() => Assert.Equal("Refund a1", page.Find(".card-title").TextContent));
        Assert.Empty(page.FindAll("[role=alert]"));
    }

    internal static AngleSharp.Dom.IElement Button<T>(IRenderedComponent<T> page, string text)
        where T : Microsoft.AspNetCore.Components.IComponent => page.FindAll("button").First(b => b.TextContent.Trim().StartsWith(text, StringComparison.Ordinal));
}

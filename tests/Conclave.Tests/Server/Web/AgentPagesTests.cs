using System.Text.Json;
using Bunit;
using Conclave.Agents;
using Conclave.Agents.Turns;
using Conclave.Inference.Streaming;
using Conclave.Server.Accounts;
using Conclave.Server.Web.Agents;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.RunTests;
using Npgsql;
using static Conclave.Tests.Server.Web.InboxPageTests;

namespace Conclave.Tests.Server.Web;

/// <summary>The list of agents, and an agent's page with its chat box.</summary>
public sealed class AgentPagesTests : IAsyncLifetime
{
    private PageHost _host = null!;

    public async Task InitializeAsync()
    {
        _host = await PageHost.StartAsync();
        await _host.StartRuntimeAsync();
    }

    public Task DisposeAsync() => _host.DisposeAsync().AsTask();

    [Fact]
    public void List_NoAgents_SaysWhereTheyComeFrom()
    {
        var page = _host.Draw<AgentsPage>();

        page.WaitForAssertion(() => Assert.Equal("No agents yet", page.Find(".empty h2").TextContent));
    }

    [Fact]
    public void List_MayNotRead_SaysWhichRightIsMissing()
    {
        _host.As(PageHost.Ann, Permissions.ReadApprovals);

        var page = _host.Draw<AgentsPage>();

        page.WaitForAssertion(() => Assert.Contains(Permissions.ReadAgents, page.Markup, StringComparison.Ordinal));
    }

    [Fact]
    public async Task List_ShowsNameStateAndWork()
    {
        var agent = await MakeAsync();
        await _host.TurnAsync(agent, "turn-1", "Hello", null);

        var page = _host.Draw<AgentsPage>();

        page.WaitForAssertion(() => Assert.Equal("Rita", page.Find(".tile-title").TextContent));
        Assert.Contains("1 turn under way", page.Markup, StringComparison.Ordinal);
        Assert.Equal($"/app/agents/{agent.Id}", page.Find(".tile").GetAttribute("href"));
    }

    [Fact]
    public async Task List_ShowsWhatRuns_ForThoseWhoMayToCancel()
    {
        var agent = await MakeAsync();
        await _host.TurnAsync(agent, "turn-1", "Think hard", null);
        await _host.TurnAsync(agent, "turn-2", "Done already", "Yes.", "c2");

        var page = _host.Draw<AgentsPage>();
        page.WaitForElement(".working-now");

        Assert.Equal("Rita: Think hard", Assert.Single(page.FindAll(".working-now .link")).TextContent);
        Assert.Equal($"/app/agents/{agent.Id}?conversation=c1", page.Find(".working-now .link").GetAttribute("href"));
        // The turn's workflow is not there in this test: it is told so.
        await page.InvokeAsync(() => Button(page, "Cancel").ClickAsync(new()));
        Assert.Contains("turn-1", page.Find(".problems").TextContent, StringComparison.Ordinal);

        _host.As(PageHost.Bob, Permissions.ReadAgents);
        page = _host.Draw<AgentsPage>();
        page.WaitForElement(".working-now");
        Assert.Empty(page.FindAll("button"));
    }

    [Fact]
    public async Task List_MoreThanAPage_IsShownOnDemand()
    {
        for (var i = 0; i < 62; i++)
            await MakeAsync($"Agent {i:00}");

        var page = _host.Draw<AgentsPage>();
        page.WaitForAssertion(() => Assert.Equal(60, page.FindAll(".tile").Count));
        await page.InvokeAsync(() => Button(page, "Show more").ClickAsync(new()));

        page.WaitForAssertion(() => Assert.Equal(62, page.FindAll(".tile").Count));
    }

    [Fact]
    public void Agent_IsNotThere_SaysSo()
    {
        var page = Draw("nobody");

        page.WaitForAssertion(() => Assert.Equal("There is no such agent", page.Find("h1").TextContent));
    }

    [Fact]
    public async Task Agent_NeverAsked_SaysSoAndShowsWhatItIs()
    {
        var agent = await MakeAsync();

        var page = Draw(agent.Id);
        page.WaitForElement(".agent-grid");

        Assert.Contains("It was not asked anything yet.", page.Markup, StringComparison.Ordinal);
        Assert.Contains("Nothing was said here yet.", page.Markup, StringComparison.Ordinal);
        Assert.Contains("You handle refunds.", page.Find(".box pre").TextContent, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Conversation_ShowsTurnsWithTheirCost()
    {
        var agent = await MakeAsync();
        await _host.TurnAsync(agent, "turn-1", "Where is my parcel?", "On its way.");

        var page = Draw(agent.Id);
        page.WaitForElement(".talk li");

        Assert.Equal("Where is my parcel?", page.Find(".said.person p").TextContent);
        Assert.Equal("On its way.", page.Find(".said.agent-said p").TextContent);
        var facts = page.Find(".turn-facts").TextContent;
        Assert.All((string[])["completed", "2 model calls", "35 tokens", "0.0042"], part => Assert.Contains(part, facts, StringComparison.Ordinal));
    }

    [Fact]
    public async Task TurnUnderWay_CanBeCancelled_AndNoOtherIsSent()
    {
        var agent = await MakeAsync();
        await _host.TurnAsync(agent, "turn-1", "Think", null);

        var page = Draw(agent.Id);
        page.WaitForElement(".talk li");
        await page.InvokeAsync(() => page.Find("#message").InputAsync("And now?"));

        Assert.NotNull(Button(page, "Cancel"));
        Assert.True(Button(page, "Send").HasAttribute("disabled"));
        Assert.Contains("is under way", page.Find(".chat .hint").TextContent, StringComparison.Ordinal);
    }

    [Fact]
    public async Task MayOnlySee_HasNoChatBoxAndNoButtons()
    {
        var agent = await MakeAsync();
        await _host.TurnAsync(agent, "turn-1", "Think", null);
        _host.As(PageHost.Bob, Permissions.ReadAgents);

        var page = Draw(agent.Id);
        page.WaitForElement(".talk li");

        Assert.Empty(page.FindAll("form, button"));
    }

    [Fact]
    public async Task Send_EmptyMessage_IsNotOffered()
    {
        var agent = await MakeAsync();
        var page = Draw(agent.Id);
        page.WaitForElement("#message");

        await page.InvokeAsync(() => page.Find("#message").InputAsync("   "));

        Assert.True(Button(page, "Send").HasAttribute("disabled"));
        await page.InvokeAsync(() => page.Find("#message").InputAsync("Hello"));
        Assert.False(Button(page, "Send").HasAttribute("disabled"));
    }

    [Fact]
    public async Task Send_IsRefused_SaysWhyAndKeepsWhatWasTyped()
    {
        var agent = await MakeAsync();
        await _host.Agents.TransitionAsync(PageHost.Tenant, agent.Id, AgentState.Maintenance, "bob", null, default);
        var page = Draw(agent.Id);
        page.WaitForElement("#message");
        await page.InvokeAsync(() => page.Find("#message").InputAsync("Hello"));

        await page.InvokeAsync(() => page.Find("form.speak").SubmitAsync());

        page.WaitForElement(".problems");
        Assert.Equal("Hello", page.Find("#message").GetAttribute("value"));
    }

    [Theory]
    [InlineData("Pause", "paused", "Take messages")]
    [InlineData("Maintenance", "maintenance", "Take messages")]
    public async Task Lifecycle_ButtonsLeadFromStateToState_AndAreRecorded(string button, string state, string next)
    {
        var agent = await MakeAsync();
        var page = Draw(agent.Id);
        page.WaitForElement(".agent-head .buttons");

        await page.InvokeAsync(() => Button(page, button).ClickAsync(new()));

        page.WaitForAssertion(() => Assert.NotNull(Button(page, next)));
        Assert.Equal(state, (await _host.Agents.FindAsync(PageHost.Tenant, agent.Id, default))!.State.ToString().ToLowerInvariant());
        page.WaitForAssertion(() => Assert.Contains($"active → {state} by ann", page.Find("#life-title").ParentElement!.TextContent, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Lifecycle_MayNotWrite_HasNoButtons()
    {
        var agent = await MakeAsync();
        _host.As(PageHost.Ann, Permissions.ReadAgents, Permissions.ExecuteAgents);

        var page = Draw(agent.Id);
        page.WaitForElement(".agent-grid");

        Assert.Empty(page.FindAll(".agent-head .buttons"));
    }

    [Fact]
    public async Task WaitingApprovals_AreLinked()
    {
        var agent = await MakeAsync();
        await _host.AskAsync("a1", ("agent_id", agent.Id));

        var page = Draw(agent.Id);
        page.WaitForElement("#waiting-title");

        Assert.Equal("/app/inbox/a1", page.Find("#waiting-title").ParentElement!.QuerySelector("a")!.GetAttribute("href"));
    }

    [Fact]
    public async Task Conversations_AreChosen()
    {
        var agent = await MakeAsync();
        await _host.TurnAsync(agent, "turn-1", "First question", "One.", "c1");
        await _host.TurnAsync(agent, "turn-2", "Second question", "Two.", "c2");
        var page = Draw(agent.Id);
        page.WaitForElement(".talk li");

        await page.InvokeAsync(() => page.Find("#which").ChangeAsync(new() { Value = "c1" }));
        page.WaitForAssertion(() => Assert.Equal("First question", page.Find(".talk .person p").TextContent));
        await page.InvokeAsync(() => page.Find("#which").ChangeAsync(new() { Value = "" }));

        page.WaitForAssertion(() => Assert.Empty(page.FindAll(".talk li")));
    }

    [Fact]
    public async Task SomethingHappens_PageFollowsByItself()
    {
        var agent = await MakeAsync();
        await _host.TurnAsync(agent, "turn-1", "Think", null);
        var page = Draw(agent.Id);
        page.WaitForElement(".talk li");

        await _host.Database.ExecuteAsync("update conclave.agent_turn set answer = 'Thought.' where id = 'turn-1'");
        await _host.Database.ExecuteAsync($"select conclave.turn_stored('{PageHost.Tenant}', 'turn-1', 'completed', null, now())");

        page.WaitForAssertion(() => Assert.Equal("Thought.", page.Find(".said.agent-said p").TextContent));
    }

    [Fact]
    public async Task Answer_IsSeenWhileItIsSaid_AlsoFromTheMiddle()
    {
        var agent = await MakeAsync();
        await _host.TurnAsync(agent, "turn-1", "Think", null);
        var page = Draw(agent.Id);
        page.WaitForElement(".talk li");

        _host.Tokens.Publish(PageHost.Tenant, "turn-1", "and so it is.");
        page.WaitForAssertion(() => Assert.Equal("… and so it is.", page.Find(".coming p").TextContent));
        _host.Tokens.Begin(PageHost.Tenant, "turn-1");
        _host.Tokens.Publish(PageHost.Tenant, "turn-1", "The next");

        page.WaitForAssertion(() => Assert.Equal("The next", page.Find(".coming p").TextContent));
    }

    [Fact]
    public async Task Send_ListensBeforeTheTurnBegins()
    {
        var agent = await MakeAsync();
        // The turn itself is refused: what is heard came before it.
        await _host.Agents.TransitionAsync(PageHost.Tenant, agent.Id, AgentState.Maintenance, "bob", null, default);
        var page = Draw(agent.Id);
        page.WaitForElement("#message");
        await using var other = await _host.Database.DataSource.OpenConnectionAsync();
        var wanted = "";
        other.Notification += (_, told) => wanted = told.Payload;
        await using (var command = new NpgsqlCommand($"listen {TokenStreams.WantChannel}", other))
            await command.ExecuteNonQueryAsync();

        await page.InvokeAsync(() => page.Find("#message").InputAsync("Hello"));
        await page.InvokeAsync(() => page.Find("form.speak").SubmitAsync());
        page.WaitForElement(".problems");

        await other.WaitAsync(TimeSpan.FromSeconds(30));
        Assert.Contains(TurnStarter.Prefix, wanted, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Test_OfATurnWhoseRunIsGone_SaysSo()
    {
        var agent = await MakeAsync();
        await _host.TurnAsync(agent, "turn-1", "Hello", "Hi.");
        var page = Draw(agent.Id);
        page.WaitForElement(".talk li");

        await page.InvokeAsync(() => Button(page, "Make this a test").ClickAsync(new()));

        page.WaitForAssertion(() => Assert.Contains("There is no instance 'turn-1'", page.Find(".problems").TextContent, StringComparison.Ordinal));
        Assert.Empty(page.FindAll("#tests-title"));
    }

    [Fact]
    public async Task Test_ThatFailed_SaysInWhat_AndIsRunOnlyByWhoMay()
    {
        var agent = await MakeAsync();
        var recording = new RunRecording
        {
            DefinitionId = "react",
            VersionId = "react-1",
            Version = 1,
            InstanceId = "turn-1",
            Input = new Dictionary<string, JsonElement>(),
            Executions = [],
            SubStatus = WorkflowSubStatus.Finished,
            Output = new Dictionary<string, JsonElement>(),
        };
        var test = new RunTest
        {
            Id = "t1",
            Name = "Where is my parcel?",
            DefinitionId = "react",
            Version = 1,
            InstanceId = "turn-1",
            Subject = TurnTests.SubjectOf(agent.Id),
            Recording = recording,
            CreatedAt = DateTimeOffset.UtcNow,
            CreatedBy = "ann",
        };
        await _host.RunTests.AddAsync(PageHost.Tenant, test, default);
        await _host.RunTests.SetResultAsync(
            PageHost.Tenant, "t1", new RunTestResult(false, 1, DateTimeOffset.UtcNow, [new RunDifference("output", "It gives another answer.", null, "answer", JsonElement.Parse("\"yes\""))]), default);

        var page = Draw(agent.Id);
        page.WaitForElement("#tests-title");
        var box = page.Find("#tests-title").ParentElement!;
        Assert.All((string[])["Where is my parcel?", "failed", "It gives another answer.", "\"yes\"", "nothing"], part => Assert.Contains(part, box.TextContent, StringComparison.Ordinal));

        // There is no such workflow here.
        await page.InvokeAsync(() => Button(page, "Run").ClickAsync(new()));
        page.WaitForAssertion(() => Assert.Contains("There is no version of the workflow", page.Find("#tests-title").ParentElement!.TextContent, StringComparison.Ordinal));
        _host.As(PageHost.Bob, Permissions.ReadAgents, Permissions.ReadInstances);
        page = Draw(agent.Id);
        page.WaitForElement("#tests-title");
        Assert.Empty(page.FindAll("button"));
    }

    private IRenderedComponent<AgentPage> Draw(string id) => _host.Draw<AgentPage>(p => p.Add(x => x.Id, id));

    private Task<Agent> MakeAsync(string name = "Rita") =>
        _host.Agents.CreateAsync(PageHost.Tenant, name, null, new AgentConfiguration { Model = "smart", SystemPrompt = "You handle refunds." }, "ann", default);
}

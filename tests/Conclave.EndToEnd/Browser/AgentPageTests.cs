using System.Text.Json;
using Conclave.EndToEnd.Accounts;
using Conclave.EndToEnd.Agents;
using Conclave.Tests.Inference.Doubles;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace Conclave.EndToEnd.Browser;

/// <summary>People who talk to agents and see what they do.</summary>
public sealed class AgentPageTests : IAsyncLifetime
{
    private OpenAIDouble Model { get; } = new();
    private ServerProcess _server = null!;
    private IPlaywright _playwright = null!;
    private IBrowser _browser = null!;

    public async Task InitializeAsync()
    {
        Assertions.SetDefaultExpectTimeout(BrowserServer.Patience);
        Model.Models.Clear();
        Model.Models.Add(new DoubleModel("brain") { CanCallTools = true });
        await Model.StartAsync();
        _server = await ServerProcess.StartAsync(null, [.. AgentServer.Settings(Model), "Accounts:AttemptsPerMinute=100000"]);
        await AgentServer.UntilModelAsync(_server);
        using var browser = new Accounts.Browser(_server);
        var token = await AccountServer.SetupTokenAsync(_server);
        (await browser.SubmitAsync($"/setup?token={token}", "/setup", ("token", token), ("userName", "root"), ("password", AccountServer.Password), ("again", AccountServer.Password))).Is(302);
        foreach (var role in (string[])["operator", "viewer"])
            (await _server.CallAsync("POST /elsa/api/identity/users", $$"""{"name":"{{role}}","password":"{{AccountServer.Password}}","roles":["{{role}}"]}""")).Is(200);
        _playwright = await Playwright.CreateAsync();
        _browser = await Chromium.LaunchAsync(_playwright);
    }

    public async Task DisposeAsync()
    {
        if (_browser is not null)
            await _browser.DisposeAsync();
        _playwright?.Dispose();
        await _server.DisposeAsync();
        await Model.DisposeAsync();
    }

    [Fact]
    public async Task Operator_TalksToAnAgent_AndSeesTheAnswerComeAndWhatItTook()
    {
        await _server.PostAsync("/api/agents", """{"name":"Desk","configuration":{"model":"brain","description":"Answers customers.","systemPrompt":"You are the desk."}}""");
        var canEnd = new TaskCompletionSource();
        Model.Answer = request => DoubleAnswer.Say($"You said: {request.LastText}. This answer comes in pieces, one after the other.") with { BeforeToken = n => n == 6 ? canEnd.Task : Task.CompletedTask };
        await VisitAsync("operator", 1280, async person =>
        {
            var page = person.Page;
            await page.GotoAsync("/app/agents");
            await page.GetByRole(AriaRole.Link, new() { Name = "Desk" }).WaitForAsync();
            await person.ShootAsync("agents");
            await page.GetByRole(AriaRole.Link, new() { Name = "Desk" }).ClickAsync();
            await page.GetByPlaceholder("Say something to Desk").FillAsync("Where is my parcel?");
            await page.GetByRole(AriaRole.Button, new() { Name = "Send" }).ClickAsync();

            await Expect(page.Locator(".coming")).ToContainTextAsync("You said");
            await Expect(page.Locator(".agent-head .tag")).ToHaveTextAsync("working");
            await person.ShootAsync("while it answers");
            await VisitAsync("operator", 420, async other =>
            {
                await other.Page.GotoAsync("/app/agents");
                await Expect(other.Page.Locator(".working-now li")).ToContainTextAsync("Desk: Where is my parcel?");
                await other.ShootAsync("process table");
            }, "phone");
            canEnd.SetResult();
            await Expect(page.Locator(".agent-said:not(.coming)")).ToContainTextAsync("one after the other.");
            await Expect(page.Locator(".turn-facts")).ToContainTextAsync("1 model call");
            await Expect(page.Locator(".agent-head .tag")).ToHaveTextAsync("active");
            await person.ShootAsync("answered");

            await page.GetByRole(AriaRole.Button, new() { Name = "Pause" }).ClickAsync();
            await Expect(page.Locator(".agent-head .tag")).ToHaveTextAsync("paused");
            await page.GetByPlaceholder("Say something to Desk").FillAsync("And now?");
            await page.GetByRole(AriaRole.Button, new() { Name = "Send" }).ClickAsync();
            await Expect(page.GetByRole(AriaRole.Alert)).ToContainTextAsync("paused");
            await person.ShootAsync("paused");
            await page.GetByRole(AriaRole.Button, new() { Name = "Take messages" }).ClickAsync();
            await Expect(page.Locator(".agent-head .tag")).ToHaveTextAsync("active");

            // What takes too long is cancelled from the list.
            Model.Answer = _ => DoubleAnswer.Say("Too late, and far too long.") with { BeforeToken = n => n == 2 ? Task.Delay(Timeout.Infinite) : Task.CompletedTask };
            await page.GetByPlaceholder("Say something to Desk").FillAsync("Still there?");
            await page.GetByRole(AriaRole.Button, new() { Name = "Send" }).ClickAsync();
            await Expect(page.Locator(".coming")).ToContainTextAsync("Too");
            await page.GotoAsync("/app/agents");
            await page.Locator(".working-now").GetByRole(AriaRole.Button, new() { Name = "Cancel" }).ClickAsync();
            await Expect(page.Locator(".working-now")).ToHaveCountAsync(0);
            await page.GetByRole(AriaRole.Link, new() { Name = "Desk" }).ClickAsync();
            await Expect(page.Locator(".turn-facts").Last).ToContainTextAsync("cancelled");
        });
        await VisitAsync("viewer", 420, async person =>
        {
            await person.Page.GotoAsync("/app/agents/Desk");
            await person.Page.GetByText("What it is").WaitForAsync();
            await Expect(person.Page.GetByRole(AriaRole.Button, new() { Name = "Send" })).ToHaveCountAsync(0);
            await Expect(person.Page.GetByRole(AriaRole.Button, new() { Name = "Take messages" })).ToHaveCountAsync(0);
            await person.ShootAsync("viewer on a phone");
        });
    }

    [Fact]
    public async Task Agent_PutTogetherAndChangedInTheBrowser_IsWhatAnswers()
    {
        Model.Answer = request => DoubleAnswer.Say($"{request.Body.GetProperty("messages")[0].GetProperty("content").GetString()!.Split('\n')[0]} At {request.Body.GetProperty("temperature").GetDouble()}.");
        await VisitAsync("root", 1280, async person =>
        {
            var page = person.Page;
            await page.GotoAsync("/app/agents");
            await page.GetByRole(AriaRole.Link, new() { Name = "New agent" }).ClickAsync();
            await page.GetByLabel("Name").FillAsync("Pilot");
            await page.GetByLabel("System prompt").FillAsync("You fly.");
            await page.Locator("#how-model").FillAsync("brain");
            await page.GetByLabel("Temperature").FillAsync("9");
            await page.GetByPlaceholder("Find tools").FillAsync("calcu");
            await page.GetByRole(AriaRole.Checkbox, new() { Name = "calculator" }).CheckAsync();
            await page.GetByLabel("What it may do with calculator").SelectOptionAsync("ask");
            await page.GetByRole(AriaRole.Button, new() { Name = "Make the agent" }).ClickAsync();
            await Expect(page.GetByText("It must be 0 to 2.")).ToBeVisibleAsync();
            await person.ShootAsync("refused", whole: true);
            await page.GetByLabel("Temperature").FillAsync("0.25");
            await page.GetByRole(AriaRole.Button, new() { Name = "Make the agent" }).ClickAsync();
            await page.GetByPlaceholder("Say something to Pilot").FillAsync("Where to?");
            await page.GetByRole(AriaRole.Button, new() { Name = "Send" }).ClickAsync();
            await Expect(page.Locator(".agent-said:not(.coming)")).ToContainTextAsync("You fly. At 0.25.");
            await Expect(page.Locator(".figures")).ToContainTextAsync("1 turn, 100 % answered");
            await page.GetByText("By day").ClickAsync();
            await person.ShootAsync("performance", whole: true);

            // Whoever leaves with changes is asked; what somebody else saved meanwhile is not lost.
            await page.GetByRole(AriaRole.Link, new() { Name = "Configure" }).ClickAsync();
            await page.GetByLabel("System prompt").FillAsync("You sail.");
            page.Dialog += Stay;
            await page.GetByRole(AriaRole.Link, new() { Name = "To the agent" }).ClickAsync();
            await Expect(page.GetByLabel("System prompt")).ToHaveValueAsync("You sail.");
            page.Dialog -= Stay;
            (await _server.CallAsync("PUT /api/agents/Pilot", """{"configuration":{"temperature":null,"personality":"dry"}}""")).Is(200);
            await page.GetByRole(AriaRole.Button, new() { Name = "Save" }).ClickAsync();
            await Expect(page.GetByRole(AriaRole.Alert)).ToContainTextAsync("was changed by");
            await person.ShootAsync("changed meanwhile", whole: true);
            await page.GetByRole(AriaRole.Button, new() { Name = "Put my changes on top of theirs" }).ClickAsync();
            await Expect(page.GetByLabel("Personality")).ToHaveValueAsync("dry");
            await page.GetByRole(AriaRole.Button, new() { Name = "Save" }).ClickAsync();
            await page.GetByText("What it is").WaitForAsync();
        });
        var configuration = (await _server.GetAsync("/api/agents/Pilot")).GetProperty("configuration");
        Assert.Equal(("You sail.", "dry", JsonValueKind.Null), (configuration.GetProperty("systemPrompt").GetString(), configuration.GetProperty("personality").GetString(), configuration.GetProperty("temperature").ValueKind));
        Assert.Equal("""["calculator"] {"calculator":"ask"}""", $"{configuration.GetProperty("tools").GetRawText()} {configuration.GetProperty("permissions").GetRawText()}");

        await VisitAsync("root", 420, async person =>
        {
            var page = person.Page;
            await page.GotoAsync("/app/agents/new");
            await page.GetByLabel("Package").SelectOptionAsync("athena");
            await Expect(page.GetByLabel("System prompt")).Not.ToHaveValueAsync("");
            await Expect(page.GetByLabel("Name")).ToHaveValueAsync("athena");
            await person.ShootAsync("package", whole: true);
            await page.GotoAsync("/app/agents/Pilot/configure");
            await page.GetByRole(AriaRole.Button, new() { Name = "Delete…" }).ClickAsync();
            await person.ShootAsync("delete", whole: true);
            await page.GetByRole(AriaRole.Button, new() { Name = "Delete Pilot for good" }).ClickAsync();
            await page.GetByText("No agents yet").WaitForAsync();
            await person.ShootAsync("none left");
        }, "phone");

        static void Stay(object? sender, IDialog dialog) => _ = dialog.DismissAsync();
    }

    [Fact]
    public async Task Turn_ThatWaitsForAnApproval_IsSeenAndDecidedByAnother()
    {
        await _server.PublishAsync("careful", $$"""
            { "inputs": [ { "name": "AgentId", "type": "String" } ],
              "root": { "id": "seq", "type": "Elsa.Sequence", "version": 1, "activities": [
                { "id": "ask", "type": "Conclave.Agents.AwaitApproval", "version": 1, "title": "Refund 120 EUR", "action": { "typeName": "Object", "expression": { "type": "Object", "value": {{JsonSerializer.Serialize("""{"tool":"refund","arguments":{"amount":120}}""")}} } } },
                { "id": "answer", "type": "Conclave.Agents.StreamReply", "version": 1, "text": "The money is on its way." } ] } }
            """);
        var agent = await _server.PostAsync("/api/agents", """{"name":"Careful","configuration":{"model":"brain","behaviour":"careful"}}""");
        await VisitAsync("root", 1280, asks => VisitAsync("operator", 1280, async decides =>
        {
            await asks.Page.GotoAsync($"/app/agents/{agent.GetProperty("id").GetString()}");
            await asks.Page.GetByPlaceholder("Say something to Careful").FillAsync("I want my money back.");
            await asks.Page.GetByRole(AriaRole.Button, new() { Name = "Send" }).ClickAsync();
            await asks.Page.GetByText("Asked: Refund 120 EUR").WaitForAsync();
            await asks.ShootAsync("waits");

            // Not the one for whom it is asked.
            await asks.Page.GetByRole(AriaRole.Link, new() { Name = "Decide" }).ClickAsync();
            await asks.Page.GetByText("It is asked for on your behalf").WaitForAsync();
            await decides.Page.GotoAsync("/app/inbox");
            await decides.Page.GetByRole(AriaRole.Link, new() { Name = "Refund 120 EUR" }).ClickAsync();
            await Expect(decides.Page.Locator(".panel header")).ToHaveTextAsync(new System.Text.RegularExpressions.Regex("asked by Careful.*for root"));
            await decides.Page.GetByRole(AriaRole.Button, new() { Name = "Approve", Exact = true }).ClickAsync();
            await decides.Page.GetByText("Approved by operator").WaitForAsync();

            await asks.Page.GoBackAsync();
            await asks.Page.GetByText("The money is on its way.").First.WaitForAsync();
            await Expect(asks.Page.Locator(".steps")).ToContainTextAsync("Refund 120 EUR: approved by operator");
            await asks.ShootAsync("answered");
        }, "decides"));
    }

    [Fact]
    public async Task RefundDesk_PersonPaysAnotherAmount_InTheBrowser()
    {
        Model.Answer = Refund;
        var desk = await _server.PostAsync("/api/agents", """{"name":"refund-desk","template":"refund-desk"}""");
        await VisitAsync("operator", 1280, async person =>
        {
            var page = person.Page;
            await page.GotoAsync("/app/inbox");
            await person.ShootAsync("nothing-waits");
            await _server.PostAsync("/workflows/refunds", """{"customer":"Sam Okafor","order":"1002","text":"The office chair of order 1002 arrived with a broken wheel."}""");
            await page.GetByRole(AriaRole.Link, new() { Name = "refund-desk wants to use issue-refund" }).ClickAsync();
            await page.GetByRole(AriaRole.Button, new() { Name = "Change the arguments" }).ClickAsync();
            await page.GetByLabel("Amount").FillAsync("124.5");
            await person.ShootAsync("changed");
            await page.GetByRole(AriaRole.Button, new() { Name = "Approve with changes" }).ClickAsync();
            await page.GetByText("Approved by operator").WaitForAsync();

            await page.GotoAsync("/app/agents");
            await page.GetByRole(AriaRole.Link, new() { Name = "refund-desk" }).First.WaitForAsync();
            await person.ShootAsync("agents");
            await page.GetByRole(AriaRole.Link, new() { Name = "refund-desk" }).First.ClickAsync();
            await page.GetByRole(AriaRole.Link, new() { Name = "Complaint of Sam Okafor" }).First.ClickAsync();
            await page.GetByText("We have paid 124.5 euros back.").First.WaitForAsync();
            await person.ShootAsync("agent");
        });

        // It went well: from now on it has to. Nobody is asked, and nothing is paid, when it is repeated.
        await VisitAsync("root", 1280, async person =>
        {
            var page = person.Page;
            await page.GotoAsync("/app/agents/refund-desk");
            await page.GetByRole(AriaRole.Link, new() { Name = "Complaint of Sam Okafor" }).First.ClickAsync();
            await page.GetByRole(AriaRole.Button, new() { Name = "Make this a test" }).ClickAsync();
            var tests = page.Locator("section.box", new() { HasText = "Tests" });
            await Expect(tests).ToContainTextAsync("not run yet");
            await Expect(page.GetByRole(AriaRole.Button, new() { Name = "Make this a test" })).ToHaveCountAsync(0);
            await tests.GetByRole(AriaRole.Button, new() { Name = "Run" }).ClickAsync();
            await Expect(tests.Locator(".tag")).ToHaveTextAsync("passed");
            await person.ShootAsync("test passed");
            (await _server.CallAsync($"PUT /api/tool-permissions/{desk.GetProperty("id").GetString()}", """{"permissions":[{"tool":"issue-refund","mode":"deny"}]}""")).Is(200);
            await tests.GetByRole(AriaRole.Button, new() { Name = "Run" }).ClickAsync();
            await Expect(tests.Locator(".tag")).ToHaveTextAsync("failed");
            await Expect(tests.Locator(".steps")).ToContainTextAsync("fewer than in the recorded run");
            await person.ShootAsync("test failed");
            Assert.Equal(2, (await _server.ItemsAsync("/api/tool-runs")).Count);
        }, "test");

        foreach (var width in (int[])[1280, 420])
        {
            await VisitAsync("root", width, async person =>
            {
                var page = person.Page;
                await page.GotoAsync("/app/tools");
                await page.GetByLabel("Find tools").FillAsync("refund");
                await Expect(page.Locator(".tile")).ToHaveCountAsync(1);
                await page.GetByLabel("Find tools").FillAsync("");
                await page.GetByRole(AriaRole.Link, new() { Name = "order-lookup" }).WaitForAsync();
                await person.ShootAsync("tools");
                await page.GetByRole(AriaRole.Link, new() { Name = "issue-refund" }).ClickAsync();
                await Expect(page.Locator(".plain .tag").First).ToHaveTextAsync("completed");
                await person.ShootAsync("tool");
            }, $"tools-{width}");
        }
    }

    /// <summary>A model that looks the order up, pays it back whole, and tells what the receipt says.</summary>
    private static DoubleAnswer Refund(DoubleRequest request)
    {
        var results = request.Body.GetProperty("messages").EnumerateArray().Where(m => m.GetProperty("role").GetString() == "tool").Select(m => m.GetProperty("content").GetString()!).ToList();
        if (results.Count < 2)
            return new DoubleAnswer { ToolCalls = [results.Count == 0 ? ("order-lookup", """{"orderId":"1002"}""") : ("issue-refund", """{"orderId":"1002","amount":249,"reason":"Broken wheel"}""")] };
        return DoubleAnswer.Say($"We have paid {(results[1].Contains("124.5", StringComparison.Ordinal) ? "124.5" : "something else than 124.5")} euros back.");
    }

    private async Task VisitAsync(string who, int width, Func<Visitor, Task> story, string part = "", [System.Runtime.CompilerServices.CallerMemberName] string test = "")
    {
        await using var context = await _browser.NewContextAsync(new() { BaseURL = _server.Http.BaseAddress!.ToString(), ViewportSize = new() { Width = width, Height = 860 } });
        context.SetDefaultTimeout(BrowserServer.Patience);
        var watcher = await Watcher.WatchAsync(context);
        var visitor = new Visitor(await context.NewPageAsync(), watcher, _server, Path.Combine(BrowserServer.ScreenshotFolder, $"{test}{part}"));
        await Visitor.SignInAsync(visitor.Page, who);
        try
        {
            await story(visitor);
            watcher.AssertClean();
        }
        catch (Exception e)
        {
            await visitor.ShootAsync("failed");
            throw new Xunit.Sdk.XunitException($"{e.Message}\nSeen: {string.Join('\n', watcher.Problems)}\nScreenshots: {visitor.Folder}\n{string.Join('\n', _server.Output.Where(l => l.Contains("\"Error\"", StringComparison.Ordinal)).Take(3))}", e);
        }
    }
}

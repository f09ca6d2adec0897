using System.Text.Json;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace Conclave.EndToEnd.Browser;

/// <summary>People and what is asked of them, in the inbox.</summary>
[Collection(BrowserServer.Name)]
public sealed class InboxTests(BrowserServer browser)
{
    private readonly string _title = $"Refund {Guid.NewGuid():N}"[..16];

    [Theory]
    [InlineData(1280, 800)]
    [InlineData(420, 860)]
    public async Task Operator_ChangesTheAmountAndApproves_TheWorkflowGetsTheChangedAmount(int width, int height)
    {
        await browser.VisitAsync("operator", async person =>
        {
            var page = person.Page;
            await page.GotoAsync("/app");
            await page.GetByRole(AriaRole.Heading, new() { Name = "Inbox" }).WaitForAsync();
            await person.ShootAsync("inbox");

            // It comes by itself.
            var instance = await AskAsync(""" "description": "The parcel arrived broken; the customer sent a photo.\nAbove 100 EUR somebody has to agree.", "dueIn": "1.00:00:00", "priority": "P1", """);
            var card = page.GetByRole(AriaRole.Link, new() { Name = _title });
            await card.WaitForAsync();
            await person.ShootAsync("came");
            await card.ClickAsync();
            await page.GetByText("exactly this runs").WaitForAsync();
            await person.ShootAsync("opened");

            await page.GetByRole(AriaRole.Button, new() { Name = "Change the arguments" }).ClickAsync();
            await page.GetByLabel("Amount").FillAsync("80");
            await Expect(page.Locator(".values ins")).ToHaveTextAsync("80");
            await Expect(page.Locator(".values del")).ToHaveTextAsync("120");
            await page.GetByLabel("Comment").FillAsync("80 is what the goods cost.");
            await person.ShootAsync("changed");
            await page.GetByRole(AriaRole.Button, new() { Name = "Approve with changes" }).ClickAsync();
            await page.GetByText("Approved by operator").WaitForAsync();
            await person.ShootAsync("approved");

            await browser.Server.UntilAsync(instance, "Finished");
            var ended = await browser.Server.GetAsync($"/api/instances/{instance}");
            Assert.Equal("""{"amount":80,"order":"A-7"}""", ended.GetProperty("output").GetProperty("Args").GetRawText());
        }, test: $"{nameof(Operator_ChangesTheAmountAndApproves_TheWorkflowGetsTheChangedAmount)}-{width}", width: width, height: height);
    }

    [Fact]
    public async Task TwoPeople_TheSecondSeesWhatTheFirstDid_AndCannotDecideOnWhatIsOld()
    {
        await AskAsync(""" "quorum": 2, """);
        await browser.VisitAsync("operator", first => browser.VisitAsync("root", async second =>
        {
            await OpenAsync(first);
            await OpenAsync(second);
            await second.Page.GetByRole(AriaRole.Button, new() { Name = "Change the arguments" }).ClickAsync();
            await second.Page.GetByLabel("Amount").FillAsync("50");

            await first.Page.GetByRole(AriaRole.Button, new() { Name = "Change the arguments" }).ClickAsync();
            await first.Page.GetByLabel("Amount").FillAsync("90");
            await first.Page.GetByRole(AriaRole.Button, new() { Name = "Approve with changes" }).ClickAsync();
            await first.Page.GetByText("You have decided. Others have to decide as well.").WaitForAsync();

            await second.Page.GetByText("Somebody has changed the arguments. Look at them again.").WaitForAsync();
            await Expect(second.Page.Locator(".values ins")).ToHaveTextAsync("90");
            await second.ShootAsync("told");
            await second.Page.GetByRole(AriaRole.Button, new() { Name = "Approve", Exact = true }).ClickAsync();
            await second.Page.GetByText("Approved by root").WaitForAsync();
            await first.Page.GetByText("Approved by root").WaitForAsync();
            await first.ShootAsync("approved");
        }), test: nameof(TwoPeople_TheSecondSeesWhatTheFirstDid_AndCannotDecideOnWhatIsOld));
    }

    [Fact]
    public async Task Task_WithAForm_IsCompletedOnceItIsFilledIn()
    {
        var instance = await StartAsync($$"""
            { "id": "pack", "type": "Conclave.Agents.UserTask", "version": 1, "title": "{{_title}}", "possibleOutcomes": {{Json("""["Ship", "Refund"]""")}},
              "form": {{Json("""{"type":"object","properties":{"weight":{"type":"number","title":"Weight in kg"},"fragile":{"type":"boolean","title":"It can break"},"remarks":{"type":"string","format":"textarea","title":"Remarks"}},"required":["weight"]}""")}},
              "formData": { "memoryReference": { "id": "args" } }, "outcome": { "memoryReference": { "id": "decision" } } }
            """);
        await browser.VisitAsync("operator", async person =>
        {
            var page = person.Page;
            await OpenAsync(person);
            await page.GetByRole(AriaRole.Button, new() { Name = "Done" }).ClickAsync();
            await Expect(page.GetByText("This has to be filled in.").First).ToBeVisibleAsync();
            await page.GetByLabel("Weight in kg").FillAsync("2.5");
            await page.GetByLabel("It can break").CheckAsync();
            await page.GetByLabel("Outcome").SelectOptionAsync("Ship");
            await person.ShootAsync("filled in");
            await page.GetByRole(AriaRole.Button, new() { Name = "Done" }).ClickAsync();
            await page.GetByText("Done by operator").WaitForAsync();
            await person.ShootAsync("done");
        });

        await browser.Server.UntilAsync(instance, "Finished");
        var output = (await browser.Server.GetAsync($"/api/instances/{instance}")).GetProperty("output");
        Assert.Equal("Ship", output.GetProperty("Decision").GetString());
        Assert.Equal("""{"outcome":"Ship","weight":2.5,"fragile":true}""", output.GetProperty("Args").GetRawText());
    }

    [Fact]
    public async Task WhoMayNotDecide_SeesWhy()
    {
        await AskAsync(""" "onBehalfOf": "operator", """);
        await browser.VisitAsync("viewer", async person =>
        {
            await OpenAsync(person);
            await person.Page.GetByText("Your account does not decide on approvals.").WaitForAsync();
            await Expect(person.Page.GetByRole(AriaRole.Button, new() { Name = "Approve" })).ToHaveCountAsync(0);
            await person.ShootAsync("viewer");
        });
        await browser.VisitAsync("operator", async person =>
        {
            await OpenAsync(person);
            await person.Page.GetByText("It is asked for on your behalf").WaitForAsync();
            await Expect(person.Page.GetByRole(AriaRole.Button, new() { Name = "Approve" })).ToHaveCountAsync(0);
            await person.ShootAsync("own");
        });
    }

    [Fact]
    public async Task Link_OpenedByAProgramAndByAPerson_ChangesNothing()
    {
        var instance = await AskAsync("");
        JsonElement approval = default;
        await ServerProcess.UntilAsync(async () =>
        {
            var found = (await browser.Server.GetAsync($"/api/approvals?instance={instance}")).GetProperty("items");
            return found.GetArrayLength() == 1 && (approval = await browser.Server.GetAsync($"/api/approvals/{found[0].GetProperty("id").GetString()}")).ValueKind == JsonValueKind.Object;
        }, "somebody is asked");
        var link = approval.GetProperty("link").GetString()!;
        using var robot = new HttpClient();
        (await robot.GetAsync(link)).EnsureSuccessStatusCode();

        await browser.VisitAsync("operator", async person =>
        {
            await person.Page.GotoAsync(link);
            await person.Page.GetByText("exactly this runs").WaitForAsync();
            await person.Page.EmulateMediaAsync(new() { ColorScheme = ColorScheme.Dark });
            await person.ShootAsync("dark");
        });

        Assert.Equal("pending", (await browser.Server.GetAsync($"/api/approvals/{approval.GetProperty("id").GetString()}")).GetProperty("status").GetString());
        Assert.Equal(404, (int)(await robot.GetAsync(link[..^4] + "AAAA")).StatusCode);
    }

    private async Task OpenAsync(Visitor person)
    {
        await person.Page.GotoAsync("/app/inbox");
        await person.Page.GetByRole(AriaRole.Button, new() { Name = "All waiting" }).ClickAsync();
        await person.Page.GetByRole(AriaRole.Link, new() { Name = _title }).ClickAsync();
        await person.Page.GetByRole(AriaRole.Heading, new() { Name = _title }).WaitForAsync();
    }

    private Task<string> AskAsync(string more) => StartAsync($$"""
        { "id": "ask", "type": "Conclave.Agents.AwaitApproval", "version": 1, "title": "{{_title}}", {{more}}
          "action": {{Json("""{"agent":"refunds","tool":"refund","toolHash":"h","tenant":"default","arguments":{"order":"A-7","amount":120}}""")}},
          "argumentsSchema": {{Json("""{"type":"object","properties":{"amount":{"type":"number","title":"Amount","description":"In EUR.","maximum":120},"order":{"type":"string","title":"Order"}},"required":["amount","order"]}""")}},
          "arguments": { "memoryReference": { "id": "args" } }, "decision": { "memoryReference": { "id": "decision" } } }
        """);

    private async Task<string> StartAsync(string activity)
    {
        var id = Drawings.NewName();
        await browser.Server.PublishAsync(id, $$"""
            { "outputs": [ { "name": "Args", "type": "Object" }, { "name": "Decision", "type": "String" } ],
              "variables": [ { "id": "args", "name": "A", "typeName": "Object" }, { "id": "decision", "name": "D", "typeName": "String" } ],
              "root": { "id": "seq", "type": "Elsa.Sequence", "version": 1, "activities": [ {{activity}},
                { "id": "o1", "type": "Elsa.SetOutput", "version": 1, "outputName": "Args", "outputValue": { "typeName": "Object", "expression": { "type": "Variable", "value": { "id": "args" } } } },
                { "id": "o2", "type": "Elsa.SetOutput", "version": 1, "outputName": "Decision", "outputValue": { "typeName": "Object", "expression": { "type": "Variable", "value": { "id": "decision" } } } } ] } }
            """);
        return await browser.Server.StartAsync(id);
    }

    private static string Json(string json) => $$"""{ "typeName": "Object", "expression": { "type": "Object", "value": {{JsonSerializer.Serialize(json)}} } }""";
}

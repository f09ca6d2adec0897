using System.Text.Json;
using AngleSharp.Dom;
using Bunit;
using Conclave.Agents;
using Conclave.Agents.Packages;
using Conclave.Agents.Tools;
using Conclave.Server.Accounts;
using Conclave.Server.Web.Agents;
using Conclave.Tests.Agents.Tools;
using static Conclave.Tests.Server.Web.InboxPageTests;

namespace Conclave.Tests.Server.Web;

/// <summary>Where agents are made and changed.</summary>
public sealed class ConfigurePageTests : IAsyncLifetime
{
    private PageHost _host = null!;
    private ToolHost _tools = null!;

    public async Task InitializeAsync()
    {
        _host = await PageHost.StartAsync();
        await _host.StartRuntimeAsync();
        _tools = await ToolHost.StartAsync(on: _host.Database);
        await _tools.Services.Registry.LoadAsync(PageHost.Tenant, default);
        _host.Tools = _tools.Services;
    }

    public async Task DisposeAsync()
    {
        await _tools.DisposeAsync();
        await _host.DisposeAsync();
    }

    [Fact]
    public async Task MayNotWrite_HasNoForm()
    {
        var agent = await MakeAsync();
        _host.As(PageHost.Ann, Permissions.ReadAgents, Permissions.ExecuteAgents);

        var page = Draw(agent.Id);

        page.WaitForAssertion(() => Assert.Equal("Not allowed", page.Find("h1").TextContent));
        Assert.Empty(page.FindAll("form, button"));
    }

    [Fact]
    public void Agent_IsNotThere_SaysSo()
    {
        var page = Draw("nobody");

        page.WaitForAssertion(() => Assert.Equal("There is no such agent", page.Find("h1").TextContent));
    }

    [Fact]
    public async Task Save_ChangesWhatWasFilledIn_AndNothingElse()
    {
        var before = new AgentConfiguration
        {
            SystemPrompt = "You handle refunds.\nAlways.",
            Temperature = 0.3,
            Mood = "calm",
            Tools = ["gone", "clock"],
            Permissions = new Dictionary<string, ToolMode> { ["gone"] = ToolMode.Deny, ["*"] = ToolMode.Ask },
            Rules = new Dictionary<string, IReadOnlyList<ToolRule>> { ["gone"] = [new ToolRule { When = JsonElement.Parse("{}"), Mode = ToolMode.Allow }] },
            Channels = ["general", "sales"],
            Budget = new AgentBudget { Tokens = 100, Period = "month" },
        };
        var agent = await MakeAsync(before);
        var page = Draw(agent.Id);
        page.WaitForElement("form");
        Assert.True(Button(page, "Save").HasAttribute("disabled"));

        await FillAsync(page, "#how-model", "brain");
        await FillAsync(page, "#how-temperature", "");
        await FillAsync(page, "#budget-money", "2.50");
        await FillAsync(page, "#more-channels", "sales");
        await page.InvokeAsync(() => Tool(page, "calculator").Find("input").Change(true));
        await page.InvokeAsync(() => Tool(page, "calculator").Find("select").Change("allow"));
        await page.InvokeAsync(() => page.Find("form").SubmitAsync());

        page.WaitForAssertion(() => Assert.Equal($"/app/agents/{agent.Id}", new Uri(_host.Navigation.Uri).AbsolutePath));
        var after = (await _host.Agents.FindAsync(PageHost.Tenant, agent.Id, default))!;
        var expected = before with
        {
            Model = "brain",
            Temperature = null,
            Tools = ["gone", "clock", "calculator"],
            Permissions = new Dictionary<string, ToolMode> { ["calculator"] = ToolMode.Allow, ["gone"] = ToolMode.Deny, ["*"] = ToolMode.Ask },
            Channels = ["sales"],
            Budget = before.Budget with { Money = 2.50m },
        };
        var stored = AgentConfigurations.Write(after.Configuration);
        Assert.True(JsonElement.DeepEquals(AgentConfigurations.Write(expected), stored), stored.GetRawText());
        Assert.Equal(("ann", 2), (after.UpdatedBy, after.Version));
    }

    [Fact]
    public async Task Save_WhatCannotBe_IsSaidWhereItIs_AndNothingIsStored()
    {
        var agent = await MakeAsync();
        var page = Draw(agent.Id);
        page.WaitForElement("form");

        await FillAsync(page, "#how-contextSize", "many");
        await page.InvokeAsync(() => page.Find("form").SubmitAsync());
        Assert.Equal("This is not a number.", Field(page, "#how-contextSize").QuerySelector(".problem")!.TextContent);

        await FillAsync(page, "#how-contextSize", "99999999999");
        await page.InvokeAsync(() => page.Find("form").SubmitAsync());
        Assert.Contains("This cannot be read", Field(page, "#how-contextSize").QuerySelector(".problem")!.TextContent, StringComparison.Ordinal);

        await FillAsync(page, "#how-contextSize", "7");
        await FillAsync(page, "#limits-maxSteps", "0");
        await FillAsync(page, "#name", "a/b");
        await FillAsync(page, "#more-rules", """{"clock":[{"mode":"perhaps"}]}""");
        await page.InvokeAsync(() => page.Find("form").SubmitAsync());
        Assert.Contains("cannot be read", Field(page, "#more-rules").QuerySelector(".problem")!.TextContent, StringComparison.Ordinal);
        await FillAsync(page, "#more-rules", "{}");
        await page.InvokeAsync(() => page.Find("form").SubmitAsync());

        Assert.Contains("at: Name, Context size, Model calls.", page.Find(".save .problems").TextContent, StringComparison.Ordinal);
        Assert.Equal("It must be 1,024 to 1,000,000; it is 7.", Field(page, "#how-contextSize").QuerySelector(".problem")!.TextContent);
        Assert.Contains("1 to 1,000", Field(page, "#limits-maxSteps").QuerySelector(".problem")!.TextContent, StringComparison.Ordinal);
        Assert.Contains("1 to 100 characters", Field(page, "#name").QuerySelector(".problem")!.TextContent, StringComparison.Ordinal);
        Assert.Equal(1, (await _host.Agents.FindAsync(PageHost.Tenant, agent.Id, default))!.Version);
    }

    [Fact]
    public async Task Save_SomebodyElseDidMeanwhile_BothChangesAreKept()
    {
        var agent = await MakeAsync();
        var page = Draw(agent.Id);
        page.WaitForElement("form");
        await FillAsync(page, "#who-systemPrompt", "You are mine.");
        await _host.Agents.UpdateAsync(agent, "Renamed", agent.Configuration with { SystemPrompt = "You are theirs.", Personality = "dry" }, null, "bob", default);

        await page.InvokeAsync(() => page.Find("form").SubmitAsync());
        Assert.Contains("was changed by bob", page.Find(".problems").TextContent, StringComparison.Ordinal);
        Assert.Equal("You are mine.", page.Find("#who-systemPrompt").GetAttribute("value"));
        await page.InvokeAsync(() => Button(page, "Put my changes on top of theirs").ClickAsync(new()));
        Assert.Equal("dry", page.Find("#who-personality").GetAttribute("value"));
        await page.InvokeAsync(() => page.Find("form").SubmitAsync());

        var after = (await _host.Agents.FindAsync(PageHost.Tenant, agent.Id, default))!;
        Assert.Equal(("Renamed", "You are mine.", "dry", 3), (after.Name, after.Configuration.SystemPrompt, after.Configuration.Personality, after.Version));
    }

    [Fact]
    public async Task Undo_ShowsWhatIsStored()
    {
        var agent = await MakeAsync();
        var page = Draw(agent.Id);
        page.WaitForElement("form");
        await FillAsync(page, "#who-systemPrompt", "Oh.");
        await FillAsync(page, "#name", "Other");

        await page.InvokeAsync(() => Button(page, "Undo all").ClickAsync(new()));

        Assert.Equal(("You handle refunds.", "Rita"), (page.Find("#who-systemPrompt").GetAttribute("value"), page.Find("#name").GetAttribute("value")));
        Assert.True(Button(page, "Save").HasAttribute("disabled"));
    }

    [Fact]
    public async Task New_FromAPackage_HasWhatThePackageSaysAndWhatWasTyped()
    {
        await _host.AddPackageAsync(new AgentManifest
        {
            Name = "athena",
            Version = "1.0.0",
            Type = "expert",
            DisplayName = "Athena",
            Description = "Plans.",
            Role = "strategist",
            Domain = "planning",
            SystemPrompt = "You plan.",
            Behaviour = new BehaviourReference { Definition = "plan-and-execute" },
            Tools = ["clock"],
        });
        var page = Draw(null);
        page.WaitForElement("form");

        await FillAsync(page, "#how-model", "brain");
        await page.InvokeAsync(() => page.Find("#template").Change("athena"));
        Assert.Equal(("You plan.", "brain", "athena"), (page.Find("#who-systemPrompt").GetAttribute("value"), page.Find("#how-model").GetAttribute("value"), page.Find("#name").GetAttribute("value")));
        await page.InvokeAsync(() => page.Find("form").SubmitAsync());

        var made = (await _host.Agents.FindAsync(PageHost.Tenant, "athena", default))!;
        Assert.Equal(("athena", "brain", "You plan.", "plan-and-execute", "clock"), (made.Template, made.Configuration.Model, made.Configuration.SystemPrompt, made.Configuration.Behaviour, made.Configuration.Tools.Single()));
        Assert.Equal($"/app/agents/{made.Id}", new Uri(_host.Navigation.Uri).AbsolutePath);
    }

    [Fact]
    public async Task New_NameIsTaken_SaysSoAndKeepsTheForm()
    {
        await MakeAsync();
        var page = Draw(null);
        page.WaitForElement("form");

        await FillAsync(page, "#name", "rita");
        await page.InvokeAsync(() => page.Find("form").SubmitAsync());

        Assert.Contains("There is an agent of the name 'rita' already", page.Find(".problems").TextContent, StringComparison.Ordinal);
        Assert.Equal("rita", page.Find("#name").GetAttribute("value"));
    }

    [Fact]
    public async Task Delete_IsAskedTwice_AndRefusedWhileItWorks()
    {
        var agent = await MakeAsync();
        await _host.TurnAsync(agent, "turn-1", "Think", null);
        var page = Draw(agent.Id);
        page.WaitForElement("form");

        await page.InvokeAsync(() => Button(page, "Delete…").ClickAsync(new()));
        await page.InvokeAsync(() => Button(page, "Delete Rita for good").ClickAsync(new()));
        Assert.Contains("1 turns under way", page.Find(".problems").TextContent, StringComparison.Ordinal);
        Assert.NotNull(await _host.Agents.FindAsync(PageHost.Tenant, agent.Id, default));

        await _host.Database.ExecuteAsync($"select conclave.turn_stored('{PageHost.Tenant}', 'turn-1', 'completed', null, now())");
        await page.InvokeAsync(() => Button(page, "Delete…").ClickAsync(new()));
        await page.InvokeAsync(() => Button(page, "Delete Rita for good").ClickAsync(new()));

        page.WaitForAssertion(() => Assert.Equal("/app/agents", new Uri(_host.Navigation.Uri).AbsolutePath));
        Assert.Null(await _host.Agents.FindAsync(PageHost.Tenant, agent.Id, default));
    }

    private IRenderedComponent<ConfigurePage> Draw(string? id) => _host.Draw<ConfigurePage>(p => p.Add(x => x.Id, id));

    private static Task FillAsync(IRenderedComponent<ConfigurePage> page, string field, string value) => page.InvokeAsync(() => page.Find(field).InputAsync(value));

    private static IElement Field(IRenderedComponent<ConfigurePage> page, string field) => page.Find(field).Closest(".field")!;

    private static ToolRow Tool(IRenderedComponent<ConfigurePage> page, string name) =>
        new(() => page.FindAll(".choices li").Single(li => li.QuerySelector(".tool-name")?.TextContent == name));

    private Task<Agent> MakeAsync(AgentConfiguration? configuration = null) =>
        _host.Agents.CreateAsync(PageHost.Tenant, "Rita", null, configuration ?? new AgentConfiguration { SystemPrompt = "You handle refunds." }, "ann", default);

    private sealed record ToolRow(Func<IElement> Row)
    {
        public IElement Find(string selector) => Row().QuerySelector(selector)!;
    }
}

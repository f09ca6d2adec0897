using System.Text.Json;
using Bunit;
using Conclave.Agents;
using Conclave.Agents.Tools;
using Conclave.Server.Accounts;
using Conclave.Server.Web.Tools;
using Conclave.Tests.Agents.Tools;
using static Conclave.Tests.Server.Web.InboxPageTests;

namespace Conclave.Tests.Server.Web;

/// <summary>The list of tools, and a tool's page with its calls.</summary>
public sealed class ToolPagesTests : IAsyncLifetime
{
    private PageHost _host = null!;
    private ToolHost _tools = null!;

    private ToolServices Tools => _tools.Services;

    public async Task InitializeAsync()
    {
        _host = await PageHost.StartAsync();
        _tools = await ToolHost.StartAsync(on: _host.Database);
        await Tools.Registry.LoadAsync(PageHost.Tenant, default);
        _host.Tools = Tools;
    }

    public async Task DisposeAsync()
    {
        await _tools.DisposeAsync();
        await _host.DisposeAsync();
    }

    [Fact]
    public void List_MayNotRead_SaysWhichRightIsMissing()
    {
        _host.As(PageHost.Ann, Permissions.ReadAgents);

        var page = _host.Draw<ToolsPage>();

        page.WaitForAssertion(() => Assert.Contains(Permissions.ReadTools, page.Markup, StringComparison.Ordinal));
        Assert.Empty(page.FindAll(".tile"));
    }

    [Fact]
    public async Task List_ShowsEveryToolWithItsCalls_AndFindsByWordsAndState()
    {
        await CallAsync("calculator", """{"expression":"1+1"}""");
        await CallAsync("calculator", """{"expression":"1+"}""");
        var all = Tools.Registry.List(PageHost.Tenant);

        var page = _host.Draw<ToolsPage>();

        page.WaitForAssertion(() => Assert.Equal(all.Select(t => t.Name).Order(), page.FindAll(".tile-title").Select(t => t.TextContent).Order()));
        var tile = page.FindAll(".tile").Single(t => t.GetAttribute("href") == "/app/tools/calculator").TextContent;
        Assert.Contains("2 calls", tile, StringComparison.Ordinal);
        Assert.Contains("1 failed", tile, StringComparison.Ordinal);

        await page.InvokeAsync(() => page.Find("#find").Input("calc"));
        Assert.Equal("calculator", page.Find(".tile-title").TextContent);
        await page.InvokeAsync(() => page.Find("#state").Change("disabled"));
        Assert.Equal("No tool fits", page.Find(".empty h2").TextContent);
    }

    [Fact]
    public void Tool_IsNotThere_SaysSo()
    {
        var page = Draw("nothing");

        page.WaitForAssertion(() => Assert.Equal("There is no such tool", page.Find("h1").TextContent));
    }

    [Fact]
    public async Task Tool_ShowsWhatItIs_WhoMayAndWhatWasCalled()
    {
        await CallAsync("calculator", """{"expression":"6*7"}""");
        await Tools.Store.PutPermissionsAsync(PageHost.Tenant, "rita", [new ToolPermission("rita", "calculator", ToolMode.Deny, [])], "ann", default);

        var page = Draw("calculator");

        page.WaitForAssertion(() => Assert.Contains("completed", page.Find(".plain li").TextContent, StringComparison.Ordinal));
        Assert.Contains("1 call of 1 caller", page.Markup, StringComparison.Ordinal);
        Assert.Contains("42", page.FindAll(".plain pre")[1].TextContent, StringComparison.Ordinal);
        Assert.Matches("rita\\s*: deny", page.Find("aside").TextContent);
        Assert.Contains(Tools.Registry.Find(PageHost.Tenant, "calculator")!.Hash, page.Find("aside").TextContent, StringComparison.Ordinal);
    }

    [Fact]
    public async Task TurnOff_KeepsItFromBeingCalled_UntilItIsTurnedOn()
    {
        var page = Draw("calculator");
        page.WaitForAssertion(() => Button(page, "Turn off"));

        await page.InvokeAsync(() => Button(page, "Turn off").ClickAsync(new()));

        page.WaitForAssertion(() => Assert.Contains("is turned off", page.Find("[role=alert]").TextContent, StringComparison.Ordinal));
        Assert.Equal("tool.unavailable", (await CallAsync("calculator", """{"expression":"1"}""")).ErrorCode);
        await page.InvokeAsync(() => Button(page, "Turn on").ClickAsync(new()));
        page.WaitForAssertion(() => Assert.Empty(page.FindAll("[role=alert]")));
        Assert.True((await CallAsync("calculator", """{"expression":"1"}""")).IsSuccess);
    }

    [Fact]
    public async Task Definition_ThatHasChanged_IsApprovedOnThePage()
    {
        await AddAsync("one");
        await AddAsync("two");
        var page = Draw("echo");
        page.WaitForAssertion(() => Assert.Contains("has changed", page.Find("[role=alert]").TextContent, StringComparison.Ordinal));

        await page.InvokeAsync(() => Button(page, "Approve this definition").ClickAsync(new()));

        page.WaitForAssertion(() => Assert.Equal("ready", page.Find(".facts .tag").TextContent));
        Assert.Equal("ann", Tools.Registry.Find(PageHost.Tenant, "echo")!.ApprovedBy);
    }

    [Fact]
    public void MayOnlyRead_ChangesNothing()
    {
        _host.As(PageHost.Bob, Permissions.ReadTools);

        var page = Draw("calculator");

        page.WaitForAssertion(() => Assert.Equal("calculator", page.Find("h1").TextContent));
        Assert.Empty(page.FindAll(".buttons"));
    }

    private IRenderedComponent<ToolPage> Draw(string name) => _host.Draw<ToolPage>(p => p.Add(c => c.Name, name));

    private Task<ToolResult> CallAsync(string tool, string arguments) => Tools.Executor.RunAsync(
        new ToolCall(PageHost.Tenant, "rita", "", tool, null, JsonElement.Parse(arguments), Guid.NewGuid().ToString("n")), default);

    private async Task AddAsync(string word)
    {
        var tool = ToolDefinitionReader.Read(JsonElement.Parse($$"""
            { "name": "echo", "description": "Says {{word}}.", "kind": "http", "settings": { "url": "https://example.com/{{word}}" }, "parameters": { "type": "object" } }
            """), out var problems);
        Assert.Empty(problems);
        Assert.Empty(await Tools.Store.ReplaceSourceAsync(PageHost.Tenant, "test", [tool!], "test", default));
        await Tools.Registry.LoadAsync(PageHost.Tenant, default);
    }
}

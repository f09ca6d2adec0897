namespace Conclave.Tests.Cli;

/// <summary>What waits for people, from a terminal.</summary>
public sealed class ApprovalsCommandTests : IAsyncLifetime
{
    private const string Pending = """
        {"id":"i1-2","kind":"approval","status":"pending","title":"Refund","onBehalfOf":"cleo","action":{"tool":"refund","arguments":{"amount":120}},"actionHash":"abcdef0123456789","votes":[]}
        """;

    private FakeServer _server = null!;

    public async Task InitializeAsync() => _server = await FakeServer.StartAsync();

    public async Task DisposeAsync() => await _server.DisposeAsync();

    [Fact]
    public async Task List_ShowsWhatWaitsForTheCaller_OrAll()
    {
        const string Page = """{"items":[{"id":"i1-2","status":"pending","title":"Refund"}],"next":null}""";
        _server.On("GET /api/approvals?mine=true&limit=50", Page);
        _server.On("GET /api/approvals?status=approved&limit=50", """{"items":[],"next":null}""");

        var (code, output, _) = await _server.RunAsync("approvals", "list");
        var (_, none, _) = await _server.RunAsync("approvals", "list", "--status", "approved");

        Assert.Equal(0, code);
        Assert.Contains("i1-2", output, StringComparison.Ordinal);
        Assert.Equal("Nothing waits for you.", none.Trim());
    }

    [Fact]
    public async Task Show_PrintsTheActionAndHowToApproveExactlyThat()
    {
        _server.On("GET /api/approvals/i1-2", Pending);

        var (code, output, _) = await _server.RunAsync("approvals", "show", "i1-2");

        Assert.Equal(0, code);
        Assert.Contains("\"amount\": 120", output, StringComparison.Ordinal);
        Assert.Contains("conclave approvals approve i1-2 --hash abcdef0123456789", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Approve_SendsTheHashThatWasSeen()
    {
        _server.On("GET /api/approvals/i1-2", Pending);
        _server.On("POST /api/approvals/i1-2/decision", """{"status":"approved"}""");

        var (code, output, _) = await _server.RunAsync("approvals", "approve", "i1-2", "--hash", "ABCDEF01", "--comment", "Fine.", "--arguments", """{"amount":80}""");

        Assert.Equal((0, "It is approved."), (code, output.Trim()));
        Assert.Equal(
            """{"decision":"approve","actionHash":"abcdef0123456789","comment":"Fine.","arguments":{"amount":80}}""", _server.Received[^1].Body);
    }

    [Fact]
    public async Task Approve_AnotherActionByNow_SendsWhatWasSeen_AndTheServerSaysNo()
    {
        _server.On("GET /api/approvals/i1-2", Pending);
        _server.On("POST /api/approvals/i1-2/decision", """{"status":409,"code":"approval.action_changed","detail":"Look at it again."}""", 409);

        var (code, _, errors) = await _server.RunAsync("approvals", "approve", "i1-2", "--hash", "00000000");

        Assert.NotEqual(0, code);
        Assert.Contains("Look at it again.", errors, StringComparison.Ordinal);
        Assert.Contains("\"actionHash\":\"00000000\"", _server.Received[^1].Body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Approve_WithoutAHash_AsksNothing()
    {
        Assert.NotEqual(0, (await _server.RunAsync("approvals", "approve", "i1-2")).Code);
        Assert.NotEqual(0, (await _server.RunAsync("approvals", "approve", "i1-2", "--hash", "ab")).Code);
        Assert.Empty(_server.Received);
    }

    [Fact]
    public async Task RejectAndComplete_SayWhatBecameOfIt()
    {
        _server.On("GET /api/approvals/i1-2", Pending);
        _server.On("POST /api/approvals/i1-2/decision", """{"status":"pending"}""");
        _server.On("POST /api/approvals/i1-3/decision", """{"status":"done"}""");

        var (_, rejected, _) = await _server.RunAsync("approvals", "reject", "i1-2", "--hash", "abcdef01");
        var (_, done, _) = await _server.RunAsync("approvals", "complete", "i1-3", "--form", """{"weight":2}""");

        Assert.Equal("Your decision is taken; others have to decide as well.", rejected.Trim());
        Assert.Equal("It is done.", done.Trim());
        Assert.Equal("""{"decision":"complete","formData":{"weight":2}}""", _server.Received[^1].Body);
    }
}

using System.Diagnostics;
using System.Text.Json;

namespace Conclave.Tests.Cli;

/// <summary>Where the server and the key come from, and what happens when something is wrong with either.</summary>
public sealed class ConnectionTests : IAsyncLifetime
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("conclave-test-");
    private FakeServer _server = null!;

    public async Task InitializeAsync() => _server = await FakeServer.StartAsync();

    public async Task DisposeAsync()
    {
        await _server.DisposeAsync();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public async Task AnyCommand_NoServerIsKnown_ExitsWith5AndSaysHowToStartOne()
    {
        var (code, output, errors) = await RunAsync("queue");

        Assert.Equal(5, code);
        Assert.Empty(output);
        Assert.Contains("dotnet run --project src/Conclave.Server", errors, StringComparison.Ordinal);
        Assert.Contains(Path.Combine(_folder.FullName, "server-url"), errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AnyCommand_NothingListens_ExitsWith5AndNamesTheAddress()
    {
        var (code, _, errors) = await RunAsync("start", "orders", "--server", "http://127.0.0.1:1");

        Assert.Equal(5, code);
        Assert.Contains("No server answers at http://127.0.0.1:1/ (from --server)", errors, StringComparison.Ordinal);
        Assert.Contains("dotnet run --project src/Conclave.Server", errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("localhost:8080")]
    [InlineData("ftp://localhost")]
    [InlineData("http://me:secret@localhost")]
    public async Task AnyCommand_AddressThatIsNone_ExitsWith4AndDoesNotRepeatAPassword(string address)
    {
        var (code, _, errors) = await RunAsync("queue", "--server", address);

        Assert.Equal(4, code);
        Assert.Contains("--server", errors, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AnyCommand_WrongKey_ExitsWith3SaysWhereItCameFromAndDoesNotPrintIt()
    {
        var file = Save("key", "not-the-key");

        var (code, output, errors) = await RunAsync("queue", "--server", _server.Address, "--api-key-file", file);

        Assert.Equal(3, code);
        Assert.Contains($"The API key came from the file '{file}'", errors, StringComparison.Ordinal);
        Assert.DoesNotContain("not-the-key", output + errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AnyCommand_NoKey_ExitsWith3AndSaysWhereItIsLookedFor()
    {
        var (code, _, errors) = await RunAsync("queue", "--server", _server.Address);

        Assert.Equal(3, code);
        Assert.Contains("CONCLAVE_API_KEY", errors, StringComparison.Ordinal);
        Assert.Contains(Path.Combine(_folder.FullName, "api-key"), errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AnyCommand_KeyInEnvironment_GoesBeforeTheFileInTheDataFolder()
    {
        Save("api-key", "old-key");
        _server.On("GET /api/queue", "{}");

        var (code, _, _) = await RunAsync(["queue"], ("CONCLAVE_API_KEY", FakeServer.ApiKey), ("CONCLAVE_SERVER", _server.Address));

        Assert.Equal(0, code);
    }

    [Theory]
    [InlineData("http://conclave.example:8080", false)]
    [InlineData("http://elsewhere.example", true)]
    public async Task AnyCommand_AnotherMachine_GetsTheKeyOfTheDataFolderOnlyIfItIsItsOwn(string owner, bool isSent)
    {
        Save("api-key", FakeServer.ApiKey);
        Save("server-url", owner);

        // The name leads nowhere; as a proxy, the fake server gets what would go there.
        var (_, _, errors) = await RunAsync(["queue", "--server", "http://elsewhere.example"], ("http_proxy", _server.Address));

        Assert.Equal(isSent ? FakeServer.ApiKey : null, Assert.Single(_server.Received).Key);
        Assert.Equal(!isSent, errors.Contains("--api-key-file", StringComparison.Ordinal));
    }

    [Fact]
    public async Task AnyCommand_ServerListensOnEveryAddress_IsAskedOnThisMachine()
    {
        Save("server-url", _server.Address.Replace("127.0.0.1", "0.0.0.0", StringComparison.Ordinal));
        Save("api-key", FakeServer.ApiKey);
        _server.On("GET /api/queue", "{}");

        Assert.Equal(0, (await RunAsync("queue")).Code);
    }

    [Fact]
    public async Task AnyCommand_KeyFileWithoutAKey_ExitsWith4()
    {
        var (code, _, errors) = await RunAsync("queue", "--server", _server.Address, "--api-key-file", Save("key", "two words"));

        Assert.Equal(4, code);
        Assert.DoesNotContain("two words", errors, StringComparison.Ordinal);
        Assert.Empty(_server.Received);
    }

    [Fact]
    public async Task Post_ConnectionBreaksAndServerIsNotReady_IsMadeAgainWithTheSameIdempotencyKey()
    {
        const string call = "POST /api/workflows/orders/start";
        _server
            .On(call, context =>
            {
                context.Abort();
                return Task.CompletedTask;
            })
            .On(call, """{"title":"Starting"}""", 503)
            .On(call, """{"instanceId":"i1","status":"Running","subStatus":"Pending","statusUrl":"/api/instances/i1"}""", 202);

        var (code, output, _) = await _server.RunAsync("start", "orders");

        Assert.Equal(0, code);
        Assert.Contains("i1", output, StringComparison.Ordinal);
        Assert.Equal(3, _server.Received.Count);
        Assert.NotNull(Assert.Single(_server.Received.Select(r => r.IdempotencyKey).Distinct()));
    }

    [Fact]
    public async Task Post_ServerIsNotReadyForLong_GivesUpAfterThreeAttempts()
    {
        _server.On("POST /api/workflows/orders/publish", """{"title":"Starting","detail":"The database is being migrated.","code":"server.starting"}""", 503);

        var (code, _, errors) = await _server.RunAsync("publish", "orders");

        Assert.Equal(5, code);
        Assert.Equal(3, _server.Received.Count);
        Assert.Contains("The database is being migrated. (server.starting)", errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Post_FirstAttemptIsStillAtWork_WaitsForItsAnswer()
    {
        const string call = "POST /api/instances/i1/cancel";
        _server
            .On(call, context =>
            {
                context.Abort();
                return Task.CompletedTask;
            })
            .On(call, """{"title":"Conflict"}""", 409, ("Retry-After", "1"))
            .On(call, "{}");

        Assert.Equal(0, (await _server.RunAsync("cancel", "i1")).Code);
    }

    [Fact]
    public async Task TwoCommands_HaveDifferentIdempotencyKeys()
    {
        _server.On("POST /api/events/Paid", """{"started":0,"resumed":1,"waiting":false,"duplicate":false}""");

        await _server.RunAsync("event", "Paid");
        await _server.RunAsync("event", "Paid");

        Assert.Equal(2, _server.Received.Select(r => r.IdempotencyKey).Distinct().Count());
    }

    [Fact]
    public async Task AnyCommand_Redirect_IsNotFollowed()
    {
        _server.On("GET /api/queue", "", 307, ("Location", "http://elsewhere.example/"));

        var (code, _, errors) = await _server.RunAsync("queue");

        Assert.Equal(1, code);
        Assert.Contains("http://elsewhere.example/", errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AnyCommand_AnswerIsNoJson_ExitsWith1()
    {
        _server.On("GET /api/queue", "<html>Welcome</html>");

        var (code, output, errors) = await _server.RunAsync("queue", "--json");

        Assert.Equal(1, code);
        Assert.Empty(output);
        Assert.Contains("no JSON", errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AnyCommand_CtrlC_ExitsWith130()
    {
        var isAsked = new TaskCompletionSource();
        _server.On("GET /api/queue", async context =>
        {
            isAsked.SetResult();
            await Task.Delay(Timeout.Infinite, context.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default);
        });
        Save("server-url", _server.Address);
        Save("api-key", FakeServer.ApiKey);
        using var process = ConclaveProcess.Start(["queue"], FakeServer.Environment(_folder.FullName));
        await isAsked.Task;

        using (var kill = Process.Start("kill", ["-INT", $"{process.Id}"]))
            await kill.WaitForExitAsync();
        await process.WaitForExitAsync();

        Assert.Equal(130, process.ExitCode);
    }

    [Fact]
    public async Task AnyCommand_ProblemWithJson_PrintsItOnBothOutputs()
    {
        _server.On("GET /api/instances/i9", """{"title":"Not found","status":404,"detail":"There is no instance 'i9'.","code":"instance.not_found"}""", 404);

        var (code, output, errors) = await _server.RunAsync("show", "i9", "--json");

        Assert.Equal(3, code);
        Assert.Equal("instance.not_found", JsonElement.Parse(output).GetProperty("code").GetString());
        Assert.Equal("Not found: There is no instance 'i9'. (instance.not_found)", errors.Trim());
    }

    private Task<(int Code, string Output, string Errors)> RunAsync(params string[] arguments) => RunAsync(arguments, []);

    private Task<(int Code, string Output, string Errors)> RunAsync(string[] arguments, params (string Name, string Value)[] variables)
    {
        var environment = FakeServer.Environment(_folder.FullName);
        foreach (var (name, value) in variables)
            environment[name] = value;
        return ConclaveProcess.RunAsync(arguments, environment);
    }

    private string Save(string name, string text)
    {
        var file = Path.Combine(_folder.FullName, name);
        File.WriteAllText(file, text);
        return file;
    }
}

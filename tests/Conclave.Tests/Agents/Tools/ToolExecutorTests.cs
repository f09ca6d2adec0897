using System.Text.Json;
using Conclave.Agents;
using Conclave.Agents.Actions;
using Conclave.Agents.Tools;

namespace Conclave.Tests.Agents.Tools;

/// <summary>Calls are checked, made once for each key, wait for their turn, and are recorded.</summary>
public sealed class ToolExecutorTests : IAsyncLifetime
{
    private const string Counting = """
        { "name": "count", "description": "Adds a line to a file.", "kind": "command", "mode": "allow", "concurrency": 2, "settings": { "command": ["sh", "-c", "echo x >> lines; sleep {{seconds}}"] },
          "permissions": { "workspace": "write" }, "parameters": { "type": "object", "properties": { "seconds": { "type": "number", "maximum": 5 } }, "required": ["seconds"], "additionalProperties": false } }
        """;

    private ToolHost _host = null!;

    public async Task InitializeAsync() => _host = await ToolHost.StartAsync();

    public async Task DisposeAsync() => await _host.DisposeAsync();

    [Fact]
    public async Task Call_IsRecordedWithAllThatItWas()
    {
        var tool = await _host.AddAsync(Counting);

        var result = await _host.CallAsync("count", """{ "seconds" : 0.0 }""", key: "k1");

        Assert.True(result.IsSuccess, result.Text);
        var run = (await _host.Services.Runs.FindAsync(ToolHost.Tenant, result.RunId, default))!;
        Assert.Equal(ToolRunStatus.Completed, run.Status);
        Assert.Equal("""{"seconds":0}""", run.Arguments);
        Assert.Equal(tool.Hash, run.ToolHash);
        Assert.Equal(new ProposedAction(ToolHost.Tenant, ToolHost.Agent, "count", tool.Hash, JsonElement.Parse("""{"seconds":0}""")).Hash, run.ActionHash);
        Assert.Equal(ToolMode.Allow, run.Mode);
        Assert.Equal("k1", run.IdempotencyKey);
        Assert.Contains("timeoutSeconds", run.Limits, StringComparison.Ordinal);
        Assert.Contains("milliseconds", run.Usage, StringComparison.Ordinal);
        Assert.NotNull(run.EndedAt);
    }

    [Fact]
    public async Task Call_WithTheSameKey_IsAnsweredFromTheRecord()
    {
        await _host.AddAsync(Counting);

        var results = await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => _host.CallAsync("count", """{"seconds":0.2}""", key: "same")));
        var again = await _host.CallAsync("count", """{"seconds":0.2}""", key: "same");

        Assert.Single(results, r => !r.IsReplay);
        Assert.All(results.Append(again), r => Assert.True(r.IsSuccess, r.Text));
        Assert.Single(results.Append(again).Select(r => r.RunId).Distinct());
        Assert.Equal(1, await LinesAsync());
        var other = await _host.CallAsync("count", """{"seconds":0.1}""", key: "same");
        Assert.Equal("tool.key_reused", other.ErrorCode);
        Assert.Equal(1, await LinesAsync());
    }

    [Fact]
    public async Task Call_WhoseProcessDied_IsMadeAgainOnlyIfTheToolMayBeRepeated()
    {
        await _host.AddAsync(Counting);
        await _host.AddAsync(Counting.Replace("\"count\"", "\"repeat\"", StringComparison.Ordinal).Replace("\"mode\"", "\"idempotency\": \"repeatable\", \"mode\"", StringComparison.Ordinal));
        foreach (var tool in new[] { "count", "repeat" })
            await _host.CallAsync(tool, """{"seconds":0}""", key: tool);
        // As a process leaves them that was killed while it ran them.
        await _host.Database.ExecuteAsync($"update conclave.tool_run set status = 'running', owner = '{Guid.NewGuid()}', lease_until = now() - interval '1 second', output = null, ended_at = null");

        var count = await _host.CallAsync("count", """{"seconds":0}""", key: "count");
        var repeat = await _host.CallAsync("repeat", """{"seconds":0}""", key: "repeat");

        Assert.Equal(ToolRunStatus.Unknown, count.Status);
        Assert.Equal("tool.outcome_unknown", count.ErrorCode);
        Assert.True(repeat.IsSuccess);
        Assert.Equal(3, await LinesAsync());
        Assert.Equal(ToolRunStatus.Unknown, (await _host.Services.Runs.FindAsync(ToolHost.Tenant, count.RunId, default))!.Status);
        Assert.Equal("tool.outcome_unknown", (await _host.CallAsync("count", """{"seconds":0}""", key: "count")).ErrorCode);
    }

    [Fact]
    public async Task Call_ThatIsCancelled_IsNotMadeAgainByItself()
    {
        await _host.AddAsync(Counting);
        using var cancelling = new CancellationTokenSource();
        var call = _host.CallAsync("count", """{"seconds":5}""", key: "cut", token: cancelling.Token);
        await Runtime.TestRuntime.UntilAsync(async () => await LinesAsync() == 1);
        await cancelling.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
        Assert.Equal("tool.outcome_unknown", (await _host.CallAsync("count", """{"seconds":5}""", key: "cut")).ErrorCode);
        Assert.Equal(1, await LinesAsync());
    }

    [Fact]
    public async Task Tool_ThatIsBusy_Queues_InAllProcessesTogether()
    {
        await _host.AddAsync("""
            { "name": "alone", "description": "Must be alone.", "kind": "command", "mode": "allow", "concurrency": 1, "permissions": { "workspace": "write" },
              "settings": { "command": ["sh", "-c", "mkdir busy || exit 9; sleep 0.1; rmdir busy"] } }
            """);
        // Another process on the same database; it shares nothing else, so the agents' folders are made to be one.
        await using var other = await ToolHost.StartAsync(on: _host.Database);
        Directory.CreateSymbolicLink(Path.Combine(other.Folder, "workspaces"), Path.Combine(_host.Folder, "workspaces"));
        await _host.CallAsync("alone");

        var results = await Task.WhenAll(Enumerable.Range(0, 10).Select(i => (i % 2 == 0 ? _host : other).CallAsync("alone")));

        Assert.All(results, r => Assert.True(r.IsSuccess, r.Text));
    }

    [Fact]
    public async Task Call_ThatAsks_NeedsAnApprovalForExactlyIt()
    {
        await _host.AddAsync(Counting.Replace("\"mode\": \"allow\"", "\"mode\": \"ask\"", StringComparison.Ordinal));
        var gate = new Gate();
        _host.Services.Executor.Approvals = gate;

        Assert.Equal("tool.approval_required", (await _host.CallAsync("count", """{"seconds":0}""", key: "k")).ErrorCode);
        gate.Approved = _host.Services.Registry.Find(ToolHost.Tenant, "count") is { } tool
            ? new ProposedAction(ToolHost.Tenant, ToolHost.Agent, "count", tool.Hash, JsonElement.Parse("""{"seconds":0}""")).Hash : null;
        Assert.Equal("approval.arguments_changed", (await _host.CallAsync("count", """{"seconds":1}""", key: "k2", approval: "p1")).ErrorCode);
        // What was refused did not use the key up.
        Assert.True((await _host.CallAsync("count", """{"seconds":0}""", key: "k", approval: "p1")).IsSuccess);
        Assert.Equal("p1", (await _host.Services.Runs.FindByKeyAsync(ToolHost.Tenant, "k", default))!.ApprovalId);
        Assert.Equal(1, await LinesAsync());
    }

    [Fact]
    public async Task Call_DecidedOnAnotherDefinition_IsRefused()
    {
        await _host.AddAsync(Counting);

        Assert.Equal("tool.changed", (await _host.CallAsync("count", """{"seconds":0}""", hash: new string('0', 64))).ErrorCode);
    }

    [Fact]
    public async Task Output_IsCleaned()
    {
        await _host.AddAsync("""
            { "name": "leak", "description": "Prints.", "kind": "command", "mode": "allow", "settings": { "command": ["printf", "{{text}}"] }, "limits": { "outputKilobytes": 1 },
              "parameters": { "type": "object", "properties": { "text": { "type": "string", "x-check": "code" } } } }
            """);
        var result = await _host.CallAsync("leak", JsonSerializer.Serialize(new Dictionary<string, string>
        {
            ["text"] = "key ghp_0123456789abcdefghijABCDEFGHIJ012345 and password=hunter2hunter2 \\033[31mred\\033[0m\\n",
        }));

        var text = result.Output.GetProperty("stdout").GetString();
        Assert.Equal("key [secret] and password=[secret] red\n", text);
        Assert.Equal(["control characters", "secrets"], result.Usage.Masked!);
    }

    private async Task<int> LinesAsync() => (await _host.Services.Workspaces.ReadAsync(ToolHost.Tenant, ToolHost.Agent, "lines", default))?.Count(b => b == '\n') ?? 0;

    private sealed class Gate : ApprovalGate
    {
        public string? Approved { get; set; }

        public override Task<ApprovalCheck> ConsumeAsync(string tenant, string approvalId, ProposedAction action, string key, CancellationToken cancellationToken) =>
            Task.FromResult(action.Hash == Approved ? new ApprovalCheck(true) : new ApprovalCheck(false, "approval.arguments_changed", "Other arguments were approved."));
    }
}

using System.Text.Json;
using Conclave.Agents;
using Conclave.Agents.Tools;
using Conclave.Inference;
using Conclave.Tests.Runtime;
using Microsoft.Extensions.AI;

namespace Conclave.Tests.Agents.Tools;

/// <summary>What there is of tools, what changes make of them, what they need, and who may use them.</summary>
public sealed class ToolRegistryTests : IAsyncLifetime
{
    private ToolHost _host = null!;

    private ToolRegistry Registry => _host.Services.Registry;

    public async Task InitializeAsync() => _host = await ToolHost.StartAsync();

    public async Task DisposeAsync() => await _host.DisposeAsync();

    [Fact]
    public async Task Definition_ThatChanges_IsRefusedUntilItIsApproved()
    {
        var first = await _host.AddAsync(Tool("echo", "[\"echo\", \"one\"]"));
        Assert.Equal("ready", Find("echo").State);

        var second = await _host.AddAsync(Tool("echo", "[\"echo\", \"two\"]"));

        Assert.NotEqual(first.Hash, second.Hash);
        Assert.Equal("changed", Find("echo").State);
        await _host.FailAsync("tool.changed", "echo");
        await _host.Services.Store.ApproveAsync(ToolHost.Tenant, "echo", second.Hash, "ann", default);
        await Registry.LoadAsync(ToolHost.Tenant, default);
        Assert.Equal("ann", Find("echo").ApprovedBy);
        Assert.Equal("two\n", (await _host.OutputAsync("echo")).GetProperty("stdout").GetString());
    }

    [Fact]
    public async Task Changes_ReachOtherProcesses()
    {
        await using var other = await ToolHost.StartAsync(on: _host.Database);

        await _host.AddAsync(Tool("echo", "[\"echo\"]"));
        await TestRuntime.UntilAsync(() => Task.FromResult(other.Services.Registry.Find(ToolHost.Tenant, "echo") is not null));
        await _host.Services.Store.EnableAsync(ToolHost.Tenant, Find("echo"), false, "ann", default);
        await TestRuntime.UntilAsync(() => Task.FromResult(other.Services.Registry.Find(ToolHost.Tenant, "echo")!.IsDisabled));

        Assert.Equal("tool.unavailable", (await other.CallAsync("echo")).ErrorCode);
    }

    [Fact]
    public async Task Requirements_AreNamedWhenTheyAreMissing()
    {
        await _host.AddAsync(Tool("a", "[\"echo\"]", """ "requirements": { "programs": ["no-such-program", "git >= 99.0"], "settings": ["Tools:Nothing"], "tools": ["b >= 2.0", "none"] }, """));
        await _host.AddAsync(Tool("b", "[\"echo\"]"));

        var missing = Find("a").Missing;

        Assert.Equal(5, missing.Count);
        Assert.Contains(missing, m => m.Contains("'no-such-program'", StringComparison.Ordinal));
        Assert.Contains(missing, m => m.StartsWith("It needs 'git' 99.0.0 or newer; there is ", StringComparison.Ordinal));
        Assert.Contains(missing, m => m.Contains("version 2.0.0 or newer of the tool 'b'", StringComparison.Ordinal));
        Assert.Contains(missing, m => m.Contains("'none', which does not exist", StringComparison.Ordinal));
        Assert.Contains(missing, m => m.Contains("'Tools:Nothing'", StringComparison.Ordinal));
        await _host.FailAsync("tool.unavailable", "a");
    }

    [Fact]
    public async Task Search_WithoutAModel_FindsByWords()
    {
        var found = await Registry.SearchAsync(ToolHost.Tenant, "what time is it, which date", 2, default);

        Assert.Equal("clock", found[0].Tool.Name);
        Assert.Equal("workspace-search", (await Registry.SearchAsync(ToolHost.Tenant, "search files for a text", 1, default))[0].Tool.Name);
        Assert.Empty(await Registry.SearchAsync(ToolHost.Tenant, "xyzzy", 5, default));
    }

    [Fact]
    public async Task Search_WithAModel_FindsByMeaning_AndEmbedsEachToolOnce()
    {
        await _host.AddAsync(Tool("alpha", "[\"echo\"]").Replace("A tool of a test.", "Gives a customer money back", StringComparison.Ordinal));
        var model = new Meanings();
        Registry.Inference = model;

        var found = await Registry.SearchAsync(ToolHost.Tenant, "I want a refund", 3, default);
        var embedded = model.Texts.Count;
        await Registry.SearchAsync(ToolHost.Tenant, "another refund", 3, default);

        // They have no word in common.
        Assert.Equal("alpha", found[0].Tool.Name);
        Assert.Equal(embedded + 1, model.Texts.Count);
        Assert.All(model.Policies, policy => Assert.Equal(DataPolicy.LocalOnly, policy));
    }

    [Fact]
    public async Task Search_ModelFails_FindsByWords()
    {
        Registry.Inference = new Meanings { Fails = true };

        Assert.Equal("clock", (await Registry.SearchAsync(ToolHost.Tenant, "what time is it, which date", 2, default))[0].Tool.Name);
    }

    [Fact]
    public async Task Source_ThatCodeAdds_ComesAndGoes()
    {
        var source = new Source(ToolDefinitionReader.Read(JsonElement.Parse(Tool("mine", "[\"echo\"]")), out _)!);
        Registry.AddSource(source);
        await TestRuntime.UntilAsync(() => Task.FromResult(Registry.Find(ToolHost.Tenant, "mine")?.ApprovedHash is not null));
        Assert.Equal("package:test", Find("mine").Source);

        source.Tools = [source.Tools[0] with { Description = "Another one." }];
        Assert.Equal("changed", Find("mine").State);
        Registry.RemoveSource(source);

        Assert.Null(Registry.Find(ToolHost.Tenant, "mine"));
    }

    [Theory]
    [InlineData("""{"name":"a b","kind":"command","description":"x"}""", "name:")]
    [InlineData("""{"name":"a","kind":"rocket","description":"x"}""", "kind:")]
    [InlineData("""{"name":"a","kind":"command","description":""}""", "description:")]
    [InlineData("""{"name":"a","kind":"command","description":"x","limits":{"timeoutSeconds":0}}""", "limits.timeoutSeconds:")]
    [InlineData("""{"name":"a","kind":"command","description":"x","parameters":{"type":"string"}}""", "parameters:")]
    [InlineData("""{"name":"a","kind":"command","description":"x","colour":"red"}""", "colour")]
    [InlineData("""{"name":"a","kind":"command","description":"x","permissions":{"network":["http://x/"]}}""", "permissions.network:")]
    public void Definition_ThatMakesNoSense_IsToldSo(string json, string problem)
    {
        Assert.Null(ToolDefinitionReader.Read(JsonElement.Parse(json), out var problems));
        Assert.Contains(problems, p => p.Contains(problem, StringComparison.Ordinal));
    }

    [Fact]
    public void Definition_OfYaml_HasTheHashOfTheSameJson()
    {
        var yaml = ToolDefinitionReader.ReadYaml("""
            name: a
            kind: command
            description: "x"
            version: "1.0"
            settings: { command: [echo, "1"] }
            limits: { timeoutSeconds: 5 }
            """, out _);
        var json = ToolDefinitionReader.Read(JsonElement.Parse("""{"limits":{"timeoutSeconds":5.0},"settings":{"command":["echo","1"]},"version":"1.0","description":"x","kind":"command","name":"a"}"""), out _);

        Assert.Equal(json!.Hash, yaml!.Hash);
        Assert.Equal(512, yaml.Limits.MemoryMegabytes);
    }

    [Theory]
    [InlineData("", ToolMode.Allow)]
    [InlineData(""" "annotations": { "readOnly": true }, """, ToolMode.Allow)]
    [InlineData(""" "annotations": { "destructive": true }, """, ToolMode.Ask)]
    [InlineData(""" "annotations": { "openWorld": true, "readOnly": true }, """, ToolMode.Ask)]
    [InlineData(""" "risk": "medium", """, ToolMode.Ask)]
    [InlineData(""" "risk": "high", "annotations": { "readOnly": true }, """, ToolMode.Ask)]
    [InlineData(""" "risk": "high", "mode": "allow", """, ToolMode.Allow)]
    public async Task Permission_WithoutAny_IsWhatTheAnnotationsGive(string more, ToolMode mode)
    {
        var tool = await _host.AddAsync(Tool("t", "[\"echo\"]", more));

        Assert.Equal(mode, (await DecideAsync(tool, null)).Mode);
    }

    [Fact]
    public async Task Permission_TheClosestCounts_AndDenyEverywhere()
    {
        var tool = await _host.AddAsync(Tool("refund", "[\"echo\"]", """ "risk": "high", """));
        const string Small = """{"amount":50}""";
        await PutAsync("*", new ToolPermission("*", "*", ToolMode.Allow, []));
        Assert.Equal("permission */*", (await DecideAsync(tool, Small)).Rule);
        await PutAsync("a1", new ToolPermission("a1", "refund", ToolMode.Ask,
        [
            new ToolRule { Name = "small", Mode = ToolMode.Allow, When = JsonElement.Parse("""{"properties":{"amount":{"maximum":50}},"required":["amount"]}""") },
            new ToolRule { Name = "huge", Mode = ToolMode.Deny, When = JsonElement.Parse("""{"properties":{"amount":{"minimum":5000}}, "required":["amount"]}""") },
        ]));

        Assert.Equal(new ToolDecision(ToolMode.Allow, "Allowed by the rule 'small' of the permission a1/refund.", "permission a1/refund: small"), await DecideAsync(tool, Small));
        Assert.Equal(ToolMode.Ask, (await DecideAsync(tool, """{"amount":51}""")).Mode);
        Assert.Equal(ToolMode.Deny, (await DecideAsync(tool, """{"amount":5000}""")).Mode);
        Assert.Equal(ToolMode.Allow, (await DecideAsync(tool, """{"amount":5000}""", agent: "a2")).Mode);
        // The agent's own configuration may forbid what the operator allows, and not the other way round.
        Assert.Equal(ToolMode.Deny, (await DecideAsync(tool, Small, new AgentConfiguration { Tools = ["refund"], Permissions = new Dictionary<string, ToolMode> { ["refund"] = ToolMode.Deny } })).Mode);
        Assert.Equal(ToolMode.Ask, (await DecideAsync(tool, """{"amount":51}""", new AgentConfiguration { Tools = ["refund"], Permissions = new Dictionary<string, ToolMode> { ["refund"] = ToolMode.Allow } })).Mode);
        Assert.Equal(ToolMode.Deny, (await DecideAsync(tool, Small, new AgentConfiguration { Tools = ["other"] })).Mode);
        await PutAsync("*", new ToolPermission("*", "refund", ToolMode.Deny, []));
        Assert.Equal(ToolMode.Deny, (await DecideAsync(tool, Small)).Mode);
    }

    private static string Tool(string name, string command, string more = "") => $$"""
        { "name": "{{name}}", "description": "A tool of a test.", "kind": "command", {{more}} "settings": { "command": {{command}} }, "parameters": { "type": "object" } }
        """;

    private RegisteredTool Find(string name) => Registry.Find(ToolHost.Tenant, name)!;

    private Task PutAsync(string agent, ToolPermission permission) => _host.Services.Store.PutPermissionsAsync(ToolHost.Tenant, agent, [permission], "ann", default);

    private Task<ToolDecision> DecideAsync(ToolDefinition tool, string? arguments, AgentConfiguration? configuration = null, string agent = "a1") =>
        _host.Services.Permissions.DecideAsync(ToolHost.Tenant, agent, tool, configuration, JsonElement.Parse(arguments ?? "{}"), default);

    /// <summary>Knows that refunds are money that is given back, and nothing else.</summary>
    private sealed class Meanings : IInference
    {
        public List<string> Texts { get; } = [];

        public List<DataPolicy> Policies { get; } = [];

        public bool Fails { get; init; }

        public IAsyncEnumerable<ChatResponseUpdate> StreamAsync(ChatCall call, CallReport report, CancellationToken cancellationToken) => throw new NotSupportedException();

        public Task<GeneratedEmbeddings<Embedding<float>>> EmbedAsync(EmbedCall call, CallReport report, CancellationToken cancellationToken)
        {
            if (Fails)
                throw new InferenceException(InferenceFailure.ModelNotFound, "inference.model_not_found", "There is no model for embeddings.");
            Texts.AddRange(call.Texts);
            Policies.Add(call.Context.DataPolicy);
            report.Model = "meanings";
            return Task.FromResult(new GeneratedEmbeddings<Embedding<float>>(call.Texts.Select(text => new Embedding<float>(
                text.Contains("refund", StringComparison.Ordinal) || text.Contains("money back", StringComparison.Ordinal) ? new float[] { 1, 0.1f } : new float[] { 0.1f, 1 }))));
        }
    }

    private sealed class Source(ToolDefinition tool) : ToolSource
    {
        public IReadOnlyList<ToolDefinition> Tools { get; set; } = [tool];

        public override string Name => "package:test";

        public override IReadOnlyList<ToolDefinition> List(string tenant) => Tools;
    }
}

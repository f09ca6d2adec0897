using Conclave.Agents;
using Conclave.Agents.Packages;
using Conclave.Tests.Expressions.Scripting;
using Conclave.Tests.Runtime;
using Conclave.Tests.Runtime.Definitions;
using Conclave.Workflows.Runtime.Definitions;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;

namespace Conclave.Tests.Agents.Packages;

/// <summary>Packages in a real database, watched in a real folder.</summary>
[Collection(ScriptTests.Name)]
public sealed class PackageStoreTests(ScriptPool scripts) : IAsyncLifetime, IDisposable
{
    private const string Tenant = TestRuntime.Tenant;

    private readonly TemporaryFolder _files = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly List<Task> _watching = [];
    private TestRuntime _runtime = null!;
    private AgentStore _agents = null!;
    private Process _one = null!;

    public async Task InitializeAsync()
    {
        _runtime = await TestRuntime.StartAsync(isWorker: false);
        _agents = new AgentStore(_runtime.Database, TimeProvider.System);
        _one = New();
        await _one.Packages.LoadAsync(default);
    }

    public async Task DisposeAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_watching);
        await _runtime.DisposeAsync();
    }

    public void Dispose()
    {
        _stop.Dispose();
        _files.Dispose();
    }

    [Fact]
    public async Task Folder_PackagesComeChangeAndGo_WithoutARestart()
    {
        Write(new PackageBuilder().With("logic.js", PackageBuilder.Logic));
        Watch(_one);
        var first = await UntilAsync(_one, p => p.State == PackageState.Accepted);
        var agent = await _agents.CreateAsync(Tenant, "Ada", "helper", first.Current!.ToConfiguration(), "ann", default);
        Assert.Equal(["helper_double"], agent.Configuration.Tools);

        Write(new PackageBuilder().Saying("llm: {temperature: 0.1}").With("logic.js", PackageBuilder.Logic));
        var second = await UntilAsync(_one, p => p.Current?.Hash != first.Current.Hash);
        Assert.Equal(0.1, (await FindAsync(agent)).Configuration.Temperature);
        // Turns that began before go on with what they began with.
        Assert.Equal(0.7, (await _one.Packages.FindVersionAsync(Tenant, first.Current.Hash, default))!.Manifest.Llm.Temperature);
        Assert.NotNull(await _one.Packages.ReadFileAsync(Tenant, first.Current.Hash, "logic.js", default));

        _files.Write("helper/logic.js", "eval('1');");
        var refused = await UntilAsync(_one, p => p.Refused is not null);
        Assert.Equal((PackageState.Accepted, second.Current!.Hash), (refused.State, refused.Current!.Hash));
        Assert.Equal(("agent_package.logic.eval", 1), (refused.Refused!.Problems[0].Code, refused.Refused.Problems[0].Line));
        Assert.Equal(AgentState.Active, (await FindAsync(agent)).State);

        Directory.Delete(_files.Of("helper"), recursive: true);
        await UntilAsync(_one, p => p.State == PackageState.Removed);
        var lost = await FindAsync(agent);
        Assert.Equal((AgentState.Error, _one.Packages.WhyLost(Tenant, "helper")), (lost.State, lost.StateReason));

        Write(new PackageBuilder().With("logic.js", PackageBuilder.Logic));
        await UntilAsync(_one, p => p.State == PackageState.Accepted);
        Assert.Equal(AgentState.Active, (await FindAsync(agent)).State);
        Assert.Null(_one.Packages.WhyLost(Tenant, "helper"));
        Assert.Equal(["agent.created", "agent.changed", "agent.state", "agent.changed", "agent.state"], await EventsAsync(agent));
    }

    [Fact]
    public async Task Folder_WhatNeverPassed_IsListedWithReasonsAndNeverUsed()
    {
        Write(new PackageBuilder().With("logic.js", "\nconst f = new Function('return 1');"));

        await _one.Folder.TryLookAsync(default);

        var package = _one.Packages.Find(Tenant, "helper")!;
        Assert.Equal((PackageState.Rejected, false, null), (package.State, package.IsUsable, package.Current));
        Assert.Equal(("agent_package.logic.function_constructor", 2), (package.Refused!.Problems[0].Code, package.Refused.Problems[0].Line));
        Assert.Empty(_one.Tools.List(Tenant));
        Assert.Equal(0L, await _runtime.Database.QueryAsync<long>("select count(*) from conclave.agent_package_content"));
    }

    [Fact]
    public async Task Folder_TwoProcessesWatchIt_BothKnowAndOneBringsIn()
    {
        var two = New();
        Watch(_one);
        Watch(two);
        Write(new PackageBuilder());
        var known = await UntilAsync(_one, p => p.State == PackageState.Accepted);
        Assert.Equal(known.Current!.Hash, (await UntilAsync(two, p => p.State == PackageState.Accepted)).Current!.Hash);
        for (var i = 1; i <= 5; i++)
        {
            Write(new PackageBuilder().Saying($"channels: [room-{i}]"));
            var name = $"room-{i}";
            await UntilAsync(_one, p => p.Current!.Manifest.Channels.Contains(name));
            await UntilAsync(two, p => p.Current!.Manifest.Channels.Contains(name));
        }

        Assert.Equal(6L, await _runtime.Database.QueryAsync<long>("select count(*) from conclave.agent_package_content"));
        Assert.Equal(5L, await _runtime.Database.QueryAsync<long>("select count(*) from conclave.agent_package_content where replaced_at is not null"));
    }

    [Fact]
    public async Task Folder_ThatIsNotThere_RemovesNothing()
    {
        Write(new PackageBuilder());
        await _one.Folder.TryLookAsync(default);

        Directory.Move(_files.Path, _files.Path + "-away");
        await _one.Folder.TryLookAsync(default);
        await New().Folder.TryLookAsync(default);
        Assert.Equal(PackageState.Accepted, _one.Packages.Find(Tenant, "helper")!.State);

        Directory.Move(_files.Path + "-away", _files.Path);
        Directory.Delete(_files.Of("helper"), recursive: true);
        // A process that starts finds out as well.
        var next = New();
        await next.Packages.LoadAsync(default);
        await next.Folder.TryLookAsync(default);
        Assert.Equal(PackageState.Removed, next.Packages.Find(Tenant, "helper")!.State);
    }

    [Fact]
    public async Task Replaced_AgentsKeepWhatPeopleChanged()
    {
        Write(new PackageBuilder().Saying("llm: {model: fast}"));
        await _one.Folder.TryLookAsync(default);
        var configuration = _one.Packages.Find(Tenant, "helper")!.Current!.ToConfiguration();
        var plain = await _agents.CreateAsync(Tenant, "Plain", "helper", configuration, "ann", default);
        var mine = await _agents.CreateAsync(Tenant, "Mine", "helper", configuration with { Model = "mine", Budget = new AgentBudget { Tokens = 5 } }, "ann", default);
        var detached = await _agents.CreateAsync(Tenant, "Detached", null, configuration, "ann", default);

        Write(new PackageBuilder().Saying("llm: {model: smart}\nbudget: {money: 3}\nchannels: [room]"));
        await _one.Folder.TryLookAsync(default);

        var (first, second, third) = ((await FindAsync(plain)).Configuration, (await FindAsync(mine)).Configuration, (await FindAsync(detached)).Configuration);
        Assert.Equal(("smart", 3m, "room"), (first.Model, first.Budget!.Money, first.Channels[0]));
        Assert.Equal(("mine", 5, "room"), (second.Model, second.Budget!.Tokens, second.Channels[0]));
        Assert.Equal(("fast", null, 0), (third.Model, third.Budget, third.Channels.Count));
        Directory.Delete(_files.Of("helper"), recursive: true);
        await _one.Folder.TryLookAsync(default);
        Assert.Equal((AgentState.Error, AgentState.Active), ((await FindAsync(mine)).State, (await FindAsync(detached)).State));
    }

    [Fact]
    public async Task Lost_AgentsStayOutOfUse_WhoeverTakesThemOut()
    {
        Write(new PackageBuilder());
        await _one.Folder.TryLookAsync(default);
        var configuration = _one.Packages.Find(Tenant, "helper")!.Current!.ToConfiguration();
        var agent = await _agents.CreateAsync(Tenant, "Ada", "helper", configuration, "ann", default);
        var paused = await _agents.CreateAsync(Tenant, "Bob", "helper", configuration, "ann", default);
        await _agents.TransitionAsync(Tenant, paused.Id, AgentState.Paused, "ann", "Holiday.", default);

        await _one.Packages.DisableAsync(Tenant, "helper", "ann", default);
        Assert.Equal((PackageState.Disabled, AgentState.Error, AgentState.Paused), (_one.Packages.Find(Tenant, "helper")!.State, (await FindAsync(agent)).State, (await FindAsync(paused)).State));
        await _agents.TransitionAsync(Tenant, agent.Id, AgentState.Active, "bob", null, default);
        Assert.Equal((AgentState.Error, _one.Packages.WhyLost(Tenant, "helper")), ((await FindAsync(agent)).State, (await FindAsync(agent)).StateReason));

        Directory.Delete(_files.Of("helper"), recursive: true);
        await _one.Folder.TryLookAsync(default);
        Assert.Contains("is gone", (await FindAsync(agent)).StateReason, StringComparison.Ordinal);
        Write(new PackageBuilder());
        await _one.Folder.TryLookAsync(default);
        Assert.Equal((PackageState.Disabled, AgentState.Error), (_one.Packages.Find(Tenant, "helper")!.State, (await FindAsync(agent)).State));
        await _one.Packages.EnableAsync(Tenant, "helper", "ann", default);
        Assert.Equal((AgentState.Active, AgentState.Paused), ((await FindAsync(agent)).State, (await FindAsync(paused)).State));
    }

    [Fact]
    public async Task Behaviours_AreImportedAndPublished_AndKeptWhenSomebodyEditedThem()
    {
        Write(Own("1"));
        await _one.Folder.TryLookAsync(default);
        var package = _one.Packages.Find(Tenant, "helper")!;
        Assert.Equal("helper.own", package.Current!.ToConfiguration().Behaviour);
        Assert.NotNull(await _runtime.Runtime.Catalog.Of(Tenant).FindPublishedAsync("helper.own", default));

        Write(Own("2"));
        await _one.Folder.TryLookAsync(default);
        var second = (await _runtime.Runtime.Catalog.Store.FindPublishedAsync(Tenant, "helper.own", default))!;
        Assert.Equal(2, second.Definition.Version);

        await _runtime.PublishAsync("""{ "definitionId": "helper.own", "root": { "id": "w", "type": "Elsa.WriteLine", "version": 1, "text": "mine" } }""");
        Write(Own("3"));
        await _one.Folder.TryLookAsync(default);
        Assert.Contains("mine", (await _runtime.Runtime.Catalog.Store.FindPublishedAsync(Tenant, "helper.own", default))!.Definition.Root.GetRawText(), StringComparison.Ordinal);
        Assert.Equal(PackageState.Accepted, _one.Packages.Find(Tenant, "helper")!.State);

        static PackageBuilder Own(string text) => new PackageBuilder().With(PackageContent.Manifest, PackageBuilder.Manifest.Replace("{definition: react}", "{definition: own}", StringComparison.Ordinal))
            .With("behaviours/own.json", $$"""{ "root": { "id": "w", "type": "Elsa.WriteLine", "version": 1, "text": "{{text}}" } }""");
    }

    [Fact]
    public async Task Tools_AreThoseOfTheNewestContent_AndOutliveTheirPackageForADay()
    {
        Write(new PackageBuilder().With("logic.js", PackageBuilder.Logic).Saying("logic: {memory: true, http: [api.example.com]}"));
        await _one.Folder.TryLookAsync(default);
        await _one.Tools.LoadAsync(Tenant, default);

        var tool = Assert.Single(_one.Tools.List(Tenant));
        Assert.Equal(("helper_double", "logic", true), (tool.Name, tool.Kind, tool.Annotations.ReadOnly));
        Assert.Equal((true, "api.example.com", false), (tool.Permissions.Memory, tool.Permissions.Network[0], tool.Permissions.Home));
        Assert.Equal("""{"doubled":8}""", await scripts.Pool.ValueAsync(tool.Settings.GetProperty("script").GetString() + "\n;return await run({ value: 4 }, {});"));
        Assert.Empty(_one.Tools.List("other"));

        Directory.Delete(_files.Of("helper"), recursive: true);
        await _one.Folder.TryLookAsync(default);
        Assert.Single(_one.Tools.List(Tenant));
    }

    [Fact]
    public async Task Moods_FollowWhatHappens()
    {
        Write(new PackageBuilder().Saying("""
            personality:
              summary: Calm.
              mood:
                initial: calm
                values: {calm: You are calm., worried: You are worried., happy: You are happy.}
                rules:
                  - {on: turn.failed, times: 2, to: worried}
                  - {on: turn.completed, from: worried, to: calm}
                  - {on: approval.approved, to: happy}
            """));
        await _one.Folder.TryLookAsync(default);
        var agent = await _agents.CreateAsync(Tenant, "Ada", "helper", _one.Packages.Find(Tenant, "helper")!.Current!.ToConfiguration(), "ann", default);
        var moods = new AgentMoods(_runtime.Database, _one.Packages);
        Assert.Equal("You are calm.", agent.Configuration.Mood);

        Assert.Equal("You are calm.", await moods.OfAsync(agent, default));
        await HappensAsync("turn.failed");
        await HappensAsync("turn.started");
        Assert.Equal("You are calm.", await moods.OfAsync(agent, default));
        await HappensAsync("turn.failed");
        Assert.Equal("You are worried.", await moods.OfAsync(agent, default));
        await HappensAsync("turn.completed");
        Assert.Equal("You are calm.", await moods.OfAsync(agent, default));
        await HappensAsync("approval.decided", """{"decision":"approved"}""");
        Assert.Equal("You are happy.", await moods.OfAsync(agent, default));
        Assert.Null(await moods.OfAsync(agent with { Configuration = agent.Configuration with { Mood = "Mine." } }, default));

        async Task HappensAsync(string type, string data = "{}") => await _runtime.Database.ExecuteAsync(
            $"select conclave.add_agent_event('{Tenant}', '{agent.Id}', null, '{type}', '{data}', now())");
    }

    [Theory]
    [InlineData("", "calm")]
    [InlineData("turn.failed", "calm")]
    [InlineData("turn.failed turn.failed turn.failed", "sad")]
    [InlineData("turn.failed turn.failed turn.completed turn.failed", "calm")]
    [InlineData("turn.failed turn.failed tool.completed turn.failed", "sad")]
    [InlineData("turn.failed turn.failed turn.failed turn.completed", "calm")]
    [InlineData("tool.denied", "calm")]
    [InlineData("turn.failed turn.failed turn.failed tool.denied", "angry")]
    [InlineData("unknown", "calm")]
    public void Mood_IsWhatTheRulesMakeOfEvents(string events, string mood) => Assert.Equal(mood, new AgentMood
    {
        Initial = "calm",
        Values = new Dictionary<string, string> { ["calm"] = "", ["sad"] = "", ["angry"] = "" },
        Rules =
        [
            new MoodRule { On = "turn.failed", Times = 3, To = "sad" },
            new MoodRule { On = "tool.denied", From = "sad", To = "angry" },
            new MoodRule { On = "turn.completed", To = "calm" },
        ],
    }.After(events.Split(' ', StringSplitOptions.RemoveEmptyEntries)));

    private void Write(PackageBuilder builder)
    {
        // As somebody would who is careful: all at once.
        var next = _files.Of(".next");
        builder.Write(next);
        if (Directory.Exists(_files.Of("helper")))
            Directory.Delete(_files.Of("helper"), recursive: true);
        Directory.Move(next, _files.Of("helper"));
    }

    private void Watch(Process process) => _watching.Add(Task.Run(async () =>
    {
        try
        {
            await Task.WhenAll(process.Folder.WatchAsync(_stop.Token), process.Packages.FollowAsync(_stop.Token), ListenAsync(process.Packages));
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // The test is over.
        }
    }));

    private async Task ListenAsync(AgentPackages packages)
    {
        await using var connection = await _runtime.Database.OpenConnectionAsync();
        connection.Notification += (_, e) => packages.Hear(e.Payload);
        await using (var command = new NpgsqlCommand($"listen {AgentPackages.Channel}", connection))
            await command.ExecuteNonQueryAsync();
        while (true)
            await connection.WaitAsync(_stop.Token);
    }

    private static async Task<AgentPackage> UntilAsync(Process process, Func<AgentPackage, bool> isReached)
    {
        AgentPackage? found = null;
        await TestRuntime.UntilAsync(
            () => Task.FromResult((found = process.Packages.Find(Tenant, "helper")) is not null && isReached(found)),
            state: () => $"{found?.State}: {string.Join(' ', found?.Refused?.Problems ?? [])}");
        return found!;
    }

    private async Task<Agent> FindAsync(Agent agent) => (await _agents.FindAsync(Tenant, agent.Id, default))!;

    private async Task<List<string>> EventsAsync(Agent agent)
    {
        await using var command = _runtime.Database.CreateCommand("select type from conclave.agent_event where agent_id = $1 order by id");
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = agent.Id });
        await using var reader = await command.ExecuteReaderAsync();
        var events = new List<string>();
        while (await reader.ReadAsync())
            events.Add(reader.GetString(0));
        return events;
    }

    private Process New()
    {
        var catalog = _runtime.Runtime.Catalog;
        var packages = new AgentPackages(_runtime.Database, TimeProvider.System, NullLogger<AgentPackages>.Instance);
        var import = new DefinitionImport(catalog.Store, (tenant, definition, token) => catalog.Of(tenant).CompileAsync(definition, token))
        {
            Saved = async (tenant, stored, token) => await catalog.RefreshAsync(tenant, stored.Definition.DefinitionId, token),
        };
        var install = new PackageInstall(scripts.Gatekeeper(), packages, import, catalog.Store, _runtime.Database, TimeProvider.System, NullLogger<PackageInstall>.Instance);
        var options = new PackageFolderOptions { Folder = _files.Path, Tenant = Tenant, Settle = TimeSpan.FromMilliseconds(50), Rescan = TimeSpan.FromSeconds(1) };
        return new Process(
            packages, new PackageTools(packages, TimeProvider.System, NullLogger<PackageTools>.Instance),
            new PackageFolder(options, install, packages, _runtime.Database, TimeProvider.System, NullLogger<PackageFolder>.Instance));
    }

    private sealed record Process(AgentPackages Packages, PackageTools Tools, PackageFolder Folder);
}

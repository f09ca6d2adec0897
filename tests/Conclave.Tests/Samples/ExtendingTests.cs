using System.Text.Json;
using Conclave.Agents.Packages;
using Conclave.Agents.Tools;
using Conclave.Inference;
using Conclave.Samples.Extending;
using Conclave.Tests.Agents.Packages;
using Conclave.Tests.Expressions.Scripting;
using Conclave.Workflows.Activities;
using Microsoft.Extensions.AI;

namespace Conclave.Tests.Samples;

/// <summary>The samples of docs/extending.md work.</summary>
[Collection(ScriptTests.Name)]
public sealed class ExtendingTests(ScriptPool scripts)
{
    [Fact]
    public async Task AgentType_IsAPackageThatPassesAndComputes()
    {
        var report = await ReadAsync("weather");

        Assert.Empty(report.Problems);
        var script = LogicScript.Function(LogicScript.Text(report.Content.Find(PackageContent.Logic)!), "feels-like");
        // 35 °C, 60 %: Steadman's formula gives 42.1.
        Assert.Equal("""{"feelsLikeCelsius":42.1,"wear":"light clothes"}""", await scripts.Pool.ValueAsync($"{script}\n;return run({{ celsius: 35, humidityPercent: 60 }});"));
        Assert.Equal("a winter coat", JsonElement.Parse(await scripts.Pool.ValueAsync($"{script}\n;return run({{ celsius: 0, windMetresPerSecond: 10 }});")).GetProperty("wear").GetString());
    }

    [Fact]
    public async Task DomainAgent_IsAPackageWithABehaviourOfItsOwn()
    {
        var report = await ReadAsync("library-desk");

        Assert.Empty(report.Problems);
        Assert.Equal("library-desk.desk", report.Manifest!.ToConfiguration([], report.Content.BehaviourNames).Behaviour);
    }

    [Fact]
    public async Task Provider_AnswersWordByWord()
    {
        using var client = new EchoProvider().Connect(new ModelServer { Id = "e", Name = "echo", Provider = "echo", Address = new Uri("http://echo") }, null);
        var updates = new List<string>();
        await foreach (var update in client.Chat.GetStreamingResponseAsync([new ChatMessage(ChatRole.User, "good morning to you")], new ChatOptions { ModelId = "parrot" }))
            updates.Add(update.Text);

        Assert.Equal(["good", " morning", " to", " you", ""], updates);
        Assert.Equal("parrot", Assert.Single(await client.ListModelsAsync(default)).Name);
    }

    [Theory]
    [InlineData(100, "212", "Done")]
    [InlineData(-300, "0", "Impossible")]
    public async Task Activity_ComputesAndGoesOn(int celsius, string fahrenheit, string outcome)
    {
        var engine = TestRun.Engine(types: ActivityType.From<ConvertTemperature>());
        var convert = Json.Activity("", "c", ("type", "Samples.ConvertTemperature"), ("celsius", celsius), ("fahrenheit", Json.To("f")));
        var run = await engine.RunAsync(Json.Workflow(
            Json.Flowchart("flow", [convert, Json.Activity("WriteLine", "Done", ("text", "done")), Json.Activity("WriteLine", "Impossible", ("text", "impossible"))], "c:Done->Done", "c:Impossible->Impossible"),
            Json.Variable("f", "Decimal")));

        run.Finished(outcome.ToLowerInvariant());
        Assert.Equal(fahrenheit, $"{run.Variable("f")}");
    }

    [Fact]
    public async Task Tool_IsADefinitionWithItsScript()
    {
        var folder = Path.Combine(Folder(), "word-count");
        var yaml = JsonSerializer.SerializeToNode(YamlJson.Read(await File.ReadAllTextAsync(Path.Combine(folder, "tool.yaml"))))!;
        yaml["settings"]!["script"] = await File.ReadAllTextAsync(Path.Combine(folder, "logic.js"));

        var tool = ToolDefinitionReader.Read(JsonElement.Parse(yaml.ToJsonString()), out var problems);

        Assert.Empty(problems);
        Assert.Equal(("word-count", ToolKinds.Logic, Conclave.Agents.ToolMode.Allow), (tool!.Name, tool.Kind, tool.DefaultMode));
        var script = tool.Settings.GetProperty("script").GetString();
        Assert.Equal("""{"words":7,"sentences":2,"characters":31}""", await scripts.Pool.ValueAsync($"{script}\n;return count({{ text: \"Two plus two is four. Isn’t it?\" }});"));
    }

    private async Task<GatekeeperReport> ReadAsync(string name) =>
        await scripts.Gatekeeper().CheckAsync("acme", await PackageFolderReader.ReadAsync(Path.Combine(Folder(), name), AgentPackageLimits.Default, default), default);

    private static string Folder()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "Platform.sln")))
            folder = folder.Parent ?? throw new InvalidOperationException("The tests do not run in the repository.");
        return Path.Combine(folder.FullName, "docs", "samples", "extending");
    }
}

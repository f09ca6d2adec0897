using System.Text.Json;
using Conclave.Agents;
using Conclave.Agents.Packages;
using Conclave.Tests.Expressions.Scripting;

namespace Conclave.Tests.Agents.Packages;

/// <summary>The packages that ship pass the gatekeeper, fit together, and their tools compute what they say.</summary>
[Collection(ScriptTests.Name)]
public sealed class ShippedPackageTests(ScriptPool scripts)
{
    private static readonly string[] Names =
    [
        "analyst-data", "aphrodite", "apollo", "athena", "creative-writer", "developer-backend", "developer-frontend", "hephaestus", "hera", "hermes", "moderator-quality", "researcher-tech",
    ];

    /// <summary>The tools of the catalogue and the built-in ones.</summary>
    private static readonly string[] Catalogue =
    [
        "git-manager", "code-analyzer", "test-runner", "data-processor", "chart-generator", "report-builder", "text-formatter", "diagram-creator", "workspace-list", "workspace-read",
        "workspace-write", "workspace-search", "web-fetch", "sql-query", "calculator", "clock", "shell-script",
    ];

    private static readonly string Folder = Path.Combine(Repository(), "workflows", "agents");

    public static TheoryData<string> All => [.. Names];

    /// <summary>The twelve, and those that samples bring.</summary>
    public static TheoryData<string> Shipped => [.. Directory.EnumerateFiles(Folder, "agent.yaml", SearchOption.AllDirectories).Select(f => Path.GetFileName(Path.GetDirectoryName(f))!)];

    [Fact]
    public void Folder_HasTheTwelve() =>
        Assert.Superset(Names.ToHashSet(), Directory.EnumerateFiles(Folder, "agent.yaml", SearchOption.AllDirectories).Select(f => Path.GetFileName(Path.GetDirectoryName(f))!).ToHashSet());

    [Theory]
    [MemberData(nameof(Shipped))]
    public async Task Package_PassesTheGatekeeper(string name)
    {
        var report = await ReadAsync(name);

        Assert.True(report.IsAccepted, string.Join('\n', report.Problems));
        Assert.Equal(5, report.Passed.Count);
    }

    [Theory]
    [MemberData(nameof(All))]
    public async Task Package_FitsWithTheOthers(string name)
    {
        var report = await ReadAsync(name);
        var manifest = report.Manifest!;
        var behaviours = Directory.EnumerateFiles(Path.Combine(Folder, "behaviours"), "*.json").Select(Path.GetFileNameWithoutExtension).ToHashSet();

        Assert.Empty(new KnownParts(Catalogue.Contains, Names.Contains, behaviours.Contains).Missing(manifest, report.Content.BehaviourNames));
        Assert.All(manifest.Permissions.Keys, p => Assert.True(p == "*" || manifest.Tools.Contains(p) || report.Tools.Any(t => t.Name == p), p));
        Assert.All(manifest.Dependencies.Tools, t => Assert.Contains(t, manifest.Tools));
        // What the prompt tells it to use is there.
        foreach (var tool in Catalogue.Where(t => System.Text.RegularExpressions.Regex.IsMatch(manifest.SystemPrompt, $@"\b{t}\b") && t.Contains('-', StringComparison.Ordinal)))
            Assert.Contains(tool, manifest.Tools);
        Assert.All(report.Tools, t => Assert.Contains(LogicTool.FullName(name, t.Name), manifest.SystemPrompt, StringComparison.Ordinal));
    }

    [Theory]
    [MemberData(nameof(All))]
    public async Task Package_MakesAnAgentThatMayBe(string name)
    {
        var report = await ReadAsync(name);
        var configuration = report.Manifest!.ToConfiguration([.. report.Tools.Select(t => t.Name)], report.Content.BehaviourNames);

        Assert.Empty(AgentConfigurationCheck.Check(configuration));
        Assert.InRange(configuration.SystemPrompt.Length, 1_000, 8_000);
        Assert.NotNull(configuration.Mood);
        Assert.NotNull(configuration.Personality);
        Assert.NotNull(configuration.Budget);
        Assert.NotEmpty(report.Manifest.Personality!.Mood!.Rules);
        Assert.NotEmpty(report.Manifest.Specialities);
        Assert.NotEmpty(report.Manifest.Skills);
    }

    [Theory]
    [InlineData("developer-backend", "review-api", """{"endpoints":[{"method":"GET","route":"/getOrders","list":true,"statuses":[200,401,403]}]}""", "warnings", "3")]
    [InlineData("developer-backend", "review-api", """{"endpoints":[{"method":"GET","route":"/orders/{id}","statuses":[200,404,401,403]},{"method":"GET","route":"/orders/{key}","statuses":[200,404,401,403]}]}""", "errors", "1")]
    [InlineData("developer-frontend", "contrast", """{"text":"#777777","background":"white"}""", "aa", "false")]
    [InlineData("developer-frontend", "contrast", """{"text":"#767676","background":"#fff"}""", "aa", "true")]
    [InlineData("developer-frontend", "contrast", """{"text":"black","background":"white"}""", "ratio", "21")]
    [InlineData("analyst-data", "describe", """{"values":[1,2,3,4,100]}""", "outliers", "[100]")]
    [InlineData("analyst-data", "describe", """{"values":[2,4,4,4,5,5,7,9]}""", "median", "4.5")]
    [InlineData("moderator-quality", "score", """{"findings":[]}""", "verdict", "\"accept\"")]
    [InlineData("moderator-quality", "score", """{"findings":[{"criterion":"safety","severity":"blocker","finding":"x"}]}""", "verdict", "\"reject\"")]
    [InlineData("moderator-quality", "score", """{"findings":[{"criterion":"clarity","severity":"major","finding":"x"}]}""", "verdict", "\"accept with changes\"")]
    [InlineData("creative-writer", "readability", """{"text":"The cat sat on the mat. It was warm."}""", "sentences", "2")]
    [InlineData("hermes", "define-project", """{"title":"Shop","goal":"Customers book repairs online.","users":["Customers"],"mustDo":["Take bookings"],"leftOut":["Payment"],"doneWhen":["A customer has booked"],"deadline":"2027-01-31"}""", "readyForHera", "true")]
    [InlineData("hermes", "define-project", """{"title":"Shop","goal":"A modern shop.","users":["Customers"],"mustDo":["Be fast"],"doneWhen":[]}""", "readyForHera", "false")]
    [InlineData("hera", "check-plan", """{"tasks":[{"id":"a","title":"A","owner":"apollo","hours":2,"result":"x"},{"id":"b","title":"B","owner":"athena","hours":3,"after":["a"],"result":"y"},{"id":"c","title":"C","owner":"athena","hours":1,"after":["a"],"result":"z"}]}""", "criticalPath", """["a","b"]""")]
    [InlineData("hera", "check-plan", """{"tasks":[{"id":"a","title":"A","owner":"x","hours":2,"after":["b"]},{"id":"b","title":"B","owner":"y","hours":3,"after":["a"]}]}""", "ok", "false")]
    [InlineData("aphrodite", "check-texts", """{"texts":[{"kind":"button","text":"Submit"},{"kind":"error","text":"Invalid input!"}]}""", "checked", "2")]
    [InlineData("athena", "pairs", """{"factors":[{"name":"a","values":[1,2]},{"name":"b","values":[1,2]},{"name":"c","values":[1,2]}]}""", "pairs", "12")]
    public async Task Tool_ComputesWhatItSays(string package, string tool, string arguments, string member, string expected)
    {
        var (listed, answer) = await RunAsync(package, tool, arguments);

        Assert.Equal(expected, answer.GetProperty(member).GetRawText());
        // What a model would be held to.
        Assert.True((await scripts.Pool.ValidateJsonAsync(JsonSerializer.SerializeToUtf8Bytes(listed.Parameters), System.Text.Encoding.UTF8.GetBytes(arguments), default)).Valid);
    }

    [Fact]
    public async Task Pairs_CoverEveryPairOfValues()
    {
        var factors = Enumerable.Range(0, 6).Select(f => (Name: $"f{f}", Values: Enumerable.Range(0, 2 + (f % 3)).ToArray())).ToList();
        var arguments = JsonSerializer.Serialize(new { factors = factors.Select(f => new { name = f.Name, values = f.Values }) });

        var (_, answer) = await RunAsync("athena", "pairs", arguments);

        var cases = answer.GetProperty("cases").EnumerateArray().ToList();
        Assert.InRange(cases.Count, 16, 30);
        foreach (var a in factors)
        {
            foreach (var b in factors.Where(f => string.CompareOrdinal(f.Name, a.Name) > 0))
            {
                foreach (var (x, y) in a.Values.SelectMany(x => b.Values.Select(y => (x, y))))
                    Assert.Contains(cases, c => c.GetProperty(a.Name).GetInt32() == x && c.GetProperty(b.Name).GetInt32() == y);
            }
        }
    }

    private async Task<(LogicTool Tool, JsonElement Answer)> RunAsync(string package, string tool, string arguments)
    {
        var report = await ReadAsync(package);
        var script = LogicScript.Function(LogicScript.Text(report.Content.Find(PackageContent.Logic)!), tool);
        var answer = await scripts.Pool.ValueAsync($"{script}\n;return await {LogicScript.FunctionName}({arguments}, {{}});");
        return (report.Tools.Single(t => t.Name == tool), JsonElement.Parse(answer));
    }

    private async Task<GatekeeperReport> ReadAsync(string name) =>
        await scripts.Gatekeeper().CheckAsync("acme", await PackageFolderReader.ReadAsync(Path.Combine(Folder, name), AgentPackageLimits.Default, default), default);

    private static string Repository()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "Platform.sln")))
            folder = folder.Parent ?? throw new InvalidOperationException("The tests do not run in the repository.");
        return folder.FullName;
    }
}

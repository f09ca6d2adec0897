using System.Text.Json;
using Conclave.Agents;
using Conclave.Tests.Runtime;

namespace Conclave.Tests.Agents.Tools;

/// <summary>The tools that ship: each is used as an agent would.</summary>
public sealed class CatalogueTests : IAsyncLifetime
{
    private static readonly string Shipped = Path.Combine(RepositoryRoot(), "workflows", "tools");

    private ToolHost _host = null!;

    public async Task InitializeAsync() => _host = await ToolHost.StartAsync(catalogue: Shipped);

    public async Task DisposeAsync() => await _host.DisposeAsync();

    [Fact]
    public void Tools_AreAllReady()
    {
        Assert.Empty(_host.Services.Folder!.Problems);
        var tools = _host.Services.Registry.List(ToolHost.Tenant).Where(t => t.Source == "file").ToList();
        Assert.Equal(
            ["chart-generator", "code-analyzer", "data-processor", "diagram-creator", "git-manager", "report-builder", "shell-script", "test-runner", "text-formatter"], tools.Select(t => t.Name));
        Assert.All(tools, t => Assert.True(t.Problem is null, t.Problem));
        Assert.All(tools, t => Assert.Equal(ToolMode.Allow, t.Definition.DefaultMode));
    }

    [Fact]
    public async Task Git_KeepsAHistory()
    {
        await Git("""{"action":"init"}""");
        await Write("src/a.txt", "one\n");
        await Git("""{"action":"add","paths":["src/a.txt"]}""");
        await Git("""{"action":"commit","message":"--amend is a word here"}""");
        await Git("""{"action":"branch","ref":"next"}""");
        await Git("""{"action":"checkout","ref":"next"}""");
        await Write("src/a.txt", "two\n");

        Assert.Contains("+two", await Git("""{"action":"diff"}"""), StringComparison.Ordinal);
        Assert.Contains("--amend is a word here", await Git("""{"action":"log","limit":1}"""), StringComparison.Ordinal);
        Assert.Contains("## next", await Git("""{"action":"status"}"""), StringComparison.Ordinal);
        Assert.Contains("Not Committed Yet", await Git("""{"action":"blame","paths":["src/a.txt"]}"""), StringComparison.Ordinal);
        await _host.FailAsync("tool.arguments_invalid", "git-manager", """{"action":"commit"}""");
        await _host.FailAsync("tool.input_option", "git-manager", """{"action":"show","ref":"--output"}""");
        // Hooks of the repository do not run.
        await _host.OutputAsync("shell-script", """{"script":"printf '#!/bin/sh\ntouch /workspace/hooked\n' > .git/hooks/post-checkout && chmod +x .git/hooks/post-checkout"}""");
        await Git("""{"action":"checkout","ref":"main"}""".Replace("main", "next", StringComparison.Ordinal));
        Assert.DoesNotContain("hooked", (await _host.OutputAsync("workspace-list")).GetRawText(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Analyzer_CountsAndFinds()
    {
        await Write("app.js", "// A comment\nfunction add(a, b) {\n  if (a && b) return a + b;\n  return 0; // TODO: more\n}\n\nconst password = 'correct horse';\n");
        await Write("bad.json", "{ \"a\": }");

        var output = await _host.OutputAsync("code-analyzer");

        var counts = output.GetProperty("languages").GetProperty("JavaScript");
        Assert.Equal((7, 5, 1, 1), (counts.GetProperty("lines").GetInt32(), counts.GetProperty("code").GetInt32(), counts.GetProperty("comments").GetInt32(), counts.GetProperty("blank").GetInt32()));
        Assert.Equal("add", output.GetProperty("mostComplexFunctions")[0].GetProperty("function").GetString());
        Assert.Equal(3, output.GetProperty("mostComplexFunctions")[0].GetProperty("complexity").GetInt32());
        Assert.Equal("more", output.GetProperty("marks")[0].GetProperty("text").GetString());
        Assert.Equal(7, output.GetProperty("possibleSecrets")[0].GetProperty("line").GetInt32());
        Assert.Equal("bad.json", output.GetProperty("syntaxErrors")[0].GetProperty("file").GetString());
    }

    [Fact]
    public async Task Tests_AreRun_AndFailingOnesAreAnAnswer()
    {
        await Write("a.test.mjs", "import test from 'node:test'; import assert from 'node:assert'; test('good', () => {}); test('bad', () => assert.equal(1, 2));");

        var output = await _host.OutputAsync("test-runner", """{"framework":"node","paths":["a.test.mjs"]}""");

        Assert.Equal(1, output.GetProperty("exitCode").GetInt32());
        Assert.Matches("pass 1\\b", output.GetProperty("stdout").GetString());
        Assert.Matches("fail 1\\b", output.GetProperty("stdout").GetString());
    }

    [Fact]
    public async Task Data_IsFilteredGroupedAndSorted()
    {
        await Write("orders.csv", "city,amount,code\nBonn,10,007\n\"Köln, Deutz\",20.5,a\nBonn,30,\"say \"\"hi\"\"\"\n");

        var grouped = await _host.OutputAsync("data-processor", """
            {"file":"orders.csv","groupBy":["city"],"aggregate":[{"function":"sum","column":"amount","as":"total"},{"function":"count"}],"sortBy":"total","descending":true}
            """);
        var csv = await _host.OutputAsync("data-processor", """{"file":"orders.csv","where":[{"column":"amount","is":">=","value":20}],"output":"csv"}""");

        Assert.Equal("""[{"city":"Bonn","total":40,"count":2},{"city":"Köln, Deutz","total":20.5,"count":1}]""", grouped.GetProperty("rows").GetRawText());
        Assert.Equal("city,amount,code\n\"Köln, Deutz\",20.5,a\nBonn,30,\"say \"\"hi\"\"\"\n", csv.GetProperty("csv").GetString());
        Assert.Equal("007", (await _host.OutputAsync("data-processor", """{"file":"orders.csv","limit":1}""")).GetProperty("rows")[0].GetProperty("code").GetString());
    }

    [Theory]
    [InlineData("bar", "<rect x=")]
    [InlineData("stacked", "<rect x=")]
    [InlineData("line", "<polyline")]
    [InlineData("area", "<polygon")]
    [InlineData("scatter", "<circle")]
    [InlineData("pie", "<path d=")]
    [InlineData("donut", "<path d=")]
    public async Task Chart_IsSvg(string type, string part)
    {
        var svg = (await _host.OutputAsync("chart-generator", $$"""{"type":"{{type}}","title":"Sales <2026>","labels":["a","b","c"],"series":[{"name":"x & y","values":[3,null,5]},{"values":[1,2,4]}]}""")).GetProperty("svg").GetString()!;

        var drawing = System.Xml.Linq.XDocument.Parse(svg);
        Assert.Equal("svg", drawing.Root!.Name.LocalName);
        Assert.Contains("Sales <2026>", drawing.Root.Value, StringComparison.Ordinal);
        Assert.Contains(part, svg, StringComparison.Ordinal);
        Assert.DoesNotContain("NaN", svg, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Report_IsAPageThatRunsNothing()
    {
        await Write("chart.svg", "<svg xmlns=\"http://www.w3.org/2000/svg\"/>");

        var html = (await _host.OutputAsync("report-builder", """
            {"title":"Report <1>","format":"html","sections":[{"heading":"A","text":"One.\n\nTwo <script>alert(1)</script>"},{"heading":"B","table":{"columns":["x"],"rows":[["<b>"]]}},{"heading":"C","image":"chart.svg"}]}
            """)).GetProperty("report").GetString()!;

        Assert.Contains("&lt;script&gt;", html, StringComparison.Ordinal);
        Assert.DoesNotContain("<script", html, StringComparison.Ordinal);
        Assert.Contains("default-src 'none'", html, StringComparison.Ordinal);
        Assert.Contains("data:image/svg+xml;base64,", html, StringComparison.Ordinal);
        var markdown = (await _host.OutputAsync("report-builder", """{"title":"R","sections":[{"heading":"B","table":{"columns":["x","y"],"rows":[["a|b",1]]}}],"saveAs":"r.md"}""")).GetProperty("savedAs").GetString();
        Assert.Equal("r.md", markdown);
        Assert.Contains("| a\\|b | 1 |", (await _host.OutputAsync("workspace-read", """{"path":"r.md"}""")).GetProperty("content").GetString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("title", "the lord of the rings", "The Lord of the Rings")]
    [InlineData("snake", "parseHTTPHeader now", "parse_httpheader_now")]
    [InlineData("slug", "Crème brûlée & Co.", "creme-brulee-co")]
    [InlineData("smart-quotes", "\"it's\"", "“it’s”")]
    [InlineData("json-small", "{ \"a\" : [ 1 ] }", "{\"a\":[1]}")]
    public async Task Text_IsFormatted(string operation, string text, string expected) => Assert.Equal(
        expected, (await _host.OutputAsync("text-formatter", JsonSerializer.Serialize(new Dictionary<string, string> { ["operation"] = operation, ["text"] = text }))).GetProperty("text").GetString());

    [Theory]
    [InlineData("flowchart")]
    [InlineData("sequence")]
    public async Task Diagram_IsSvgAndMermaid(string type)
    {
        var output = await _host.OutputAsync("diagram-creator", $$"""
            {"type":"{{type}}","title":"T","nodes":[{"id":"a","label":"Start <1>"},{"id":"b","shape":"diamond"}],"edges":[{"from":"a","to":"b","label":"go"},{"from":"b","to":"c"},{"from":"c","to":"a","dashed":true},{"from":"c","to":"c"}]}
            """);

        var drawing = System.Xml.Linq.XDocument.Parse(output.GetProperty("svg").GetString()!);
        Assert.Contains("Start <1>", drawing.Root!.Value, StringComparison.Ordinal);
        Assert.DoesNotContain("NaN", output.GetProperty("svg").GetString(), StringComparison.Ordinal);
        Assert.Equal(type == "flowchart" ? "flowchart TD" : "sequenceDiagram", output.GetProperty("mermaid").GetString()!.Split('\n')[0]);
    }

    [Fact]
    public async Task Folder_IsWatched()
    {
        var folder = Path.Combine(_host.Folder, "definitions");
        Directory.CreateDirectory(Path.Combine(folder, "hello"));
        await using var host = await ToolHost.StartAsync(catalogue: folder);
        var file = Path.Combine(folder, "hello", "tool.yaml");
        await File.WriteAllTextAsync(Path.Combine(folder, "hello", "logic.js"), "function run() { return 'one'; }");
        await File.WriteAllTextAsync(file, "name: hello\ndescription: Says something.\nkind: logic\nmode: allow\nsettings: { script: { file: logic.js } }\n");
        await TestRuntime.UntilAsync(() => Task.FromResult(host.Services.Registry.Find(ToolHost.Tenant, "hello") is not null));
        Assert.Equal("one", (await host.OutputAsync("hello")).GetString());

        await File.WriteAllTextAsync(Path.Combine(folder, "hello", "logic.js"), "function run() { return 'two, which nobody has seen'; }");
        await TestRuntime.UntilAsync(() => Task.FromResult(host.Services.Registry.Find(ToolHost.Tenant, "hello")!.IsChanged));
        await host.FailAsync("tool.changed", "hello");
        File.Delete(file);
        await TestRuntime.UntilAsync(() => Task.FromResult(host.Services.Registry.Find(ToolHost.Tenant, "hello") is null));
    }

    private Task<JsonElement> Write(string path, string content) => _host.OutputAsync("workspace-write", JsonSerializer.Serialize(new Dictionary<string, string> { ["path"] = path, ["content"] = content }));

    private async Task<string> Git(string arguments) => (await _host.OutputAsync("git-manager", arguments)).GetProperty("stdout").GetString()!;

    private static string RepositoryRoot()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder!.FullName, "Platform.sln")))
            folder = folder.Parent;
        return folder.FullName;
    }
}

using System.Text;
using Conclave.Agents;
using Conclave.Agents.Packages;
using Conclave.Tests.Expressions.Scripting;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;

namespace Conclave.Tests.Agents.Packages;

[Collection(ScriptTests.Name)]
public sealed class GatekeeperTests(ScriptPool scripts)
{
    private static readonly byte[] Png = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 1];

    [Fact]
    public async Task Least_IsAccepted()
    {
        var report = await CheckAsync(new PackageBuilder());

        Assert.Equal([PackageStage.Manifest, PackageStage.Assets, PackageStage.Logic, PackageStage.Heartbeat, PackageStage.Behaviours], report.Passed);
        Assert.True(report.IsAccepted);
        Assert.Equal("Helper", report.Manifest!.DisplayName);
        Assert.Empty(report.Tools);
    }

    [Fact]
    public async Task Everything_IsAcceptedAndListsItsTools()
    {
        var builder = new PackageBuilder().With("logic.js", PackageBuilder.Logic).With("assets/a.png", Png).With("README.md", "# Helper")
            .With("behaviours/own.json", """{ "name": "Own", "root": { "id": "s", "type": "Elsa.Sequence", "version": 1 } }""")
            .Saying($"assets: [{{path: assets/a.png, sha256: {new PackageFile("", Png).Sha256}}}]");

        var report = await CheckAsync(builder);

        Assert.Empty(report.Problems);
        var tool = Assert.Single(report.Tools);
        Assert.Equal(("double", "Doubles a number.", true, false), (tool.Name, tool.Description, tool.ReadOnly, tool.Idempotent));
        Assert.Equal("number", tool.Parameters.GetProperty("properties").GetProperty("value").GetProperty("type").GetString());
        Assert.Equal(["own"], report.Content.BehaviourNames);
    }

    /// <summary>A package that is wrong in every way is told of the first stage that finds something, and mended stage by stage of the next.</summary>
    [Fact]
    public async Task Stages_ComeInTheirOrder()
    {
        var builder = new PackageBuilder().Saying("colour: red").With("assets/a.png", "no picture").With("logic.js", "eval('1'); throw new Error('no');")
            .With("behaviours/own.json", """{ "root": { "id": "s", "type": "Nothing.Known", "version": 1 } }""");

        await StopsAtAsync(PackageStage.Manifest, "agent_package.manifest_invalid");
        builder.With(PackageContent.Manifest, PackageBuilder.Manifest);
        await StopsAtAsync(PackageStage.Assets, "agent_package.undeclared_asset");
        builder.Without("assets/a.png");
        await StopsAtAsync(PackageStage.Logic, "agent_package.logic.eval");
        builder.With("logic.js", "throw new Error('no');");
        await StopsAtAsync(PackageStage.Heartbeat, "agent_package.heartbeat_failed");
        builder.With("logic.js", PackageBuilder.Logic);
        await StopsAtAsync(PackageStage.Behaviours, "agent_package.behaviour_invalid");
        builder.Without("behaviours/own.json");
        Assert.True((await CheckAsync(builder)).IsAccepted);

        async Task StopsAtAsync(PackageStage stage, string code)
        {
            var report = await CheckAsync(builder);
            Assert.Equal(Enumerable.Range(0, (int)stage), report.Passed.Select(s => (int)s));
            Assert.All(report.Problems, p => Assert.Equal((stage, code), (p.Stage, p.Code)));
            Assert.NotEmpty(report.Problems);
            Assert.True(stage == PackageStage.Behaviours || report.Tools.Count == 0);
        }
    }

    [Theory]
    [InlineData("version: 1.0", "version", "agent_package.manifest_invalid")]
    [InlineData("type: wizard", "type", "agent_package.manifest_invalid")]
    [InlineData("llm:\n  temperature: 3", "temperature", "agent_package.manifest_invalid")]
    [InlineData("llm:\n  color: red", "color", "agent_package.manifest_invalid")]
    [InlineData("colour: red", "colour", "agent_package.manifest_invalid")]
    [InlineData("permissions:\n  git-manager: sometimes", "git-manager", "agent_package.manifest_invalid")]
    [InlineData("personality:\n  summary: Calm\n  mood:\n    initial: angry\n    values: {calm: You are calm.}", "angry", "agent_package.unknown_mood")]
    [InlineData("personality:\n  summary: Calm\n  mood:\n    initial: calm\n    values: {calm: You are calm.}\n    rules: [{on: turn.failed, to: wild}]", "wild", "agent_package.unknown_mood")]
    [InlineData("skills:\n  - name: one\n    description: x\n  - name: Two", "Two", "agent_package.manifest_invalid")]
    public async Task Manifest_NamesTheLine(string yaml, string culprit, string code)
    {
        var member = yaml[..yaml.IndexOf(':', StringComparison.Ordinal)];
        var manifest = string.Join('\n', PackageBuilder.Manifest.Split('\n').Where(l => !l.StartsWith(member + ":", StringComparison.Ordinal))) + "\n" + yaml + "\n";

        var report = await CheckAsync(new PackageBuilder().With(PackageContent.Manifest, manifest));

        Assert.Null(report.Manifest);
        Assert.Equal(1 + Array.FindIndex(manifest.Split('\n'), l => l.Contains(culprit, StringComparison.Ordinal)), report.Problems[0].Line);
        Assert.Equal((code, "agent.yaml"), (report.Problems[0].Code, report.Problems[0].File));
    }

    [Theory]
    [InlineData("", 1)]
    [InlineData("name: [", 1)]
    [InlineData("name: a\nname: b", 2)]
    [InlineData("name: &x a\ntype: *x", 1)]
    [InlineData("name: !!python/object a", 1)]
    [InlineData("a: 1\n---\nb: 2", 2)]
    [InlineData("name: \"a\\0b\"", 1)]
    [InlineData("? [a]\n: b", 1)]
    public async Task Manifest_ThatIsNoPlainYaml_IsRefused(string yaml, int line)
    {
        var problem = Assert.Single((await CheckAsync(new PackageBuilder().With(PackageContent.Manifest, yaml))).Problems);

        Assert.Equal("agent_package.manifest_unreadable", problem.Code);
        Assert.InRange(problem.Line!.Value, line, line + 1);
    }

    [Theory]
    [InlineData("[")]
    [InlineData("a:\n ")]
    [InlineData("- ")]
    [InlineData("{a: ")]
    public async Task Manifest_ThatNestsWithoutEnd_IsRefused(string piece)
    {
        var yaml = string.Concat(Enumerable.Repeat(piece, 200_000 / piece.Length));
        Assert.False((await CheckAsync(new PackageBuilder().With(PackageContent.Manifest, yaml))).IsAccepted);
    }

    [Fact]
    public async Task Manifest_Missing_OrOfAnotherFolder_IsRefused()
    {
        Assert.Equal("agent_package.no_manifest", (await CheckAsync(new PackageBuilder().Without(PackageContent.Manifest))).Problems[0].Code);
        var report = await scripts.Gatekeeper().CheckAsync("acme", new PackageBuilder().Build("other"), default);
        Assert.Equal(("agent_package.wrong_name", 1), (report.Problems[0].Code, report.Problems[0].Line));
        Assert.Equal("agent_package.too_large", (await CheckAsync(new PackageBuilder().With(PackageContent.Manifest, new string('#', 300_000)))).Problems[0].Code);
    }

    [Theory]
    [InlineData("assets/a.exe", "x", "agent_package.unexpected_file")]
    [InlineData("entry.py", "x", "agent_package.unexpected_file")]
    [InlineData("behaviours/more/a.json", "{}", "agent_package.unexpected_file")]
    [InlineData("assets/../a.png", "x", "agent_package.unsafe_name")]
    [InlineData("../a.png", "x", "agent_package.unsafe_name")]
    [InlineData("/a.png", "x", "agent_package.unsafe_name")]
    [InlineData("assets/.hidden.png", "x", "agent_package.unsafe_name")]
    [InlineData("assets/a b.png", "x", "agent_package.unsafe_name")]
    [InlineData("assets/a\u202egnp.png", "x", "agent_package.unsafe_name")]
    [InlineData("assets\\a.png", "x", "agent_package.unsafe_name")]
    [InlineData("assets/undeclared.txt", "x", "agent_package.undeclared_asset")]
    public async Task Assets_ThatCannotBePartOfIt_AreRefused(string path, string text, string code)
    {
        var report = await CheckAsync(new PackageBuilder().With(path, text));

        Assert.Equal((PackageStage.Assets, code), (report.Problems[0].Stage, report.Problems[0].Code));
    }

    [Theory]
    [InlineData("assets/a.png", "<html>")]
    [InlineData("assets/a.jpg", "x")]
    [InlineData("assets/a.json", "{")]
    [InlineData("assets/a.txt", "a\0b")]
    [InlineData("assets/a.svg", "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>")]
    [InlineData("assets/a.svg", "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>")]
    [InlineData("assets/a.svg", "<svg xmlns='http://www.w3.org/2000/svg'><a href='javascript:alert(1)'/></svg>")]
    [InlineData("assets/a.svg", "<svg xmlns='http://www.w3.org/2000/svg'><image href='http://elsewhere/x.png'/></svg>")]
    [InlineData("assets/a.svg", "<!DOCTYPE svg [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><svg xmlns='http://www.w3.org/2000/svg'>&x;</svg>")]
    [InlineData("assets/a.svg", "<html xmlns='http://www.w3.org/1999/xhtml'/>")]
    public async Task Assets_ThatAreNotWhatTheirNameSays_AreRefused(string path, string text)
    {
        var report = await CheckAsync(Declaring(path, text));
        Assert.Equal(["agent_package.wrong_type"], report.Problems.Select(p => p.Code));
    }

    [Fact]
    public async Task Assets_WithAnotherHash_OrMissing_AreRefused()
    {
        Assert.True((await CheckAsync(Declaring("assets/a.txt", "text"))).IsAccepted);
        var problem = Assert.Single((await CheckAsync(Declaring("assets/a.txt", "text").With("assets/a.txt", "other"))).Problems);
        Assert.Equal("agent_package.wrong_hash", problem.Code);
        Assert.Contains(new PackageFile("", Encoding.UTF8.GetBytes("other")).Sha256, problem.Message, StringComparison.Ordinal);
        Assert.Equal(["agent_package.missing_asset"], (await CheckAsync(Declaring("assets/a.txt", "text").Without("assets/a.txt"))).Problems.Select(p => p.Code));
    }

    [Fact]
    public async Task Assets_BeyondALimit_AreRefused()
    {
        var large = await CheckAsync(new PackageBuilder().With("assets/a.txt", new string('x', 4 * 1024 * 1024 + 1)));
        Assert.Equal("agent_package.too_large", large.Problems[0].Code);
        var many = new PackageBuilder();
        for (var i = 0; i < 201; i++)
            many.With($"assets/{i}.txt", "x");
        Assert.Contains("agent_package.too_many_files", (await CheckAsync(many)).Problems.Select(p => p.Code));
        var heavy = new PackageBuilder();
        for (var i = 0; i < 5; i++)
            heavy.With($"assets/{i}.txt", new string('x', 4 * 1024 * 1024));
        Assert.Contains("agent_package.too_large", (await CheckAsync(heavy)).Problems.Select(p => p.Code));
    }

    [Fact]
    public async Task Links_AreNotFollowed()
    {
        using var folder = new Runtime.Definitions.TemporaryFolder();
        new PackageBuilder().Write(folder.Of("helper"));
        Directory.CreateDirectory(folder.Of("helper/assets"));
        File.CreateSymbolicLink(folder.Of("helper/assets/passwd.txt"), "/etc/passwd");
        Directory.CreateSymbolicLink(folder.Of("helper/behaviours"), "/etc");

        var content = await PackageFolderReader.ReadAsync(folder.Of("helper"), AgentPackageLimits.Default, default);

        var report = await scripts.Gatekeeper().CheckAsync("acme", content, default);
        Assert.Equal(["agent_package.link assets/passwd.txt", "agent_package.link behaviours"], report.Problems.Select(p => $"{p.Code} {p.File}"));
        Assert.Equal(["agent.yaml"], content.Files.Select(f => f.Path));
    }

    [Theory]
    [InlineData("const x = 1;", "agent_package.bad_tool", "exports.tools")]
    [InlineData("exports.tools = 1;", "agent_package.bad_tool", "exports.tools")]
    [InlineData("exports.tools = [];", "agent_package.bad_tool", "exports.tools")]
    [InlineData("exports.tools = [null];", "agent_package.bad_tool", "exports.tools[0]")]
    [InlineData("exports.tools = [{ name: 'Bad Name' }];", "agent_package.bad_tool", "exports.tools[0]")]
    [InlineData("exports.tools = [{ name: 'a', description: 'b', parameters: { type: 'object' } }];", "agent_package.bad_tool", "run")]
    [InlineData("exports.tools = [{ name: 'a', parameters: { type: 'object' }, run() {} }];", "agent_package.bad_tool", "description")]
    [InlineData("exports.tools = [{ name: 'a', description: 'b', run() {} }];", "agent_package.bad_tool", "parameters")]
    [InlineData("exports.tools = [{ name: 'a', description: 'b', parameters: { type: 'string' }, run() {} }];", "agent_package.bad_tool", "parameters")]
    [InlineData("exports.tools = [{ name: 'a', description: 'b', parameters: { type: 'object', properties: 5 }, run() {} }];", "agent_package.bad_tool", "parameters")]
    [InlineData("exports.tools = [{ name: 'a', description: 'b', parameters: { type: 'object', $ref: 'http://elsewhere/x' }, run() {} }];", "agent_package.bad_tool", "parameters")]
    [InlineData("const t = { name: 'a', description: 'b', parameters: { type: 'object' }, run() {} };\nexports.tools = [t, t];", "agent_package.bad_tool", "two tools")]
    [InlineData("const t = { name: 'a', description: 'b\\0', parameters: { type: 'object' }, run() {} };\nexports.tools = [t];", "agent_package.bad_tool", "description")]
    [InlineData("\n\nnothing.there();", "agent_package.heartbeat_failed", "nothing")]
    [InlineData("function f() { for (;;) {} }\nf();", "agent_package.heartbeat_failed", "5 s")]
    [InlineData("const a = []; for (let i = 0; i < 1e9; i++) a.push(new Array(1e6).fill(i));", "agent_package.heartbeat_failed", "memory")]
    [InlineData("const f = () => f(); f();", "agent_package.heartbeat_failed", "stack")]
    public async Task Heartbeat_ThatFails_SaysWhy(string logic, string code, string text)
    {
        var report = await CheckAsync(new PackageBuilder().With("logic.js", logic));

        Assert.Contains(report.Problems, p => p.Stage == PackageStage.Heartbeat && p.Code == code && p.Message.Contains(text, StringComparison.OrdinalIgnoreCase));
        if (logic.StartsWith('\n'))
            Assert.Equal(3, report.Problems[0].Line);
    }

    [Fact]
    public async Task Logic_RunsItsToolsWithTheirArguments()
    {
        var script = LogicScript.Function(PackageBuilder.Logic, "double");

        Assert.Equal("""{"doubled":42}""", await scripts.Pool.ValueAsync($"{script}\n{LogicScript.FunctionName}({{ value: 21 }}, {{}})"));
    }

    [Fact]
    public async Task Behaviours_AreOfThePackageWhateverTheFileSays()
    {
        var report = await CheckAsync(new PackageBuilder().With("behaviours/own.json", """{ "id": "v1", "definitionId": "react", "root": { "id": "s", "type": "Elsa.Sequence", "version": 1 } }"""));

        var entry = Assert.Single(PackageBehaviours.Read(report.Content, report.Manifest!));
        Assert.Equal("helper.own", entry.Definition!.DefinitionId);
        Assert.NotEqual("v1", entry.Definition.Id);
    }

    private Task<GatekeeperReport> CheckAsync(PackageBuilder builder) => scripts.Gatekeeper().CheckAsync("acme", builder.Build(), default);

    private static PackageBuilder Declaring(string path, string text) =>
        new PackageBuilder().With(path, text).Saying($"assets: [{{path: {path}, sha256: {new PackageFile("", Encoding.UTF8.GetBytes(text)).Sha256}}}]");
}

internal static class GatekeeperExtensions
{
    /// <summary>A gatekeeper that compiles workflows with the activities that behaviours are drawn with.</summary>
    public static Gatekeeper Gatekeeper(this ScriptPool scripts)
    {
        var engine = new WorkflowEngine(catalog: AgentActivities.Catalog, expressions: ExpressionSyntaxes.BuiltIn.With(new JavaScriptSyntax(scripts.Pool)));
        return new Gatekeeper(scripts.Pool, (_, definition, _) => ValueTask.FromResult(engine.Compile(definition)));
    }
}

using System.Text;
using Conclave.Agents.Packages;
using Conclave.Tests.Expressions.Scripting;
using Conclave.Tests.Runtime.Definitions;

namespace Conclave.Tests.Agents.Packages;

[Collection(ScriptTests.Name)]
public sealed class PackageUploadTests(ScriptPool scripts)
{
    [Theory]
    [InlineData("")]
    [InlineData("helper/")]
    [InlineData("a/b/helper/")]
    public async Task Zip_IsReadFromWhereverTheManifestIs(string prefix)
    {
        var upload = PackageUpload.Read(Zips.Of((prefix + "agent.yaml", PackageBuilder.Manifest), (prefix + "logic.js", PackageBuilder.Logic), ("__MACOSX/._agent.yaml", "x"), (prefix + ".DS_Store", "x")));

        var report = await CheckAsync(upload);
        Assert.True(report.IsAccepted, string.Join('\n', report.Problems));
        Assert.Equal(["agent.yaml", "logic.js"], report.Content.Files.Select(f => f.Path));
        Assert.Null(upload.Import);
    }

    [Fact]
    public async Task Yaml_Alone_IsAPackage() => Assert.True((await CheckAsync(PackageUpload.Read(Encoding.UTF8.GetBytes(PackageBuilder.Manifest)))).IsAccepted);

    [Theory]
    [InlineData("../evil.txt", "agent_package.unsafe_name")]
    [InlineData("/etc/evil.txt", "agent_package.unsafe_name")]
    [InlineData("a\\b.txt", "agent_package.unsafe_name")]
    [InlineData("c:/evil.txt", "agent_package.unsafe_name")]
    [InlineData("a/b/c/d/e/f/g/h/i.txt", "agent_package.unsafe_name")]
    [InlineData("entry.py", "agent_package.unexpected_file")]
    [InlineData("assets/run.exe", "agent_package.unexpected_file")]
    public async Task Zip_FilesThatCannotBePartOfIt_AreRefused(string name, string code)
    {
        var report = await CheckAsync(PackageUpload.Read(Zips.Of(("agent.yaml", PackageBuilder.Manifest), (name, "x"))));

        Assert.Equal([code], report.Problems.Select(p => p.Code));
    }

    [Fact]
    public async Task Zip_ThatIsABomb_OrDamaged_OrNone_IsRefused()
    {
        Assert.Contains(await CodeAsync(Zips.Of(("agent.yaml", PackageBuilder.Manifest), ("assets/a.txt", new string(' ', 60_000_000)))), (string[])["agent_package.too_large", "agent_package.too_compressed"]);
        Assert.Equal("agent_package.too_many_files", await CodeAsync(Zips.Of([.. Enumerable.Range(0, 900).Select(i => ($"assets/{i}.txt", "x"))])));
        Assert.Equal("agent_package.not_a_zip", await CodeAsync([0, 1, 2, 3]));
        Assert.Equal("agent_package.corrupt", await CodeAsync([.. "PK\u0003\u0004"u8, .. new byte[100]]));
        var zip = Zips.Of(("agent.yaml", PackageBuilder.Manifest), ("assets/link.txt", "/etc/passwd"));
        // Unix, link: in the upper half of the attributes, 38 bytes after the mark of the directory's entry.
        Assert.Equal("agent_package.link", await CodeAsync(Zips.Patch(zip, "PK\u0001\u0002"u8, 38, [0, 0, 0xFF, 0xA1])));

        async Task<string> CodeAsync(byte[] bytes) => (await CheckAsync(PackageUpload.Read(bytes))).Problems[0].Code;
    }

    [Fact]
    public async Task Aios_BecomesAPackage_AndTheReportSaysWhatIsLost()
    {
        var upload = PackageUpload.Read(Zips.Of(
            ("example/academic_agent/config.json", """
                { "name": "academic_agent", "description": ["You are an academic expert.", "Help people with papers."], "tools": ["demo_author/arxiv", "wikipedia"],
                  "meta": { "author": "example", "version": "0.0.3", "license": "CC0" }, "build": { "entry": "entry.py", "module": "AcademicAgent" }, "extra": 1 }
                """),
            ("example/academic_agent/entry.py", "class AcademicAgent:\n    pass\n"),
            ("example/academic_agent/meta_requirements.txt", "arxiv==2.1\nrequests\n"),
            ("example/academic_agent/logo.png", "no picture")));

        var report = await CheckAsync(upload);
        Assert.True(report.IsAccepted, string.Join('\n', report.Problems));
        var manifest = report.Manifest!;
        Assert.Equal(("academic-agent", "0.0.3", "example", "CC0", "react"), (manifest.Name, manifest.Version, manifest.Author, manifest.License, manifest.Behaviour.Definition));
        Assert.Equal("You are an academic expert.\nHelp people with papers.", manifest.SystemPrompt.Trim());
        Assert.Equal(["arxiv", "wikipedia"], manifest.Tools);
        Assert.Equal(["agent.yaml"], report.Content.Files.Select(f => f.Path));
        Assert.Equal("aios", upload.Import!.Kind);
        foreach (var lost in (string[])["demo_author/arxiv", "AcademicAgent", "arxiv==2.1, requests", "'extra'", "entry.py", "logo.png"])
            Assert.Contains(upload.Import.NotTaken, n => n.Contains(lost, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Hairem_BecomesAPackage_AndTheReportSaysWhatIsLost()
    {
        byte[] png = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 1];
        var upload = PackageUpload.Read(Zips.OfBytes(
            ("lisa/manifest.yaml", Encoding.UTF8.GetBytes("""
                id: lisa
                uuid: 6f9619ff-8b86-d011-b42d-00c04fc964ff
                name: Lisa
                version: "1.2"
                type: expert
                color: "#ff8800"
                capabilities: [Home Automation, music]
                dependencies: [weather]
                llm_config: {provider: ollama, model: "mistral:latest", base_url: "http://gpu:11434"}
                """)),
            ("lisa/persona.yaml", Encoding.UTF8.GetBytes("""
                name: Lisa
                description: Looks after the house.
                system_prompt: |
                  You are Lisa.
                  You look after the house.
                preferred_location: kitchen
                theme_responses: {night: "Good night."}
                skills:
                  - {name: Lights, description: Turns lights on and off.}
                """)),
            ("lisa/logic.py", "def lights(ctx): pass"u8.ToArray()),
            ("lisa/assets/face.png", png)));

        var report = await CheckAsync(upload);
        Assert.True(report.IsAccepted, string.Join('\n', report.Problems));
        var manifest = report.Manifest!;
        Assert.Equal(("lisa", "Lisa", "1.2.0", "expert", "mistral:latest"), (manifest.Name, manifest.DisplayName, manifest.Version, manifest.Type, manifest.Llm.Model));
        Assert.Equal(["home-automation", "music"], manifest.Capabilities);
        Assert.Equal(("lights", "Turns lights on and off."), (manifest.Skills[0].Name, manifest.Skills[0].Description));
        Assert.Equal(["agent.yaml", "assets/face.png"], report.Content.Files.Select(f => f.Path));
        Assert.Equal("hairem", upload.Import!.Kind);
        foreach (var lost in (string[])["uuid", "color", "weather", "ollama", "logic.py", "preferred_location", "theme_responses"])
            Assert.Contains(upload.Import.NotTaken, n => n.Contains(lost, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("config.json", "{", "entry.py")]
    [InlineData("config.json", "[]", "entry.py")]
    [InlineData("config.json", "{}", "entry.py")]
    [InlineData("config.json", "{\"name\":\"!!!\"}", "entry.py")]
    [InlineData("persona.yaml", "a: [", "manifest.yaml")]
    public async Task Foreign_ThatCannotBeRead_IsRefusedWithTheReason(string file, string text, string other)
    {
        var upload = PackageUpload.Read(Zips.Of((file, text), (other, other == "manifest.yaml" ? "id: a" : "x")));

        Assert.Equal("agent_package.foreign_unreadable", (await CheckAsync(upload)).Problems[0].Code);
    }

    private Task<GatekeeperReport> CheckAsync(UploadedPackage upload) => scripts.Gatekeeper().CheckAsync("acme", upload.Content, default);
}

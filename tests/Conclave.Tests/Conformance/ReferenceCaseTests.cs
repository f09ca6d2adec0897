using System.Text.Json;
using Conclave.Cli;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;

namespace Conclave.Tests.Conformance;

/// <summary>What Elsa's own engine did with its own definitions, in both flowchart modes.</summary>
[Collection(ConformanceTests.Name)]
public sealed class ReferenceCaseTests(Runners runners)
{
    private static readonly string[] Fields =
    [
        "stdout", "status", "subStatus", "output", "variables", "correlationId", "instanceName", "incidents", "bursts",
        "firstBurst", "childInstances", "trace",
    ];

    public static IEnumerable<object[]> Cases => ElsaData.Cases
        .Where(c => Text(c, "mode") != "none").Select(c => new object[] { Text(c, "file"), Text(c, "mode") });

    public static TheoryData<string> Files => new(ElsaData.Files);

    [ElsaTheory]
    [MemberData(nameof(Cases))]
    public async Task Run_ReferenceCase_TellsWhatElsaTells(string file, string mode) =>
        AssertSame(Expected(file, mode), await RunAsync(file, mode));

    [ElsaTheory]
    [MemberData(nameof(Cases))]
    public async Task Run_StoredAndRestoredBetweenBursts_TellsWhatElsaTells(string file, string mode) =>
        AssertSame(Expected(file, mode), await RunAsync(file, mode, restores: true));

    [ElsaTheory]
    [MemberData(nameof(Cases))]
    public async Task Run_WrittenAndReadAgain_TellsWhatElsaTells(string file, string mode) =>
        AssertSame(Expected(file, mode), await RunAsync(file, mode, rewrites: true));

    [ElsaTheory]
    [MemberData(nameof(Files))]
    public void Write_ReferenceFile_ReadsAsTheSameGraph(string file)
    {
        var definition = WorkflowDefinitionReader.Read(File.ReadAllBytes(ElsaData.PathOf(file)));
        var engine = runners.Engine(FlowchartMode.Counter, LibraryOf(file));

        var again = Rewrite(definition);

        Assert.Equal(Same.Shape(engine.Compile(definition)), Same.Shape(engine.Compile(again)));
        Assert.Equal(WorkflowDefinitionWriter.Write(definition), WorkflowDefinitionWriter.Write(again));
        Same.AssertNothingLost(definition.Root, again.Root);
    }

    [ElsaFact]
    public void Compile_BadCronExpression_IsOneErrorWithElsasText()
    {
        var definition = WorkflowDefinitionReader.Read(File.ReadAllBytes(ElsaData.PathOf("ImportAndPublish/bad-cron-expression.json")));

        var graph = runners.Engine(FlowchartMode.Counter, new WorkflowLibrary()).Compile(definition);

        var error = Assert.Single(graph.Problems, p => p.Severity == ProblemSeverity.Error);
        Assert.StartsWith("Error when parsing cron expression: The given cron expression has an invalid format.", error.Message, StringComparison.Ordinal);
        Assert.Equal("cron.invalid", error.Code);
        Assert.NotNull(error.ActivityId);
    }

    private async Task<JsonElement> RunAsync(string file, string modeName, bool restores = false, bool rewrites = false)
    {
        var mode = modeName == "token" ? FlowchartMode.Token : FlowchartMode.Counter;
        var library = LibraryOf(file, rewrites);
        var definition = WorkflowDefinitionReader.Read(File.ReadAllBytes(ElsaData.PathOf(file)));
        if (rewrites)
            definition = Rewrite(definition);
        library.Add(definition);
        var engine = runners.Engine(mode, library);
        var run = new LocalRun(engine) { BetweenBursts = restores ? TestRun.Restore : null };
        var input = new Dictionary<string, object?>();
        if (Expected(file, modeName).TryGetProperty("input", out var given))
        {
            foreach (var value in given.EnumerateObject())
                input[value.Name] = ValueConverter.FromJson(value.Value);
        }

        await run.StartAsync(engine.Compile(definition), new WorkflowStart { Input = input, FlowchartMode = mode }, CancellationToken.None);
        Assert.True(await run.ResumeAllAsync(CancellationToken.None));
        using var report = new MemoryStream();
        RunReport.WriteJson(run, report);
        return JsonElement.Parse(report.GetBuffer().AsSpan(0, (int)report.Length));
    }

    /// <summary>All definitions of the file's folder, which is one world.</summary>
    private static WorkflowLibrary LibraryOf(string file, bool rewrites = false)
    {
        var library = new WorkflowLibrary();
        foreach (var path in Directory.EnumerateFiles(Path.GetDirectoryName(ElsaData.PathOf(file))!, "*.json").Order(StringComparer.Ordinal))
        {
            var definition = WorkflowDefinitionReader.Read(File.ReadAllBytes(path));
            library.Add(rewrites ? Rewrite(definition) : definition);
        }

        return library;
    }

    private static WorkflowDefinition Rewrite(WorkflowDefinition definition) =>
        WorkflowDefinitionReader.Read(WorkflowDefinitionWriter.Write(definition));

    private static JsonElement Expected(string file, string mode) =>
        ElsaData.Cases.Single(c => Text(c, "file") == file && Text(c, "mode") == mode);

    private static void AssertSame(JsonElement expected, JsonElement actual)
    {
        // An absent field of the reference data means null or empty.
        foreach (var field in Fields)
            Assert.Equal($"{field}: {Field(expected, field)}", $"{field}: {Field(actual, field)}");
    }

    private static string Field(JsonElement report, string name) =>
        report.TryGetProperty(name, out var value) ? Same.Canonical(value) is "null" or "[]" or "{}" or "\"\"" ? "none" : Same.Canonical(value) : "none";

    private static string Text(JsonElement element, string name) => element.GetProperty(name).GetString()!;
}

using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Conclave.Tests.Conformance;

/// <summary><c>conclave run</c> as a process: exit codes, standard output and standard error.</summary>
public sealed class CommandTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("conclave-test-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task Run_WorkflowThatFinishes_ExitsWith0AndPrintsItsLines()
    {
        var (code, output, _) = await RunAsync(Json.Workflow(Json.Write("hello")));

        Assert.Equal(0, code);
        Assert.StartsWith("hello", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_WorkflowThatWaits_ExitsWith2AndReportsTheBookmark()
    {
        var (code, output, _) = await RunAsync(Json.Workflow(Json.Event("Paid")), "--json");

        Assert.Equal(2, code);
        var report = JsonElement.Parse(output);
        Assert.Equal("Suspended", report.GetProperty("subStatus").GetString());
        Assert.Equal(
            "EventStimulus { EventName = Paid }",
            report.GetProperty("firstBurst").GetProperty("bookmarks")[0].GetProperty("Payload").GetString());
    }

    [Fact]
    public async Task Run_ResumeAll_ExitsWith0()
    {
        var (code, _, _) = await RunAsync(Json.Workflow(Json.Event("Paid")), "--resume-all", "--json");

        Assert.Equal(0, code);
    }

    [Fact]
    public async Task Run_WorkflowThatFaults_ExitsWith3AndSaysWhere()
    {
        var (code, _, errors) = await RunAsync(Json.Workflow(Json.Activity("Fault", "f1", ("message", Json.Literal("no stock")))));

        Assert.Equal(3, code);
        Assert.Contains("fault in Elsa.Fault 'f1': no stock", errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{", "definition.malformed_json")]
    [InlineData("[]", "definition.not_an_object")]
    [InlineData("""{"root":{"type":"Elsa.Sequence","id":"s","activities":[{"type":"Elsa.Start","id":"a"},{"type":"Elsa.End","id":"a"}]}}""", "definition.duplicate_id")]
    public async Task Run_FileThatCannotBeLoaded_ExitsWith4AndNamesTheFileAndTheProblem(string document, string problem)
    {
        var (code, output, errors) = await RunAsync(document);

        Assert.Equal(4, code);
        Assert.Empty(output);
        Assert.Contains("workflow.json: error: ", errors, StringComparison.Ordinal);
        Assert.Contains(problem, errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_InputOfWrongType_ExitsWith4AndNamesTheInput()
    {
        var workflow = Json.Workflow(Json.Write("hello"))
            .With(("inputs", new JsonArray(new JsonObject { ["name"] = "Total", ["type"] = "Int32" })));

        var (code, _, errors) = await RunAsync(workflow, "--input", "Total=many");

        Assert.Equal(4, code);
        Assert.Contains("--input Total: 'many' cannot be read as Int32", errors, StringComparison.Ordinal);
    }

    private Task<(int Code, string Output, string Errors)> RunAsync(JsonNode workflow, params string[] options) =>
        RunAsync(workflow.ToJsonString(), options);

    private async Task<(int Code, string Output, string Errors)> RunAsync(string document, params string[] options)
    {
        var file = Path.Combine(_folder.FullName, "workflow.json");
        await File.WriteAllTextAsync(file, document);
        var start = new ProcessStartInfo(Environment.ProcessPath is { } path && Path.GetFileNameWithoutExtension(path) == "dotnet" ? path : "dotnet")
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        // The tests' folder holds the assemblies that the tests need, so their list of them counts, not the command's own.
        var tests = Path.ChangeExtension(typeof(CommandTests).Assembly.Location, null);
        string[] host = ["exec", "--runtimeconfig", $"{tests}.runtimeconfig.json", "--depsfile", $"{tests}.deps.json"];
        foreach (var argument in (string[])[.. host, Path.Combine(AppContext.BaseDirectory, "conclave.dll"), "run", file, .. options])
            start.ArgumentList.Add(argument);
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.False((await errors).Contains("Unhandled exception", StringComparison.Ordinal), await errors);
        return (process.ExitCode, await output, await errors);
    }
}

using System.Text.Json;
using System.Text.Json.Nodes;
using Conclave.Agents;
using Conclave.Tests.Cli;

namespace Conclave.Tests.Conformance;

/// <summary><c>conclave</c> as a process: exit codes, standard output and standard error.</summary>
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

    [Fact]
    public async Task Run_InputThatIsNotDeclared_RunsWithAWarning()
    {
        var workflow = Json.Workflow(Json.Write("hello"))
            .With(("inputs", new JsonArray(new JsonObject { ["name"] = "Total", ["type"] = "Int32" })));

        var (code, _, errors) = await RunAsync(workflow, "--input", "Totl=1");

        Assert.Equal(0, code);
        Assert.Equal("--input Totl: warning: the workflow declares no such input; it has Total.", errors.Trim());
    }

    [Theory]
    [InlineData("run")]
    [InlineData("validate")]
    public async Task RunAndValidate_FormAndActivitiesAreWrong_NameBothAtOnce(string command)
    {
        const string document = """{"inputs":4,"name":5,"root":{"type":"Elsa.Sequence","id":"s","activities":[{"type":"Elsa.Start","id":"a"},{"type":"Elsa.End","id":"a"}]}}""";

        var (code, output, errors) = await ConclaveAsync(command, await SaveAsync(document));

        Assert.Equal(4, code);
        Assert.Empty(output);
        Assert.Contains("'inputs' must be a list, not a number", errors, StringComparison.Ordinal);
        Assert.Contains("'name' must be a string, not a number", errors, StringComparison.Ordinal);
        Assert.Contains("definition.duplicate_id", errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Validate_GoodDefinition_SaysSo()
    {
        var (code, output, errors) = await ConclaveAsync("validate", await SaveAsync(Json.Workflow(Json.Write("hello")).ToJsonString()));

        Assert.Equal(0, code);
        Assert.EndsWith("workflow.json: valid", output.Trim(), StringComparison.Ordinal);
        Assert.Empty(errors);
    }

    [Fact]
    public async Task Validate_UnknownActivityType_ExitsWith4AndNamesIt()
    {
        var (code, _, errors) = await ConclaveAsync("validate", await SaveAsync("""{"root":{"type":"Elsa.Flowchar","id":"f"}}"""));

        Assert.Equal(4, code);
        Assert.Contains("Elsa.Flowchar", errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Format_Write_FillsInWhatIsMissingAndChangesNothingTheSecondTime()
    {
        var file = await SaveAsync("""{"root":{"type":"Elsa.WriteLine","text":"hi"}}""");

        Assert.Equal(0, (await ConclaveAsync("format", file, "--write")).Code);
        var formatted = await File.ReadAllTextAsync(file);
        Assert.Equal(0, (await ConclaveAsync("format", file, "--write")).Code);

        Assert.NotNull(JsonElement.Parse(formatted).GetProperty("root").GetProperty("id").GetString());
        Assert.Equal(formatted, await File.ReadAllTextAsync(file));
        Assert.Equal([file], Directory.GetFiles(_folder.FullName));
    }

    [Fact]
    public async Task Format_FileThatCannotBeRead_LeavesItAlone()
    {
        var file = await SaveAsync("""{"root":7}""");

        var (code, _, errors) = await ConclaveAsync("format", file, "--write");

        Assert.Equal(4, code);
        Assert.Contains("'root' must be an object", errors, StringComparison.Ordinal);
        Assert.Equal("""{"root":7}""", await File.ReadAllTextAsync(file));
    }

    [Fact]
    public async Task Describe_Json_HasInputsOutputsAndPorts()
    {
        var (code, output, _) = await ConclaveAsync("describe", "downloadhttpfile", "--json");

        Assert.Equal(0, code);
        var type = JsonElement.Parse(output);
        Assert.Equal("Elsa.DownloadHttpFile", type.GetProperty("typeName").GetString());
        Assert.Equal("Url", type.GetProperty("inputs")[0].GetProperty("name").GetString());
        Assert.Equal("Result", type.GetProperty("outputs")[0].GetProperty("name").GetString());
        Assert.Contains(type.GetProperty("ports").EnumerateArray(), p => p.GetProperty("name").GetString() == "Timeout");
    }

    [Fact]
    public async Task Describe_NoType_ListsAll()
    {
        var (code, output, _) = await ConclaveAsync("describe");

        Assert.Equal(0, code);
        Assert.Contains("Elsa.WriteLine", output, StringComparison.Ordinal);
        Assert.Contains("Elsa.Flowchart", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Describe_NoTypeAsJson_HasEveryType()
    {
        var (code, output, _) = await ConclaveAsync("describe", "--json");

        Assert.Equal(0, code);
        Assert.Equal(
            AgentActivities.Catalog.Types.Select(t => t.Descriptor.TypeName).Order(StringComparer.Ordinal),
            JsonElement.Parse(output).EnumerateArray().Select(t => t.GetProperty("typeName").GetString()!).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Describe_UnknownType_ExitsWith4AndNamesSimilarOnes()
    {
        var (code, _, errors) = await ConclaveAsync("describe", "Write");

        Assert.Equal(4, code);
        Assert.Contains("Did you mean", errors, StringComparison.Ordinal);
        Assert.Contains("Elsa.WriteLine", errors, StringComparison.Ordinal);
    }

    private Task<(int Code, string Output, string Errors)> RunAsync(JsonNode workflow, params string[] options) =>
        RunAsync(workflow.ToJsonString(), options);

    private async Task<(int Code, string Output, string Errors)> RunAsync(string document, params string[] options) =>
        await ConclaveAsync(["run", await SaveAsync(document), .. options]);

    private async Task<string> SaveAsync(string document)
    {
        var file = Path.Combine(_folder.FullName, "workflow.json");
        await File.WriteAllTextAsync(file, document);
        return file;
    }

    private static Task<(int Code, string Output, string Errors)> ConclaveAsync(params string[] arguments) => ConclaveProcess.RunAsync(arguments);
}

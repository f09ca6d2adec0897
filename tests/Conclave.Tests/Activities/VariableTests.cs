using System.Text.Json.Nodes;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Expressions;

namespace Conclave.Tests.Activities;

public sealed class VariableTests
{
    [Theory]
    [InlineData("Int32", "\"42\"", "42")]
    [InlineData("Int32", "1.0", "1")]
    [InlineData("Int64", "9007199254740993", "9007199254740993")]
    [InlineData("Decimal", "\"0.10\"", "0.10")]
    [InlineData("Double", "\"1e3\"", "1000")]
    [InlineData("Boolean", "\"TRUE\"", "True")]
    [InlineData("String", "12", "12")]
    [InlineData("String", "{\"a\":1}", "{\"a\":1}")]
    [InlineData("TimeSpan", "\"1.02:03:04\"", "1.02:03:04")]
    [InlineData("DateTimeOffset", "\"2026-01-15T09:00:00+01:00\"", "2026-01-15T09:00:00.0000000+01:00")]
    [InlineData("Guid", "\"6F9619FF-8B86-D011-B42D-00C04FC964FF\"", "6f9619ff-8b86-d011-b42d-00c04fc964ff")]
    [InlineData("ByteArray", "\"AQI=\"", "AQI=")]
    [InlineData("ByteArray", "[1,2]", "AQI=")]
    [InlineData("List<Int32>", "[1,2]", "[1,2]")]
    [InlineData("List<String>", "\"alone\"", "[\"alone\"]")]
    [InlineData("String[]", "[]", "[]")]
    [InlineData("ObjectDictionary", "{\"a\":[1]}", "{\"a\":[1]}")]
    [InlineData("JSON", "\"[1, 2]\"", "[1, 2]")]
    [InlineData("Object", "null", null)]
    [InlineData("No.Such.Type", "{\"a\":1}", "{\"a\":1}")]
    public async Task SetVariable_Value_IsConvertedToTheType(string type, string value, string? expected)
    {
        var run = await TestRun.RunAsync(Json.Set("s", "v", Json.Literal(JsonNode.Parse(value))), Json.Variable("v", type));

        run.Finished();
        Assert.Equal(expected, ValueConverter.ToText(run.Variable("v")));
        Assert.Equal(expected, ValueConverter.ToText(TestRun.Restore(run.Instance).GetVariable(run.Instance.Graph.Root.Variables[0])));
    }

    [Theory]
    [InlineData("Int32", "\"many\"")]
    [InlineData("Int32", "3000000000")]
    [InlineData("Int32", "1e400")]
    [InlineData("Boolean", "\"maybe\"")]
    [InlineData("Guid", "\"1\"")]
    [InlineData("TimeSpan", "\"soon\"")]
    [InlineData("ByteArray", "[300]")]
    [InlineData("DateTimeOffset", "\"2026-13-01\"")]
    public async Task SetVariable_ValueThatDoesNotFit_Faults(string type, string value) =>
        (await TestRun.RunAsync(Json.Set("s", "v", Json.Literal(JsonNode.Parse(value))), Json.Variable("v", type))).Faulted("cannot be read as");

    [Theory]
    [InlineData("Int32", null, "0")]
    [InlineData("Int32", "\"\"", "0")]
    [InlineData("Boolean", null, "False")]
    [InlineData("String", null, null)]
    [InlineData("String", "\"\"", "")]
    [InlineData("Guid", null, "00000000-0000-0000-0000-000000000000")]
    [InlineData("Object", null, null)]
    [InlineData("Int32", "\"7\"", "7")]
    public void Compile_Default_IsOfTheType(string type, string? value, string? expected)
    {
        var variable = Json.Variable("v", type, value is null ? null : JsonNode.Parse(value));

        var graph = TestRun.Engine().Compile(Json.Workflow(Json.Write("w"), variable).Read());

        Assert.Empty(graph.Problems);
        Assert.Equal(expected, ValueConverter.ToText(graph.Root.Variables[0].Default));
    }

    [Fact]
    public async Task SetVariable_IdIsUnknownAndOnlyTheNameMatches_Faults()
    {
        var set = Json.Set("set", "other", Json.Literal(1));
        set["variable"]!["name"] = "v";

        var run = await TestRun.RunAsync(set, Json.Variable("v", "Int32", "7"));

        Assert.Equal(Conclave.Workflows.Execution.WorkflowSubStatus.Faulted, run.Instance.SubStatus);
        Assert.Equal(7, run.Variable("v"));
    }

    [Fact]
    public async Task SetVariable_ThatDoesNotExist_WarnsAndFaults()
    {
        var workflow = Json.Workflow(Json.Set("s", "gone", Json.Literal(1)));

        Assert.Contains(TestRun.Engine().Compile(workflow.Read()).Problems, p => p is { Code: "variable.not_found", Severity: ProblemSeverity.Warning });
        (await TestRun.Engine().RunAsync(workflow)).Faulted("the variable 'gone' does not exist");
    }

    [Fact]
    public async Task SetVariable_SameIdInAnInnerScope_SetsTheInnerOne()
    {
        var inner = Json.Sequence("inner", Json.Set("s", "v", Json.Literal(2)), Json.Write("w", Json.Variable("v")))
            .With(("variables", new JsonArray(Json.Variable("v", "Int32", 1))));

        var run = await TestRun.RunAsync(Json.Sequence("outer", inner, Json.Write("o", Json.Variable("v"))), Json.Variable("v", "Int32", 0));

        run.Finished("2", "0");
    }

    [Fact]
    public async Task Variable_OfAContainerInALoop_BeginsAnewEachRound()
    {
        var body = Json.Sequence("s", Json.Set("set", "v", Json.Test("v+1")), Json.Write("w", Json.Variable("v"))).With(("variables", new JsonArray(Json.Variable("v", "Int32", 0))));

        (await TestRun.RunAsync(Json.Activity("For", "for", ("start", 1), ("end", 3), ("body", body)))).Finished("1", "1", "1");
    }

    [Fact]
    public async Task Variable_OutOfScope_CannotBeSeen() => (await TestRun.RunAsync(Json.Sequence(
        "s", Json.Sequence("a").With(("variables", new JsonArray(Json.Variable("v", "Int32")))), Json.Write("w", Json.Variable("v"))))).Faulted("no variable 'v'");

    [Fact]
    public async Task SetNameAndCorrelate_SetTheInstance()
    {
        var run = await TestRun.RunAsync(Json.Sequence("s", Json.Activity("SetName", "n", ("value", "Order 7")), Json.Activity("Correlate", "c", ("correlationId", "o-7"))));

        Assert.Equal(("Order 7", "o-7"), (run.Instance.Name, run.Instance.CorrelationId));
    }

    [Theory]
    [InlineData("SetName", "value", "name")]
    [InlineData("Correlate", "correlationId", "correlation id")]
    public async Task SetNameAndCorrelate_TooLongOrControlCharacters_Fault(string type, string input, string what)
    {
        (await TestRun.RunAsync(Json.Activity(type, "a", (input, Json.Literal(new string('x', 501)))))).Faulted($"The {what} has 501 characters");
        (await TestRun.RunAsync(Json.Activity(type, "a", (input, Json.Literal("a\0b"))))).Faulted($"The {what} has control characters");
    }
}

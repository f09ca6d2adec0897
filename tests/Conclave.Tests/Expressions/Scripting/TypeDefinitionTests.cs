using System.Diagnostics;
using System.Reflection;
using System.Text.Json;
using System.Text.Json.Nodes;
using Conclave.Workflows.Expressions;
using static Conclave.Tests.Json;

namespace Conclave.Tests.Expressions.Scripting;

[Collection(ScriptTests.Name)]
public sealed class TypeDefinitionTests(ScriptPool scripts)
{
    private static readonly string[] PlainJavaScript =
    [
        "parseInt", "parseFloat", "isNaN", "isFinite", "queueMicrotask", "decodeURI", "decodeURIComponent", "encodeURI", "encodeURIComponent", "escape", "unescape", "eval",
    ];

    [Fact]
    public async Task Definitions_GoodScript_HasNoErrors()
    {
        var messages = await CheckAsync(Order(), """
            variables.Total = variables.Total + getTotal() + getVariable("Total");
            variables.tags.push("new");
            setTotal(getOrder().lines.length);
            setVariable("Total", 5);
            const due: DateTime = getDueAt().AddDays(2).Date;
            const wait: TimeSpan = getDueAt().Subtract(DateTime.UtcNow);
            const status: number = getOutputFrom("Call", "StatusCode") + getStatusCodeFromCall();
            const reason: string = getResultFromCall().reasonPhrase;
            const anything = getOutputFrom("Call");
            const line: string = getOrderLine().toUpperCase() + getInput("order_line");
            const item = variables.CurrentValue + getCurrentIndex();
            setOutcomes(["a", getCorrelationId() ?? "b"]);
            """);

        Assert.Empty(messages);
    }

    [Theory]
    [InlineData("getTotl();", "Cannot find name 'getTotl'")]
    [InlineData("variables.Totl;", "Property 'Totl' does not exist")]
    [InlineData("variables.Total = 'x';", "not assignable to type 'number'")]
    [InlineData("setTotal('x');", "not assignable to parameter of type 'number'")]
    [InlineData("variables.tags.push(1);", "not assignable to parameter of type 'string'")]
    [InlineData("getDueAt().AddDaze(1);", "Property 'AddDaze' does not exist")]
    [InlineData("getStatusCodeFromCall().length;", "Property 'length' does not exist")]
    [InlineData("getItem();", "Cannot find name 'getItem'")]
    public async Task Definitions_BadScript_IsToldWhatIsWrong(string script, string message) =>
        Assert.Contains(message, Assert.Single(await CheckAsync(Order(), script)), StringComparison.Ordinal);

    [Fact]
    public async Task Definitions_DependOnWhereTheScriptStands()
    {
        Assert.Contains("Cannot find name 'setOutcome'", Assert.Single(await CheckAsync(Order(), "setOutcome('a');", "Elsa.WriteLine", "text")), StringComparison.Ordinal);
        Assert.Empty(await CheckAsync(Order(), "setOutcome('a');", "Elsa.RunJavaScript", "script"));
        Assert.Empty(await CheckAsync(Order(), "args.item.id + getItem().id;", "Elsa.BulkDispatchWorkflows", "correlationIdFunction"));
        Assert.Single(await CheckAsync(Order(), "getItem();", "Elsa.BulkDispatchWorkflows", "items"));
    }

    [Fact]
    public async Task Definitions_StrangeNames_StayReadable()
    {
        var workflow = Workflow(
            Sequence("s", Activity("ReadLine", "*/ break out"), Activity("ReadLine", "r", ("name", "größe")), Activity("ReadLine", "r2", ("name", "2nd \"line\""))),
            Variable("with space", "String"), Variable("größe", "Int32"), Variable("Input", "String"), Variable("class", "Boolean"), Variable("quote\"d", "String"));

        var messages = await CheckAsync(workflow, """
            const size: number = variables.größe + getGröße() + getVariable("größe");
            const text: string = getVariable("with space") + getVariable("quote\"d") + getResultFromGröße() + getOutputFrom("2nd \"line\"", "Result");
            const flag: boolean = variables.class && getClass();
            const input: any = getInput("x");
            """);

        Assert.Empty(messages);
    }

    [Fact]
    public async Task Definitions_WorkflowThatDoesNotCompile_StillHasItsOwn()
    {
        var definition = Workflow(Sequence("s"), Variable("Total", "Int32")).Read();

        Assert.Empty(await CheckAsync(TypeDefinitions.Write(definition, null, null, null), "setTotal(getTotal() + 1);"));
    }

    [Fact]
    public async Task Globals_AreExactlyWhatTheRunnerOffers()
    {
        var names = JsonElement.Parse(await scripts.Pool.ValueAsync("Object.getOwnPropertyNames(globalThis).filter(n => typeof globalThis[n] === 'function')", """{ "config": {} }"""))
            .EnumerateArray().Select(n => n.GetString()!).Where(n => char.IsLower(n[0])).Except(PlainJavaScript);

        Assert.Equal(TypeDefinitions.GlobalFunctions.Order(StringComparer.Ordinal), names.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Globals_MembersThatTheCompilerAllows_ExistInTheRunner()
    {
        const string Script = """
            [
                TimeSpan.FromMinutes(90).TotalHours, TimeSpan.Parse("00:01:00").Negate().Duration().ToString(), TimeSpan.Zero.Ticks, new TimeSpan(1, 2, 3).Minutes,
                TimeSpan.FromHours(4).Divide(2).Hours, TimeSpan.FromHours(4).Divide(TimeSpan.FromHours(2)),
                new DateTime(2026, 2, 3).AddMonths(1).Month, DateTime.IsLeapYear(2024), DateTime.Parse("2026-12-24T18:00:00").TimeOfDay.Hours, DateTime.UnixEpoch.Kind,
                new DateTime(2026, 2, 3).Subtract(new DateTime(2026, 2, 1)).Days, DateTime.SpecifyKind(new DateTime(), "Utc").Kind,
                new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.FromHours(1)).ToUnixTimeSeconds(), DateTimeOffset.FromUnixTimeSeconds(0).UtcDateTime.Year,
                DateTimeOffset.Parse("2026-12-24T18:00:00+01:00").ToOffset(TimeSpan.Zero).Hour,
                Guid.Parse("0198c5a1-5f4e-7c11-9d0b-3f6a2f1c77aa").ToString("N"), Guid.Empty.Equals(new Guid()), newGuid().ToByteArray().length, newShortGuid().length > 10,
                new Random(1).Next(5, 6), new Random().NextDouble() < 1, LogPersistenceMode.Include,
                new HttpHeaders({ "Content-Type": "a/b" }).ContentType, new Downloadable("x", "a.txt").Filename, new HttpResilienceStrategy({ a: 1 }).a,
                bytesToString(bytesFromBase64(stringToBase64("hi"))), isNullOrWhiteSpace(" "), toJson({ a: 1 }), parseGuid(newGuidString()).ToString().length,
            ]
            """;

        Assert.Empty(await CheckAsync(TypeDefinitions.Globals, Script));
        Assert.Equal(
            """[1.5,"00:01:00",0,2,2,2,3,true,18,"Utc",2,"Utc",1767319445,1970,17,"0198c5a15f4e7c119d0b3f6a2f1c77aa",true,16,true,5,true,"Include","a/b","a.txt",1,"hi",true,"{\"a\":1}",36]""",
            await scripts.Pool.ValueAsync(Script));
    }

    private static JsonObject Order()
    {
        var workflow = Workflow(
            Sequence(
                "s",
                Activity("SendHttpRequest", "call-1", ("name", "Call"), ("url", Literal("https://example.com"))),
                Activity("ForEach", "each", ("items", Expression("Object", "[1]")), ("body", Write("line")))),
            Variable("Total", "Int32"),
            Variable("tags", "String").With(("isArray", true)),
            Variable("dueAt", "DateTime"),
            Variable("not an identifier", "String"));
        return workflow.With(("inputs", new JsonArray(
            new JsonObject { ["name"] = "Order", ["type"] = "ObjectDictionary" },
            new JsonObject { ["name"] = "order_line", ["type"] = "String" })));
    }

    private static Task<string[]> CheckAsync(JsonObject workflow, string script, string? activityType = null, string? property = null)
    {
        var definition = workflow.Read();
        return CheckAsync(TypeDefinitions.Write(definition, TestRun.Engine().Compile(definition), activityType, property), script);
    }

    private static async Task<string[]> CheckAsync(string definitions, string script)
    {
        var folder = typeof(TypeDefinitionTests).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(a => a.Key == "TypeScriptFolder").Value!;
        using var process = Process.Start(new ProcessStartInfo("node", Path.Combine(folder, "check.mjs"))
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        var error = process.StandardError.ReadToEndAsync();
        await process.StandardInput.WriteAsync(new JsonObject { ["definitions"] = definitions, ["script"] = script }.ToJsonString());
        process.StandardInput.Close();
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.True(process.ExitCode == 0, await error);
        return JsonSerializer.Deserialize<string[]>(output)!;
    }
}

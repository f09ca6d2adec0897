using System.Text;
using System.Text.Json.Nodes;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;

namespace Conclave.Tests.Definitions;

/// <summary>Documents that are broken, hostile or just odd: a clear error or a working definition, never a crash.</summary>
public sealed class BadInputTests
{
    private const string Small =
        """{"id":"w:1","definitionId":"w","name":"Größe \ud83d\ude00","variables":[{"id":"v","name":"V","typeName":"Int32","value":"1"}],"root":{"type":"Elsa.Sequence","id":"s","version":1,"activities":[{"type":"Elsa.WriteLine","id":"a","version":1,"text":{"typeName":"String","expression":{"type":"Literal","value":"hi"}}}]}}""";

    private static readonly WorkflowEngine Engine = TestRun.Engine();

    [Theory]
    [InlineData("", "definition.malformed_json")]
    [InlineData("   ", "definition.malformed_json")]
    [InlineData("{", "definition.malformed_json")]
    [InlineData("{}}", "definition.malformed_json")]
    [InlineData("{} {}", "definition.malformed_json")]
    [InlineData("{\"root\":{},}", "definition.malformed_json")]
    [InlineData("{/* a comment */}", "definition.malformed_json")]
    [InlineData("{\"root\":NaN}", "definition.malformed_json")]
    [InlineData("null", "definition.not_an_object")]
    [InlineData("[]", "definition.not_an_object")]
    [InlineData("\"text\"", "definition.not_an_object")]
    [InlineData("1e400", "definition.not_an_object")]
    [InlineData("{\"root\":[]}", "definition.wrong_type")]
    [InlineData("{\"root\":\"Elsa.Sequence\"}", "definition.wrong_type")]
    [InlineData("{\"root\":7}", "definition.wrong_type")]
    [InlineData("{\"root\":{}}", "definition.root_without_type")]
    [InlineData("{\"root\":{\"type\":7,\"id\":\"a\"}}", "definition.root_without_type")]
    public void Read_DocumentThatIsNoDefinition_SaysWhy(string document, string code) =>
        Assert.Equal(code, Problem(document).Code);

    [Theory]
    [InlineData("[\"POST\"]", true)]
    [InlineData("{\"POST\":true}", true)]
    [InlineData("[]", false)]
    [InlineData("{}", false)]
    [InlineData("{\"typeName\":\"ICollection<String>\"}", false)]
    [InlineData("{\"typeName\":\"Object\",\"expression\":{\"type\":\"Object\",\"value\":\"[\\\"POST\\\"]\"}}", false)]
    public void Compile_BareListOrObjectForAnInput_Warns(string methods, bool warns)
    {
        var graph = Engine.Compile(Json.Read($$$"""{"root":{"type":"Elsa.HttpEndpoint","id":"a","version":1,"path":"x","supportedMethods":{{{methods}}}}}"""));

        Assert.Equal(warns ? [("input.not_wrapped", "a", "supportedMethods", ProblemSeverity.Warning)] : [], graph.Problems.Select(p => (p.Code, p.ActivityId, p.Property, p.Severity)));
    }

    [Theory]
    [InlineData("{\"root\":null}")]
    [InlineData("{}")]
    public async Task Run_NoRoot_FinishesAtOnce(string document)
    {
        var run = new LocalRun(Engine);
        await run.StartAsync(Engine.Compile(Json.Read(document)), WorkflowStart.Default, CancellationToken.None);
        run.Finished();
    }

    [Fact]
    public void Read_CutOffAtAnyByte_IsMalformed()
    {
        var document = Encoding.UTF8.GetBytes(Small);

        for (var length = 0; length < document.Length; length++)
        {
            var exception = Assert.Throws<WorkflowDefinitionException>(() => WorkflowDefinitionReader.Read(document.AsSpan(0, length)));
            Assert.Contains(exception.Problems[0].Code, (string[])["definition.malformed_json", "definition.invalid_utf8"]);
        }
    }

    [Fact]
    public void Compile_AnyByteChanged_WorksOrSaysWhy()
    {
        var document = Encoding.UTF8.GetBytes(Small);
        var random = new Random(20260115);

        for (var place = 0; place < document.Length; place++)
        {
            foreach (var change in (byte[])[0, (byte)'"', (byte)'{', (byte)'\\', 0xFF, (byte)random.Next(256)])
            {
                var changed = (byte[])document.Clone();
                changed[place] = change;
                WorksOrSaysWhy(changed);
            }
        }
    }

    [Theory]
    [InlineData("id")]
    [InlineData("definitionId")]
    [InlineData("name")]
    [InlineData("description")]
    [InlineData("createdAt")]
    [InlineData("version")]
    [InlineData("toolVersion")]
    [InlineData("variables")]
    [InlineData("inputs")]
    [InlineData("outputs")]
    [InlineData("outcomes")]
    [InlineData("customProperties")]
    [InlineData("isReadonly")]
    [InlineData("isSystem")]
    [InlineData("isLatest")]
    [InlineData("isPublished")]
    [InlineData("options")]
    [InlineData("usableAsActivity")]
    [InlineData("root")]
    public void Read_EnvelopeMemberOfAnotherType_SaysWhichMember(string member)
    {
        string[] values = ["[[1]]", "{\"a\":[1]}", "\"\\u0000 text\"", "1e400", "-1", "true", "1.5", "{\"$values\":3}", "[null,7,\"x\",{}]"];
        var refused = 0;

        foreach (var value in values)
        {
            var problems = Problems($"{{\"{member}\":{value}}}");
            refused += problems.Count;
            Assert.All(problems, p => Assert.Equal(member, p.Property));
            Assert.All(problems, p => Assert.Contains(p.Code, (string[])["definition.wrong_type", "definition.missing_name", "definition.root_without_type"]));
        }

        Assert.NotEqual(0, refused);
    }

    [Theory]
    [InlineData("Elsa.Flowchart", "activities")]
    [InlineData("Elsa.Flowchart", "connections")]
    [InlineData("Elsa.Flowchart", "variables")]
    [InlineData("Elsa.Sequence", "activities")]
    [InlineData("Elsa.Parallel", "activities")]
    [InlineData("Elsa.Fork", "branches")]
    [InlineData("Elsa.Fork", "joinMode")]
    [InlineData("Elsa.If", "condition")]
    [InlineData("Elsa.If", "then")]
    [InlineData("Elsa.If", "result")]
    [InlineData("Elsa.Switch", "cases")]
    [InlineData("Elsa.Switch", "mode")]
    [InlineData("Elsa.Switch", "default")]
    [InlineData("Elsa.FlowSwitch", "cases")]
    [InlineData("Elsa.FlowFork", "branches")]
    [InlineData("Elsa.FlowJoin", "mode")]
    [InlineData("Elsa.For", "start")]
    [InlineData("Elsa.For", "body")]
    [InlineData("Elsa.ForEach", "items")]
    [InlineData("Elsa.ParallelForEach", "items")]
    [InlineData("Elsa.While", "condition")]
    [InlineData("Elsa.StateMachine", "states")]
    [InlineData("Elsa.StateMachine", "transitions")]
    [InlineData("Elsa.StateMachine", "initialState")]
    [InlineData("Elsa.Delay", "timeSpan")]
    [InlineData("Elsa.Timer", "interval")]
    [InlineData("Elsa.Cron", "cronExpression")]
    [InlineData("Elsa.StartAt", "dateTime")]
    [InlineData("Elsa.Event", "eventName")]
    [InlineData("Elsa.PublishEvent", "payload")]
    [InlineData("Elsa.RunTask", "payload")]
    [InlineData("Elsa.SetVariable", "variable")]
    [InlineData("Elsa.SetVariable", "value")]
    [InlineData("Elsa.SetOutput", "outputName")]
    [InlineData("Elsa.Complete", "outcomes")]
    [InlineData("Elsa.Fault", "message")]
    [InlineData("Elsa.DispatchWorkflow", "input")]
    [InlineData("Elsa.BulkDispatchWorkflows", "items")]
    [InlineData("Elsa.ExecuteWorkflow", "input")]
    [InlineData("Elsa.RunJavaScript", "script")]
    [InlineData("Elsa.WriteLine", "text")]
    [InlineData("Elsa.WriteLine", "id")]
    [InlineData("Elsa.WriteLine", "type")]
    [InlineData("Elsa.WriteLine", "version")]
    [InlineData("Elsa.WriteLine", "name")]
    [InlineData("Elsa.WriteLine", "customProperties")]
    [InlineData("Elsa.WriteLine", "metadata")]
    [InlineData("Elsa.WriteLine", "canStartWorkflow")]
    [InlineData("Elsa.NotFoundActivity", "missingTypeName")]
    public void Compile_ActivityMemberOfAnyShape_WorksOrSaysWhy(string type, string member)
    {
        foreach (var value in OddValues)
        {
            var activity = $"{{\"type\":\"{type}\",\"id\":\"a\",\"version\":1,\"{member}\":{value}}}";
            WorksOrSaysWhy(Encoding.UTF8.GetBytes($"{{\"root\":{activity}}}"));
            WorksOrSaysWhy(Encoding.UTF8.GetBytes($"{{\"root\":{{\"type\":\"Elsa.Sequence\",\"id\":\"s\",\"activities\":[{activity},{{\"type\":\"Elsa.Start\"}}]}}}}"));
        }
    }

    [Theory]
    [InlineData("canStartWorkflow")]
    [InlineData("mergeMode")]
    [InlineData("retry")]
    [InlineData("timeout")]
    [InlineData("resilienceStrategy")]
    [InlineData("logPersistenceConfig")]
    [InlineData("logPersistenceMode")]
    [InlineData("commitStrategyName")]
    public void Compile_CustomPropertyOfAnyShape_WorksOrSaysWhy(string member)
    {
        foreach (var value in OddValues)
        {
            WorksOrSaysWhy(Encoding.UTF8.GetBytes(
                $$$"""{"customProperties":{"{{{member}}}":{{{value}}},"Flowchart:ExecutionMode":{{{value}}} },"options":{"{{{member}}}":{{{value}}} },"root":{"type":"Elsa.WriteLine","id":"a","customProperties":{"{{{member}}}":{{{value}}} } } }"""));
        }
    }

    [Theory]
    [InlineData("Object")]
    [InlineData("String")]
    [InlineData("Boolean")]
    [InlineData("Int16")]
    [InlineData("Int32")]
    [InlineData("Int64")]
    [InlineData("Single")]
    [InlineData("Double")]
    [InlineData("Decimal")]
    [InlineData("Guid")]
    [InlineData("DateTime")]
    [InlineData("DateTimeOffset")]
    [InlineData("TimeSpan")]
    [InlineData("Uri")]
    [InlineData("ByteArray")]
    [InlineData("JSON")]
    [InlineData("ObjectDictionary")]
    [InlineData("List<Int32>")]
    [InlineData("Int32?")]
    [InlineData("String[]")]
    [InlineData("HttpRequest")]
    [InlineData("No.Such.Type, Nowhere")]
    public void Compile_VariableDefaultOfAnyShape_WorksOrIsABadDefault(string type)
    {
        foreach (var value in OddValues)
        {
            foreach (var isArray in (string[])["true", "false"])
            {
                var workflow = $$"""{"variables":[{"id":"v","name":"v","typeName":"{{type}}","isArray":{{isArray}},"value":{{value}},"storageDriverTypeName":"WorkflowInstanceStorageDriver"}]}""";
                var graph = Engine.Compile(Json.Read(workflow));
                Assert.All(graph.Problems, p => Assert.Contains(p.Code, (string[])["variable.bad_default", "variable.unknown_type"]));
                TestRun.Store(Engine.CreateInstance(graph));
            }
        }
    }

    [Fact]
    public async Task ReadAsync_EndlessDocument_IsRefusedAtTheLimit()
    {
        using var stream = new EndlessStream("{\"root\":{\"type\":\"Elsa.Sequence\",\"metadata\":{\"text\":\""u8.ToArray(), "x"u8.ToArray());
        var limits = DefinitionLimits.Default;

        var exception = await Assert.ThrowsAsync<WorkflowDefinitionException>(() => WorkflowDefinitionReader.ReadAsync(stream, limits, CancellationToken.None));

        Assert.Equal("definition.too_large", exception.Problems[0].Code);
        Assert.InRange(stream.Position, limits.MaxBytes, 2L * limits.MaxBytes + 64 * 1024);
    }

    [Theory]
    [InlineData("[")]
    [InlineData("{\"a\":")]
    public async Task ReadAsync_EndlessNesting_IsRefusedAtOnce(string level)
    {
        using var stream = new EndlessStream("{\"root\":"u8.ToArray(), Encoding.UTF8.GetBytes(level));

        var exception = await Assert.ThrowsAsync<WorkflowDefinitionException>(() => WorkflowDefinitionReader.ReadAsync(stream, null, CancellationToken.None));

        Assert.Equal("definition.too_deep", exception.Problems[0].Code);
        Assert.InRange(stream.Position, 1, 64 * 1024);
    }

    [Fact]
    public async Task ReadAsync_EndlessTokens_IsRefusedAtTheLimit()
    {
        using var stream = new EndlessStream("{\"root\":["u8.ToArray(), "0,"u8.ToArray());

        var exception = await Assert.ThrowsAsync<WorkflowDefinitionException>(() => WorkflowDefinitionReader.ReadAsync(stream, null, CancellationToken.None));

        Assert.Equal("definition.too_many_tokens", exception.Problems[0].Code);
        Assert.InRange(stream.Position, 1, 5 * 1024 * 1024);
    }

    [Theory]
    [InlineData("root", "[", "]")]
    [InlineData("root", "{\"a\":", "}")]
    [InlineData("customProperties", "[", "]")]
    [InlineData("customProperties", "{\"a\":", "}")]
    [InlineData("links", "[", "]")]
    public void Read_TenThousandLevels_IsTooDeep(string member, string open, string close)
    {
        var document = $"{{\"{member}\":{Repeat(open, 10_000)}1{Repeat(close, 10_000)}}}";

        Assert.Equal("definition.too_deep", Problem(document).Code);
    }

    [Fact]
    public void Compile_DeepestAllowedNesting_Works()
    {
        // Every If takes one level; the envelope takes two.
        var levels = DefinitionLimits.Default.MaxDepth - 3;
        var document = $"{{\"root\":{Repeat("{\"type\":\"Elsa.If\",\"id\":\"a\",\"then\":", levels)}{{\"type\":\"Elsa.Start\",\"id\":\"b\"}}{Repeat("}", levels)}}}";

        var graph = Engine.Compile(Json.Read(document));

        Assert.Equal(levels + 2, graph.Nodes.Count);
    }

    [Fact]
    public void Read_MillionTokens_IsRefusedWithBoundedMemory()
    {
        var document = Encoding.UTF8.GetBytes($"{{\"root\":[{Repeat("0,", 1_000_000)}0]}}");
        var before = GC.GetAllocatedBytesForCurrentThread();

        var exception = Assert.Throws<WorkflowDefinitionException>(() => WorkflowDefinitionReader.Read(document));

        Assert.Equal("definition.too_many_tokens", exception.Problems[0].Code);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1024 * 1024);
    }

    [Fact]
    public void Compile_HundredThousandActivities_IsRefused()
    {
        var document = $"{{\"root\":{{\"type\":\"Elsa.Sequence\",\"id\":\"s\",\"activities\":[{string.Join(',', Enumerable.Range(0, 100_000).Select(i => $"{{\"type\":\"Elsa.Start\",\"id\":\"a{i}\"}}"))}]}}}}";

        var exception = Assert.Throws<WorkflowDefinitionException>(() => Engine.Compile(Json.Read(document)));

        Assert.Equal("definition.too_many_activities", Assert.Single(exception.Problems).Code);
    }

    [Theory]
    [InlineData("[]")]
    [InlineData("?")]
    [InlineData("List<")]
    public void Compile_EndlessTypeName_IsUnknown(string part)
    {
        var document = $$"""{"variables":[{"id":"v","typeName":"List<{{Repeat(part, 200_000)}}>"},{"id":"w","typeName":"Int32{{Repeat(part, 200_000)}}"}]}""";

        Assert.All(Engine.Compile(Json.Read(document)).Problems, p => Assert.Equal("variable.unknown_type", p.Code));
    }

    [Fact]
    public void Compile_DuplicateIds_NamesTheIdAndBothTypes()
    {
        var workflow = Json.Workflow(Json.Sequence("s", Json.Write("a"), Json.Event("a")));

        var problem = Assert.Single(Assert.Throws<WorkflowDefinitionException>(() => Engine.Compile(workflow.Read())).Problems);

        Assert.Equal(("definition.duplicate_id", "a"), (problem.Code, problem.ActivityId));
        Assert.Contains("Elsa.WriteLine and Elsa.Event", problem.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_SameIdInDifferentContainers_Works()
    {
        var run = await TestRun.RunAsync(Json.Sequence("s", Json.Sequence("a", Json.Write("a", "1")), Json.Sequence("b", Json.Write("a", "2"))));

        run.Finished("1", "2");
    }

    [Fact]
    public void FindNode_IdsThatLookLikePaths_DoesNotFail()
    {
        var workflow = Json.Workflow(Json.Sequence("s", Json.Sequence("a", Json.Write("b")), Json.Write("a:b")));

        Assert.NotNull(Engine.Compile(workflow.Read()).FindNode("Workflow1:s:a:b"));
    }

    [Fact]
    public async Task Run_ChildrenWithoutIds_GetIdsOfTheirOwn()
    {
        var document = """{"root":{"type":"Elsa.If","id":"if","condition":true,"then":{"type":"Elsa.Event","eventName":"X"},"else":{"type":"Elsa.WriteLine","text":"wrong"}}}""";
        var graph = Engine.Compile(Json.Read(document));
        var instance = Engine.CreateInstance(graph);
        await Engine.RunAsync(instance, new WorkflowHost(), CancellationToken.None);

        Assert.Equal(graph.Nodes.Count, graph.Nodes.Select(n => n.NodeId).Distinct().Count());
        Assert.Equal("Elsa.Event", Assert.Single(TestRun.Restore(instance).Bookmarks).Context.Node.Type);
    }

    [Fact]
    public async Task Run_DanglingConnections_AreIgnoredWithAWarning()
    {
        var workflow = Json.Workflow(Json.Flowchart("f", [Json.Write("a"), Json.Write("b")], "a->b", "a->gone", "gone->b"));
        var graph = Engine.Compile(workflow.Read());

        Assert.Equal(2, graph.Problems.Count(p => p is { Code: "flowchart.dangling_connection", Severity: ProblemSeverity.Warning }));
        (await Engine.RunAsync(workflow)).Finished("a", "b");
    }

    [Fact]
    public void Compile_WorkflowThatUsesItself_NamesTheCycle()
    {
        var workflow = Usable("a", Json.Sequence("s", Use("a", "a1")));
        var engine = TestRun.Knowing(workflow);

        var problem = Assert.Single(Assert.Throws<WorkflowDefinitionException>(() => engine.Compile(workflow.Read())).Problems);

        Assert.Equal("definition.workflow_cycle", problem.Code);
        Assert.Contains("a → a", problem.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Compile_WorkflowsThatUseEachOther_NamesTheWholeCycle()
    {
        var a = Usable("a", Use("b", "use"));
        var b = Usable("b", Use("c", "use"));
        var c = Usable("c", Use("a", "use"));
        var engine = TestRun.Knowing(a, b, c);

        var problem = Assert.Single(Assert.Throws<WorkflowDefinitionException>(() => engine.Compile(a.Read())).Problems);

        Assert.Equal("definition.workflow_cycle", problem.Code);
        Assert.Contains("a → b → c → a", problem.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Compile_WorkflowsThatMultiply_AreRefusedAtTheLimit()
    {
        var workflows = Enumerable.Range(0, 16)
            .Select(i => Usable($"w{i}", Json.Sequence("s", [.. Enumerable.Range(0, 10).Select(n => Use($"w{i + 1}", $"u{n}"))])))
            .Append(Usable("w16", Json.Write("x"))).ToArray();
        var engine = TestRun.Knowing(workflows);

        var exception = Assert.Throws<WorkflowDefinitionException>(() => engine.Compile(workflows[0].Read()));

        Assert.Contains(exception.Problems, p => p.Code == "definition.too_many_activities");
    }

    [Fact]
    public void Compile_SeventeenLevelsOfWorkflows_IsTooDeep()
    {
        var workflows = Enumerable.Range(0, 20).Select(i => Usable($"w{i}", Use($"w{i + 1}", "u"))).Append(Usable("w20", Json.Write("x"))).ToArray();
        var engine = TestRun.Knowing(workflows);

        var exception = Assert.Throws<WorkflowDefinitionException>(() => engine.Compile(workflows[0].Read()));

        Assert.Equal("definition.nested_too_deep", Assert.Single(exception.Problems).Code);
    }

    [Fact]
    public async Task Run_NamesThatScriptsFear_AreJustNames()
    {
        string[] names = ["__proto__", "constructor", "toString", "hasOwnProperty"];
        var workflow = Json.Workflow(
            Json.Sequence("__proto__", [.. names.Select((n, i) => Json.Set($"constructor{i}", n, Json.Literal(i))), .. names.Select(n => Json.Activity("WriteLine", n, ("text", Json.Variable(n))))]),
            [.. names.Select(n => Json.Variable(n, "Int32"))]);
        workflow["__proto__"] = new JsonObject { ["polluted"] = true };
        workflow["root"]!["constructor"] = 7;

        (await Engine.RunAsync(workflow)).Finished("0", "1", "2", "3");
        Assert.Contains("__proto__", Encoding.UTF8.GetString(WorkflowDefinitionWriter.Write(workflow.Read())), StringComparison.Ordinal);
    }

    [Fact]
    public void Read_InvalidUtf8_SaysSo()
    {
        var document = Encoding.Latin1.GetBytes("{\"name\":\"Gr\u00F6\u00DFe\"}");

        var exception = Assert.Throws<WorkflowDefinitionException>(() => WorkflowDefinitionReader.Read(document));

        Assert.Equal("definition.invalid_utf8", exception.Problems[0].Code);
    }

    [Theory]
    [InlineData("{\"name\":\"\\ud800\"}")]
    [InlineData("{\"name\":\"\\udc00\\ud800\"}")]
    [InlineData("{\"\\ud800\":1}")]
    [InlineData("{\"root\":{\"type\":\"Elsa.WriteLine\",\"id\":\"\\uDBFF\"}}")]
    [InlineData("{\"root\":{\"type\":\"Elsa.WriteLine\",\"id\":\"a\",\"text\":\"\\ud83dx\"}}")]
    [InlineData("{\"root\":{\"type\":\"Elsa.WriteLine\",\"id\":\"a\",\"metadata\":{\"\\udfff\":[\"\\ud800\"]}}}")]
    [InlineData("{\"variables\":[{\"id\":\"v\",\"value\":\"\\ud800\"}]}")]
    public void Read_LoneSurrogate_SaysSo(string document) => Assert.Equal("definition.invalid_text", Problem(document).Code);

    [Fact]
    public void Read_EscapedEmoji_IsAccepted() =>
        Assert.Equal("\U0001F600", Json.Read("{\"name\":\"\\ud83d\\uDE00\"}").Name);

    [Fact]
    public void Compile_LoneSurrogateInJsonText_SaysWhy()
    {
        var workflow = Json.Workflow(Json.Activity("WriteLine", "a", ("text", Json.Expression("Object", "\"\\ud800\"")), ("metadata", new JsonObject())));

        WorksOrSaysWhy(Encoding.UTF8.GetBytes(workflow.ToJsonString()));
    }

    [Fact]
    public async Task ReadAsync_ByteOrderMarkInPieces_IsSkipped()
    {
        byte[] document = [0xEF, 0xBB, 0xBF, .. Encoding.UTF8.GetBytes(Small)];
        using var stream = new SlowStream(document);

        var definition = await WorkflowDefinitionReader.ReadAsync(stream, null, CancellationToken.None);

        Assert.Equal("Größe 😀", definition.Name);
        Assert.Equal("Größe 😀", WorkflowDefinitionReader.Read(document).Name);
    }

    [Fact]
    public async Task Run_DuplicateKeys_TakesTheLast()
    {
        var document = """{"name":"first","name":"last","root":{"type":"Elsa.If","id":"i","condition":false,"condition":true,"then":{"type":"Elsa.Fault","id":"x"},"then":{"type":"Elsa.WriteLine","id":"y","text":"a","text":"b"}}}""";
        var definition = Json.Read(document);
        var run = new LocalRun(Engine);
        await run.StartAsync(Engine.Compile(definition), WorkflowStart.Default, CancellationToken.None);

        run.Finished("b");
        Assert.Equal("last", definition.Name);
    }

    /// <summary>Values that stand where they should not.</summary>
    private static readonly string[] OddValues =
    [
        "null", "true", "\"\"", "\"text\"", "\"\\u0000\"", "0", "-1", "1.5", "1e400", "-1e-400", new string('9', 400), $"\"{new string('9', 400)}\"",
        "\"1e400\"", "\"NaN\"", "[]", "[null]", "[[[]]]", "[1,\"a\",{}]", "[300]", "{}", "{\"type\":\"x\"}", "{\"$values\":[null,1]}", "{\"items\":1}",
        "{\"typeName\":null}", "{\"typeName\":\"String\",\"expression\":null}", "{\"typeName\":\"String\",\"expression\":{\"type\":\"No such syntax\",\"value\":[1]}}",
        "{\"typeName\":\"String\",\"expression\":{\"type\":7,\"value\":{\"a\":1}}}", "{\"typeName\":\"String\",\"expression\":{\"type\":\"Literal\",\"value\":1e400}}",
        "{\"typeName\":\"X\",\"expression\":{\"type\":\"Object\",\"value\":\"{\"}}", "{\"typeName\":\"X\",\"expression\":{\"type\":\"Object\",\"value\":\"[300,{}]\"}}",
        "{\"typeName\":\"X\",\"expression\":{\"type\":\"Variable\",\"value\":\"{\"}}", "{\"typeName\":\"X\",\"expression\":{\"type\":\"Variable\",\"value\":7}}",
        "{\"typeName\":\"X\",\"expression\":{\"type\":\"Output\",\"value\":\".\"}}", "{\"typeName\":\"X\",\"expression\":{\"type\":\"Input\",\"value\":[]}}",
        "{\"typeName\":\"X\",\"memoryReference\":7}", "{\"maxRetryAttempts\":1e400,\"delay\":\"-1\",\"backoffType\":\"x\",\"timeout\":\"25.00:00\"}",
        "{\"mode\":\"Expression\",\"expression\":{\"type\":\"Literal\",\"value\":7}}", "{\"strategyId\":\"nope\"}", "{\"default\":{\"strategyType\":7},\"inputs\":{\"a\":[]}}",
        "[{\"label\":7,\"condition\":7,\"activity\":7}]", "[{\"name\":7,\"entry\":[]}]", "[{\"from\":1,\"to\":2,\"trigger\":\"x\",\"condition\":{},\"action\":1}]",
        "[{\"source\":7,\"target\":{}}]", "[{\"source\":{\"activity\":\"a\",\"port\":7},\"target\":\"a\"}]",
    ];

    /// <summary>Whatever it is: it compiles and runs until it ends or waits, or is refused with problems.</summary>
    private static void WorksOrSaysWhy(byte[] document)
    {
        WorkflowInstance instance;
        try
        {
            var definition = WorkflowDefinitionReader.Read(document);
            WorkflowDefinitionReader.Read(WorkflowDefinitionWriter.Write(definition));
            var graph = Engine.Compile(definition);
            Assert.All(graph.Problems, p => Assert.NotEmpty(p.Message));
            instance = Engine.CreateInstance(graph);
        }
        catch (WorkflowDefinitionException exception)
        {
            Assert.All(exception.Problems, p => Assert.NotEmpty(p.Message));
            if (exception.Readable is { } readable)
                CompilesOrSaysWhy(readable);
            return;
        }

        Engine.RunAsync(instance, new QuietHost(), CancellationToken.None).AsTask().GetAwaiter().GetResult();
        TestRun.Restore(instance);
    }

    private static void CompilesOrSaysWhy(WorkflowDefinition definition)
    {
        try
        {
            Engine.Compile(definition);
        }
        catch (WorkflowDefinitionException exception)
        {
            Assert.All(exception.Problems, p => Assert.NotEmpty(p.Message));
        }
    }

    private static List<DefinitionProblem> Problems(string document)
    {
        try
        {
            Json.Read(document);
            return [];
        }
        catch (WorkflowDefinitionException exception)
        {
            return [.. exception.Problems];
        }
    }

    private static DefinitionProblem Problem(string document) => Problems(document)[0];

    private static string Repeat(string text, int times) => new StringBuilder(text.Length * times).Insert(0, text, times).ToString();

    private static JsonObject Usable(string id, JsonNode root) => Json.Workflow(root).With(
        ("id", $"{id}:1"), ("definitionId", id), ("name", id), ("options", new JsonObject { ["usableAsActivity"] = true }));

    private static JsonObject Use(string workflow, string id) =>
        new() { ["type"] = $"Use.{workflow}", ["id"] = id, ["version"] = 1, ["workflowDefinitionId"] = workflow };

    private sealed class QuietHost : WorkflowHost
    {
        public override void WriteLine(string? text)
        {
        }
    }

    /// <summary>Begins with one text and repeats another for ever.</summary>
    private sealed class EndlessStream(byte[] begin, byte[] repeated) : MemoryStream
    {
        private long _position;

        public override long Position { get => _position; set => throw new NotSupportedException(); }

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            for (var i = 0; i < buffer.Length; i++, _position++)
                buffer.Span[i] = _position < begin.Length ? begin[_position] : repeated[(_position - begin.Length) % repeated.Length];
            return new(buffer.Length);
        }
    }

    /// <summary>Gives one byte at a time.</summary>
    private sealed class SlowStream(byte[] content) : MemoryStream(content)
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            base.ReadAsync(buffer[..Math.Min(1, buffer.Length)], cancellationToken);
    }
}

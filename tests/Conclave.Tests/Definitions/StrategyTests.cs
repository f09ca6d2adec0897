using System.Text.Json.Nodes;
using Conclave.Tests.Expressions.Scripting;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;
using Conclave.Workflows.Runtime.Instances;
using static Conclave.Tests.Json;

namespace Conclave.Tests.Definitions;

/// <summary>Everything that designers may choose is honoured by the engine.</summary>
[Collection(ScriptTests.Name)]
public sealed class StrategyTests(ScriptPool scripts)
{
    public static TheoryData<string> Drivers => new(StorageDriver.All.SelectMany(d => new[] { d.TypeName, d.Alias, $"Elsa.Older.{d.Alias}, Elsa.Older" }));

    public static TheoryData<string> VariableTypes => new(VariableType.All.Select(t => t.TypeName));

    public static TheoryData<string> ActivationStrategies => Names(Activation.Strategies);

    public static TheoryData<string> IncidentStrategies => Names(WorkflowOptions.IncidentStrategies);

    public static TheoryData<string> LogStrategies => Names(LogPersistence.Strategies);

    public static TheoryData<string> WorkflowCommits => Names(CommitStrategy.ForWorkflows);

    public static TheoryData<string> ActivityCommits => Names(CommitStrategy.ForActivities);

    [Theory]
    [MemberData(nameof(Drivers))]
    public async Task StorageDriver_KeepsTheValueOrDoesNot(string name)
    {
        var driver = StorageDriver.Find(name)!;
        var workflow = Workflow(Sequence("s", Set("set", "v", Literal("new")), Event("wait")), Variable("v", "String", "old").With(("storageDriverTypeName", name)));
        var run = await TestRun.Engine().RunAsync(workflow);

        var restored = InstanceSerializer.Read(run.Instance.Id, run.Instance.Graph, TestRun.Store(run.Instance), TimeProvider.System);

        var variable = restored.Graph.Root.FindVariable("v")!;
        Assert.Equal(driver.IsInMemory ? "old" : "new", restored.GetVariable(variable));
        Assert.Equal(!driver.IsInMemory, variable.IsStored);
    }

    [Fact]
    public void StorageDrivers_HighestPriorityFirst()
    {
        Assert.Equal(StorageDriver.All.OrderByDescending(d => d.Priority), StorageDriver.All);
        Assert.Equal(StorageDriver.All.Count, StorageDriver.All.Select(d => d.TypeName).Distinct().Count());
        Assert.Null(StorageDriver.Find("Elsa.Workflows.BlobStorageDriver, Elsa.Workflows.Core"));
    }

    [Theory]
    [MemberData(nameof(VariableTypes))]
    public void VariableType_IsKnown(string name)
    {
        Assert.True(TypeAliases.Resolve(name).IsKnown);
        Assert.Empty(TestRun.Engine().Compile(Workflow(Sequence("s"), Variable("v", name)).Read()).Problems);
        Assert.Single(VariableType.All, t => t.TypeName == name);
    }

    [Theory]
    [MemberData(nameof(ActivationStrategies))]
    public void ActivationStrategy_GuardsWhatItSays(string name)
    {
        var definition = Workflow(Sequence("s")).With(("options", new JsonObject { ["activationStrategyType"] = name })).Read();
        var engine = TestRun.Engine();
        var instance = engine.CreateInstance(engine.Compile(definition), new WorkflowStart { InstanceId = "i", CorrelationId = "c" });

        var guard = Activation.GuardOf("acme", instance);

        var expected = name.Split(',')[0].Split('.')[^1] switch
        {
            "AllowAlwaysStrategy" => null,
            "SingletonStrategy" => new ActivationGuard("acme", "i", "w", null),
            "CorrelatedSingletonStrategy" => new ActivationGuard("acme", "i", "w", "c"),
            "CorrelationStrategy" => new ActivationGuard("acme", "i", null, "c"),
            _ => throw new InvalidOperationException($"The test does not know {name}."),
        };
        Assert.Equal(expected, guard);
    }

    [Theory]
    [MemberData(nameof(IncidentStrategies))]
    public async Task IncidentStrategy_DecidesWhatAFaultDoes(string name)
    {
        var fork = Activity("Fork", "f", ("branches", new JsonArray(Activity("Fault", "bad"), Write("good"))));
        var run = await TestRun.Engine().RunAsync(Workflow(fork).With(("options", new JsonObject { ["incidentStrategyType"] = name })));

        Assert.Single(run.Instance.Incidents);
        var goesOn = name == "ContinueWithIncidentsStrategy";
        Assert.True(goesOn || name == "FaultStrategy");
        Assert.Equal(goesOn ? WorkflowSubStatus.Suspended : WorkflowSubStatus.Faulted, run.Instance.SubStatus);
        Assert.Equal(goesOn ? ["good"] : [], run.Lines);
    }

    [Theory]
    [MemberData(nameof(LogStrategies))]
    public void LogStrategy_DecidesWhatIsKept(string name)
    {
        var chosen = Element(new JsonObject { ["logPersistenceConfig"] = new JsonObject { ["default"] = Strategy(name) } }.ToJsonString());
        var excluding = Element(new JsonObject { ["logPersistenceConfig"] = new JsonObject { ["default"] = Strategy("X.Exclude, X") } }.ToJsonString());

        (bool, bool) expected = name.Split(',')[0].Split('.')[^1] switch
        {
            "Inherit" => (true, false),
            "Include" => (true, true),
            "Exclude" => (false, false),
            _ => throw new InvalidOperationException($"The test does not know {name}."),
        };
        Assert.Equal(expected, (LogPersistence.Read(chosen, default).IncludesInput("Text"), LogPersistence.Read(chosen, excluding).IncludesInput("Text")));

        static JsonObject Strategy(string type) => new() { ["evaluationMode"] = "Strategy", ["strategyType"] = type };
    }

    [Theory]
    [MemberData(nameof(WorkflowCommits))]
    public void WorkflowCommit_DecidesWhenTheInstanceIsStored(string name)
    {
        var definition = Workflow(Write("w")).With(("options", new JsonObject { ["commitStrategyName"] = name })).Read();
        var node = TestRun.Engine().Compile(definition).FindActivity("w")!;

        (bool, bool, bool) expected = name switch
        {
            "WorkflowExecuting" => (true, false, false),
            "WorkflowExecuted" => (false, false, false),
            "ActivityExecuting" => (false, true, false),
            "ActivityExecuted" => (false, false, true),
            _ => throw new InvalidOperationException($"The test does not know {name}."),
        };
        Assert.Equal(expected, (CommitStrategy.IsAtStart(definition), CommitStrategy.IsBefore(definition, node, isStored: true, isHeld: true, hasChanged: true), CommitStrategy.IsAfter(definition, node, isOpen: false)));
    }

    [Theory]
    [MemberData(nameof(ActivityCommits))]
    public void ActivityCommit_DecidesWhenTheInstanceIsStored(string name)
    {
        var definition = Workflow(Write("w").With(("customProperties", new JsonObject { ["commitStrategyName"] = name }))).Read();
        var node = TestRun.Engine().Compile(definition).FindActivity("w")!;

        (bool, bool, bool) expected = name switch
        {
            "CommitAlways" => (true, true, false),
            "CommitNever" => (false, false, true),
            "Executing" => (true, false, false),
            "Executed" => (false, true, false),
            _ => throw new InvalidOperationException($"The test does not know {name}."),
        };
        Assert.Equal(expected, (CommitStrategy.IsBefore(definition, node, isStored: true, isHeld: true, hasChanged: true), CommitStrategy.IsAfter(definition, node, isOpen: false), CommitStrategy.IsNever(node)));
    }

    [Theory]
    [InlineData(true, false, false)]
    [InlineData(true, true, true)]
    [InlineData(false, false, true)]
    public void Effect_IsStoredBeforeIfARepetitionMightComeToItOnAnotherWay(bool isHeld, bool hasChanged, bool expected)
    {
        var definition = Workflow(Activity("SendHttpRequest", "call")).Read();
        var node = TestRun.Engine().Compile(definition).FindActivity("call")!;

        Assert.Equal(expected, CommitStrategy.IsBefore(definition, node, isStored: true, isHeld, hasChanged));
    }

    [Fact]
    public async Task Expressions_ThatAreOffered_AreEvaluated()
    {
        var syntaxes = ExpressionSyntaxes.BuiltIn.With(new JavaScriptSyntax(scripts.Pool), new LiquidSyntax(scripts.Pool), new CSharpSyntax());
        var engine = new WorkflowEngine(expressions: syntaxes);
        var values = new Dictionary<string, JsonNode>
        {
            ["Literal"] = "7",
            ["Object"] = "7",
            ["Json"] = "7",
            ["Variable"] = """{"id":"v","name":"v"}""",
            ["Input"] = """{"name":"in"}""",
            ["JavaScript"] = "variables.v",
            ["Liquid"] = "{{ Variables.v }}",
            ["CSharp"] = "3 + 4",
        };

        Assert.Equal(values.Keys.Order(), syntaxes.Descriptors.Select(d => d.Type).Order());
        foreach (var descriptor in syntaxes.Descriptors)
        {
            var workflow = Workflow(Write("w", Expression(descriptor.Type, values[descriptor.Type].DeepClone())), Variable("v", "Int32", 7));
            var run = await engine.RunAsync(workflow, new WorkflowStart { Input = new Dictionary<string, object?> { ["in"] = 7 } });
            run.Finished("7");
        }
    }

    [Fact]
    public void Expressions_WithoutScriptRunner_OffersNoScripts() =>
        Assert.Equal(["Literal", "Json", "Object", "Variable", "Input"], ExpressionSyntaxes.BuiltIn.Descriptors.Select(d => d.Type));

    private static TheoryData<string> Names(IEnumerable<StrategyDescriptor> strategies) => new(strategies.Select(s => s.Name));
}

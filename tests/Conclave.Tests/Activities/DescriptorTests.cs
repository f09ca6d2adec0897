using Conclave.Workflows.Activities;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;
using static Conclave.Tests.Json;

namespace Conclave.Tests.Activities;

public sealed class DescriptorTests
{
    // Ours, beside those of the contract.
    private static readonly string[] OwnInputs = ["SignatureScheme", "SignatureSecret", "SignatureTolerance", "States", "Transitions", "InitialState", "CurrentState"];

    // Those that Elsa Studio 3.8 has icons for, by type name.
    private static readonly HashSet<string> StudioIcons =
    [
        .. "If FlowDecision Switch FlowSwitch FlowJoin FlowFork Complete SetOutput DispatchWorkflow BulkDispatchWorkflows ExecuteWorkflow WriteLine ReadLine Flowchart FlowNode Start End".Split(' ').Select(n => $"Elsa.{n}"),
        .. "HttpEndpoint WriteHttpResponse WriteFileHttpResponse SendHttpRequest FlowSendHttpRequest DownloadHttpFile While ForEach For ParallelForEach Break SetVariable SetName Finish".Split(' ').Select(n => $"Elsa.{n}"),
        .. "Fault Correlate RunTask PublishEvent Event Timer Cron Delay StartAt RunJavaScript".Split(' ').Select(n => $"Elsa.{n}"),
    ];

    public static TheoryData<string> ElsaTypes => new(ElsaActivityTable.Rows.Select(r => r.Type));

    public static TheoryData<string> OurTypes => new(ActivityCatalog.BuiltIn.Types.Select(t => t.Descriptor.TypeName));

    [Theory]
    [MemberData(nameof(ElsaTypes))]
    public void ElsaActivity_Descriptor_IsTheContract(string typeName)
    {
        var row = ElsaActivityTable.Rows.Single(r => r.Type == typeName);
        var descriptor = ActivityCatalog.BuiltIn.Find(typeName)!.Descriptor;

        Assert.Equal((row.Type, 1, "Elsa", row.Category), (descriptor.TypeName, descriptor.Version, descriptor.Namespace, descriptor.Category));
        Assert.True(row.DisplayName is "-" || row.DisplayName == descriptor.DisplayName, descriptor.DisplayName);
        Assert.Equal(row.Flags.Order(), Flags(descriptor).Order());
        Assert.Equal(row.Ports, descriptor.Ports.Select(p => new ElsaPort(p.Name, p.Type == PortType.Embedded, !p.IsBrowsable)));
        var inputs = descriptor.Inputs.Where(i => !OwnInputs.Contains(i.Name)).ToList();
        Assert.Equal(row.Inputs.Select(i => i.Name), inputs.Select(i => i.Name));
        Assert.All(row.Inputs.Zip(inputs), pair => Assert.Equal(
            (pair.First.Name, Or(pair.First.Type, pair.Second.TypeName), Or(pair.First.Editor, pair.Second.UIHint), pair.First.IsWrapped),
            (pair.Second.Name, pair.Second.TypeName, pair.Second.UIHint, pair.Second.IsWrapped)));
        Assert.Equal(row.Outputs.Select(o => o.Name), descriptor.Outputs.Select(o => o.Name));
        Assert.All(row.Outputs.Zip(descriptor.Outputs), pair => Assert.Equal(Or(pair.First.Type, pair.Second.TypeName), pair.Second.TypeName));
    }

    [Theory]
    [InlineData("Elsa.FlowJoin", "Mode", FlowJoinMode.WaitAny)]
    [InlineData("Elsa.Fork", "JoinMode", ForkJoinMode.WaitAll)]
    [InlineData("Elsa.For", "Step", 1)]
    [InlineData("Elsa.For", "OuterBoundInclusive", true)]
    [InlineData("Elsa.Fault", "Code", "0")]
    [InlineData("Elsa.Fault", "Category", "General")]
    [InlineData("Elsa.Fault", "FaultType", "System")]
    [InlineData("Elsa.BulkDispatchWorkflows", "DefaultItemInputKey", "Item")]
    [InlineData("Elsa.SendHttpRequest", "Method", "GET")]
    [InlineData("Elsa.StartAt", "DateTime", null)]
    public void Input_Default_IsTheContract(string type, string input, object? expected) =>
        Assert.Equal(expected, ActivityCatalog.BuiltIn.Find(type)!.Descriptor.Inputs.Single(i => i.Name == input).DefaultValue);

    [Theory]
    [MemberData(nameof(OurTypes))]
    public void Activity_AndItsInputs_SayWhatTheyAreFor(string typeName)
    {
        var descriptor = ActivityCatalog.BuiltIn.Find(typeName)!.Descriptor;

        IsSentence(descriptor.Description, 40);
        Assert.All(descriptor.Inputs, i => IsSentence(i.Description, 10));
        Assert.All(descriptor.Outputs, o => IsSentence(o.Description, 10));
        Assert.All((string[])[descriptor.DisplayName, .. descriptor.Inputs.Select(i => i.DisplayName), .. descriptor.Outputs.Select(o => o.DisplayName)], name =>
            Assert.True(char.IsUpper(name[0]) && !name.Contains('_'), name));
        Assert.Equal(descriptor.Inputs.Select((_, place) => place), descriptor.Inputs.Select(i => i.Order));
    }

    [Theory]
    [MemberData(nameof(OurTypes))]
    public void Input_WithChoices_OffersThoseThatTheActivityTakes(string typeName)
    {
        var type = ActivityCatalog.BuiltIn.Find(typeName)!;

        foreach (var input in type.Descriptor.Inputs.Where(i => i.UIHint is InputUIHints.DropDown or InputUIHints.CheckList))
        {
            Assert.NotEmpty(input.Options);
            Assert.All(input.Options, o => Assert.NotEqual("", o.Text));
            Assert.Equal(input.Options.Count, input.Options.Select(o => o.Value).Distinct().Count());
            foreach (var option in input.Options)
            {
                var literal = input.UIHint == InputUIHints.CheckList ? Expression("Object", $"""["{option.Value}"]""") : Literal(option.Value);
                var activity = Activity(typeName["Elsa.".Length..], "a", (System.Text.Json.JsonNamingPolicy.CamelCase.ConvertName(input.Name), input.IsWrapped ? literal : option.Value));
                var problems = TestRun.Engine().Compile(Workflow(activity).Read()).Problems;
                Assert.DoesNotContain(problems, p => p.Property is not null && p.Property.Equals(input.Name, StringComparison.OrdinalIgnoreCase));
            }
        }
    }

    [Theory]
    [MemberData(nameof(OurTypes))]
    public void Activity_HasAnIcon_UnlessStudioHasOne(string typeName)
    {
        var descriptor = ActivityCatalog.BuiltIn.Find(typeName)!.Descriptor;

        // A container in which Studio draws, or an activity that no toolbox offers, needs none.
        var needsIcon = descriptor.IsBrowsable && !StudioIcons.Contains(typeName);
        Assert.Equal(needsIcon, descriptor.Icon is not null);
        Assert.Equal(needsIcon, descriptor.Color is not null);
        if (descriptor.Icon is not { } icon)
            return;
        Assert.Equal("{http://www.w3.org/2000/svg}svg", System.Xml.Linq.XElement.Parse(icon).Name.ToString());
        Assert.Matches("^#[0-9a-f]{6}$", descriptor.Color);
    }

    [Fact]
    public void StatusCodes_AreShownByNumber()
    {
        var options = ActivityCatalog.BuiltIn.Find("Elsa.WriteHttpResponse")!.Descriptor.Inputs[0].Options;

        Assert.Contains(new InputOption("OK", "200 OK"), options);
        Assert.Contains(new InputOption("NotFound", "404 Not found"), options);
        Assert.DoesNotContain(options, o => o.Value == "Continue");
    }

    [Fact]
    public void JsonEditor_OfMaps_GivesMaps()
    {
        var maps = ActivityCatalog.BuiltIn.Types.SelectMany(t => t.Descriptor.Inputs).Where(i => i.TypeName == "ObjectDictionary").ToList();

        Assert.NotEmpty(maps);
        Assert.All(maps, i => Assert.Equal(InputUIHints.JsonEditor, i.UIHint));
        var map = (IReadOnlyDictionary<string, object?>)new Input<IReadOnlyDictionary<string, object?>>().ConvertValue("""{"a": 1}""")!;
        Assert.Equal(1, Assert.Single(map).Value);
    }

    [Fact]
    public void Scripts_AreOfferedOnlyWhereTheyRun()
    {
        var without = new WorkflowEngine();
        var with = new WorkflowEngine(expressions: ExpressionSyntaxes.BuiltIn.With(new CSharpSyntax()));

        Assert.False(Find(without, "Elsa.RunJavaScript").IsBrowsable);
        Assert.False(Find(without, "Elsa.RunCSharp").IsBrowsable);
        Assert.True(Find(with, "Elsa.RunCSharp").IsBrowsable);
        Assert.False(Find(with, "Elsa.RunPython").IsBrowsable);
        Assert.True(Find(without, "Elsa.WriteLine").IsBrowsable);

        static ActivityDescriptor Find(WorkflowEngine engine, string type) => engine.Descriptors.Single(d => d.TypeName == type);
    }

    private static IEnumerable<string> Flags(ActivityDescriptor descriptor)
    {
        yield return descriptor.Kind.ToString();
        if (!descriptor.IsBrowsable)
            yield return "hidden";
        if (descriptor.IsContainer)
            yield return "container";
        if (descriptor.IsStart)
            yield return "start";
        if (descriptor.IsTerminal)
            yield return "terminal";
        if (descriptor.IsResilient)
            yield return "resilient";
    }

    private static void IsSentence(string? text, int shortest)
    {
        Assert.True(text is { } given && given.Length >= shortest && char.IsUpper(given[0]) && given.EndsWith('.'), $"'{text}'");
    }

    private static string Or(string expected, string actual) => expected is "-" ? actual : expected;
}

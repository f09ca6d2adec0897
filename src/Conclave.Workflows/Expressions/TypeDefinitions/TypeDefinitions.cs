using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Conclave.Workflows.Activities;
using Conclave.Workflows.Definitions;

namespace Conclave.Workflows.Expressions;

/// <summary>What a script of a workflow may use, as a TypeScript declaration file that editors complete from.</summary>
public sealed partial class TypeDefinitions
{
    private const string GlobalsName = "Expressions/TypeDefinitions/globals.d.ts";

    private readonly StringBuilder _text = new();
    private readonly WorkflowDefinition _definition;
    private readonly IReadOnlyList<ActivityNode> _nodes;

    private TypeDefinitions(WorkflowDefinition definition, WorkflowGraph? graph)
    {
        _definition = definition;
        _nodes = graph is null ? [] : [.. graph.Nodes.Where(n => n.Definition == graph.Definition)];
    }

    /// <summary>What every script may use.</summary>
    internal static string Globals { get; } = ReadGlobals();

    /// <summary>Names of the functions in <see cref="Globals"/>; accessors never replace them.</summary>
    internal static IReadOnlySet<string> GlobalFunctions { get; } =
        FunctionDeclaration().Matches(Globals).Select(m => m.Groups[1].Value).ToHashSet(StringComparer.Ordinal);

    /// <summary>Writes the declarations.</summary>
    /// <param name="definition">The workflow.</param>
    /// <param name="graph">The workflow compiled; null when it cannot be, which leaves out what its activities bring.</param>
    /// <param name="activityType">Type of the activity that the script belongs to; null when nobody knows.</param>
    /// <param name="property">Input that the script belongs to; null when nobody knows.</param>
    public static string Write(WorkflowDefinition definition, WorkflowGraph? graph, string? activityType, string? property)
    {
        var writer = new TypeDefinitions(definition, graph);
        // Before the functions for any name: of several that fit, the first one counts.
        writer.WriteVariables();
        writer.WriteInputs();
        writer.WriteOutputs();
        writer.WriteArguments(activityType, property);
        if (activityType is null or "Elsa.RunJavaScript")
            writer.WriteOutcomes();
        writer._text.Append(Globals);
        return writer._text.ToString();
    }

    private void WriteVariables()
    {
        var variables = Variables().ToList();
        _text.Append("/** The variables in reach. Changes to them are kept, also deep inside objects. */\ndeclare const variables: {\n");
        foreach (var (name, type) in variables.Where(v => ScriptNames.IsIdentifier(v.Name)))
            _text.Append("    ").Append(name).Append(": ").Append(type).Append(";\n");
        _text.Append("};\n\n");
        foreach (var (name, type) in variables)
        {
            Declare("getVariable", $"name: {Quote(name)}", type, $"The variable '{name}'.");
            Declare("setVariable", $"name: {Quote(name)}, value: {type}", "void", $"Sets the variable '{name}'.");
        }

        foreach (var (accessor, type) in variables.Where(v => ScriptNames.Accessor(v.Name) is not null).GroupBy(v => ScriptNames.Accessor(v.Name)!).Select(g => (g.Key, g.First().Type)))
        {
            Accessor($"get{accessor}", "", type, "The variable's value.");
            Accessor($"set{accessor}", $"value: {type}", "void", "Sets the variable.");
        }
    }

    private void WriteInputs()
    {
        var hidden = Variables().Select(v => ScriptNames.Accessor(v.Name)).ToHashSet(StringComparer.Ordinal);
        foreach (var input in _definition.Inputs.DistinctBy(i => i.Name))
        {
            var type = TypeScript.TypeOf(input.Type, input.IsArray);
            var help = string.IsNullOrWhiteSpace(input.Description) ? $"The workflow input '{input.Name}'." : input.Description;
            Declare("getInput", $"name: {Quote(input.Name)}", type, help);
            if (ScriptNames.Accessor(input.Name) is { } accessor && hidden.Add(accessor))
                Accessor($"get{accessor}", "", type, help);
        }
    }

    private void WriteOutputs()
    {
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (var node in _nodes.Where(n => n.Parent is not null && n.Outputs.Length > 0))
        {
            var activity = node.Name is { Length: > 0 } name ? name : node.Id;
            foreach (var (output, type, help) in OutputsOf(node))
            {
                Declare("getOutputFrom", $"activity: {Quote(activity)}, output: {Quote(output)}", type, help);
                if (ScriptNames.Accessor(activity) is { } from && ScriptNames.Accessor(output) is { } what && seen.Add($"{what}From{from}"))
                    Accessor($"get{what}From{from}", "", type, help);
            }
        }
    }

    private void WriteArguments(string? activityType, string? property)
    {
        // The only expression that an activity evaluates with arguments of its own.
        var hasItem = activityType == "Elsa.BulkDispatchWorkflows" && string.Equals(property, nameof(BulkDispatchWorkflows.CorrelationIdFunction), StringComparison.OrdinalIgnoreCase);
        _text.Append(hasItem
            ? "/** What the activity gives to the script. */\ndeclare const args: {\n    /** The item that a workflow is started for. */\n    item: any;\n};\n/** The item that a workflow is started for. */\ndeclare function getItem(): any;\n"
            : "/** What an activity gives to its script; most give nothing. */\ndeclare const args: { [name: string]: any };\n");
    }

    private void WriteOutcomes() => _text.Append(
        "/** Chooses the outcome to go on through. */\ndeclare function setOutcome(name: string): void;\n/** Chooses the outcomes to go on through. */\ndeclare function setOutcomes(names: string[]): void;\n");

    /// <summary>Variables of the workflow and of everything inside it, and those that loops bring; once each.</summary>
    private IEnumerable<(string Name, string Type)> Variables()
    {
        var declared = _nodes.Count == 0
            ? _definition.Variables.Select(v => (v.Name, TypeScript.TypeOf(v.TypeName, v.IsArray)))
            : _nodes.SelectMany(n => n.Variables).Select(v => (v.Definition.Name, TypeScript.TypeOf(v.Definition.TypeName, v.Definition.IsArray)));
        var dynamic = _nodes.SelectMany(n => n.Activity switch
        {
            For => [("CurrentValue", "number")],
            ForEach or ParallelForEach => [("CurrentValue", "any"), ("CurrentIndex", "number")],
            BulkDispatchWorkflows => [("ChildInstanceId", "string")],
            _ => Enumerable.Empty<(string, string)>(),
        });
        return declared.Concat(dynamic).Where(v => v.Item1.Length > 0).GroupBy(v => v.Item1, StringComparer.Ordinal).Select(g => (g.Key, TypeScript.Union(g.Select(v => v.Item2))));
    }

    private static IEnumerable<(string Name, string Type, string Help)> OutputsOf(ActivityNode node) => node.Activity is WorkflowDefinitionActivity workflow
        ? workflow.Target.Outputs.Select(o => (o.Name, TypeScript.TypeOf(o.Type, o.IsArray), o.Description ?? $"Output of {node}."))
        : node.Descriptor.Outputs.Select(o => (o.Name, TypeScript.TypeOf(o.TypeName), o.Description ?? $"Output of {node}."));

    private void Accessor(string name, string parameters, string type, string help)
    {
        if (!GlobalFunctions.Contains(name))
            Declare(name, parameters, type, help);
    }

    private void Declare(string name, string parameters, string type, string help) =>
        _text.Append("/** ").Append(help.Replace("*/", "* /", StringComparison.Ordinal).ReplaceLineEndings(" ")).Append(" */\ndeclare function ")
            .Append(name).Append('(').Append(parameters).Append("): ").Append(type).Append(";\n");

    /// <summary>Like any JSON text, a literal of the language.</summary>
    private static string Quote(string text) => $"\"{JsonEncodedText.Encode(text)}\"";

    private static string ReadGlobals()
    {
        using var stream = typeof(TypeDefinitions).Assembly.GetManifestResourceStream(GlobalsName)!;
        using var reader = new StreamReader(stream, Encoding.UTF8);
        return reader.ReadToEnd();
    }

    [GeneratedRegex(@"^declare function (\w+)\(", RegexOptions.Multiline)]
    private static partial Regex FunctionDeclaration();
}

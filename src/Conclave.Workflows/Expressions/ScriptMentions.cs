using System.Text.RegularExpressions;
using Conclave.Workflows.Activities;
using Conclave.Workflows.Definitions;

namespace Conclave.Workflows.Expressions;

/// <summary>What a script mentions, worked out once, so that only that is sent to the runner.</summary>
/// <remarks>A name counts as mentioned when the text contains it; one too many costs bytes, one too few a call back.</remarks>
internal sealed partial class ScriptMentions
{
    private readonly ActivityNode _node;
    private readonly string _script;
    private (ActivityNode Node, string Key)[]? _activities;

    /// <summary>Reads a script.</summary>
    /// <param name="script">Its text.</param>
    /// <param name="node">The activity that it belongs to.</param>
    /// <param name="isTemplate">Whether it is a template, which cannot ask for more while it runs.</param>
    public ScriptMentions(string script, ActivityNode node, bool isTemplate = false)
    {
        _script = script;
        _node = node;
        var takesAll = script.Contains("variables[", StringComparison.Ordinal)
            || script.Contains("Variables[", StringComparison.Ordinal)
            || script.Contains("(variables", StringComparison.Ordinal)
            || script.Contains("...variables", StringComparison.Ordinal);
        var variables = new List<ScopeVariable>();
        for (var scope = node; scope is not null; scope = scope.Parent)
        {
            foreach (var variable in scope.Variables)
            {
                var isHidden = variables.Exists(v => v.Definition.Name == variable.Definition.Name);
                if (!isHidden && (takesAll || Mentions(variable.Definition.Name)))
                    variables.Add(variable);
            }

            if (scope.Activity is Workflow)
                break;
        }

        Variables = [.. variables];
        ReadsOutputs = script.Contains("From", StringComparison.Ordinal) || script.Contains("getLastResult", StringComparison.Ordinal);
        ReadsLastResult = script.Contains("getLastResult", StringComparison.Ordinal);
        ReadsConfiguration = script.Contains(isTemplate ? "Configuration" : "getConfig", StringComparison.Ordinal);
        if (isTemplate && ReadsConfiguration)
            Configuration = [.. ConfigurationName().Matches(script).Select(m => m.Groups["name"].Value).Distinct(StringComparer.Ordinal)];
        ReadsWorkflow = script.Contains("Workflow", StringComparison.Ordinal) || script.Contains("Correlation", StringComparison.Ordinal);
    }

    /// <summary>Declared variables that the script mentions, inner ones first.</summary>
    public ScopeVariable[] Variables { get; }

    /// <summary>Whether the script may read outputs of other activities.</summary>
    public bool ReadsOutputs { get; }

    public bool ReadsLastResult { get; }

    /// <summary>Whether the script may read ids or names of the workflow or the instance.</summary>
    public bool ReadsWorkflow { get; }

    /// <summary>Whether the script may read the host's configuration.</summary>
    public bool ReadsConfiguration { get; }

    /// <summary>Names of the configuration that a template reads; scripts ask for theirs.</summary>
    public string[] Configuration { get; } = [];

    /// <summary>Whether the script mentions a name, as it is or in Pascal case.</summary>
    public bool Mentions(string name) =>
        _script.Contains(name, StringComparison.OrdinalIgnoreCase)
        || (name.AsSpan().IndexOfAnyExcept(Identifier) >= 0
            && _script.Contains(WorkflowDefinition.Pascalize(name), StringComparison.OrdinalIgnoreCase));

    /// <summary>Activities with outputs whose name or id the script mentions, under the key it uses.</summary>
    public (ActivityNode Node, string Key)[] Activities(WorkflowGraph graph)
    {
        if (_activities is not null)
            return _activities;
        var found = new List<(ActivityNode, string)>();
        foreach (var candidate in graph.Nodes)
        {
            if (candidate.Outputs.Length == 0 || candidate.Definition != _node.Definition)
                continue;
            if (candidate.Name is { Length: > 0 } name && Mentions(name))
                found.Add((candidate, name));
            if (candidate.Id != candidate.Name && candidate.Id.Length > 0 && _script.Contains(candidate.Id, StringComparison.Ordinal))
                found.Add((candidate, candidate.Id));
        }

        return _activities = [.. found];
    }

    [GeneratedRegex("""\bConfiguration(?:\.(?<name>[\w-]+)|\[\s*(?<q>["'])(?<name>.*?)\k<q>\s*\])""")]
    private static partial Regex ConfigurationName();

    private static System.Buffers.SearchValues<char> Identifier { get; } =
        System.Buffers.SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$");
}

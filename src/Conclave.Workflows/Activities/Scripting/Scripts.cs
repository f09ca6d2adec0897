using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;

namespace Conclave.Workflows.Activities;

/// <summary>Runs a script that may set variables and choose outcomes.</summary>
[Activity("Elsa", "Scripting", "Runs JavaScript that may read and set variables and choose how the flow goes on. It has no access to files or the network.", DisplayName = "Run JavaScript", RequiredSyntax = "JavaScript")]
public sealed class RunJavaScript : Activity
{
    private string? _script;
    private ScriptMentions? _mentions;

    /// <summary>The script itself.</summary>
    [Input(Description = "The script to run. What it returns becomes the Result.", UIHint = InputUIHints.CodeEditor, DefaultSyntax = "JavaScript", AutoEvaluate = false)]
    public Input<string> Script { get; set; } = new();

    /// <summary>Outcomes that the script may choose.</summary>
    [Input(Description = "Outcomes that the script may choose with setOutcome('name'). Each becomes a port to connect.", UIHint = InputUIHints.DynamicOutcomes)]
    public Input<IReadOnlyList<string>> PossibleOutcomes { get; set; } = new([]);

    /// <summary>Result of the script.</summary>
    [Output(Description = "What the script returned.")]
    public Output<object>? Result { get; set; }

    internal override void Configure(ActivityConfiguration configuration)
    {
        _script = ScriptSource.Read(configuration, "JavaScript");
        if (_script is null)
            return;
        _mentions = new ScriptMentions(_script, Node);
        if (_mentions.ReadsOutputs)
            configuration.KeepOutputs();
    }

    /// <inheritdoc/>
    public override async ValueTask ExecuteAsync(ActivityContext context)
    {
        var script = _script ?? await context.EvaluateAsync(Script);
        if (string.IsNullOrWhiteSpace(script))
        {
            context.Complete();
            return;
        }

        if (context.Engine.Expressions.Find("JavaScript") is not JavaScriptSyntax syntax)
            throw new ExpressionException("expression.unavailable", "JavaScript: this engine has no script runner.");
        var (value, outcomes) = await syntax.RunAsync(context, script, _mentions ?? new ScriptMentions(script, Node), allowOutcomes: true);
        context.Set(Result, value);
        context.CompleteWith(outcomes);
    }
}

/// <summary>Runs C#, when the host allows it.</summary>
[Activity("Elsa", "Scripting", "Runs C# with all rights of the server. An administrator has to turn that on; JavaScript needs no permission.", DisplayName = "Run C#", RequiredSyntax = "CSharp",
    Icon = ActivityIcons.CSharp, Color = "#7e22ce")]
public sealed class RunCSharp : Activity
{
    private string? _script;
    private CSharpScriptRunner? _runner;

    /// <summary>The script itself.</summary>
    [Input(Description = "The script to run. What it returns becomes the Result.", UIHint = InputUIHints.CodeEditor, DefaultSyntax = "CSharp", AutoEvaluate = false)]
    public Input<string> Script { get; set; } = new();

    /// <summary>Outcomes that the script may choose.</summary>
    [Input(Description = "Outcomes that the script may choose with Outcome.Set(\"name\"). Each becomes a port to connect.", UIHint = InputUIHints.DynamicOutcomes)]
    public Input<IReadOnlyList<string>> PossibleOutcomes { get; set; } = new([]);

    /// <summary>Result of the script.</summary>
    [Output(Description = "What the script returned.")]
    public Output<object>? Result { get; set; }

    internal override void Configure(ActivityConfiguration configuration)
    {
        _script = ScriptSource.Read(configuration, "CSharp");
        configuration.KeepOutputs();
        if (!configuration.Engine.Options.AllowCSharp)
            configuration.Problem("csharp.disabled", CSharpScriptRunner.Disabled, "script");
    }

    /// <inheritdoc/>
    public override async ValueTask ExecuteAsync(ActivityContext context)
    {
        if (!context.Engine.Options.AllowCSharp)
            throw new ExpressionException("csharp.disabled", CSharpScriptRunner.Disabled);
        var script = _script ?? await context.EvaluateAsync(Script) ?? "";
        var runner = _script is null ? new CSharpScriptRunner(script) : _runner ??= new CSharpScriptRunner(script);
        var (value, outcomes) = await runner.RunAsync(context);
        context.Set(Result, value);
        context.CompleteWith(outcomes);
    }
}

/// <summary>Named in definitions of hosts that run Python; this one does not.</summary>
[Activity("Elsa", "Scripting", "Stands for Python scripts of imported workflows, which this server does not run. Use JavaScript instead.", DisplayName = "Run Python", RequiredSyntax = "Python",
    Icon = ActivityIcons.Script, Color = "#1d4ed8")]
public sealed class RunPython : Activity
{
    /// <summary>The script itself.</summary>
    [Input(Description = "The script to run.", UIHint = InputUIHints.CodeEditor, DefaultSyntax = "Python", AutoEvaluate = false)]
    public Input<string> Script { get; set; } = new();

    /// <summary>Outcomes that the script may choose.</summary>
    [Input(Description = "Outcomes that the script would choose.", UIHint = InputUIHints.DynamicOutcomes)]
    public Input<IReadOnlyList<string>> PossibleOutcomes { get; set; } = new([]);

    /// <summary>Result of the script.</summary>
    [Output(Description = "What the script returned.")]
    public Output<object>? Result { get; set; }

    internal override void Configure(ActivityConfiguration configuration) =>
        configuration.Problem("python.unsupported", "Python scripts are not supported. Use RunJavaScript.", "script");

    /// <inheritdoc/>
    public override ValueTask ExecuteAsync(ActivityContext context) =>
        throw new ExpressionException("python.unsupported", "Python scripts are not supported. Use RunJavaScript.");
}

/// <summary>The text of a script input: it is the script, not an expression that gives one.</summary>
internal static class ScriptSource
{
    /// <returns>The script; null when an expression of another syntax gives it at run time.</returns>
    public static string? Read(ActivityConfiguration configuration, string language)
    {
        if (!configuration.TryGet("script", out var json) || !WrappedValue.TryRead(json, out var wrapped))
            return "";
        return wrapped.Type.Equals(language, StringComparison.OrdinalIgnoreCase) || wrapped.Type == "Literal"
            ? ValueConverter.ToText(ValueConverter.FromJson(wrapped.Value)) ?? ""
            : null;
    }
}

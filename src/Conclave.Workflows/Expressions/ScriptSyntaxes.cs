using System.Text.Json;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions.Scripting;

namespace Conclave.Workflows.Expressions;

/// <summary><c>JavaScript</c>: evaluated by the script runner; variables that the script changes are written back.</summary>
public sealed class JavaScriptSyntax(ScriptRunnerPool runners) : IExpressionSyntax
{
    /// <inheritdoc/>
    public string Type => "JavaScript";

    /// <inheritdoc/>
    public ExpressionDescriptor Descriptor { get; } = new("JavaScript") { MonacoLanguage = "javascript", Order = 2 };

    /// <summary>The pool that evaluates; activities use it too.</summary>
    internal ScriptRunnerPool Runners => runners;

    /// <inheritdoc/>
    public CompiledExpression Compile(ExpressionSource source)
    {
        var script = ScriptText.Read(source);
        return string.IsNullOrWhiteSpace(script) ? CompiledExpression.OfLiteral(null) : new JavaScriptExpression(this, script, source);
    }

    /// <summary>Runs a script for an activity and writes back what it changed.</summary>
    internal async ValueTask<(object? Value, IReadOnlyList<string>? Outcomes)> RunAsync(
        ActivityContext context, string script, ScriptMentions mentions, bool allowOutcomes)
    {
        var scope = new ScriptScope(context, mentions);
        var request = new JavaScriptRequest
        {
            Script = script,
            Scope = scope,
            Host = scope,
            AllowOutcomes = allowOutcomes,
            Name = context.Node.Name ?? context.Node.Id,
        };
        JavaScriptResult result;
        try
        {
            result = await runners.EvaluateAsync(request, context.CancellationToken);
        }
        catch (ScriptException exception)
        {
            throw ScriptText.Failure(exception);
        }

        if (result.CorrelationIdSet)
            context.Instance.Correlate(result.CorrelationId);
        if (result.InstanceNameSet)
            context.Instance.Rename(result.InstanceName);
        foreach (var (name, value) in result.Variables ?? new Dictionary<string, ScriptValue>())
            context.SetVariable(name, ScriptScope.ToWorkflowValue(value));
        return (ScriptScope.ToWorkflowValue(result.Value), result.Outcomes);
    }

    private sealed class JavaScriptExpression(JavaScriptSyntax syntax, string script, ExpressionSource source) : Expression
    {
        private readonly ScriptMentions _mentions = new(script, source.Node);

        public override bool ReadsOutputs => _mentions.ReadsOutputs;

        public override async ValueTask<object?> EvaluateAsync(ActivityContext context) =>
            (await syntax.RunAsync(context, script, _mentions, allowOutcomes: false)).Value;
    }
}

/// <summary><c>Liquid</c>: a template rendered by the script runner.</summary>
public sealed class LiquidSyntax(ScriptRunnerPool runners) : IExpressionSyntax
{
    /// <inheritdoc/>
    public string Type => "Liquid";

    /// <inheritdoc/>
    public ExpressionDescriptor Descriptor { get; } = new("Liquid") { MonacoLanguage = "liquid", Order = 3 };

    /// <inheritdoc/>
    public CompiledExpression Compile(ExpressionSource source)
    {
        var template = ScriptText.Read(source);
        return template.Contains("{{", StringComparison.Ordinal) || template.Contains("{%", StringComparison.Ordinal)
            ? new LiquidExpression(runners, template, source)
            : CompiledExpression.OfLiteral(template);
    }

    private sealed class LiquidExpression(ScriptRunnerPool runners, string template, ExpressionSource source) : Expression
    {
        private readonly ScriptMentions _mentions = new(template, source.Node, isTemplate: true);

        public override async ValueTask<object?> EvaluateAsync(ActivityContext context)
        {
            var request = new LiquidRequest
            {
                Template = template,
                Scope = new ScriptScope(context, _mentions),
                Name = context.Node.Name ?? context.Node.Id,
            };
            try
            {
                return await runners.RenderLiquidAsync(request, context.CancellationToken);
            }
            catch (ScriptException exception)
            {
                throw ScriptText.Failure(exception);
            }
        }
    }
}

internal static class ScriptText
{
    /// <summary>What an incident shows of a failed script: message, place and the line itself.</summary>
    public static ExpressionException Failure(ScriptException exception) => new(
        exception.Code,
        string.IsNullOrWhiteSpace(exception.SourceLine) ? exception.Message : $"{exception.Message}: {exception.SourceLine.Trim()}",
        exception);

    /// <summary>The text of a script; anything else that JSON can say counts as its own source.</summary>
    public static string Read(ExpressionSource source) => source.Value.ValueKind switch
    {
        JsonValueKind.Undefined or JsonValueKind.Null => "",
        JsonValueKind.String => source.Value.GetString()!,
        _ => source.Value.GetRawText(),
    };
}

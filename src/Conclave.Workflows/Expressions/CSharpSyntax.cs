using System.Dynamic;
using System.Reflection;
using Conclave.Workflows.Execution;
using Microsoft.CodeAnalysis.CSharp.Scripting;
using Microsoft.CodeAnalysis.Scripting;

namespace Conclave.Workflows.Expressions;

/// <summary><c>CSharp</c>: compiled by Roslyn and run in this process, with its rights. Add it only when that is wanted.</summary>
public sealed class CSharpSyntax : IExpressionSyntax
{
    /// <inheritdoc/>
    public string Type => "CSharp";

    /// <inheritdoc/>
    public ExpressionDescriptor Descriptor { get; } = new("CSharp")
    {
        DisplayName = "C#",
        MonacoLanguage = "csharp",
        Permission = "exec:csharp-expressions",
        Order = 6,
    };

    /// <inheritdoc/>
    public CompiledExpression Compile(ExpressionSource source) => new CSharpExpression(ScriptText.Read(source));

    private sealed class CSharpExpression(string script) : Expression
    {
        private readonly CSharpScriptRunner _runner = new(script);

        public override bool ReadsOutputs => true;

        public override async ValueTask<object?> EvaluateAsync(ActivityContext context) => (await _runner.RunAsync(context)).Value;
    }
}

/// <summary>One C# script, compiled on first use.</summary>
internal sealed class CSharpScriptRunner(string script)
{
    public const string Disabled =
        "C# is off, because it runs with the rights of this process. An administrator can turn it on (AllowCSharp); JavaScript needs no permission.";

    private readonly Lazy<ScriptRunner<object?>> _compiled = new(() => CSharpScript.Create<object?>(
        script,
        ScriptOptions.Default
            .WithImports("System", "System.Linq", "System.Collections.Generic", "System.Text.Json", "System.Threading.Tasks")
            .WithReferences(typeof(object).Assembly, typeof(Enumerable).Assembly, typeof(System.Text.Json.JsonElement).Assembly, typeof(CSharpGlobals).Assembly, typeof(DynamicObject).Assembly, Assembly.Load("Microsoft.CSharp")),
        typeof(CSharpGlobals)).CreateDelegate());

    public async ValueTask<(object? Value, IReadOnlyList<string>? Outcomes)> RunAsync(ActivityContext context)
    {
        var globals = new CSharpGlobals(context);
        try
        {
            var value = await _compiled.Value(globals, context.CancellationToken);
            return (value, globals.Outcome.Names);
        }
        catch (CompilationErrorException exception)
        {
            throw new ExpressionException("csharp.syntax", $"The C# script does not compile: {exception.Message}", exception);
        }
    }
}

/// <summary>What a C# script sees.</summary>
public sealed class CSharpGlobals
{
    internal CSharpGlobals(ActivityContext context)
    {
        ExecutionContext = context;
        Variables = new NamedValues(context.GetVariable, context.SetVariable);
        Inputs = new NamedValues(context.GetInput, null);
        Output = new OutputReader(context);
        Outcome = new OutcomeSetter();
        Arguments = new NamedValues(name => Array.Find(context.Arguments ?? [], a => a.Name == name)?.Value, null);
    }

    /// <summary>The activity that runs the script.</summary>
    public ActivityContext ExecutionContext { get; }

    /// <summary>Variables by name: <c>Variable.Total</c>, <c>Variable.Get&lt;int&gt;("Total")</c>, <c>Variable.Set("Total", 1)</c>.</summary>
    public dynamic Variable => Variables;

    /// <summary>The same as <see cref="Variable"/>.</summary>
    public dynamic Variables { get; }

    /// <summary>Workflow inputs by name.</summary>
    public dynamic Input => Inputs;

    /// <summary>The same as <see cref="Input"/>.</summary>
    public dynamic Inputs { get; }

    /// <summary>Outputs of other activities.</summary>
    public OutputReader Output { get; }

    /// <summary>Chooses outcomes.</summary>
    public OutcomeSetter Outcome { get; }

    /// <summary>Arguments of the expression.</summary>
    public dynamic Arguments { get; }

    /// <summary>Id of the instance.</summary>
    public string WorkflowInstanceId => ExecutionContext.Instance.Id;

    /// <summary>Correlation id of the instance.</summary>
    public string? CorrelationId
    {
        get => ExecutionContext.Instance.CorrelationId;
        set => ExecutionContext.Instance.CorrelationId = value;
    }

    /// <summary>Name of the instance.</summary>
    public string? WorkflowInstanceName
    {
        get => ExecutionContext.Instance.Name;
        set => ExecutionContext.Instance.Name = value;
    }

    /// <summary>Values by name.</summary>
    public sealed class NamedValues(Func<string, object?> get, Action<string, object?>? set) : DynamicObject
    {
        /// <summary>A value.</summary>
        public object? Get(string name) => get(name);

        /// <summary>A value, converted.</summary>
        public T? Get<T>(string name) => ValueConverter.Convert<T>(get(name));

        /// <summary>Sets a value.</summary>
        public void Set(string name, object? value)
        {
            if (set is null)
                throw new ExpressionException("csharp.read_only", $"'{name}' cannot be set; only variables can.");
            set(name, value);
        }

        /// <inheritdoc/>
        public override bool TryGetMember(GetMemberBinder binder, out object? result)
        {
            result = get(binder.Name);
            return true;
        }

        /// <inheritdoc/>
        public override bool TrySetMember(SetMemberBinder binder, object? value)
        {
            Set(binder.Name, value);
            return true;
        }
    }

    /// <summary>Reads outputs of other activities.</summary>
    public sealed class OutputReader(ActivityContext context)
    {
        /// <summary>The last <c>Result</c> of any activity.</summary>
        public object? LastResult => context.Instance.LastResult;

        /// <summary>An output of an activity, converted.</summary>
        public T? From<T>(string activityIdOrName, string? name = null) =>
            ValueConverter.Convert<T>(context.Instance.FindOutput(activityIdOrName, name));
    }

    /// <summary>Chooses outcomes.</summary>
    public sealed class OutcomeSetter
    {
        internal IReadOnlyList<string>? Names { get; private set; }

        /// <summary>Completes the activity with these outcomes.</summary>
        public void Set(params string[] names) => Names = names;
    }
}

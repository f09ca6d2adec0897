using Conclave.Agents;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;
using Conclave.Workflows.Expressions.Scripting;
using Conclave.Workflows.Http;
using Microsoft.Extensions.Logging.Abstractions;

namespace Conclave.Cli;

/// <summary>An engine with script runners, for one command.</summary>
internal sealed class LocalEngine : IAsyncDisposable
{
    private readonly ScriptRunnerPool _runners = new(
        new ScriptRunnerOptions { Runners = 1 }, NullLogger<ScriptRunnerPool>.Instance, TimeProvider.System);

    public LocalEngine(WorkflowLibrary? library = null, bool allowCSharp = false, FlowchartMode mode = FlowchartMode.Counter, IReadOnlyList<string>? allowedHosts = null)
    {
        var expressions = ExpressionSyntaxes.BuiltIn.With(new JavaScriptSyntax(_runners), new LiquidSyntax(_runners));
        Engine = new WorkflowEngine(
            new WorkflowEngineOptions { AllowCSharp = allowCSharp, FlowchartMode = mode },
            catalog: AgentActivities.Catalog,
            expressions: allowCSharp ? expressions.With(new CSharpSyntax()) : expressions,
            library: library,
            http: new OutboundHttp(new OutboundHttpOptions { AllowedHosts = allowedHosts ?? [] }));
    }

    public WorkflowEngine Engine { get; }

    public ValueTask DisposeAsync() => _runners.DisposeAsync();
}

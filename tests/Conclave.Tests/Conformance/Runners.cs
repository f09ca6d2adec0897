using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;
using Conclave.Workflows.Expressions.Scripting;
using Microsoft.Extensions.Logging.Abstractions;

namespace Conclave.Tests.Conformance;

/// <summary>Script runners that the conformance tests share.</summary>
public sealed class Runners : IAsyncLifetime
{
    private ScriptRunnerPool Pool { get; } = new(
        new ScriptRunnerOptions { Runners = 1 }, NullLogger<ScriptRunnerPool>.Instance, TimeProvider.System);

    public Task InitializeAsync() => Task.CompletedTask;

    public Task DisposeAsync() => Pool.DisposeAsync().AsTask();

    internal WorkflowEngine Engine(FlowchartMode mode, WorkflowLibrary library) => new(
        new WorkflowEngineOptions { AllowCSharp = true, FlowchartMode = mode },
        expressions: ExpressionSyntaxes.BuiltIn.With(new JavaScriptSyntax(Pool), new LiquidSyntax(Pool), new CSharpSyntax()),
        library: library);
}

[CollectionDefinition(Name)]
public sealed class ConformanceTests : ICollectionFixture<Runners>
{
    public const string Name = "Conformance";
}

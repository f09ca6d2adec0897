using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;

namespace Conclave.Workflows.Runtime.Instances;

/// <summary>Activation strategies: whether another instance of a workflow may start, by Elsa's type names.</summary>
public static class Activation
{
    /// <summary>What definitions may choose.</summary>
    public static IReadOnlyList<StrategyDescriptor> Strategies { get; } =
    [
        new("Elsa.Workflows.ActivationValidators.AllowAlwaysStrategy, Elsa.Workflows.Core", "Always", "Any number of instances may run at the same time."),
        new("Elsa.Workflows.Runtime.ActivationValidators.SingletonStrategy, Elsa.Workflows.Runtime", "Singleton", "No new instance starts while one of this workflow is running."),
        new("Elsa.Workflows.Runtime.ActivationValidators.CorrelatedSingletonStrategy, Elsa.Workflows.Runtime", "Correlated singleton", "No new instance starts while one of this workflow with the same correlation id is running."),
        new("Elsa.Workflows.Runtime.ActivationValidators.CorrelationStrategy, Elsa.Workflows.Runtime", "Correlation", "No new instance starts while one of any workflow with the same correlation id is running."),
    ];

    /// <summary>What must hold for an instance to start; null when it always may.</summary>
    internal static ActivationGuard? GuardOf(string tenant, WorkflowInstance instance)
    {
        var definition = instance.Graph.Definition;
        // An assembly-qualified name: namespace, class and assembly.
        var type = definition.Options.ActivationStrategyType?.Split(',')[0];
        return type?[(type.LastIndexOf('.') + 1)..] switch
        {
            "SingletonStrategy" => new ActivationGuard(tenant, instance.Id, definition.DefinitionId, null),
            "CorrelatedSingletonStrategy" => new ActivationGuard(tenant, instance.Id, definition.DefinitionId, instance.CorrelationId),
            "CorrelationStrategy" when instance.CorrelationId is not null => new ActivationGuard(tenant, instance.Id, null, instance.CorrelationId),
            _ => null,
        };
    }
}

using Conclave.Workflows.Execution;

namespace Conclave.Workflows.Runtime.Instances;

/// <summary>Activation strategies: whether another instance of a workflow may start, by Elsa's type names.</summary>
internal static class Activation
{
    /// <summary>What must hold for an instance to start; null when it always may.</summary>
    public static ActivationGuard? GuardOf(string tenant, WorkflowInstance instance)
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

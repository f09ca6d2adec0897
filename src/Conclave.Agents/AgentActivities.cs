using Conclave.Inference.Activities;
using Conclave.Workflows.Activities;

namespace Conclave.Agents;

/// <summary>The activities of this assembly.</summary>
public static class AgentActivities
{
    /// <summary>Every activity that there is.</summary>
    public static ActivityCatalog Catalog { get; } = InferenceActivities.Catalog.WithAssembly(typeof(AgentActivities).Assembly);
}

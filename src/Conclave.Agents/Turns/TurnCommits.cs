using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Instances;
using Conclave.Workflows.Runtime.Watching;

namespace Conclave.Agents.Turns;

/// <summary>Keeps turns in step with the instances that they are.</summary>
public static class TurnCommits
{
    /// <summary>What is written with a commit of an instance: how the turn stands. Nothing for instances that are no turns.</summary>
    /// <param name="instance">The instance as it is stored.</param>
    /// <param name="loaded">How it stood when its burst began.</param>
    /// <param name="goesOn">Whether the burst goes on.</param>
    public static IEnumerable<RowEffect> RowsOf(WorkflowInstance instance, WorkflowSubStatus loaded, bool goesOn)
    {
        if (AgentOf(instance) is not { } agentId)
            return [];
        var status = instance.SubStatus switch
        {
            WorkflowSubStatus.Suspended => "waiting",
            WorkflowSubStatus.Finished => "completed",
            WorkflowSubStatus.Faulted => "failed",
            WorkflowSubStatus.Cancelled => "cancelled",
            // Only one that waited has to be told of.
            _ => loaded == WorkflowSubStatus.Suspended ? "running" : null,
        };
        if (status is null || (goesOn && status != "running"))
            return [];
        var error = status == "failed" && instance.Incidents.Count > 0 ? instance.Incidents[^1].Message : null;
        return [new TurnStored(agentId, status, error, instance.Time.GetUtcNow())];
    }

    /// <summary>Tells those who look at an agent that one of its turns was stored.</summary>
    public static void Stored(InstanceWatch watch, string tenant, WorkflowInstance instance)
    {
        if (AgentOf(instance) is { } agentId)
            watch.Stored(tenant, WatchKey(agentId));
    }

    /// <summary>What those who look at an agent watch.</summary>
    public static string WatchKey(string agentId) => "agent:" + agentId;

    private static string? AgentOf(WorkflowInstance instance) =>
        instance.Id.StartsWith(TurnStarter.Prefix, StringComparison.Ordinal) && instance.Input.TryGetValue(TurnInputs.AgentId, out var id) ? id as string : null;
}

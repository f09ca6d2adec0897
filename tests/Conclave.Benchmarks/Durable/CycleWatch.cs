using System.Collections.Concurrent;
using Conclave.Workflows.Execution;

namespace Conclave.Benchmarks.Durable;

/// <summary>Tells when an instance has ended and is stored.</summary>
internal sealed class CycleWatch
{
    private readonly ConcurrentDictionary<string, TaskCompletionSource<Ended>> _waiting = new();

    public Task<Ended> WaitFor(string instanceId) =>
        _waiting.GetOrAdd(instanceId, _ => new TaskCompletionSource<Ended>(TaskCreationOptions.RunContinuationsAsynchronously)).Task;

    public void Stored(string tenant, WorkflowInstance instance)
    {
        if (instance.Status == WorkflowStatus.Finished)
            End(instance.Id, instance.UpdatedAt);
    }

    /// <summary>Told by the process that ran the last burst.</summary>
    public void End(string instanceId, DateTimeOffset at)
    {
        if (_waiting.TryRemove(instanceId, out var waiting))
            waiting.SetResult(new Ended(at));
    }

    /// <summary>When the burst was over.</summary>
    public sealed record Ended(DateTimeOffset StartedAt);
}

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
        if (instance.Status == WorkflowStatus.Finished && _waiting.TryRemove(instance.Id, out var waiting))
            waiting.SetResult(new Ended(instance.UpdatedAt));
    }

    /// <summary>When the burst was over.</summary>
    public sealed record Ended(DateTimeOffset StartedAt);
}

using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Queue;

namespace Conclave.Workflows.Runtime.Instances;

/// <summary>Turns what a burst asks for into rows of its commit, so that nobody sees them unless the burst is stored.</summary>
internal static class Effects
{
    /// <summary>Adds what follows from effects.</summary>
    public static async ValueTask AddAsync(
        InstanceCommit commit, DurableBurst burst, IReadOnlyList<WorkflowEffect> effects, CancellationToken cancellationToken)
    {
        var dispatched = effects.OfType<WorkflowDispatched>().GroupBy(d => d.ActivityInstance).ToDictionary(g => g.Key, g => g.Count());
        for (var i = 0; i < effects.Count; i++)
        {
            switch (effects[i])
            {
                case EventPublished published:
                    // The same burst, run again, publishes under the same id.
                    var id = $"{burst.Instance.Id}/{published.ActivityInstance}/{published.EventName}{(published.Occasion is { } occasion ? $"/{occasion}" : "")}";
                    commit.Work.Add(new NewWork(burst.Tenant, "", WorkKind.Publish, burst.Priority, null, WorkPayload.Of(published, id)));
                    break;
                case WorkflowDispatched start:
                    // Many at once must not delay what somebody waits for.
                    var priority = dispatched[start.ActivityInstance] > 1 ? WorkPriority.P3 : burst.Priority;
                    await AddChildAsync(commit, burst, start, priority, cancellationToken);
                    break;
                case TaskRequested:
                    // The bookmark is the task: it is listed and completed by its id.
                    break;
                case RowEffect rows:
                    commit.Rows.Add(new RowWrite(rows, burst.Tenant, burst.Instance.Id));
                    break;
                default:
                    throw new NotSupportedException($"The runtime does not know what to do with {effects[i].GetType().Name}.");
            }
        }
    }

    private static async ValueTask AddChildAsync(
        InstanceCommit commit, DurableBurst parent, WorkflowDispatched start, WorkPriority priority, CancellationToken cancellationToken)
    {
        var request = start.Request;
        var graph = await parent.Workflows.FindPublishedAsync(request.DefinitionId, cancellationToken)
            ?? throw new WorkflowException("workflow.not_found", $"No published workflow has the definition id '{request.DefinitionId}'.");
        var child = parent.Workflows.Engine.CreateInstance(graph, InstanceRunner.StartOf(request, parent.Instance));
        if (await parent.MayStartAsync(commit, child, cancellationToken))
        {
            InstanceRunner.AddPending(commit, parent.Tenant, child, priority, null);
            return;
        }

        // As a workflow that somebody starts: it does not start, and an activity that waits for it hears so.
        if (start.BookmarkName is not null)
            commit.Work.Add(parent.ChildEnded(child));
    }
}

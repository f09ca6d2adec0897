namespace Conclave.Workflows.Execution;

/// <summary>Puts faulted activities back, so that the next burst runs them again.</summary>
internal static class FaultRetry
{
    /// <summary>Puts faulted activities back.</summary>
    /// <param name="instance">An instance between bursts.</param>
    /// <param name="number">Number of one faulted execution; null for all.</param>
    /// <returns>The incidents that are dealt with.</returns>
    /// <exception cref="WorkflowException">Nothing faulted, or the fault is of a kind that cannot be undone; nothing was changed.</exception>
    public static IReadOnlyList<Incident> Apply(WorkflowInstance instance, int? number)
    {
        if (instance.SubStatus is WorkflowSubStatus.Finished or WorkflowSubStatus.Cancelled)
            throw new WorkflowException("instance.ended", $"Instance '{instance.Id}' has ended as {instance.SubStatus}; only activities of instances that run or faulted can be retried.");
        var faulted = new List<ActivityContext>();
        Collect(instance.RootContext, faulted);
        var chosen = number is null ? faulted : [Find(instance, faulted, number.Value)];
        if (chosen.Count == 0)
            throw Nothing(instance);
        // Whoever has to be told about a completed child and threw would be told again, but what the child said is gone.
        if (instance.Status == WorkflowStatus.Finished && instance.Incidents.FirstOrDefault(i => !IsOf(i, faulted)) is { } lost)
            throw CannotGoOn(lost);

        var numbers = new HashSet<int>();
        foreach (var context in chosen)
            CollectNumbers(context, numbers);
        var incidents = instance.Incidents.Where(i => numbers.Contains(i.ActivityInstance)).ToList();
        // Each goes before all others: the last first, so that they run in the order in which they faulted.
        foreach (var context in chosen.OrderByDescending(c => c.Number))
            PutBack(instance, context);
        instance.IncidentList.RemoveAll(incidents.Contains);
        instance.IsParentTold |= instance.Status == WorkflowStatus.Finished;
        instance.FinishedAt = null;
        instance.SubStatus = WorkflowSubStatus.Executing;
        return incidents;
    }

    private static void PutBack(WorkflowInstance instance, ActivityContext context)
    {
        var parent = context.Parent;
        var item = new WorkItem(context.Node, parent, parent?.Number ?? 0, context.Tag, context.Dynamic);
        context.RemoveBookmarks();
        context.CancelChildren();
        instance.Unschedule(context);
        if (parent is { FaultedChildren: > 0 })
            parent.FaultedChildren--;
        context.Detach();
        if (parent is null)
            instance.RootContext = null;
        instance.Log.Note(LogNoteKind.TakenBack, context.Number);
        instance.Release(context);
        instance.ScheduleFirst(item);
    }

    /// <summary>The outermost faulted executions: what is inside of one runs again with it.</summary>
    private static void Collect(ActivityContext? context, List<ActivityContext> faulted)
    {
        if (context is null)
            return;
        if (context.Status == ActivityStatus.Faulted)
        {
            faulted.Add(context);
            return;
        }

        for (var child = context.FirstChild; child is not null; child = child.NextSibling)
            Collect(child, faulted);
    }

    private static void CollectNumbers(ActivityContext context, HashSet<int> numbers)
    {
        numbers.Add(context.Number);
        for (var child = context.FirstChild; child is not null; child = child.NextSibling)
            CollectNumbers(child, numbers);
    }

    private static bool IsOf(Incident incident, List<ActivityContext> faulted)
    {
        var numbers = new HashSet<int>();
        foreach (var context in faulted)
            CollectNumbers(context, numbers);
        return numbers.Contains(incident.ActivityInstance);
    }

    private static ActivityContext Find(WorkflowInstance instance, List<ActivityContext> faulted, int number)
    {
        if (faulted.Find(c => c.Number == number) is { } found)
            return found;
        foreach (var outer in faulted)
        {
            var inside = new HashSet<int>();
            CollectNumbers(outer, inside);
            if (inside.Contains(number))
                throw new WorkflowException("instance.cannot_retry", $"Execution {number} is inside of {outer.Node}, which faulted as well. Retry execution {outer.Number}; it runs again as a whole.");
        }

        if (instance.Incidents.FirstOrDefault(i => i.ActivityInstance == number) is { } incident)
            throw CannotGoOn(incident);
        var others = faulted.Count == 0 ? "none" : string.Join(", ", faulted.Select(c => $"{c.Number} ({c.Node})"));
        throw new WorkflowException("instance.nothing_to_retry", $"Execution {number} of instance '{instance.Id}' has not faulted. Faulted executions: {others}.");
    }

    private static WorkflowException Nothing(WorkflowInstance instance) => instance.Incidents.Count > 0
        ? CannotGoOn(instance.Incidents[^1])
        : new WorkflowException("instance.nothing_to_retry", $"No activity of instance '{instance.Id}' has faulted.");

    private static WorkflowException CannotGoOn(Incident incident) => new(
        "instance.cannot_retry",
        $"Activity '{incident.ActivityId}' (execution {incident.ActivityInstance}) itself completed; what is around it could not go on after it: {incident.Message} "
        + "Running the activity again would repeat a finished step. Correct the workflow and start it anew.");
}

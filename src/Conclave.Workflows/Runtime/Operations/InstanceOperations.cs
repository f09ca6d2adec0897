using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Instances;
using Conclave.Workflows.Runtime.Queue;
using Npgsql;

namespace Conclave.Workflows.Runtime.Operations;

/// <summary>What people do to instances: cancel, retry, resume, set variables, migrate. Who did it and why is stored with the change.</summary>
/// <remarks>Wrong use throws a <see cref="WorkflowException"/> with a stable code and changes nothing. Codes are listed in <c>docs/errors.md</c>.</remarks>
public sealed partial class InstanceOperations
{
    private readonly InstanceRunner _runner;
    private readonly NpgsqlDataSource _database;
    private readonly WorkQueue _queue;

    /// <summary>Creates the operations of one process.</summary>
    /// <param name="runner">Takes and changes instances.</param>
    /// <param name="database">The database.</param>
    /// <param name="queue">The queue.</param>
    public InstanceOperations(InstanceRunner runner, NpgsqlDataSource database, WorkQueue queue)
    {
        _runner = runner;
        _database = database;
        _queue = queue;
    }

    /// <summary>Runs faulted activities again; finished steps are not repeated.</summary>
    /// <param name="tenant">Owner of the instance.</param>
    /// <param name="id">Id of the instance.</param>
    /// <param name="activityInstance">Number of one faulted execution; null for all.</param>
    /// <param name="actor">Who asks for it.</param>
    /// <param name="reason">Why; null when nobody said.</param>
    /// <param name="cancellationToken">Stops waiting for the instance, and the burst, which then goes on in the queue.</param>
    /// <returns>The instance after the burst.</returns>
    /// <exception cref="WorkflowException">Nothing faulted, or what faulted cannot be run again.</exception>
    public Task<WorkflowInstance> RetryAsync(
        string tenant, string id, int? activityInstance, string actor, string? reason, CancellationToken cancellationToken) =>
        ChangeAsync(
            tenant,
            id,
            async burst =>
            {
                var hadEnded = burst.Instance.Status == WorkflowStatus.Finished;
                var incidents = FaultRetry.Apply(burst.Instance, activityInstance);
                burst.Operated("retry", actor, reason, Shorten(string.Join("; ", incidents.Select(i => $"{i.ActivityId} ({i.ActivityInstance}): {i.Message}")), 4_000));
                if (!hadEnded)
                    return;
                burst.WaitAgain();
                await MissedChildren.AddAsync(burst, _runner, _database, cancellationToken);
            },
            cancellationToken);

    /// <summary>Resumes a bookmark by hand.</summary>
    /// <param name="tenant">Owner of the instance.</param>
    /// <param name="id">Id of the instance.</param>
    /// <param name="bookmark">Number of the bookmark; null when there is exactly one.</param>
    /// <param name="input">What the activity is to receive; a workflow value.</param>
    /// <param name="actor">Who asks for it.</param>
    /// <param name="reason">Why; null when nobody said.</param>
    /// <param name="cancellationToken">Stops waiting for the instance, and the burst, which then goes on in the queue.</param>
    /// <returns>The instance after the burst.</returns>
    /// <exception cref="WorkflowException">The instance has ended, or does not wait at that bookmark.</exception>
    public Task<WorkflowInstance> ResumeAsync(
        string tenant, string id, int? bookmark, object? input, string actor, string? reason, CancellationToken cancellationToken) =>
        ChangeAsync(
            tenant,
            id,
            async burst =>
            {
                ThrowIfEnded(burst.Instance);
                var found = FindBookmark(burst.Instance, bookmark);
                burst.Operated("resume", actor, reason, $"{found.Number}: {Describe(found)}");
                await _runner.ResumeAsync(burst, found, input);
            },
            cancellationToken);

    internal static string Shorten(string text, int longest) => text.Length <= longest ? text : $"{text[..longest]}…";

    private async Task<WorkflowInstance> ChangeAsync(
        string tenant, string id, Func<DurableBurst, ValueTask> change, CancellationToken cancellationToken, TimeSpan? patience = null) =>
        (await _runner.ChangeAsync(tenant, id, change, null, cancellationToken, patience))?.Instance ?? throw NotFound(id);

    private static Bookmark FindBookmark(WorkflowInstance instance, int? number)
    {
        var found = number is not null
            ? instance.Bookmarks.FirstOrDefault(b => b.Number == number)
            : instance.Bookmarks.Count == 1 ? instance.Bookmarks[0] : null;
        if (found is not null)
            return found;
        var waits = instance.Bookmarks.Count == 0
            ? "It waits for nothing."
            : $"It waits at: {Shorten(string.Join("; ", instance.Bookmarks.Select(b => $"{b.Number} ({Describe(b)})")), 2_000)}.";
        throw new WorkflowException("instance.bookmark_unknown", number is null
            ? $"Instance '{instance.Id}' has {instance.Bookmarks.Count} bookmarks; say which one to resume. {waits}"
            : $"Instance '{instance.Id}' has no bookmark {number}. {waits}");
    }

    private static string Describe(Bookmark bookmark) => $"{bookmark.Context.Node}, {Shorten(bookmark.Payload.ToString(), 200)}";

    private static void ThrowIfEnded(WorkflowInstance instance)
    {
        if (instance.Status == WorkflowStatus.Finished)
            throw Ended(instance.Id, instance.SubStatus);
    }

    private static WorkflowException Ended(string id, WorkflowSubStatus subStatus) =>
        new("instance.ended", $"Instance '{id}' has ended as {subStatus}; it cannot be changed any more.");

    private static WorkflowException NotFound(string id) => new("instance.not_found", $"There is no instance '{id}'.");
}

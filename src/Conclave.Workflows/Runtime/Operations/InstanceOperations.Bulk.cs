using System.Collections.Concurrent;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Instances;

namespace Conclave.Workflows.Runtime.Operations;

/// <content>Many instances at once.</content>
public sealed partial class InstanceOperations
{
    private const int PageSize = 200;
    private const int Parallelism = 8;

    /// <summary>Does something to each of many instances, a few at a time; one that fails does not stop the others.</summary>
    /// <param name="ids">Ids of the instances.</param>
    /// <param name="operation">What to do to one, for example <c>(id, token) => operations.CancelAsync(tenant, id, actor, reason, token)</c>.</param>
    /// <param name="cancellationToken">Stops; what was done stays done.</param>
    /// <returns>How many it was done to, and which failed.</returns>
    public static async Task<BulkResult> BulkAsync(
        IReadOnlyCollection<string> ids, Func<string, CancellationToken, Task> operation, CancellationToken cancellationToken)
    {
        var failed = new ConcurrentBag<BulkFailure>();
        var done = await RunAsync(ids.Distinct(StringComparer.Ordinal), operation, failed, cancellationToken);
        return Result(done, failed);
    }

    /// <summary>Does something to each instance of a list, newest first.</summary>
    /// <param name="tenant">Owner of the instances.</param>
    /// <param name="filter">Which instances; those that come up meanwhile are left out.</param>
    /// <param name="operation">What to do to one.</param>
    /// <param name="cancellationToken">Stops; what was done stays done.</param>
    /// <returns>How many it was done to, and which failed.</returns>
    public async Task<BulkResult> BulkAsync(
        string tenant, InstanceFilter filter, Func<string, CancellationToken, Task> operation, CancellationToken cancellationToken)
    {
        var failed = new ConcurrentBag<BulkFailure>();
        var done = 0;
        InstanceCursor? after = null;
        while (true)
        {
            // Pages follow the time of creation, which no operation changes: none is skipped when others leave the list.
            var page = await _runner.Instances.ListAsync(tenant, filter, after, PageSize, cancellationToken);
            done += await RunAsync(page.Select(i => i.Id), operation, failed, cancellationToken);
            if (page.Count < PageSize)
                return Result(done, failed);
            after = new InstanceCursor(page[^1].CreatedAt, page[^1].Id);
        }
    }

    private static async Task<int> RunAsync(
        IEnumerable<string> ids, Func<string, CancellationToken, Task> operation, ConcurrentBag<BulkFailure> failed, CancellationToken cancellationToken)
    {
        var done = 0;
        var options = new ParallelOptions { MaxDegreeOfParallelism = Parallelism, CancellationToken = cancellationToken };
        await Parallel.ForEachAsync(ids, options, async (id, token) =>
        {
            try
            {
                await operation(id, token);
                Interlocked.Increment(ref done);
            }
            catch (WorkflowException exception)
            {
                failed.Add(new BulkFailure(id, exception.Code, exception.Message));
            }
            catch (Exception exception) when (exception is WorkflowDefinitionException or InvalidDataException or Npgsql.NpgsqlException or TimeoutException)
            {
                failed.Add(new BulkFailure(id, "instance.failed", exception.Message));
            }
        });
        return done;
    }

    private static BulkResult Result(int done, ConcurrentBag<BulkFailure> failed) =>
        new(done, [.. failed.OrderBy(f => f.Id, StringComparer.Ordinal)]);
}

/// <summary>How an operation on many instances ended.</summary>
/// <param name="Done">Number of instances that it was done to.</param>
/// <param name="Failed">Instances that it was not done to.</param>
public sealed record BulkResult(int Done, IReadOnlyList<BulkFailure> Failed);

/// <summary>An instance that an operation was not done to.</summary>
/// <param name="Id">The instance.</param>
/// <param name="Code">Stable code.</param>
/// <param name="Message">Why.</param>
public sealed record BulkFailure(string Id, string Code, string Message);

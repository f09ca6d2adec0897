using Npgsql;

namespace Conclave.Workflows.Runtime.Postgres;

/// <summary>Work of many callers that is done together: whoever comes while all lanes are busy goes with the next group.</summary>
/// <remarks>
/// Whoever comes while a lane is free works for itself and for those that came meanwhile, then passes the lane on: one that is alone changes no thread. When a group
/// fails and one of them may be to blame, each is tried alone; nothing of a group that failed must be left.
/// </remarks>
/// <typeparam name="TItem">What a caller brings.</typeparam>
/// <typeparam name="TResult">What it gets.</typeparam>
/// <param name="lanes">How many groups may be under way at once.</param>
/// <param name="largest">The most items of a group.</param>
/// <param name="work">Does a group; gives results in the order of the items.</param>
public sealed class GroupedWork<TItem, TResult>(int lanes, int largest, Func<IReadOnlyList<TItem>, Task<IReadOnlyList<TResult>>> work)
{
    private readonly Lock _gate = new();
    private readonly Queue<Pending> _waiting = [];
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _busy;
    private int _lastGroup;
    private bool _isClosed;

    /// <summary>
    /// How often whoever works lets others run before it takes its group: those whose work has just been done are about to come again, and are in the group then instead of
    /// waiting for it. Default 0.
    /// </summary>
    public int Yields { get; init; }

    /// <summary>Does one item, with those that come meanwhile.</summary>
    /// <exception cref="ObjectDisposedException">It was closed.</exception>
    public async Task<TResult> RunAsync(TItem item)
    {
        Pending? pending = null;
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_isClosed, this);
            if (_busy < lanes)
                _busy++;
            else
                _waiting.Enqueue(pending = new Pending(item));
        }

        // Somebody has done it, or passes a lane on.
        return pending is not null && await pending.Done.Task is { } outcome ? outcome.Result : await WorkAsync(item);
    }

    /// <summary>Takes nothing more, and waits for what is under way.</summary>
    public async Task CloseAsync()
    {
        lock (_gate)
        {
            _isClosed = true;
            if (_busy == 0)
                return;
        }

        await _ended.Task;
    }

    /// <summary>Does an item that has a lane, and those that wait with it; then passes the lane on.</summary>
    private async Task<TResult> WorkAsync(TItem own)
    {
        for (var round = 0; round < Yields && _lastGroup > 1; round++)
            await Task.Yield();
        var others = new List<Pending>();
        lock (_gate)
        {
            while (others.Count < largest - 1 && _waiting.TryDequeue(out var pending))
                others.Add(pending);
            _lastGroup = others.Count + 1;
        }

        try
        {
            return await WorkAsync(own, others);
        }
        finally
        {
            PassOn();
        }
    }

    private void PassOn()
    {
        Pending? next;
        lock (_gate)
        {
            if (!_waiting.TryDequeue(out next) && --_busy == 0 && _isClosed)
                _ended.SetResult();
        }

        next?.Done.SetResult(null);
    }

    private async Task<TResult> WorkAsync(TItem own, List<Pending> others)
    {
        try
        {
            var results = await work([own, .. others.Select(p => p.Item)]);
            for (var i = 0; i < others.Count; i++)
                others[i].Done.SetResult(new Outcome(results[i + 1]));
            return results[0];
        }
        catch (PostgresException exception) when (others.Count > 0 && !DatabaseOutage.Is(exception))
        {
            foreach (var other in others)
                await WorkAloneAsync(other);
            return (await work([own]))[0];
        }
        catch (Exception exception)
        {
            foreach (var other in others)
                other.Done.SetException(exception);
            throw;
        }
    }

    private async Task WorkAloneAsync(Pending pending)
    {
        try
        {
            pending.Done.SetResult(new Outcome((await work([pending.Item]))[0]));
        }
        catch (Exception exception)
        {
            pending.Done.SetException(exception);
        }
    }

    private sealed record Outcome(TResult Result);

    private sealed record Pending(TItem Item)
    {
        /// <summary>What came of it; null when a lane is passed on to it.</summary>
        public TaskCompletionSource<Outcome?> Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}

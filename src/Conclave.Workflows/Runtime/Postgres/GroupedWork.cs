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
        var pending = new Pending(item);
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_isClosed, this);
            if (_busy == lanes)
                _waiting.Enqueue(pending);
            else
            {
                _busy++;
                pending.Done.SetResult(null);
            }
        }

        return await pending.Done.Task is { } done ? done.Result : await WorkAsync(new Pending(item));
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

    /// <summary>Does an item whose turn it is, and those that wait with it.</summary>
    private async Task<TResult> WorkAsync(Pending own)
    {
        for (var round = 0; round < Yields && _lastGroup > 1; round++)
            await Task.Yield();
        var group = new List<Pending> { own };
        lock (_gate)
        {
            while (group.Count < largest && _waiting.TryDequeue(out var pending))
                group.Add(pending);
            _lastGroup = group.Count;
        }

        try
        {
            await WorkAsync(group);
        }
        finally
        {
            PassOn();
        }

        return (await own.Done.Task)!.Result;
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

    private async Task WorkAsync(List<Pending> group)
    {
        try
        {
            var results = await work(group.ConvertAll(p => p.Item));
            for (var i = 0; i < group.Count; i++)
                group[i].Done.SetResult(new Outcome(results[i]));
        }
        catch (PostgresException exception) when (group.Count > 1 && !DatabaseOutage.Is(exception))
        {
            foreach (var single in group)
                await WorkAsync([single]);
        }
        catch (Exception exception)
        {
            foreach (var pending in group)
                pending.Done.SetException(exception);
        }
    }

    private sealed record Outcome(TResult Result);

    private sealed record Pending(TItem Item)
    {
        /// <summary>What came of it; null when it is its turn to work.</summary>
        public TaskCompletionSource<Outcome?> Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}

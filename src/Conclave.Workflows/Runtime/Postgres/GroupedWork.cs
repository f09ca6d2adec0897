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
    // The share of those that are expected with which a group begins without waiting for the rest.
    private const double Enough = 0.75;

    // One of so many groups that wait does so for one more than is expected: groups that follow each other would not find together otherwise.
    private const int ProbeEvery = 16;

    // How much of what is expected beyond the group that came is forgotten with each group.
    private const double Forgetting = 0.2;

    private readonly Lock _gate = new();
    private readonly Queue<Pending> _waiting = [];
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _busy;
    private double _expected;
    private int _gathers;
    private int _wanted;
    private TaskCompletionSource? _gathering;
    private bool _isClosed;

    /// <summary>
    /// How often whoever works lets others run before it takes its group: those whose work has just been done are about to come again, and are in the group then instead of
    /// waiting for it. Default 0.
    /// </summary>
    public int Yields { get; init; }

    /// <summary>
    /// How long whoever works waits, at most, for as many as came together lately, when few of them are there: those that are elsewhere on their way, in another process or
    /// group, come together then, and each costs less. One that is alone waits for nobody. Default zero, which waits not at all.
    /// </summary>
    public TimeSpan Patience { get; init; }

    /// <summary>Does one item, with those that come meanwhile.</summary>
    /// <param name="item">The item.</param>
    /// <param name="isPatient">Whether it may wait for others, see <see cref="Patience"/>.</param>
    /// <exception cref="ObjectDisposedException">It was closed.</exception>
    public async Task<TResult> RunAsync(TItem item, bool isPatient = true)
    {
        Pending? pending = null;
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_isClosed, this);
            if (_busy < lanes)
                _busy++;
            else
                Enqueue(pending = new Pending(item), isPatient);
        }

        // Somebody has done it, or passes a lane on.
        return pending is not null && await pending.Done.Task is { } outcome ? outcome.Result : await WorkAsync(item, isPatient);
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
    private async Task<TResult> WorkAsync(TItem own, bool isPatient)
    {
        await GatherAsync(isPatient);
        var others = new List<Pending>();
        lock (_gate)
        {
            while (others.Count < largest - 1 && _waiting.TryDequeue(out var pending))
                others.Add(pending);
            var size = others.Count + 1;
            _expected = Math.Max(size, _expected + (Forgetting * (size - _expected)));
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

    /// <summary>Joins the next group, which begins with it if it was waited for, or will not wait itself.</summary>
    private void Enqueue(Pending pending, bool isPatient)
    {
        _waiting.Enqueue(pending);
        if (_gathering is null || (isPatient && _waiting.Count + 1 < _wanted))
            return;
        _gathering.SetResult();
        _gathering = null;
    }

    /// <summary>Lets those come that are about to: a group costs little more than one item.</summary>
    private async Task GatherAsync(bool isPatient)
    {
        for (var round = 0; round < Yields && _expected > 1.5; round++)
            await Task.Yield();
        TaskCompletionSource gathering;
        lock (_gate)
        {
            if (!isPatient || Patience == TimeSpan.Zero || _gathering is not null || _waiting.Count + 1 >= Enough * _expected)
                return;
            _wanted = Math.Min(largest, (int)Math.Round(_expected) + (++_gathers % ProbeEvery == 0 ? 1 : 0));
            _gathering = gathering = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        // Whether they came or not, the group begins.
        await gathering.Task.WaitAsync(Patience).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        lock (_gate)
        {
            if (_gathering == gathering)
                _gathering = null;
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

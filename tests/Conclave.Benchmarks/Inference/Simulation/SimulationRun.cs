using System.Globalization;
using Conclave.Inference.Scheduling;

namespace Conclave.Benchmarks.Inference.Simulation;

/// <summary>What a run showed.</summary>
/// <param name="Routing">How calls were routed.</param>
/// <param name="Gpus">GPUs.</param>
/// <param name="SessionsPerGpu">Sessions at a time for each GPU.</param>
/// <param name="P50">Time to first token, seconds, median.</param>
/// <param name="P95">95th percentile.</param>
/// <param name="P99">99th percentile.</param>
/// <param name="CallsPerSecond">Calls that ended, a second.</param>
/// <param name="SessionsPerHour">Sessions that ended, an hour.</param>
/// <param name="CacheHits">Part of the input tokens that had not to be read again.</param>
/// <param name="Jain">Jain's index over agents of the speed that each sees.</param>
internal sealed record SimulationResult(
    string Routing, int Gpus, int SessionsPerGpu, double P50, double P95, double P99, double CallsPerSecond, double SessionsPerHour, double CacheHits, double Jain);

/// <summary>Lets sessions run against GPUs: a constant number of them; where one ends, the next begins.</summary>
internal sealed class SimulationRun : IDisposable
{
    private const int Agents = 20;

    // One more agent sends bursts of independent calls, as batch work does.
    private const int BurstEvery = 20;
    private const int BurstPerGpu = 30;
    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Measured = TimeSpan.FromSeconds(240);

    private readonly SimulationClock _clock = new();
    private readonly SlotScheduler _scheduler;
    private readonly GpuServer[] _gpus;
    private readonly Dictionary<string, GpuServer> _byId;
    private readonly Routing _routing;
    private readonly AgentTraffic _traffic;
    private readonly List<Waiting> _waiting = [];
    private readonly List<double> _firstTokens = [];
    private readonly double[] _alone = new double[Agents];
    private readonly double[] _taken = new double[Agents];
    private readonly DateTimeOffset _from;
    private long _ended;
    private long _sessionsEnded;
    private long _number;

    private SimulationRun(Func<GpuServer[], TimeProvider, int, Routing> routing, int gpus, int seed)
    {
        _gpus = [.. Enumerable.Range(0, gpus).Select(i => new GpuServer($"gpu{i}"))];
        _byId = _gpus.ToDictionary(g => g.Id);
        _routing = routing(_gpus, _clock, seed);
        _traffic = new AgentTraffic(seed, Agents);
        _scheduler = new SlotScheduler(_routing.Options, _clock);
        foreach (var gpu in _gpus) _scheduler.SetServer(gpu.Id, GpuServer.Slots, accepts: true);
        _from = _clock.GetUtcNow() + WarmUp;
    }

    private DateTimeOffset Now => _clock.GetUtcNow();

    private bool IsMeasured => Now >= _from;

    public static SimulationResult Run(string name, Func<GpuServer[], TimeProvider, int, Routing> routing, int gpus, int sessionsPerGpu, int seed)
    {
        using var run = new SimulationRun(routing, gpus, seed);
        return run.Run(name, sessionsPerGpu);
    }

    public void Dispose() => _scheduler.Dispose();

    private SimulationResult Run(string name, int sessionsPerGpu)
    {
        // Sessions begin one after the other over the first 20 seconds, not all at once.
        for (var i = 0; i < _gpus.Length * sessionsPerGpu; i++)
            _clock.At(Now + TimeSpan.FromSeconds(20.0 * i / (_gpus.Length * sessionsPerGpu)), () => Call(_traffic.Next(), 0));
        for (var at = 30; at < (WarmUp + Measured).TotalSeconds; at += BurstEvery) _clock.At(Now + TimeSpan.FromSeconds(at), Burst);
        var end = _from + Measured;
        while (_clock.Step(end)) TakeIn();

        _firstTokens.Sort();
        var speeds = Enumerable.Range(0, Agents).Where(a => _taken[a] > 0).Select(a => _alone[a] / _taken[a]).ToArray();
        var input = _gpus.Sum(g => g.InputTokens);
        return new SimulationResult(
            name, _gpus.Length, sessionsPerGpu, At(0.5), At(0.95), At(0.99), _ended / Measured.TotalSeconds, _sessionsEnded / Measured.TotalHours,
            1 - ((double)_gpus.Sum(g => g.ReadTokens) / input),
            Math.Pow(speeds.Sum(), 2) / (speeds.Length * speeds.Sum(s => s * s)));

        double At(double part) => _firstTokens[Math.Min((int)(part * _firstTokens.Count), _firstTokens.Count - 1)];
    }

    private void Burst()
    {
        for (var i = 0; i < BurstPerGpu * _gpus.Length; i++)
        {
            var session = _traffic.Next();
            Call(session with { Agent = Agents, Turns = [session.Turns[0] with { Output = 100 }] }, 0, isBurst: true);
        }
    }

    private void Call(AgentSession session, int index, bool isBurst = false)
    {
        var turn = session.Turns[index];
        var request = _routing.Route(
            new SlotRequest
            {
                CallId = (_number++).ToString(CultureInfo.InvariantCulture),
                Tenant = "house",
                Flow = session.Agent.ToString(CultureInfo.InvariantCulture),
                Servers = [],
                Cost = turn.Input + turn.Output,
            }, session, turn);
        var only = request.Servers is [var id] ? _byId[id] : null;
        if (only is not null) only.Waiting++;
        _waiting.Add(new Waiting(session, index, isBurst, request, Now, only, _scheduler.AcquireAsync(request, null, default)));
        TakeIn();
    }

    // Starts the calls that have got a slot: the scheduler's tasks are looked at instead of awaited, so that nothing depends on threads.
    private void TakeIn()
    {
        for (var i = 0; i < _waiting.Count; i++)
        {
            var waiting = _waiting[i];
            if (!waiting.Slot.IsCompleted) continue;
            _waiting[i] = _waiting[^1];
            _waiting.RemoveAt(_waiting.Count - 1);
            i--;
            Start(waiting, waiting.Slot.Result);
        }
    }

    private void Start(Waiting call, SlotGrant grant)
    {
        var gpu = _byId[grant.ServerId];
        if (call.Only is not null) call.Only.Waiting--;
        gpu.Running++;
        _routing.Started(call.Request, call.Session, grant.ServerId);
        var turn = call.Session.Turns[call.Index];
        var (first, last) = gpu.Start(call.Session, turn, Now);
        // The bursts load the servers; what they themselves see is not counted.
        if (IsMeasured && !call.IsBurst) _firstTokens.Add((first - call.ArrivedAt).TotalSeconds);
        _clock.At(last, () =>
        {
            gpu.Running--;
            grant.Dispose();
            if (IsMeasured && !call.IsBurst)
            {
                _ended++;
                _alone[call.Session.Agent] += GpuServer.AloneSeconds(call.Session, turn);
                _taken[call.Session.Agent] += (Now - call.ArrivedAt).TotalSeconds;
            }

            if (call.Index + 1 < call.Session.Turns.Count)
            {
                _clock.At(Now + turn.Pause, () => Call(call.Session, call.Index + 1));
            }
            else if (!call.IsBurst)
            {
                if (IsMeasured) _sessionsEnded++;
                _clock.At(Now + turn.Pause, () => Call(_traffic.Next(), 0));
            }
        });
    }

    private sealed record Waiting(AgentSession Session, int Index, bool IsBurst, SlotRequest Request, DateTimeOffset ArrivedAt, GpuServer? Only, Task<SlotGrant> Slot);
}

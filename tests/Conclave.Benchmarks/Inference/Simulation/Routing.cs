using Conclave.Inference;
using Conclave.Inference.Routing;
using Conclave.Inference.Scheduling;

namespace Conclave.Benchmarks.Inference.Simulation;

/// <summary>Decides where a call may go.</summary>
internal abstract class Routing
{
    public static readonly IReadOnlyList<(string Name, Func<GpuServer[], TimeProvider, int, Routing> New)> All =
    [
        ("conclave", (gpus, time, _) => new AffinityRouting(gpus, time)),
        ("least-loaded", (gpus, _, _) => new LeastLoadedRouting(gpus)),
        ("round-robin", (gpus, _, _) => new RoundRobinRouting(gpus)),
        ("random", (gpus, _, seed) => new RandomRouting(gpus, seed)),
    ];

    /// <summary>What the scheduler does with the calls.</summary>
    public virtual SchedulerOptions Options => new() { StrictArrivalOrder = true, MaxWaiting = 1_000_000, MaxWaitingPerTenant = 1_000_000, MaxWaitingPerFlow = 1_000_000 };

    /// <summary>Fills in the servers.</summary>
    public abstract SlotRequest Route(SlotRequest request, AgentSession session, AgentTurn turn);

    /// <summary>A call was started.</summary>
    public virtual void Started(SlotRequest request, AgentSession session, string server)
    {
    }
}

/// <summary>Ours: any server will do, the one with the conversation's cache is preferred and worth waiting for, then the least loaded.</summary>
internal sealed class AffinityRouting(GpuServer[] gpus, TimeProvider time) : Routing
{
    private readonly SessionAffinity _affinity = new(time);

    public override SchedulerOptions Options => base.Options with { StrictArrivalOrder = false };

    public override SlotRequest Route(SlotRequest request, AgentSession session, AgentTurn turn)
    {
        var servers = gpus.OrderBy(g => g.Running).Select(g => g.Id).ToArray();
        return _affinity.Find(Context(request, session)) is not { } known
            ? request with { Servers = servers }
            : request with { Servers = servers, PreferredServer = known.ServerId, AffinityWait = Affinity.WorthWaiting(turn.Input, GpuServer.PrefillPerSecond) };
    }

    public override void Started(SlotRequest request, AgentSession session, string server) =>
        _affinity.Remember(Context(request, session), request.CallId, server, "model");

    private static CallContext Context(SlotRequest request, AgentSession session) =>
        new() { Tenant = request.Tenant, SessionId = session.Id.ToString(System.Globalization.CultureInfo.InvariantCulture) };
}

/// <summary>The server with the fewest calls, running and waiting, at the moment of arrival.</summary>
internal sealed class LeastLoadedRouting(GpuServer[] gpus) : Routing
{
    public override SlotRequest Route(SlotRequest request, AgentSession session, AgentTurn turn) => request with { Servers = [gpus.MinBy(g => g.Running + g.Waiting)!.Id] };
}

/// <summary>One server after the other.</summary>
internal sealed class RoundRobinRouting(GpuServer[] gpus) : Routing
{
    private int _next;

    public override SlotRequest Route(SlotRequest request, AgentSession session, AgentTurn turn) => request with { Servers = [gpus[_next++ % gpus.Length].Id] };
}

/// <summary>Any server, by chance.</summary>
internal sealed class RandomRouting(GpuServer[] gpus, int seed) : Routing
{
    private readonly Random _random = new(seed);

    public override SlotRequest Route(SlotRequest request, AgentSession session, AgentTurn turn) => request with { Servers = [gpus[_random.Next(gpus.Length)].Id] };
}

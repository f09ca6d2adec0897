namespace Conclave.Inference.Scheduling;

/// <summary>How slots are given out. May be changed while calls wait, see <see cref="SlotScheduler.ChangePolicy"/>.</summary>
public sealed record SchedulerOptions
{
    /// <summary>Whether calls run until they end, or take turns.</summary>
    public SchedulingPolicy Policy { get; init; }

    /// <summary>Whether the calls of a priority class are served strictly in the order of their arrival, as AIOS does, instead of sharing fairly.</summary>
    public bool StrictArrivalOrder { get; init; }

    /// <summary>With <see cref="SchedulingPolicy.RoundRobin"/>: tokens after which a call is asked to yield to others.</summary>
    /// <value>At least 1; default 256; null for no such limit.</value>
    public int? QuantumTokens { get; init; } = 256;

    /// <summary>With <see cref="SchedulingPolicy.RoundRobin"/>: time after which a call is asked to yield to others.</summary>
    /// <value>Above zero; default null: no such limit. AIOS's default is 1 second.</value>
    public TimeSpan? QuantumTime { get; init; }

    /// <summary>Whether running calls may be asked to yield at all: to a P0 call at once, under <see cref="SchedulingPolicy.RoundRobin"/> at the end of a quantum too.</summary>
    public bool Preemption { get; init; } = true;

    /// <summary>
    /// After this time at the head of its flow a call rises one class, and again after each further such time, but never to P0. Time behind calls
    /// of its own flow does not count: else whoever floods the queue would overtake everybody.
    /// </summary>
    /// <value>Default 30 seconds; zero for never.</value>
    public TimeSpan AgeAfter { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Calls that may wait in all. P0 calls are counted by themselves.</summary>
    /// <value>Default 10,000.</value>
    public int MaxWaiting { get; init; } = 10_000;

    /// <summary>Calls of one tenant that may wait. Not for P0.</summary>
    /// <value>Default 5,000.</value>
    public int MaxWaitingPerTenant { get; init; } = 5_000;

    /// <summary>Calls of one flow that may wait. Not for P0.</summary>
    /// <value>Default 2,000.</value>
    public int MaxWaitingPerFlow { get; init; } = 2_000;

    /// <summary>Calls of one model that arrive within this time of the first one are released together, as AIOS's <c>batch_interval</c> does. Not for P0.</summary>
    /// <value>Default zero: off. AIOS's default is 1 second.</value>
    public TimeSpan BatchWindow { get; init; }

    /// <summary>How often waiting calls are told their place when many wait; with 64 or fewer each new one is told at once.</summary>
    /// <value>Default 250 milliseconds.</value>
    public TimeSpan PlaceInterval { get; init; } = TimeSpan.FromMilliseconds(250);

    /// <summary>Shares of tenants; one that is not in it has 1.</summary>
    public IReadOnlyDictionary<string, double> TenantWeights { get; init; } = new Dictionary<string, double>();

    /// <summary>Shares of flows within their tenant, by <c>tenant/flow</c>; one that is not in it has 1.</summary>
    public IReadOnlyDictionary<string, double> FlowWeights { get; init; } = new Dictionary<string, double>();

    /// <summary>Says what is wrong with the options, by throwing.</summary>
    /// <exception cref="ArgumentException">A value is out of its range.</exception>
    internal SchedulerOptions Checked()
    {
        if (QuantumTokens < 1) throw new ArgumentException($"QuantumTokens is {QuantumTokens}; it must be at least 1.");
        if (QuantumTime <= TimeSpan.Zero) throw new ArgumentException($"QuantumTime is {QuantumTime}; it must be above zero.");
        if (Policy == SchedulingPolicy.RoundRobin && QuantumTokens is null && QuantumTime is null)
            throw new ArgumentException("RoundRobin needs a quantum: set QuantumTokens, QuantumTime or both.");
        if (AgeAfter < TimeSpan.Zero || BatchWindow < TimeSpan.Zero) throw new ArgumentException("AgeAfter and BatchWindow must not be negative.");
        if (PlaceInterval <= TimeSpan.Zero) throw new ArgumentException($"PlaceInterval is {PlaceInterval}; it must be above zero.");
        if (MaxWaiting < 1 || MaxWaitingPerTenant < 1 || MaxWaitingPerFlow < 1)
            throw new ArgumentException("MaxWaiting, MaxWaitingPerTenant and MaxWaitingPerFlow must be at least 1.");
        foreach (var (name, weight) in TenantWeights.Concat(FlowWeights))
        {
            if (!(weight > 0) || double.IsInfinity(weight)) throw new ArgumentException($"The weight of '{name}' is {weight}; it must be a number above 0.");
        }

        return this;
    }
}

/// <summary>Whether calls run until they end, or take turns.</summary>
public enum SchedulingPolicy
{
    /// <summary>A call keeps its slot until it ends, but for P0.</summary>
    Fifo,

    /// <summary>A call that can continue later yields at the end of its quantum when an equal or more urgent call could use its slot.</summary>
    RoundRobin,
}

using System.Runtime.InteropServices;

namespace Conclave.Inference.Scheduling;

/// <summary>Who is next at one server in one priority class: tenants share it by weight, and flows share their tenant's part.</summary>
/// <remarks>
/// <para>Start-time fair queueing on two levels. Tenants, and flows within their tenant, have a tag F: what they have taken, in tokens by weight. The smallest
/// is served next; its tag grows by cost ÷ weight when its call is started, and is corrected when the call ends by what it really took. v is the tag that the
/// call started last had before it. Whoever had nothing waiting starts at S = max(v, F): being away earns no credit, and having taken much is not forgotten
/// by leaving for a moment. Ties are broken by who has waited longer. So while two of them have calls waiting, what they take differs by no more than
/// one call of each per slot.</para>
/// <para>Sources: P. Goyal, H. Vin, H. Cheng, "Start-Time Fair Queuing", SIGCOMM 1996 (the tags; on two levels section 3); W. Jin, J. Chase, J. Kaur,
/// "Interposed Proportional Sharing for a Storage Service Utility", SIGMETRICS 2004 (SFQ(D): several requests served at once); Y. Sheng and others,
/// "Fairness in Serving Large Language Models", OSDI 2024 (tokens as cost, charged before the output's length is known and corrected).</para>
/// </remarks>
internal sealed class FairQueue(ServerSlots server)
{
    private readonly Dictionary<string, TenantShare> _tenants = [];
    private readonly IndexedHeap<Share> _waiting = new();
    private double _virtualTime;
    private int _running;
    private int _flows;
    private int _sweepAt = 256;

    public ServerSlots Server { get; } = server;

    /// <summary>The call that is next; null when none waits.</summary>
    public Waiter? Next
    {
        get
        {
            if (((TenantShare?)_waiting.First)?.Waiting.First is not FlowShare flow) return null;
            Waiter? next = null;
            foreach (var line in flow.Lines)
            {
                if (next is null || line.Calls.First!.Value.IsOlderThan(next)) next = line.Calls.First!.Value;
            }

            return next;
        }
    }

    /// <summary>The share of a flow.</summary>
    public FlowShare Find(string tenant, string flow, SchedulerOptions options)
    {
        ref var owner = ref CollectionsMarshal.GetValueRefOrAddDefault(_tenants, tenant, out _);
        owner ??= new TenantShare(tenant) { Weight = options.TenantWeights.GetValueOrDefault(tenant, 1) };
        var tenantShare = owner;
        if (tenantShare.Flows.TryGetValue(flow, out var share)) return share;
        if (++_flows > _sweepAt) Sweep(tenantShare);
        share = new FlowShare(tenantShare, flow) { Weight = options.FlowWeights.GetValueOrDefault($"{tenant}/{flow}", 1) };
        tenantShare.Flows.Add(flow, share);
        return share;
    }

    /// <summary>A flow has calls waiting in a line that had none.</summary>
    public void Add(FlowShare flow, Line line, bool strict)
    {
        Lift(flow);
        flow.Lines.Add(line);
        Sort(flow, strict);
    }

    /// <summary>A line has no calls any more.</summary>
    public void Remove(FlowShare flow, Line line, bool strict)
    {
        flow.Lines.Remove(line);
        Sort(flow, strict);
    }

    /// <summary>A call of the flow is started.</summary>
    public void Start(FlowShare flow, double cost, bool strict)
    {
        Lift(flow);
        _running++;
        flow.Running++;
        _virtualTime = Math.Max(_virtualTime, flow.Tenant.Tag);
        flow.Tenant.VirtualTime = Math.Max(flow.Tenant.VirtualTime, flow.Tag);
        flow.Add(cost);
        flow.Tenant.Add(cost);
        Sort(flow, strict);
    }

    /// <summary>A call of the flow has ended.</summary>
    /// <param name="flow">The flow.</param>
    /// <param name="correction">What it took beyond its cost; below zero for less.</param>
    /// <param name="strict">Whether calls are served in the order of their arrival.</param>
    public void End(FlowShare flow, double correction, bool strict)
    {
        _running--;
        flow.Running--;
        flow.Add(correction);
        flow.Tenant.Add(correction);
        Sort(flow, strict);
        if (_running > 0 || _waiting.Count > 0) return;
        // A busy period has ended: nobody is ahead of anybody.
        _tenants.Clear();
        _flows = 0;
        _virtualTime = 0;
    }

    /// <summary>Puts a flow and its tenant where they belong now.</summary>
    public void Sort(FlowShare flow, bool strict)
    {
        var tenant = flow.Tenant;
        if (flow.Lines.Count == 0)
        {
            tenant.Waiting.Remove(flow);
        }
        else
        {
            var oldest = flow.Lines[0].Calls.First!.Value;
            for (var i = 1; i < flow.Lines.Count; i++)
            {
                var head = flow.Lines[i].Calls.First!.Value;
                if (head.IsOlderThan(oldest)) oldest = head;
            }

            flow.Oldest = oldest;
            flow.Key = strict ? 0 : flow.Tag;
            tenant.Waiting.Set(flow);
        }

        if (tenant.Waiting.First is not { } first)
        {
            _waiting.Remove(tenant);
            return;
        }

        tenant.Oldest = strict ? first.Oldest : tenant.Oldest ?? first.Oldest;
        tenant.Key = strict ? 0 : tenant.Tag;
        _waiting.Set(tenant);
    }

    /// <summary>Takes other weights, and another order.</summary>
    public void Change(SchedulerOptions options)
    {
        foreach (var tenant in _tenants.Values)
        {
            tenant.Weight = options.TenantWeights.GetValueOrDefault(tenant.Name, 1);
            foreach (var flow in tenant.Flows.Values)
            {
                flow.Weight = options.FlowWeights.GetValueOrDefault($"{tenant.Name}/{flow.Name}", 1);
                Sort(flow, options.StrictArrivalOrder);
            }
        }
    }

    // Whoever had nothing waiting starts where the others are.
    private void Lift(FlowShare flow)
    {
        if (flow.Tenant.Waiting.Count == 0)
        {
            flow.Tenant.Lift(_virtualTime);
            flow.Tenant.Oldest = null;
        }

        if (flow.Lines.Count == 0) flow.Lift(flow.Tenant.VirtualTime);
    }

    // Forgets those that are not ahead of others and have nothing to do.
    private void Sweep(TenantShare except)
    {
        foreach (var tenant in _tenants.Values)
        {
            foreach (var flow in tenant.Flows.Values)
            {
                if (flow.Running == 0 && flow.Lines.Count == 0 && flow.Tag <= tenant.VirtualTime) tenant.Flows.Remove(flow.Name);
            }

            if (tenant.Flows.Count == 0 && tenant.Tag <= _virtualTime && tenant != except) _tenants.Remove(tenant.Name);
        }

        _flows = _tenants.Values.Sum(t => t.Flows.Count) + 1;
        _sweepAt = (2 * _flows) + 256;
    }
}

/// <summary>What a tenant or a flow has taken of a server, and its place among those that wait.</summary>
internal abstract class Share(string name) : IHeapItem<Share>
{
    private double _floor;

    public string Name { get; } = name;

    public double Weight { get; set; } = 1;

    /// <summary>Tokens taken, by weight.</summary>
    public double Tag { get; private set; }

    /// <summary>What it is ordered by, first this, then <see cref="Oldest"/>.</summary>
    public double Key { get; set; }

    /// <summary>The call that decides between equals; of a tenant the one with which it came, so that equals take turns by when they came.</summary>
    public Waiter? Oldest { get; set; }

    public int HeapIndex { get; set; } = -1;

    public bool IsBefore(Share other) => Key != other.Key ? Key < other.Key : Oldest!.IsOlderThan(other.Oldest!);

    public void Lift(double virtualTime)
    {
        _floor = virtualTime;
        Tag = Math.Max(Tag, virtualTime);
    }

    // What is given back may have been taken before the last lift, which forgave it already: so never below that.
    public void Add(double tokens) => Tag = Math.Max(_floor, Tag + (tokens / Weight));
}

/// <summary>A tenant at one server in one class.</summary>
internal sealed class TenantShare(string name) : Share(name)
{
    public Dictionary<string, FlowShare> Flows { get; } = [];

    /// <summary>Its flows that have calls waiting.</summary>
    public IndexedHeap<Share> Waiting { get; } = new();

    /// <summary>The tag that its flow started last had before that.</summary>
    public double VirtualTime { get; set; }
}

/// <summary>A flow at one server in one class.</summary>
internal sealed class FlowShare(TenantShare tenant, string name) : Share(name)
{
    public TenantShare Tenant { get; } = tenant;

    /// <summary>Its lines that have calls waiting.</summary>
    public List<Line> Lines { get; } = [];

    public int Running { get; set; }
}

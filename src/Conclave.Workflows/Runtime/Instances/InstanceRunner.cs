using System.Collections.Concurrent;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Definitions;
using Conclave.Workflows.Runtime.Queue;
using Conclave.Workflows.Runtime.Telemetry;
using Microsoft.Extensions.Logging;

namespace Conclave.Workflows.Runtime.Instances;

/// <summary>Runs bursts of stored instances, and keeps what it runs from being taken by others.</summary>
public sealed partial class InstanceRunner
{
    private readonly GroupCommit _commits;
    private readonly ILogger<InstanceRunner> _logger;
    private readonly ConcurrentDictionary<DurableBurst, bool> _running = new();

    /// <summary>Creates a runner.</summary>
    public InstanceRunner(
        DefinitionCatalog catalog, InstanceStore instances, WorkQueue queue, GroupCommit commits, RuntimeOptions options, ILogger<InstanceRunner> logger)
    {
        Catalog = catalog;
        Instances = instances;
        Queue = queue;
        _commits = commits;
        Options = options;
        _logger = logger;
    }

    /// <summary>The workflows.</summary>
    public DefinitionCatalog Catalog { get; }

    /// <summary>The instances.</summary>
    public InstanceStore Instances { get; }

    /// <summary>The queue.</summary>
    public WorkQueue Queue { get; }

    /// <summary>Settings.</summary>
    public RuntimeOptions Options { get; }

    /// <summary>Called when a burst of this process has ended and is stored: tenant and instance. The instance may be read during the call.</summary>
    public event Action<string, WorkflowInstance>? BurstStored;

    /// <summary>Called when an instance was stored by this process, also in the middle of a burst: tenant and instance.</summary>
    internal Action<string, WorkflowInstance>? Committed { get; set; }

    /// <summary>Number of bursts under way.</summary>
    public int RunningCount => _running.Count;

    /// <summary>What workflows may ask of this process.</summary>
    public WorkflowServices Services { get; init; } = new();

    /// <summary>Stops the burst of an instance if it runs here; what it did so far is stored.</summary>
    public void Interrupt(string tenant, string id)
    {
        foreach (var burst in _running.Keys)
        {
            if (burst.Tenant == tenant && burst.Instance.Id == id)
                burst.Interrupt();
        }
    }

    /// <summary>Stops every burst that runs here; what they did so far is stored, and the rest is put back in the queue.</summary>
    internal void InterruptAll()
    {
        foreach (var burst in _running.Keys)
            burst.Interrupt();
    }

    /// <summary>Renews the leases of everything that runs here, and stops what is no longer ours.</summary>
    public async Task RenewAsync(CancellationToken cancellationToken)
    {
        var bursts = _running.Keys.Where(b => b.IsHeld && !b.IsLost).ToList();
        long[] work = [.. _running.Keys.Where(b => !b.IsLost).SelectMany(b => b.OwnWork == 0 ? b.Claimed : [b.OwnWork])];
        if (bursts.Count == 0 && work.Length == 0)
            return;
        var kept = await Queue.RenewAsync(Options.Owner, Options.Lease, work, bursts.ConvertAll(b => (b.Tenant, b.Instance.Id)), cancellationToken);
        foreach (var burst in bursts)
        {
            // One that has ended meanwhile gave its lease back itself.
            if (kept.Contains((burst.Tenant, burst.Instance.Id)) || !_running.ContainsKey(burst))
                continue;
            LogLost(burst.Instance.Id, burst.Tenant);
            WorkflowTelemetry.LeaseLost();
            burst.Lose();
        }
    }

    internal void Begin(DurableBurst burst) => _running[burst] = true;

    internal void End(DurableBurst burst) => _running.TryRemove(burst, out _);

    internal void Stored(DurableBurst burst) => BurstStored?.Invoke(burst.Tenant, burst.Instance);

    internal Task<CommitOutcome> StoreAsync(InstanceCommit commit) => _commits.CommitAsync(commit);

    [LoggerMessage(2301, LogLevel.Warning, "The lease of instance {InstanceId} of tenant {Tenant} ran out and somebody else has taken it; its burst is stopped here.")]
    private partial void LogLost(string instanceId, string tenant);

    [LoggerMessage(2302, LogLevel.Information, "Instance {ParentId} did not start instance {InstanceId}: the activation strategy of workflow {DefinitionId} allows none beside one that runs.")]
    private partial void LogChildNotStarted(string parentId, string instanceId, string definitionId);
}

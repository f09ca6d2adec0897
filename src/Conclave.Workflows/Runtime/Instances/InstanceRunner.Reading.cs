using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Journal;
using Conclave.Workflows.Runtime.Queue;

namespace Conclave.Workflows.Runtime.Instances;

// How an instance comes out of the database, and one from elsewhere in.
public sealed partial class InstanceRunner
{
    /// <summary>Stores an instance as it was written elsewhere, with its journal; what it waits for, it waits for here.</summary>
    /// <param name="tenant">Owner of the instance.</param>
    /// <param name="saved">The instance.</param>
    /// <param name="cancellationToken">Stops waiting; once the instance is being stored it is waited for.</param>
    /// <exception cref="WorkflowException">Its version does not exist here.</exception>
    /// <exception cref="InvalidDataException">Its state or its journal is damaged.</exception>
    public async Task<CommitOutcome> RestoreAsync(string tenant, SavedInstance saved, CancellationToken cancellationToken)
    {
        var workflows = Catalog.Of(tenant);
        var graph = await workflows.GetGraphAsync(saved.DefinitionVersionId, cancellationToken);
        var instance = InstanceSerializer.Read(saved.Id, graph, saved.State, workflows.Engine.Time, saved.Large);
        using var burst = new DurableBurst(this, workflows, instance, 0, isHeld: false, WorkPriority.P2, cancellationToken);
        burst.Restore(saved.Journal);
        return await burst.CommitAsync(keepsHold: false, CancellationToken.None);
    }

    /// <summary>Reads an instance without taking it; null when it does not exist.</summary>
    public async Task<WorkflowInstance?> ReadAsync(string tenant, string id, CancellationToken cancellationToken) =>
        await Instances.ReadAsync(tenant, id, cancellationToken) is { } held ? (await ReadAsync(held, cancellationToken)).Instance : null;

    private async Task<HeldInstance?> WaitForAsync(string tenant, string id, CancellationToken cancellationToken, TimeSpan? patience = null)
    {
        var time = Catalog.Of(tenant).Engine.Time;
        var began = time.GetTimestamp();
        for (var pause = 5; ; pause = Math.Min(pause * 2, 200))
        {
            if (await Instances.HoldAsync(tenant, id, Options.Owner, Options.Lease, cancellationToken) is { } held)
                return held;
            if (await Instances.FindAsync(tenant, id, cancellationToken) is null)
                return null;
            if (time.GetElapsedTime(began) > (patience ?? Options.Lease + TimeSpan.FromSeconds(2)))
                throw Busy(id);
            await Task.Delay(TimeSpan.FromMilliseconds(pause), time, cancellationToken);
        }
    }

    private async Task<DurableBurst> LoadAsync(
        HeldInstance held,
        WorkPriority priority,
        bool isRepeated,
        IHttpExchange? exchange,
        CancellationToken stopping,
        bool isNested = false,
        int depth = 0,
        IReadOnlyList<long>? claimed = null,
        bool isHeld = true,
        Action? onStored = null)
    {
        var (instance, large) = await ReadAsync(held, stopping);
        return new DurableBurst(this, Catalog.Of(held.Tenant), instance, held.Fence, isHeld, priority, stopping)
        {
            OnStored = onStored,
            Exchange = exchange,
            IsRepeated = isRepeated,
            IsNested = isNested,
            Depth = depth,
            StoredBlobs = large.Keys,
            Claimed = claimed ?? [],
        };
    }

    /// <summary>Reads the state of an instance, with its large values if it names any.</summary>
    internal async Task<(WorkflowInstance Instance, IReadOnlyDictionary<string, byte[]> Large)> ReadAsync(
        HeldInstance held, CancellationToken cancellationToken)
    {
        var workflows = Catalog.Of(held.Tenant);
        var graph = await workflows.GetGraphAsync(held.DefinitionVersionId, cancellationToken);
        try
        {
            return (InstanceSerializer.Read(held.Id, graph, held.State, workflows.Engine.Time), new Dictionary<string, byte[]>());
        }
        catch (LargeValuesNeededException)
        {
            var large = await Instances.ReadBlobsAsync(held.Tenant, held.Id, cancellationToken);
            return (InstanceSerializer.Read(held.Id, graph, held.State, workflows.Engine.Time, large), large);
        }
    }
}

/// <summary>An instance with everything that belongs to it, to be stored elsewhere.</summary>
/// <param name="Id">Id of the instance.</param>
/// <param name="DefinitionVersionId">Version that it runs.</param>
/// <param name="State">State as <see cref="InstanceSerializer"/> wrote it.</param>
/// <param name="Large">Large values that the state names, by their hash.</param>
/// <param name="Journal">Its log.</param>
public sealed record SavedInstance(
    string Id, string DefinitionVersionId, byte[] State, IReadOnlyDictionary<string, byte[]> Large, IReadOnlyList<StoredJournalChunk> Journal);

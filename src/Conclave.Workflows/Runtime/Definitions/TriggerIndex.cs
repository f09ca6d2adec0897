using System.Collections.Immutable;

namespace Conclave.Workflows.Runtime.Definitions;

/// <summary>What starts the workflows of a tenant, by stimulus. Safe to use from any thread; readers never wait.</summary>
public sealed class TriggerIndex
{
    private readonly Lock _writing = new();
    private ImmutableArray<WorkflowTrigger> _all = [];
    private Dictionary<string, List<WorkflowTrigger>> _byKey = [];

    /// <summary>Called when triggers changed.</summary>
    public event Action? Changed;

    /// <summary>All triggers.</summary>
    public IReadOnlyList<WorkflowTrigger> All => _all;

    /// <summary>Finds the triggers that a stimulus fires.</summary>
    public IReadOnlyList<WorkflowTrigger> Find(byte[] key) => _byKey.GetValueOrDefault(Convert.ToHexString(key)) ?? [];

    internal void Replace(IReadOnlyList<WorkflowTrigger> triggers) => Change(_ => [.. triggers]);

    internal void Replace(string definitionId, IReadOnlyList<WorkflowTrigger> triggers) =>
        Change(all => all.RemoveAll(t => t.DefinitionId == definitionId).AddRange(triggers));

    private void Change(Func<ImmutableArray<WorkflowTrigger>, ImmutableArray<WorkflowTrigger>> change)
    {
        lock (_writing)
        {
            _all = change(_all);
            _byKey = _all.GroupBy(t => Convert.ToHexString(t.Hash)).ToDictionary(g => g.Key, g => g.ToList());
        }

        Changed?.Invoke();
    }
}

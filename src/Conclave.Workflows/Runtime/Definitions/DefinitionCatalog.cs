using System.Collections.Concurrent;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Npgsql;

namespace Conclave.Workflows.Runtime.Definitions;

/// <summary>The workflows of all tenants as this process runs them: engines, compiled graphs and what starts them.</summary>
/// <remarks>
/// Every change goes through here, so that this process sees it at once; other processes follow by <c>NOTIFY</c>. Versions that are
/// not published are read when somebody needs them: how many there are does not matter.
/// </remarks>
public sealed class DefinitionCatalog : IDisposable
{
    private readonly ConcurrentDictionary<string, TenantWorkflows> _tenants = new(StringComparer.Ordinal);
    private readonly Func<WorkflowLibrary, WorkflowEngine> _newEngine;

    // What was read first is taken over first: an older reading must not come after a newer one.
    private readonly SemaphoreSlim _reading = new(1);

    /// <summary>Creates an empty catalog; <see cref="LoadAsync"/> fills it.</summary>
    /// <param name="database">The database.</param>
    /// <param name="time">The clock.</param>
    /// <param name="newEngine">Makes the engine of a tenant around its library.</param>
    public DefinitionCatalog(NpgsqlDataSource database, TimeProvider time, Func<WorkflowLibrary, WorkflowEngine> newEngine)
    {
        _newEngine = newEngine;
        Store = new DefinitionStore(database, time, FindTriggersAsync);
    }

    /// <summary>The versions in the database; read from it, but change them through the catalog.</summary>
    public DefinitionStore Store { get; }

    /// <summary>Called when a workflow was changed by any process and this one has taken the change over.</summary>
    public event Action<string, string>? Changed;

    /// <summary>The workflows of a tenant.</summary>
    public TenantWorkflows Of(string tenant) => _tenants.GetOrAdd(tenant, t => new TenantWorkflows(t, _newEngine(new WorkflowLibrary()), Store));

    /// <inheritdoc/>
    public void Dispose() => _reading.Dispose();

    /// <summary>Reads what is published, of all tenants.</summary>
    public async Task LoadAsync(CancellationToken cancellationToken)
    {
        await _reading.WaitAsync(cancellationToken);
        try
        {
            await LoadNowAsync(cancellationToken);
        }
        finally
        {
            _reading.Release();
        }
    }

    private async Task LoadNowAsync(CancellationToken cancellationToken)
    {
        var published = new Dictionary<string, List<WorkflowDefinition>>(StringComparer.Ordinal);
        await foreach (var (tenant, definition) in Store.ReadPublishedAsync(null, cancellationToken))
        {
            if (!published.TryGetValue(tenant, out var definitions))
                published[tenant] = definitions = [];
            definitions.Add(definition.Definition);
        }

        var triggers = (await Store.ReadTriggersAsync(null, null, cancellationToken)).ToLookup(t => t.Tenant);
        foreach (var tenant in published.Keys.Union(_tenants.Keys))
            Of(tenant).Replace(published.GetValueOrDefault(tenant, []), [.. triggers[tenant]]);
    }

    /// <summary>Takes the change of a workflow over.</summary>
    public async Task RefreshAsync(string tenant, string definitionId, CancellationToken cancellationToken)
    {
        await _reading.WaitAsync(cancellationToken);
        try
        {
            await Of(tenant).RefreshAsync(definitionId, cancellationToken);
        }
        finally
        {
            _reading.Release();
        }

        Changed?.Invoke(tenant, definitionId);
    }

    /// <inheritdoc cref="DefinitionStore.SaveAsync"/>
    public Task<StoredDefinition> SaveAsync(
        string tenant, WorkflowDefinition definition, bool publish, string? expectedHash, CancellationToken cancellationToken) =>
        SaveEditAsync(tenant, definition, publish, new DefinitionEdit { ExpectedHash = expectedHash }, cancellationToken);

    /// <inheritdoc cref="DefinitionStore.SaveEditAsync"/>
    public Task<StoredDefinition> SaveEditAsync(
        string tenant, WorkflowDefinition definition, bool publish, DefinitionEdit edit, CancellationToken cancellationToken) =>
        ChangeAsync(tenant, definition.DefinitionId, Store.SaveEditAsync(tenant, definition, publish, edit, cancellationToken), cancellationToken);

    /// <inheritdoc cref="DefinitionStore.PublishAsync"/>
    public Task<StoredDefinition?> PublishAsync(string tenant, string definitionId, CancellationToken cancellationToken) =>
        ChangeAsync(tenant, definitionId, Store.PublishAsync(tenant, definitionId, cancellationToken), cancellationToken);

    /// <inheritdoc cref="DefinitionStore.RetractAsync"/>
    public Task<StoredDefinition?> RetractAsync(string tenant, string definitionId, CancellationToken cancellationToken) =>
        ChangeAsync(tenant, definitionId, Store.RetractAsync(tenant, definitionId, cancellationToken), cancellationToken);

    /// <inheritdoc cref="DefinitionStore.RevertAsync"/>
    public Task<StoredDefinition?> RevertAsync(
        string tenant, string definitionId, int version, CancellationToken cancellationToken, string? actor = null) =>
        ChangeAsync(tenant, definitionId, Store.RevertAsync(tenant, definitionId, version, cancellationToken, actor), cancellationToken);

    /// <inheritdoc cref="DefinitionStore.ReindexAsync"/>
    public Task<bool> ReindexAsync(string tenant, string definitionId, CancellationToken cancellationToken) =>
        ChangeAsync(tenant, definitionId, Store.ReindexAsync(tenant, definitionId, cancellationToken), cancellationToken);

    /// <inheritdoc cref="DefinitionStore.DeleteAsync"/>
    public Task<int> DeleteAsync(string tenant, string definitionId, CancellationToken cancellationToken) =>
        ChangeAsync(tenant, definitionId, Store.DeleteAsync(tenant, definitionId, cancellationToken), cancellationToken);

    /// <inheritdoc cref="DefinitionStore.DeleteVersionAsync"/>
    public Task<bool> DeleteVersionAsync(string tenant, string definitionId, int version, CancellationToken cancellationToken) =>
        ChangeAsync(tenant, definitionId, Store.DeleteVersionAsync(tenant, definitionId, version, cancellationToken), cancellationToken);

    private async Task<T> ChangeAsync<T>(string tenant, string definitionId, Task<T> change, CancellationToken cancellationToken)
    {
        var result = await change;
        await RefreshAsync(tenant, definitionId, cancellationToken);
        return result;
    }

    private async ValueTask<IReadOnlyList<WorkflowTrigger>> FindTriggersAsync(
        string tenant, WorkflowDefinition definition, CancellationToken cancellationToken)
    {
        var workflows = Of(tenant);
        var graph = await workflows.CompileAsync(definition, cancellationToken);
        var errors = graph.Problems.Where(p => p.Severity == ProblemSeverity.Error).ToList();
        if (errors.Count > 0)
            throw new WorkflowDefinitionException(errors);
        return await Triggers.FindAsync(tenant, workflows.Engine, graph, cancellationToken);
    }
}

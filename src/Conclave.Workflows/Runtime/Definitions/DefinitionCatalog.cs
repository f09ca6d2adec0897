using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using System.Text.Json;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Npgsql;

namespace Conclave.Workflows.Runtime.Definitions;

/// <summary>The workflows of all tenants as this process runs them: engines, compiled graphs and what starts them.</summary>
/// <remarks>
/// Every change goes through here, so that this process sees it at once; other processes follow by <c>NOTIFY</c>. Versions that are
/// not published are read when somebody needs them: how many there are does not matter.
/// </remarks>
public sealed class DefinitionCatalog
{
    private readonly ConcurrentDictionary<string, TenantWorkflows> _tenants = new(StringComparer.Ordinal);
    private readonly Func<WorkflowLibrary, WorkflowEngine> _newEngine;

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

    /// <summary>Reads what is published, of all tenants.</summary>
    public async Task LoadAsync(CancellationToken cancellationToken)
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
        await Of(tenant).RefreshAsync(definitionId, cancellationToken);
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

/// <summary>The workflows of one tenant.</summary>
public sealed class TenantWorkflows
{
    private const int LargestCache = 2_000;

    private readonly DefinitionStore _store;
    private readonly ConcurrentDictionary<string, WorkflowGraph> _graphs = new(StringComparer.Ordinal);

    internal TenantWorkflows(string tenant, WorkflowEngine engine, DefinitionStore store)
    {
        Tenant = tenant;
        Engine = engine;
        _store = store;
    }

    /// <summary>The tenant.</summary>
    public string Tenant { get; }

    /// <summary>The engine; its library holds what is published and what that refers to.</summary>
    public WorkflowEngine Engine { get; }

    /// <summary>What starts workflows.</summary>
    public TriggerIndex Triggers { get; } = new();

    /// <summary>The graph of a version.</summary>
    /// <exception cref="WorkflowException">There is no such version.</exception>
    /// <exception cref="WorkflowDefinitionException">It cannot run.</exception>
    public async ValueTask<WorkflowGraph> GetGraphAsync(string versionId, CancellationToken cancellationToken)
    {
        if (_graphs.TryGetValue(versionId, out var known))
            return known;
        var definition = Engine.Library.FindVersion(versionId)
            ?? (await _store.FindAsync(Tenant, versionId, cancellationToken))?.Definition
            ?? throw new WorkflowException("definition.version_missing", $"The version '{versionId}' of a workflow does not exist any more. Import it again, or migrate the instance to another version.");
        var graph = await CompileAsync(definition, cancellationToken);
        // A graph costs a fraction of a millisecond: forgetting all now and then is cheaper than knowing which is old.
        if (_graphs.Count >= LargestCache)
            _graphs.Clear();
        return _graphs.GetOrAdd(versionId, graph);
    }

    /// <summary>The graph of the published version of a workflow; null when none is published.</summary>
    public async ValueTask<WorkflowGraph?> FindPublishedAsync(string definitionId, CancellationToken cancellationToken) =>
        Engine.Library.FindPublished(definitionId) is { IsPublished: true } published ? await GetGraphAsync(published.Id, cancellationToken) : null;

    /// <summary>Compiles a definition, stored or not, with everything that it refers to.</summary>
    /// <exception cref="WorkflowDefinitionException">It cannot run.</exception>
    public async ValueTask<WorkflowGraph> CompileAsync(WorkflowDefinition definition, CancellationToken cancellationToken)
    {
        await LoadReferencesAsync(definition, cancellationToken);
        return Engine.Compile(definition);
    }

    /// <summary>Brings the workflows that a definition uses as activities into the engine's library.</summary>
    public ValueTask LoadReferencesAsync(WorkflowDefinition definition, CancellationToken cancellationToken) =>
        LoadReferencesAsync(definition, [], cancellationToken);

    internal async Task RefreshAsync(string definitionId, CancellationToken cancellationToken)
    {
        var published = await _store.FindPublishedAsync(Tenant, definitionId, cancellationToken);
        var triggers = await _store.ReadTriggersAsync(Tenant, definitionId, cancellationToken);
        foreach (var version in Engine.Library.VersionsOf(definitionId))
            Engine.Library.Remove(version.Id);
        if (published is not null)
            Engine.Library.Add(published.Definition);
        // Graphs of other workflows may hold this one inside.
        _graphs.Clear();
        Triggers.Replace(definitionId, triggers);
    }

    internal void Replace(IReadOnlyList<WorkflowDefinition> published, IReadOnlyList<WorkflowTrigger> triggers)
    {
        foreach (var version in Engine.Library.Definitions.ToList())
            Engine.Library.Remove(version.Id);
        foreach (var definition in published)
            Engine.Library.Add(definition);
        _graphs.Clear();
        Triggers.Replace(triggers);
    }

    private async ValueTask LoadReferencesAsync(WorkflowDefinition definition, HashSet<string> seen, CancellationToken cancellationToken)
    {
        if (JsonMarshal.GetRawUtf8Value(definition.Root).IndexOf("\"workflowDefinition"u8) < 0)
            return;
        foreach (var versionId in References(definition.Root))
        {
            if (!seen.Add(versionId) || Engine.Library.FindVersion(versionId) is not null
                || await _store.FindAsync(Tenant, versionId, cancellationToken) is not { } found)
                continue;
            Engine.Library.Add(found.Definition);
            await LoadReferencesAsync(found.Definition, seen, cancellationToken);
        }
    }

    private static IEnumerable<string> References(JsonElement element)
    {
        if (element.ValueKind == JsonValueKind.Array)
            return element.EnumerateArray().SelectMany(References);
        if (element.ValueKind != JsonValueKind.Object)
            return [];
        return element.EnumerateObject().SelectMany(property =>
            property.NameEquals("workflowDefinitionVersionId"u8) && property.Value.ValueKind == JsonValueKind.String
                ? [property.Value.GetString()!]
                : References(property.Value));
    }
}

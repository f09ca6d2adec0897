using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using System.Text.Json;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;

namespace Conclave.Workflows.Runtime.Definitions;

/// <summary>The workflows of one tenant.</summary>
public sealed class TenantWorkflows
{
    private const int LargestCache = 2_000;

    private readonly DefinitionStore _store;
    private readonly ConcurrentDictionary<string, WorkflowGraph> _graphs = new(StringComparer.Ordinal);

    // Held while the library changes and while it is compiled from: a graph must never be made of half a change, nor be kept after it.
    private readonly Lock _changing = new();

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
        return await CompileAsync(definition, versionId, cancellationToken);
    }

    /// <summary>The graph of the published version of a workflow; null when none is published.</summary>
    public async ValueTask<WorkflowGraph?> FindPublishedAsync(string definitionId, CancellationToken cancellationToken) =>
        Engine.Library.FindPublished(definitionId) is { IsPublished: true } published ? await GetGraphAsync(published.Id, cancellationToken) : null;

    /// <summary>Compiles a definition, stored or not, with everything that it refers to.</summary>
    /// <exception cref="WorkflowDefinitionException">It cannot run.</exception>
    public ValueTask<WorkflowGraph> CompileAsync(WorkflowDefinition definition, CancellationToken cancellationToken) =>
        CompileAsync(definition, null, cancellationToken);

    /// <summary>Brings the workflows that a definition uses as activities into the engine's library.</summary>
    public async ValueTask LoadReferencesAsync(WorkflowDefinition definition, CancellationToken cancellationToken) =>
        await LoadReferencesAsync(definition, [], cancellationToken);

    internal async Task RefreshAsync(string definitionId, CancellationToken cancellationToken)
    {
        var published = await _store.FindPublishedAsync(Tenant, definitionId, cancellationToken);
        var triggers = await _store.ReadTriggersAsync(Tenant, definitionId, cancellationToken);
        lock (_changing)
        {
            Engine.Library.Replace(definitionId, published is null ? [] : [published.Definition]);
            // Graphs of other workflows may hold this one inside.
            _graphs.Clear();
        }

        Triggers.Replace(definitionId, triggers);
    }

    internal void Replace(IReadOnlyList<WorkflowDefinition> published, IReadOnlyList<WorkflowTrigger> triggers)
    {
        lock (_changing)
        {
            var workflows = published.ToLookup(d => d.DefinitionId, StringComparer.Ordinal);
            foreach (var definitionId in Engine.Library.Definitions.Select(d => d.DefinitionId).Union(workflows.Select(w => w.Key), StringComparer.Ordinal).ToList())
                Engine.Library.Replace(definitionId, [.. workflows[definitionId]]);
            _graphs.Clear();
        }

        Triggers.Replace(triggers);
    }

    private async ValueTask<WorkflowGraph> CompileAsync(WorkflowDefinition definition, string? keptAs, CancellationToken cancellationToken)
    {
        while (true)
        {
            var used = new Dictionary<Reference, string?>();
            await LoadReferencesAsync(definition, used, cancellationToken);
            lock (_changing)
            {
                // A change of one of them has taken its older versions out of the library meanwhile: the activity would get the newest.
                if (used.Values.Any(id => id is not null && Engine.Library.FindVersion(id) is null))
                    continue;
                var graph = Engine.Compile(definition);
                if (keptAs is null)
                    return graph;
                // A graph costs a fraction of a millisecond: forgetting all now and then is cheaper than knowing which is old.
                if (_graphs.Count >= LargestCache)
                    _graphs.Clear();
                return _graphs.GetOrAdd(keptAs, graph);
            }
        }
    }

    /// <summary>Brings in what a definition refers to, and what that refers to.</summary>
    /// <param name="definition">The definition.</param>
    /// <param name="used">Receives the version that each reference means; null for one that does not exist.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    private async ValueTask LoadReferencesAsync(WorkflowDefinition definition, Dictionary<Reference, string?> used, CancellationToken cancellationToken)
    {
        if (JsonMarshal.GetRawUtf8Value(definition.Root).IndexOf("orkflowDefinition"u8) < 0)
            return;
        foreach (var reference in References(definition.Root))
        {
            if (used.ContainsKey(reference))
                continue;
            var found = await LoadAsync(reference, cancellationToken);
            used.Add(reference, found?.Id);
            if (found is not null)
                await LoadReferencesAsync(found, used, cancellationToken);
        }
    }

    private async ValueTask<WorkflowDefinition?> LoadAsync(Reference reference, CancellationToken cancellationToken)
    {
        var known = reference.VersionId is { } id
            ? Engine.Library.FindVersion(id)
            : Engine.Library.VersionsOf(reference.DefinitionId!).FirstOrDefault(d => d.Version == reference.Version);
        if (known is not null)
            return known;
        var stored = reference.VersionId is { } versionId
            ? await _store.FindAsync(Tenant, versionId, cancellationToken)
            : await _store.FindAsync(Tenant, reference.DefinitionId!, reference.Version, cancellationToken);
        if (stored is null)
            return null;
        Engine.Library.Add(stored.Definition);
        return stored.Definition;
    }

    private static IEnumerable<Reference> References(JsonElement element)
    {
        if (element.ValueKind == JsonValueKind.Array)
            return element.EnumerateArray().SelectMany(References);
        if (element.ValueKind != JsonValueKind.Object)
            return [];
        var inside = element.EnumerateObject().SelectMany(property => References(property.Value));
        if (JsonShapes.GetString(element, "workflowDefinitionVersionId") is { Length: > 0 } versionId)
            return inside.Prepend(new Reference(versionId, null, 0));
        // As the library understands it: the version of the activity is that of the workflow.
        return JsonShapes.GetString(element, "workflowDefinitionId") is { Length: > 0 } definitionId
            && JsonShapes.TryGet(element, "version", out var version) && version.ValueKind == JsonValueKind.Number && version.TryGetInt32(out var number)
            ? inside.Prepend(new Reference(null, definitionId, number))
            : inside;
    }

    /// <summary>How an activity names a workflow: by the id of its version, else by its id and version.</summary>
    private readonly record struct Reference(string? VersionId, string? DefinitionId, int Version);
}

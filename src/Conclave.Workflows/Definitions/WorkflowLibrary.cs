using System.Collections.Concurrent;
using System.Text.Json;

namespace Conclave.Workflows.Definitions;

/// <summary>The workflows that others can use: as activities, or by starting them. Safe to use from any thread.</summary>
public sealed class WorkflowLibrary
{
    private readonly ConcurrentDictionary<string, WorkflowDefinition> _versions = new(StringComparer.Ordinal);
    private readonly Lock _writing = new();

    // Versions of each workflow, best first: the published one, then by number. Replaced as a whole.
    private readonly ConcurrentDictionary<string, WorkflowDefinition[]> _workflows = new(StringComparer.Ordinal);

    /// <summary>All versions of all workflows.</summary>
    public IEnumerable<WorkflowDefinition> Definitions => _versions.Values;

    /// <summary>Adds a version, or replaces the one with the same id.</summary>
    public void Add(WorkflowDefinition definition)
    {
        lock (_writing)
        {
            if (_versions.TryGetValue(definition.Id, out var before) && before.DefinitionId != definition.DefinitionId)
                Remove(before.Id);
            Replace(definition.DefinitionId, [.. _workflows.GetValueOrDefault(definition.DefinitionId, []).Where(d => d.Id != definition.Id), definition]);
        }
    }

    /// <summary>Puts the versions of a workflow in place of those that are known here, as a whole: nobody finds the workflow missing meanwhile.</summary>
    public void Replace(string definitionId, IReadOnlyList<WorkflowDefinition> versions)
    {
        lock (_writing)
        {
            var before = _workflows.GetValueOrDefault(definitionId, []);
            foreach (var version in versions)
                _versions[version.Id] = version;
            _workflows[definitionId] = [.. versions.OrderByDescending(d => d.IsPublished).ThenByDescending(d => d.Version)];
            foreach (var gone in before.Where(b => versions.All(v => v.Id != b.Id)))
                _versions.TryRemove(gone.Id, out _);
        }
    }

    /// <summary>Removes a version.</summary>
    public bool Remove(string versionId)
    {
        lock (_writing)
        {
            if (!_versions.TryRemove(versionId, out var definition))
                return false;
            _workflows[definition.DefinitionId] = Array.FindAll(_workflows[definition.DefinitionId], d => d.Id != versionId);
            return true;
        }
    }

    /// <summary>Finds one version by its id.</summary>
    public WorkflowDefinition? FindVersion(string versionId) => _versions.GetValueOrDefault(versionId);

    /// <summary>The versions of a workflow that are known here, the published one first and then by number.</summary>
    public IReadOnlyList<WorkflowDefinition> VersionsOf(string definitionId) => _workflows.GetValueOrDefault(definitionId, []);

    /// <summary>Finds the version of a workflow that starts when somebody asks for it: the published one, else the newest.</summary>
    public WorkflowDefinition? FindPublished(string definitionId) => VersionsOf(definitionId) is [var best, ..] ? best : null;

    /// <summary>
    /// Finds the workflow that an activity's JSON refers to: by version id, then by definition id and version, then by
    /// type name and version. A version that does not exist falls back to the newest.
    /// </summary>
    public WorkflowDefinition? FindForActivity(JsonElement activity, string typeName, int version)
    {
        if (_versions.IsEmpty)
            return null;
        if (JsonShapes.GetString(activity, "workflowDefinitionVersionId") is { } versionId && FindVersion(versionId) is { } exact)
            return exact;
        var candidates = JsonShapes.GetString(activity, "workflowDefinitionId") is { Length: > 0 } definitionId ? VersionsOf(definitionId) : [];
        if (candidates.Count == 0)
            candidates = [.. _versions.Values.Where(d => d.Options.UsableAsActivity == true && d.ActivityTypeName == typeName)
                .OrderByDescending(d => d.IsPublished).ThenByDescending(d => d.Version)];
        return candidates.FirstOrDefault(d => d.Version == version) ?? (candidates is [var best, ..] ? best : null);
    }
}

using System.Collections.Concurrent;
using System.Text.Json;

namespace Conclave.Workflows.Definitions;

/// <summary>The workflows that others can use: as activities, or by starting them. Safe to use from any thread.</summary>
public sealed class WorkflowLibrary
{
    private readonly ConcurrentDictionary<string, WorkflowDefinition> _versions = new(StringComparer.Ordinal);

    /// <summary>All versions of all workflows.</summary>
    public IEnumerable<WorkflowDefinition> Definitions => _versions.Values;

    /// <summary>Adds a version, or replaces the one with the same id.</summary>
    public void Add(WorkflowDefinition definition) => _versions[definition.Id] = definition;

    /// <summary>Removes a version.</summary>
    public bool Remove(string versionId) => _versions.TryRemove(versionId, out _);

    /// <summary>Finds one version by its id.</summary>
    public WorkflowDefinition? FindVersion(string versionId) => _versions.GetValueOrDefault(versionId);

    /// <summary>Finds the version of a workflow that starts when somebody asks for it: the published one, else the newest.</summary>
    public WorkflowDefinition? FindPublished(string definitionId) => _versions.Values
        .Where(d => d.DefinitionId == definitionId)
        .OrderByDescending(d => d.IsPublished).ThenByDescending(d => d.Version)
        .FirstOrDefault();

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
        var candidates = JsonShapes.GetString(activity, "workflowDefinitionId") is { Length: > 0 } definitionId
            ? _versions.Values.Where(d => d.DefinitionId == definitionId).ToList()
            : [];
        if (candidates.Count == 0)
            candidates = _versions.Values.Where(d => d.Options.UsableAsActivity == true && d.ActivityTypeName == typeName).ToList();
        return candidates.Find(d => d.Version == version)
            ?? candidates.OrderByDescending(d => d.IsPublished).ThenByDescending(d => d.Version).FirstOrDefault();
    }
}

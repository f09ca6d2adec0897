using System.Text.Json;
using System.Text.Json.Nodes;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;

namespace Conclave.Workflows.Runtime.Definitions;

/// <summary>Moves workflows that use another one as an activity to its published version.</summary>
public static class DefinitionReferences
{
    /// <summary>Updates every consumer: a published one is published again, a draft stays a draft.</summary>
    /// <returns>The versions that now use the published one.</returns>
    /// <exception cref="WorkflowDefinitionException">A consumer cannot be published with it; those before it are updated.</exception>
    public static async Task<IReadOnlyList<StoredDefinition>> UpdateAsync(
        DefinitionCatalog catalog, string tenant, string definitionId, CancellationToken cancellationToken)
    {
        if (await catalog.Store.FindPublishedAsync(tenant, definitionId, cancellationToken) is not { } used)
            return [];
        var updated = new List<StoredDefinition>();
        var consumers = await catalog.Store.FindConsumersAsync(tenant, definitionId, cancellationToken);
        foreach (var id in consumers.Select(c => c.DefinitionId).Distinct())
        {
            if (await UpdateOneAsync(catalog, tenant, id, used.Definition, cancellationToken) is { } saved)
                updated.Add(saved);
        }

        return updated;
    }

    /// <summary>
    /// Updates the consumers of a version that was just published, if it wants that: each by itself, and those that use them too if they want it.
    /// </summary>
    /// <returns>The consumers that follow, and a warning for each that could not.</returns>
    public static async Task<(List<StoredDefinition> Updated, List<DefinitionProblem> Problems)> FollowAsync(
        DefinitionCatalog catalog, string tenant, StoredDefinition published, CancellationToken cancellationToken)
    {
        var (updated, problems) = (new List<StoredDefinition>(), new List<DefinitionProblem>());
        var waiting = new Queue<StoredDefinition>([published]);
        while (waiting.TryDequeue(out var used))
        {
            if (used.Definition is not { IsPublished: true, Options: { AutoUpdateConsumingWorkflows: true, UsableAsActivity: true } })
                continue;
            var consumers = await catalog.Store.FindConsumersAsync(tenant, used.Definition.DefinitionId, cancellationToken);
            foreach (var consumer in consumers.DistinctBy(c => c.DefinitionId))
            {
                try
                {
                    if (await UpdateOneAsync(catalog, tenant, consumer.DefinitionId, used.Definition, cancellationToken) is not { } saved)
                        continue;
                    updated.Add(saved);
                    waiting.Enqueue(saved);
                }
                catch (Exception exception) when (exception is WorkflowDefinitionException or WorkflowException)
                {
                    problems.Add(new DefinitionProblem("reference.not_updated",
                        $"Workflow '{consumer.Name ?? consumer.DefinitionId}' uses this one and still uses its older version: {exception.Message}", Severity: ProblemSeverity.Warning));
                }
            }
        }

        return (updated, problems);
    }

    private static async Task<StoredDefinition?> UpdateOneAsync(
        DefinitionCatalog catalog, string tenant, string consumerId, WorkflowDefinition used, CancellationToken cancellationToken) =>
        await catalog.Store.FindLatestAsync(tenant, consumerId, cancellationToken) is { } consumer && Point(consumer.Definition.Root, used) is { } root
            ? await catalog.SaveAsync(tenant, consumer.Definition with { Root = root }, consumer.Definition.IsPublished, consumer.Hash, cancellationToken)
            : null;

    /// <summary>The activities with every use of a workflow at its version; null when none was elsewhere.</summary>
    private static JsonElement? Point(JsonElement root, WorkflowDefinition used)
    {
        var node = JsonNode.Parse(root.GetRawText())!;
        return Point(node, used) ? JsonElement.Parse(node.ToJsonString()) : null;
    }

    private static bool Point(JsonNode? node, WorkflowDefinition used)
    {
        var changed = false;
        if (node is JsonArray array)
        {
            foreach (var item in array)
                changed |= Point(item, used);
        }
        else if (node is JsonObject member)
        {
            if (Text(member, "workflowDefinitionId") == used.DefinitionId && Text(member, "workflowDefinitionVersionId") is { } current && current != used.Id)
            {
                member["workflowDefinitionVersionId"] = used.Id;
                member["version"] = used.Version;
                if (member.ContainsKey("latestAvailablePublishedVersionId"))
                    member["latestAvailablePublishedVersionId"] = used.Id;
                if (member.ContainsKey("latestAvailablePublishedVersion"))
                    member["latestAvailablePublishedVersion"] = used.Version;
                changed = true;
            }

            foreach (var (_, value) in member)
                changed |= Point(value, used);
        }

        return changed;
    }

    private static string? Text(JsonObject member, string name) =>
        member.TryGetPropertyValue(name, out var value) && value is JsonValue text && text.TryGetValue<string>(out var found) ? found : null;
}

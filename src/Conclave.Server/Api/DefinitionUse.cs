using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;

namespace Conclave.Server.Api;

/// <summary>Deletes workflows that nobody uses, and says who uses the others.</summary>
internal static class DefinitionUse
{
    private const int MostNames = 5;

    /// <summary>Deletes a workflow; one in use only with <c>force=true</c> in the query.</summary>
    /// <returns>Whether it existed.</returns>
    /// <exception cref="ApiException">It is used; the message says by whom.</exception>
    public static async Task<bool> DeleteAsync(HttpContext context, string definitionId)
    {
        var catalog = context.Runtime().Catalog;
        // Instances may outlive what they run: asked for first, a workflow that is gone is not in use.
        if (await catalog.Store.FindLatestAsync(context.Tenant(), definitionId, context.RequestAborted) is not { } latest)
            return false;
        if (!IsForced(context))
            await RefuseUsedAsync(context, latest.Definition, null);
        return await catalog.DeleteAsync(context.Tenant(), definitionId, context.RequestAborted) > 0;
    }

    /// <summary>Deletes a version; one that instances run only with <c>force=true</c> in the query.</summary>
    /// <returns>Whether it existed.</returns>
    /// <exception cref="ApiException">It is used; the message says by whom.</exception>
    public static async Task<bool> DeleteVersionAsync(HttpContext context, string definitionId, int version)
    {
        var catalog = context.Runtime().Catalog;
        if (await catalog.Store.FindAsync(context.Tenant(), definitionId, version, context.RequestAborted) is not { } found)
            return false;
        if (!IsForced(context))
            await RefuseUsedAsync(context, found.Definition, version);
        return await catalog.DeleteVersionAsync(context.Tenant(), definitionId, version, context.RequestAborted);
    }

    private static bool IsForced(HttpContext context) => string.Equals(context.Query("force"), "true", StringComparison.OrdinalIgnoreCase);

    private static async Task RefuseUsedAsync(HttpContext context, WorkflowDefinition definition, int? version)
    {
        var store = context.Runtime().Catalog.Store;
        var running = await store.CountRunningAsync(context.Tenant(), definition.DefinitionId, version, context.RequestAborted);
        var consumers = version is null ? await store.FindConsumersAsync(context.Tenant(), definition.DefinitionId, context.RequestAborted) : [];
        if (running.Count == 0 && consumers.Count == 0)
            return;
        List<string> uses = [], ways = [];
        if (running.Count > 0)
        {
            var count = running.Values.Sum();
            var states = string.Join(", ", running.Select(r => $"{r.Value:N0} {StateOf(r.Key)}"));
            uses.Add($"{count:N0} of its instances {(count == 1 ? "has" : "have")} not ended ({states})");
            ways.Add("Wait until its instances have ended, or cancel them.");
        }

        if (consumers.Count > 0)
        {
            var names = consumers.DistinctBy(c => c.DefinitionId).Select(c => NameOf(c.Name, c.DefinitionId)).ToList();
            uses.Add($"{(names.Count == 1 ? "the workflow" : $"{names.Count:N0} workflows")} {Listed(names)} {(names.Count == 1 ? "uses" : "use")} it");
            ways.Add($"Take it out of {(names.Count == 1 ? "that workflow" : "those workflows")}, and publish {(names.Count == 1 ? "it" : "them")} without it.");
        }

        var what = $"{(version is null ? "" : $"Version {version} of ")}{NameOf(definition.Name, definition.DefinitionId)}";
        throw new ApiException(
            409,
            "definition.in_use",
            $"{what} is still used: {string.Join(", and ", uses)}. {string.Join(' ', ways)} If only nobody shall start it any more, retract it. With force=true it is deleted all the same, and what uses it cannot go on.");
    }

    private static string StateOf(WorkflowSubStatus subStatus) => subStatus switch
    {
        WorkflowSubStatus.Pending => "about to begin",
        WorkflowSubStatus.Suspended => "waiting",
        _ => "running",
    };

    private static string Listed(List<string> names) => names.Count > MostNames
        ? $"{string.Join(", ", names.Take(MostNames))} and {names.Count - MostNames:N0} more"
        : string.Join(" and ", (string[])[.. names.Count > 1 ? [string.Join(", ", names.SkipLast(1))] : Array.Empty<string>(), names[^1]]);

    private static string NameOf(string? name, string definitionId) => string.IsNullOrEmpty(name) || name == definitionId ? $"'{definitionId}'" : $"'{name}' ({definitionId})";
}

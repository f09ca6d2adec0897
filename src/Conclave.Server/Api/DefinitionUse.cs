using Conclave.Workflows.Runtime.Definitions;

namespace Conclave.Server.Api;

/// <summary>Deletes workflows that nobody uses, and says who uses the others.</summary>
internal static class DefinitionUse
{
    /// <summary>Deletes a workflow; one in use only with <c>force=true</c> in the query.</summary>
    /// <returns>Whether it existed.</returns>
    /// <exception cref="ApiException">It is used; the message says by whom.</exception>
    public static async Task<bool> DeleteAsync(HttpContext context, string definitionId)
    {
        var catalog = context.Runtime().Catalog;
        // Instances may outlive what they run: asked for first, a workflow that is gone is not in use.
        if (await catalog.Store.FindLatestAsync(context.Tenant(), definitionId, context.RequestAborted) is null)
            return false;
        if (!IsForced(context))
            await RefuseUsedAsync(context, definitionId, null);
        return await catalog.DeleteAsync(context.Tenant(), definitionId, context.RequestAborted) > 0;
    }

    /// <summary>Deletes a version; one that instances run only with <c>force=true</c> in the query.</summary>
    /// <returns>Whether it existed.</returns>
    /// <exception cref="ApiException">It is used; the message says by whom.</exception>
    public static async Task<bool> DeleteVersionAsync(HttpContext context, string definitionId, int version)
    {
        var catalog = context.Runtime().Catalog;
        if (await catalog.Store.FindAsync(context.Tenant(), definitionId, version, context.RequestAborted) is null)
            return false;
        if (!IsForced(context))
            await RefuseUsedAsync(context, definitionId, version);
        return await catalog.DeleteVersionAsync(context.Tenant(), definitionId, version, context.RequestAborted);
    }

    private static bool IsForced(HttpContext context) => string.Equals(context.Query("force"), "true", StringComparison.OrdinalIgnoreCase);

    private static async Task RefuseUsedAsync(HttpContext context, string definitionId, int? version)
    {
        var store = context.Runtime().Catalog.Store;
        var running = await store.CountRunningAsync(context.Tenant(), definitionId, version, context.RequestAborted);
        var consumers = version is null ? await store.FindConsumersAsync(context.Tenant(), definitionId, context.RequestAborted) : [];
        if (running == 0 && consumers.Count == 0)
            return;
        var users = string.Join(" and ", ((string?[])[
            running > 0 ? $"{running} running instance{(running == 1 ? "" : "s")}" : null,
            consumers.Count > 0 ? $"the workflow{(consumers.DistinctBy(c => c.DefinitionId).Count() == 1 ? "" : "s")} {string.Join(", ", consumers.DistinctBy(c => c.DefinitionId).Select(NameOf))}" : null]).OfType<string>());
        throw new ApiException(409, "definition.in_use", $"'{definitionId}' is used by {users}. Retract it to take it out of use, or delete it anyway with force=true.");
    }

    private static string NameOf(DefinitionSummary consumer) => string.IsNullOrEmpty(consumer.Name) || consumer.Name == consumer.DefinitionId
        ? $"'{consumer.DefinitionId}'"
        : $"'{consumer.Name}' ({consumer.DefinitionId})";
}

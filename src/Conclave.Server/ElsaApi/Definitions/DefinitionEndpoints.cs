using Conclave.Server.Accounts;
using Conclave.Server.Api;
using Conclave.Server.OpenApi;
using Conclave.Workflows.Runtime.Definitions;

namespace Conclave.Server.ElsaApi.Definitions;

/// <summary>Reading workflows: lists, versions, names.</summary>
internal static class DefinitionEndpoints
{
    /// <summary>Maps everything about workflows.</summary>
    public static void Map(RouteGroupBuilder api)
    {
        var group = api.MapGroup("/workflow-definitions");
        var read = group.MapGroup("").RequirePermission(DefinitionLinks.Read);
        read.MapGet("/", ListAsync).Describe("ElsaListDefinitions", "List versions of workflows", o => o
            .Query("versionOptions", DefinitionLinks.VersionsHelp).ElsaPages().Query("searchTerm", "Part of the name, the description or an id.")
            .Query<bool>("isSystem", "With or without those of the platform.").Query<DefinitionOrder>("orderBy", "Name without it.").Query<OrderDirection>("orderDirection", "Direction.")
            .Query<string[]>("definitionIds", "Only these workflows.").Query<string[]>("ids", "Only these versions.")
            .Query("materializer", "Json is the only one.").Query<string[]>("label", "Only versions with one of these labels.").Answers<DefinitionListShape>());
        read.MapGet("/by-definition-id/{definitionId}", GetAsync).Describe("ElsaGetDefinition", "Get a workflow", o => o
            .Query("versionOptions", DefinitionLinks.VersionsHelp).Answers<DefinitionShape>());
        read.MapGet("/{definitionId}", GetAsync).Describe("ElsaGetDefinitionShort", "Get a workflow", o => o
            .Query("versionOptions", DefinitionLinks.VersionsHelp).Answers<DefinitionShape>());
        read.MapGet("/by-id/{id}", GetVersionAsync).Describe("ElsaGetDefinitionVersion", "Get a version of a workflow", o => o.Answers<DefinitionShape>());
        read.MapGet("/many-by-id", GetManyAsync).Describe("ElsaGetDefinitionVersions", "Get several versions", o => o.Query<string[]>("ids", "Their ids.").Answers<ListShape<DefinitionShape>>());
        read.MapGet("/validation/is-name-unique", IsNameUniqueAsync).Describe("ElsaIsNameUnique", "See whether no workflow has a name", o => o
            .Required("name", "The name, in any case.").Query("definitionId", "A workflow that may have it.").Answers<UniqueShape>());
        read.MapGet("/query/count", CountAsync).Describe("ElsaCountDefinitions", "Count workflows", o => o.Answers<CountShape>());
        read.MapGet("/{definitionId}/versions", VersionsAsync).Describe("ElsaListDefinitionVersions", "Get all versions of a workflow, newest first", o => o.Answers<IReadOnlyList<DefinitionShape>>());
        read.MapGet("/{definitionId}/consumers", ConsumersAsync).Describe("ElsaListConsumers", "List the workflows that use a workflow", o => o.Answers<ConsumersShape>());
        DefinitionChanges.Map(group);
        DefinitionFiles.Map(group, api);
        DefinitionGraphs.Map(read);
        DefinitionRuns.Map(group);
        DefinitionBulk.Map(api);
    }

    private static async Task ListAsync(HttpContext context)
    {
        var order = context.Choice<DefinitionOrder>("orderBy") ?? DefinitionOrder.Name;
        var descending = (context.Choice<OrderDirection>("orderDirection") ?? (order == DefinitionOrder.Name ? OrderDirection.Ascending : OrderDirection.Descending)) == OrderDirection.Descending;
        var page = ElsaQuery.ReadPage(context.Number("page"), context.Number("pageSize"));
        var filter = new DefinitionFilter
        {
            Versions = context.Versions(),
            Ids = context.Request.Values("ids") is { Count: > 0 } ids ? ids : null,
            DefinitionIds = context.Request.Values("definitionIds") is { Count: > 0 } definitionIds ? definitionIds : null,
            Search = context.Query("searchTerm"),
            Labels = context.Request.Values("label") is { Count: > 0 } labels ? labels : null,
            IsSystem = context.Flag("isSystem"),
        };
        // All workflows are JSON.
        var isNothing = context.Query("materializer") is { } materializer && !materializer.Equals("Json", StringComparison.OrdinalIgnoreCase);
        var (items, total) = isNothing
            ? ([], 0)
            : await context.Runtime().Catalog.Store.ListAsync(context.Tenant(), filter, order, descending, page?.Offset ?? 0, page?.Size, context.RequestAborted);
        await context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            writer.WriteStartArray("items");
            foreach (var item in items)
                DefinitionJson.WriteSummary(writer, context.User, item);
            writer.WriteEndArray();
            writer.WriteNumber("totalCount", total);
            DefinitionLinks.WriteListTo(writer, context.User);
            writer.WriteEndObject();
        });
    }

    private static async Task GetAsync(HttpContext context, string definitionId) => await AnswerAsync(
        context, await context.Runtime().Catalog.Store.FindAsync(context.Tenant(), definitionId, context.Versions() ?? VersionOptions.Latest, context.RequestAborted));

    private static async Task GetVersionAsync(HttpContext context, string id) =>
        await AnswerAsync(context, await context.Runtime().Catalog.Store.FindAsync(context.Tenant(), id, context.RequestAborted));

    private static Task AnswerAsync(HttpContext context, StoredDefinition? found)
    {
        if (found is not null)
            return DefinitionJson.AnswerAsync(context, found);
        context.Response.StatusCode = StatusCodes.Status404NotFound;
        return Task.CompletedTask;
    }

    private static async Task GetManyAsync(HttpContext context)
    {
        var shown = await ReadAllAsync(context, new DefinitionFilter { Ids = context.Request.Values("ids") });
        await context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            writer.WriteStartArray("items");
            foreach (var definition in shown)
                DefinitionJson.Write(writer, context.User, definition);
            writer.WriteEndArray();
            writer.WriteNumber("count", shown.Count);
            writer.WriteEndObject();
        });
    }

    private static async Task VersionsAsync(HttpContext context, string definitionId)
    {
        var shown = await ReadAllAsync(context, new DefinitionFilter { DefinitionIds = [definitionId] });
        if (shown.Count == 0)
            throw ApiException.NoWorkflow(definitionId);
        await context.WriteJsonAsync(writer =>
        {
            writer.WriteStartArray();
            foreach (var definition in shown)
                DefinitionJson.Write(writer, context.User, definition);
            writer.WriteEndArray();
        });
    }

    private static async Task<List<ShownDefinition>> ReadAllAsync(HttpContext context, DefinitionFilter filter)
    {
        var stored = new List<StoredDefinition>();
        await foreach (var version in context.Runtime().Catalog.Store.ReadAsync(context.Tenant(), filter, context.RequestAborted))
            stored.Add(version);
        var shown = new List<ShownDefinition>(stored.Count);
        foreach (var version in stored)
            shown.Add(await DefinitionJson.ShowAsync(context, version));
        return shown;
    }

    private static async Task IsNameUniqueAsync(HttpContext context)
    {
        var name = context.Query("name")?.Trim() is { Length: > 0 } given ? given : throw ApiException.Bad("'name' is missing.");
        var isUnique = await context.Runtime().Catalog.Store.IsNameUniqueAsync(context.Tenant(), name, context.Query("definitionId"), context.RequestAborted);
        await context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            writer.WriteBoolean("isUnique", isUnique);
            writer.WriteEndObject();
        });
    }

    private static async Task CountAsync(HttpContext context)
    {
        var count = await context.Runtime().Catalog.Store.CountAsync(context.Tenant(), new DefinitionFilter { Versions = VersionOptions.Latest }, context.RequestAborted);
        await context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            writer.WriteNumber("count", count);
            writer.WriteEndObject();
        });
    }

    private static async Task ConsumersAsync(HttpContext context, string definitionId)
    {
        var store = context.Runtime().Catalog.Store;
        if (await store.FindLatestAsync(context.Tenant(), definitionId, context.RequestAborted) is null)
            throw ApiException.NoWorkflow(definitionId);
        var consumers = await store.FindConsumersAsync(context.Tenant(), definitionId, context.RequestAborted);
        await context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            DefinitionJson.WriteTexts(writer, "consumingWorkflowDefinitionIds", consumers.Select(c => c.DefinitionId).Distinct());
            writer.WriteEndObject();
        });
    }
}

/// <summary>Direction of a list.</summary>
internal enum OrderDirection
{
    /// <summary>From small to large.</summary>
    Ascending,

    /// <summary>From large to small.</summary>
    Descending,
}

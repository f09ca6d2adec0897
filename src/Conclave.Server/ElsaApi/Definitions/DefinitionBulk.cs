using System.Text.Json;
using Conclave.Server.Accounts;
using Conclave.Server.Api;
using Conclave.Server.OpenApi;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Definitions;

namespace Conclave.Server.ElsaApi.Definitions;

/// <summary>Many workflows at once. Each is done by itself: the answer says what became of which.</summary>
internal static class DefinitionBulk
{
    public static void Map(RouteGroupBuilder api)
    {
        var bulk = api.MapGroup("/bulk-actions");
        bulk.MapPost("/delete/workflow-definitions/by-definition-id", (HttpContext context) => DeleteAsync(context, "definitionIds", DefinitionUse.DeleteAsync))
            .RequirePermission(DefinitionLinks.Delete)
            .Describe("ElsaDeleteDefinitions", "Delete workflows", o => o.Query<bool>("force", "Deletes them even if they are used.").Takes<DefinitionIdsRequest>().Answers<DeletedDefinitionsShape>());
        bulk.MapPost("/delete/workflow-definitions/by-id", (HttpContext context) => DeleteAsync(context, "ids", DefinitionChanges.DeleteVersionAsync))
            .RequirePermission(DefinitionLinks.Delete)
            .Describe("ElsaDeleteDefinitionVersions", "Delete versions", o => o.Query<bool>("force", "Deletes them even if instances run them.").Takes<VersionIdsRequest>().Answers<DeletedDefinitionsShape>());
        api.MapDelete("/workflow-definition-versions/{id}", DeleteVersionAsync).RequirePermission(DefinitionLinks.Delete)
            .Describe("ElsaDeleteDefinitionVersion", "Delete a version by its id", o => o.Query<bool>("force", "Deletes it even if instances run it.").Answers(204));
        bulk.MapPost("/publish/workflow-definitions/by-definition-ids", PublishAsync).RequirePermission(DefinitionLinks.Publish)
            .Describe("ElsaPublishDefinitions", "Publish workflows", o => o.Takes<DefinitionIdsRequest>().Answers<PublishedManyShape>());
        bulk.MapPost("/retract/workflow-definitions/by-definition-ids", RetractAsync).RequirePermission(DefinitionLinks.Retract)
            .Describe("ElsaRetractDefinitions", "Take workflows out of use", o => o.Takes<DefinitionIdsRequest>().Answers<RetractedManyShape>());
        api.MapPost("/actions/workflow-definitions/refresh", RefreshAsync).RequirePermission(DefinitionLinks.Publish)
            .Describe("ElsaRefreshDefinitions", "Find out again what published workflows start on", o => o.Takes<RefreshRequest>(isOptional: true).Answers<RefreshedShape>());
        api.MapPost("/actions/workflow-definitions/reload", ReloadAsync).RequirePermission(DefinitionLinks.Publish)
            .Describe("ElsaReloadDefinitions", "Read all workflows again", o => o.Takes<NothingShape>(isOptional: true).Answers<NothingShape>());
    }

    private static async Task<IReadOnlyList<string>> ReadIdsAsync(HttpContext context, string name) =>
        [.. (ElsaQuery.TextsOf(await context.ReadObjectAsync(), name) ?? throw ApiException.Bad($"'{name}' must be a list of ids.")).Distinct()];

    private static async Task DeleteAsync(HttpContext context, string name, Func<HttpContext, string, Task<bool>> delete)
    {
        long deleted = 0;
        var errors = new Dictionary<string, string[]>(StringComparer.Ordinal);
        foreach (var id in await ReadIdsAsync(context, name))
        {
            await TryAsync(id, errors, async () =>
            {
                if (await delete(context, id))
                    deleted++;
            });
        }

        await context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            writer.WriteNumber("deleted", deleted);
            WriteErrors(writer, "errors", errors);
            writer.WriteEndObject();
        });
    }

    private static async Task DeleteVersionAsync(HttpContext context, string id) =>
        context.Response.StatusCode = await DefinitionChanges.DeleteVersionAsync(context, id) ? StatusCodes.Status204NoContent : throw ApiException.NoWorkflow(id);

    private static async Task PublishAsync(HttpContext context)
    {
        var catalog = context.Runtime().Catalog;
        var (published, already, notFound, skipped, updated) = (new List<string>(), new List<string>(), new List<string>(), new List<string>(), new List<string>());
        var (errors, warnings) = (new Dictionary<string, string[]>(StringComparer.Ordinal), new Dictionary<string, string[]>(StringComparer.Ordinal));
        foreach (var id in await ReadIdsAsync(context, "definitionIds"))
        {
            if (await catalog.Store.FindLatestAsync(context.Tenant(), id, context.RequestAborted) is not { } latest)
                notFound.Add(id);
            else if (latest.Definition.IsReadonly)
                skipped.Add(id);
            else if (latest.Definition.IsPublished)
                already.Add(id);
            else
            {
                await TryAsync(id, errors, async () =>
                {
                    if (await catalog.PublishAsync(context.Tenant(), id, context.RequestAborted) is not { } stored)
                        return;
                    published.Add(id);
                    var (followed, problems) = await DefinitionReferences.FollowAsync(catalog, context.Tenant(), stored, context.RequestAborted);
                    updated.AddRange(followed.Select(f => f.Definition.DefinitionId));
                    if (problems.Count > 0)
                        warnings[id] = [.. DefinitionChanges.TextsOf(problems)];
                });
            }
        }

        await context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            DefinitionJson.WriteTexts(writer, "published", published);
            DefinitionJson.WriteTexts(writer, "alreadyPublished", already);
            DefinitionJson.WriteTexts(writer, "notFound", notFound);
            DefinitionJson.WriteTexts(writer, "skipped", skipped);
            DefinitionJson.WriteTexts(writer, "updatedConsumers", updated.Distinct());
            DefinitionJson.WriteTexts(writer, "failed", errors.Keys);
            WriteErrors(writer, "warnings", errors.Concat(warnings));
            writer.WriteEndObject();
        });
    }

    private static async Task RetractAsync(HttpContext context)
    {
        var catalog = context.Runtime().Catalog;
        var (retracted, notFound, skipped, not) = (new List<string>(), new List<string>(), new List<string>(), new List<string>());
        foreach (var id in await ReadIdsAsync(context, "definitionIds"))
        {
            if (await catalog.Store.FindLatestAsync(context.Tenant(), id, context.RequestAborted) is not { } latest)
                notFound.Add(id);
            else if (latest.Definition.IsReadonly)
                skipped.Add(id);
            else
                (await catalog.RetractAsync(context.Tenant(), id, context.RequestAborted) is null ? not : retracted).Add(id);
        }

        await context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            DefinitionJson.WriteTexts(writer, "retracted", retracted);
            // The same under both names that clients read.
            DefinitionJson.WriteTexts(writer, "alreadyRetracted", not);
            DefinitionJson.WriteTexts(writer, "notFound", notFound);
            DefinitionJson.WriteTexts(writer, "skipped", skipped);
            DefinitionJson.WriteTexts(writer, "notPublished", not);
            writer.WriteEndObject();
        });
    }

    private static async Task RefreshAsync(HttpContext context)
    {
        var catalog = context.Runtime().Catalog;
        var ids = ElsaQuery.TextsOf(await context.ReadObjectAsync(), "definitionIds");
        if (ids is null or { Count: 0 })
        {
            var (all, _) = await catalog.Store.ListAsync(
                context.Tenant(), new DefinitionFilter { Versions = VersionOptions.Published }, DefinitionOrder.Name, descending: false, 0, null, context.RequestAborted);
            ids = all.ConvertAll(d => d.DefinitionId);
        }

        var (refreshed, notFound) = (new List<string>(), new List<string>());
        var errors = new Dictionary<string, string[]>(StringComparer.Ordinal);
        // One that has lost what it uses since keeps what it started on, and does not keep the others from being read again.
        foreach (var id in ids.Distinct())
            await TryAsync(id, errors, async () => (await catalog.ReindexAsync(context.Tenant(), id, context.RequestAborted) ? refreshed : notFound).Add(id));
        await context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            DefinitionJson.WriteTexts(writer, "refreshed", refreshed);
            DefinitionJson.WriteTexts(writer, "notFound", notFound);
            WriteErrors(writer, "errors", errors);
            writer.WriteEndObject();
        });
    }

    private static async Task ReloadAsync(HttpContext context)
    {
        await context.Runtime().Catalog.LoadAsync(context.RequestAborted);
        await context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            writer.WriteEndObject();
        });
    }

    /// <summary>Does one of many; why it was refused goes to the errors.</summary>
    private static async Task TryAsync(string id, Dictionary<string, string[]> errors, Func<Task> action)
    {
        try
        {
            await action();
        }
        catch (Exception exception) when (exception is ApiException or WorkflowException or WorkflowDefinitionException)
        {
            errors[id] = ElsaProblems.TextsOf(exception) ?? [exception.Message];
        }
    }

    private static void WriteErrors(Utf8JsonWriter writer, string name, IEnumerable<KeyValuePair<string, string[]>> errors)
    {
        writer.WriteStartObject(name);
        foreach (var (id, texts) in errors)
            DefinitionJson.WriteTexts(writer, id, texts);
        writer.WriteEndObject();
    }
}

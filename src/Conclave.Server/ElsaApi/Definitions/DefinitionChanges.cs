using System.Globalization;
using Conclave.Server.Accounts;
using Conclave.Server.Api;
using Conclave.Server.OpenApi;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Definitions;

namespace Conclave.Server.ElsaApi.Definitions;

/// <summary>Changing workflows: save, publish, retract, revert, delete.</summary>
internal static class DefinitionChanges
{
    public static void Map(RouteGroupBuilder group)
    {
        group.MapPost("/", SaveAsync).RequirePermission(DefinitionLinks.Write)
            .Describe("ElsaSaveDefinition", "Create a workflow, save its draft, or publish it", o => o
                .Takes<SaveRequest>().Answers<SavedShape>().Note("With publish it needs `publish:workflow-definitions`, too."));
        group.MapPost("/{definitionId}/publish", PublishAsync).RequirePermission(DefinitionLinks.Publish)
            .Describe("ElsaPublishDefinition", "Publish the newest version", o => o.Takes<NothingShape>(isOptional: true).Answers<SavedShape>());
        group.MapPost("/{definitionId}/retract", RetractAsync).RequirePermission(DefinitionLinks.Retract)
            .Describe("ElsaRetractDefinition", "Take the published version out of use", o => o.Takes<NothingShape>(isOptional: true).Answers<DefinitionShape>());
        group.MapPost("/{definitionId}/revert/{version:int}", RevertAsync).RequirePermission(DefinitionLinks.Publish)
            .Describe("ElsaRevertDefinition", "Copy an old version into a new draft", o => o.Answers<DefinitionSummaryShape>(201));
        group.MapPost("/{definitionId}/update-references", UpdateReferencesAsync).RequirePermission(DefinitionLinks.Publish)
            .Describe("ElsaUpdateReferences", "Move the workflows that use it to its published version", o => o.Takes<NothingShape>(isOptional: true).Answers<AffectedShape>());
        group.MapDelete("/{definitionId}", DeleteAsync).RequirePermission(DefinitionLinks.Delete)
            .Describe("ElsaDeleteDefinition", "Delete a workflow with all its versions", o => o.Query<bool>("force", "Deletes it even if it is used.").Answers(204));
        group.MapDelete("/{definitionId}/version/{version:int}", DeleteNumberAsync).RequirePermission(DefinitionLinks.Delete)
            .Describe("ElsaDeleteDefinitionNumber", "Delete an old version", o => o.Query<bool>("force", "Deletes it even if instances run it.").Answers(200));
    }

    /// <summary>Deletes a version by its id.</summary>
    /// <returns>Whether it existed.</returns>
    /// <exception cref="ApiException">It is used.</exception>
    /// <exception cref="WorkflowException">It is the newest or the published one.</exception>
    public static async Task<bool> DeleteVersionAsync(HttpContext context, string id)
    {
        var store = context.Runtime().Catalog.Store;
        if (await store.FindAsync(context.Tenant(), id, context.RequestAborted) is not { Definition: var definition })
            return false;
        // The last version is the workflow.
        return await store.CountAsync(context.Tenant(), new DefinitionFilter { DefinitionIds = [definition.DefinitionId] }, context.RequestAborted) == 1
            ? await DefinitionUse.DeleteAsync(context, definition.DefinitionId)
            : await DefinitionUse.DeleteVersionAsync(context, definition.DefinitionId, definition.Version);
    }

    /// <summary>Texts of problems, as Studio shows them.</summary>
    public static IEnumerable<string> TextsOf(IEnumerable<DefinitionProblem> problems) => problems.Select(ElsaProblems.TextOf).Distinct();

    /// <summary>How many workflows use an older version of the one that was published: Studio offers to update them.</summary>
    public static async Task<int> CountConsumersAsync(HttpContext context, StoredDefinition stored) =>
        stored.Definition is { IsPublished: true, Options.UsableAsActivity: true }
            ? (await context.Runtime().Catalog.Store.FindConsumersAsync(context.Tenant(), stored.Definition.DefinitionId, context.RequestAborted)).DistinctBy(c => c.DefinitionId).Count()
            : 0;

    private static async Task SaveAsync(HttpContext context)
    {
        var body = await context.ReadObjectAsync();
        if (!ElsaQuery.TryGet(body, "model", out var given))
            throw ApiException.Bad("The body needs the workflow as 'model'.");
        var publish = ElsaQuery.FlagOf(body, "publish") ?? false;
        if (publish && !context.User.Has(DefinitionLinks.Publish))
            throw ApiException.Bad("You may save workflows but not publish them. Save it, and ask somebody who may publish.");
        var catalog = context.Runtime().Catalog;
        var model = await DefinitionModel.ReadAsync(context, given);
        var graph = await catalog.Of(context.Tenant()).CompileAsync(model.Definition, context.RequestAborted);
        try
        {
            var saved = await catalog.SaveEditAsync(context.Tenant(), model.Definition, publish, model.Edit, context.RequestAborted);
            await AnswerAsync(context, saved, model.Session, alreadyPublished: false, graph.Problems, publish);
        }
        catch (DefinitionConflictException conflict)
        {
            var copy = await RefusedEdits.KeepAsync(context, model);
            await ElsaProblems.WriteAsync(context, RefusedEdits.TextOf(conflict, model, copy));
        }
    }

    private static async Task AnswerAsync(
        HttpContext context, StoredDefinition stored, string? session, bool alreadyPublished, IReadOnlyList<DefinitionProblem> problems, bool published)
    {
        var followed = published
            ? (await DefinitionReferences.FollowAsync(context.Runtime().Catalog, context.Tenant(), stored, context.RequestAborted)).Problems
            : [];
        var consumers = published ? await CountConsumersAsync(context, stored) : 0;
        var shown = await DefinitionJson.ShowAsync(context, stored, session);
        await context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            writer.WritePropertyName("workflowDefinition");
            DefinitionJson.Write(writer, context.User, shown);
            writer.WriteBoolean("alreadyPublished", alreadyPublished);
            writer.WriteNumber("consumingWorkflowCount", consumers);
            DefinitionJson.WriteTexts(writer, "validationErrors", TextsOf(problems.Concat(followed)));
            writer.WriteEndObject();
        });
    }

    private static async Task PublishAsync(HttpContext context, string definitionId)
    {
        var catalog = context.Runtime().Catalog;
        var latest = await catalog.Store.FindLatestAsync(context.Tenant(), definitionId, context.RequestAborted) ?? throw ApiException.NoWorkflow(definitionId);
        RefuseReadonly(latest);
        var published = await catalog.PublishAsync(context.Tenant(), definitionId, context.RequestAborted) ?? throw ApiException.NoWorkflow(definitionId);
        var problems = (await catalog.Of(context.Tenant()).CompileAsync(published.Definition, context.RequestAborted)).Problems;
        await AnswerAsync(context, published, null, latest.Definition.IsPublished, problems, published: true);
    }

    private static async Task RetractAsync(HttpContext context, string definitionId)
    {
        var catalog = context.Runtime().Catalog;
        var latest = await catalog.Store.FindLatestAsync(context.Tenant(), definitionId, context.RequestAborted) ?? throw ApiException.NoWorkflow(definitionId);
        RefuseReadonly(latest);
        if (await catalog.RetractAsync(context.Tenant(), definitionId, context.RequestAborted) is not { } retracted)
            throw ApiException.Bad($"Workflow '{latest.Definition.Name ?? definitionId}' is not published.");
        // Whoever edits a draft goes on with the draft.
        await DefinitionJson.AnswerAsync(context, retracted.Definition.IsLatest ? retracted : latest);
    }

    private static async Task RevertAsync(HttpContext context, string definitionId, int version)
    {
        var catalog = context.Runtime().Catalog;
        RefuseReadonly(await catalog.Store.FindLatestAsync(context.Tenant(), definitionId, context.RequestAborted) ?? throw ApiException.NoWorkflow(definitionId));
        var draft = (await catalog.RevertAsync(context.Tenant(), definitionId, version, context.RequestAborted, context.Actor()) ?? throw ApiException.NoWorkflow(definitionId)).Definition;
        var summary = new DefinitionSummary(
            draft.Id, draft.DefinitionId, draft.Version, draft.Name, draft.Description, draft.IsLatest, draft.IsPublished, draft.CreatedAt ?? DateTimeOffset.UnixEpoch)
        {
            IsReadonly = draft.IsReadonly,
            ToolVersion = draft.ToolVersion,
        };
        await context.WriteJsonAsync(writer => DefinitionJson.WriteSummary(writer, null, summary), StatusCodes.Status201Created);
    }

    private static async Task UpdateReferencesAsync(HttpContext context, string definitionId)
    {
        var catalog = context.Runtime().Catalog;
        if (await catalog.Store.FindLatestAsync(context.Tenant(), definitionId, context.RequestAborted) is null)
            throw ApiException.NoWorkflow(definitionId);
        var updated = await DefinitionReferences.UpdateAsync(catalog, context.Tenant(), definitionId, context.RequestAborted);
        await context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            DefinitionJson.WriteTexts(writer, "affectedWorkflows", updated.Select(u => u.Definition.Name ?? u.Definition.DefinitionId));
            writer.WriteEndObject();
        });
    }

    private static async Task DeleteAsync(HttpContext context, string definitionId) =>
        context.Response.StatusCode = await DefinitionUse.DeleteAsync(context, definitionId) ? StatusCodes.Status204NoContent : throw ApiException.NoWorkflow(definitionId);

    private static async Task DeleteNumberAsync(HttpContext context, string definitionId, int version)
    {
        var found = await context.Runtime().Catalog.Store.FindAsync(context.Tenant(), definitionId, version, context.RequestAborted);
        if (found is null || !await DeleteVersionAsync(context, found.Definition.Id))
            throw ApiException.NoWorkflow(string.Create(CultureInfo.InvariantCulture, $"{definitionId}/{version}"));
        context.Response.StatusCode = StatusCodes.Status200OK;
    }

    /// <summary>Refuses to change what nobody may change.</summary>
    public static void RefuseReadonly(StoredDefinition stored)
    {
        if (stored.Definition.IsReadonly)
            throw ApiException.Bad($"Workflow '{stored.Definition.Name ?? stored.Definition.DefinitionId}' is read-only.");
    }
}

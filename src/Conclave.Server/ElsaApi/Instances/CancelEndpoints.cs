using System.Text.Json;
using Conclave.Server.Accounts;
using Conclave.Server.Api;
using Conclave.Server.OpenApi;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Instances;
using Conclave.Workflows.Runtime.Operations;

namespace Conclave.Server.ElsaApi.Instances;

/// <summary>Cancelling and deleting, one or many.</summary>
internal static class CancelEndpoints
{
    private const string Cancel = "cancel:workflow-instances";
    private const string Delete = "delete:workflow-instances";

    /// <summary>Instances that one statement deletes.</summary>
    private const int DeleteSize = 200;

    public static void Map(RouteGroupBuilder group)
    {
        group.MapPost("/cancel/workflow-instances/{id}", CancelAsync).RequirePermission(Cancel)
            .Describe("ElsaCancelInstance", "Cancel an instance", o => o.Answers(200, "It is cancelled, or had ended already."));
        group.MapPost("/bulk-actions/cancel/workflow-instances", CancelManyAsync).RequirePermission(Cancel)
            .Describe("ElsaCancelInstances", "Cancel instances", o => o.Takes<CancelManyRequest>().Answers<CancelledShape>());
        group.MapDelete("/workflow-instances/{id}", DeleteAsync).RequirePermission(Delete)
            .Describe("ElsaDeleteInstance", "Delete an instance, also one that runs", o => o.Answers(204));
        group.MapPost("/bulk-actions/delete/workflow-instances", DeleteManyAsync).RequirePermission(Delete)
            .Describe("ElsaDeleteInstances", "Delete instances", o => o.Takes<DeleteManyRequest>().Answers<DeletedShape>());
        group.MapPost("/bulk-actions/delete/workflow-instances/by-id", DeleteManyAsync).RequirePermission(Delete)
            .Describe("ElsaDeleteInstancesById", "Delete instances", o => o.Takes<DeleteManyRequest>().Answers<DeletedShape>());
    }

    private static async Task CancelAsync(HttpContext context, string id)
    {
        try
        {
            await context.Runtime().Operations.CancelAsync(context.Tenant(), id, context.Actor(), null, context.RequestAborted);
        }
        catch (WorkflowException exception) when (exception.Code == "instance.ended")
        {
            // It ended before somebody clicked; nothing is left to cancel, and Studio has no place for a refusal.
        }
        catch (WorkflowException exception) when (exception.Code == "instance.not_found")
        {
            throw ApiException.NoInstance(id);
        }
    }

    private static async Task CancelManyAsync(HttpContext context)
    {
        var filter = ReadFilter(await context.ReadObjectAsync());
        var operations = context.Runtime().Operations;
        var (tenant, actor) = (context.Tenant(), context.Actor());
        BulkResult? result = null;
        if (filter is not null)
        {
            result = await operations.BulkAsync(
                tenant, filter with { Status = WorkflowStatus.Running }, (id, token) => operations.CancelAsync(tenant, id, actor, null, token), context.RequestAborted);
        }

        await WriteCountAsync(context, "cancelled", result?.Done ?? 0);
    }

    /// <summary>Which instances are to be cancelled; null when nothing is named, which means none.</summary>
    private static InstanceFilter? ReadFilter(JsonElement body)
    {
        var (definitionId, versions) = (ElsaQuery.TextOf(body, "definitionId"), ElsaQuery.ReadVersions(ElsaQuery.TextOf(body, "versionOptions")));
        if (definitionId is null != versions is null)
            throw ApiException.Bad("Give 'definitionId' and 'versionOptions' both, or neither.");
        var filter = new InstanceFilter
        {
            Ids = ElsaQuery.TextsOf(body, "ids"),
            DefinitionVersionIds = ElsaQuery.TextOf(body, "definitionVersionId") is { } versionId ? [versionId] : null,
            DefinitionId = definitionId,
            Versions = versions,
        };
        return filter.IsEmpty ? null : filter;
    }

    private static async Task DeleteAsync(HttpContext context, string id)
    {
        if (!await context.Runtime().Instances.DeleteAsync(context.Tenant(), id, context.RequestAborted))
            throw ApiException.NoInstance(id);
        context.Response.StatusCode = StatusCodes.Status204NoContent;
    }

    private static async Task DeleteManyAsync(HttpContext context)
    {
        var body = await context.ReadObjectAsync();
        var filter = new InstanceFilter
        {
            Ids = ElsaQuery.TextsOf(body, "ids"),
            DefinitionId = ElsaQuery.TextOf(body, "workflowDefinitionId"),
            DefinitionIds = ElsaQuery.TextsOf(body, "workflowDefinitionIds"),
        };
        long deleted = 0;
        // Nothing that is named means nothing, not everything.
        if (!filter.IsEmpty)
        {
            var instances = context.Runtime().Instances;
            for (var ids = await FindAsync(); ids.Count > 0; ids = await FindAsync())
                deleted += await instances.DeleteAsync(context.Tenant(), ids, context.RequestAborted);

            Task<List<string>> FindAsync() => instances.FindIdsAsync(context.Tenant(), filter, DeleteSize, context.RequestAborted);
        }

        await WriteCountAsync(context, "deleted", deleted);
    }

    private static Task WriteCountAsync(HttpContext context, string name, long count) => context.WriteJsonAsync(writer =>
    {
        writer.WriteStartObject();
        writer.WriteNumber(name, count);
        writer.WriteEndObject();
    });
}

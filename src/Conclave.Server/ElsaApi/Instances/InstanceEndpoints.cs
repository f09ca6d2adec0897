using System.Text.Json;
using Conclave.Server.Accounts;
using Conclave.Server.Api;
using Conclave.Server.OpenApi;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;
using Conclave.Workflows.Runtime.Instances;

namespace Conclave.Server.ElsaApi.Instances;

/// <summary>Instances: list, read, state, variables.</summary>
internal static class InstanceEndpoints
{
    /// <summary>Items after which a list without pages is sent on.</summary>
    private const int FlushAfter = 1_000;

    public static void Map(RouteGroupBuilder group)
    {
        group.MapPost("/workflow-instances", ListAsync).RequirePermission(InstanceApi.Read)
            .Describe("ElsaListInstances", "List instances", o => o.Takes<InstanceListRequest>(isOptional: true).Answers<PageShape<InstanceSummaryShape>>());
        group.MapGet("/workflow-instances", ListAsync).RequirePermission(InstanceApi.Read)
            .Describe("ElsaListInstancesByGet", "List instances", o => o
                .ElsaPages().Query("searchTerm", "Part of the name or of an id.").Query<string[]>("ids", "Only these.").Query("definitionId", "Of this workflow.")
                .Query<string[]>("definitionIds", "Of these workflows.").Query("correlationId", "With this correlation id.").Query("name", "With this name.").Query<int>("version", "Of this version.")
                .Query<bool>("hasIncidents", "With or without incidents.").Query<bool>("isSystem", "true finds nothing.").Query<WorkflowStatus>("status", "That run, or have ended.")
                .Query<WorkflowStatus[]>("statuses", "Any of these.").Query<InstanceSubStatus>("subStatus", "That stand like this.").Query<InstanceSubStatus[]>("subStatuses", "Any of these.")
                .Query<InstanceOrderBy>("orderBy", "Created without it.").Query<OrderDirection>("orderDirection", "Direction.").Answers<PageShape<InstanceSummaryShape>>());
        group.MapGet("/workflow-instances/{id}", GetAsync).RequirePermission(InstanceApi.Read)
            .Describe("ElsaGetInstance", "Get an instance with its state", o => o.Answers<InstanceShape>());
        group.MapGet("/workflow-instances/{id}/execution-state", StateAsync).RequirePermission(InstanceApi.Read)
            .Describe("ElsaGetExecutionState", "See how an instance stands", o => o.Answers<ExecutionStateShape>());
        group.MapGet("/workflow-instances/{id}/variables", VariablesAsync).RequirePermission(InstanceApi.Read)
            .Describe("ElsaGetVariables", "Read the variables of an instance", o => o.Answers<ListShape<VariableValueShape>>());
        group.MapPost("/workflow-instances/{id}/variables", SetVariablesAsync).RequirePermission(InstanceApi.Write)
            .Describe("ElsaSetVariables", "Set variables of an instance", o => o.Takes<SetVariablesRequest>().Answers<ListShape<VariableValueShape>>());
    }

    private static async Task ListAsync(HttpContext context)
    {
        var query = InstanceQuery.Read(context, await context.ReadObjectAsync());
        // Workflows that are part of the system have no instances that are told apart.
        if (query.IsSystem)
            await WriteListAsync(context, [], 0);
        else if (query.Page is { } page)
        {
            var (instances, total) = await context.Runtime().Instances.ReadPageAsync(
                context.Tenant(), query.Filter, query.Order, query.Descending, page.Offset, page.Size, context.RequestAborted);
            await WriteListAsync(context, instances, total);
        }
        else
            await WriteAllAsync(context, query);
    }

    private static Task WriteListAsync(HttpContext context, IReadOnlyList<InstanceSummary> instances, long total) => context.WriteJsonAsync(writer =>
    {
        writer.WriteStartObject();
        writer.WriteStartArray("items");
        foreach (var instance in instances)
            InstanceJson.Write(writer, instance);
        writer.WriteEndArray();
        writer.WriteNumber("totalCount", total);
        writer.WriteEndObject();
    });

    /// <summary>Writes a list without pages while it is read, so that it needs little memory.</summary>
    private static async Task WriteAllAsync(HttpContext context, InstanceQuery query)
    {
        var response = context.Response;
        response.ContentType = "application/json; charset=utf-8";
        response.Headers.CacheControl = "no-store";
        await using var writer = new Utf8JsonWriter(response.BodyWriter);
        writer.WriteStartObject();
        writer.WriteStartArray("items");
        var count = 0L;
        await foreach (var instance in context.Runtime().Instances.ReadAllAsync(context.Tenant(), query.Filter, query.Order, query.Descending, context.RequestAborted))
        {
            InstanceJson.Write(writer, instance);
            if (++count % FlushAfter != 0)
                continue;
            await writer.FlushAsync(context.RequestAborted);
            await response.BodyWriter.FlushAsync(context.RequestAborted);
        }

        writer.WriteEndArray();
        writer.WriteNumber("totalCount", count);
        writer.WriteEndObject();
    }

    private static async Task GetAsync(HttpContext context, string id)
    {
        var runtime = context.Runtime();
        var summary = await runtime.Instances.FindAsync(context.Tenant(), id, context.RequestAborted) ?? throw ApiException.NoInstance(id);
        var instance = (await runtime.Executions.ReadLiveAsync(context.Tenant(), id, context.RequestAborted)).Instance;
        var starts = instance is null
            ? null
            : await runtime.Executions.FindStartsAsync(context.Tenant(), id, instance.Contexts.Select(c => c.Number).ToHashSet(), context.RequestAborted);
        await context.WriteJsonAsync(writer => InstanceJson.Write(writer, summary, instance, starts));
    }

    private static async Task StateAsync(HttpContext context, string id)
    {
        var summary = await context.Runtime().Instances.FindAsync(context.Tenant(), id, context.RequestAborted) ?? throw ApiException.NoInstance(id);
        await context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            writer.WriteString("status", summary.Status.ToString());
            writer.WriteString("subStatus", summary.SubStatus.ToString());
            // What Elsa's client calls it; Studio does not read it.
            writer.WriteString("workflowSubStatus", summary.SubStatus.ToString());
            writer.WriteString("updatedAt", summary.UpdatedAt);
            writer.WriteEndObject();
        });
    }

    private static async Task VariablesAsync(HttpContext context, string id) =>
        await WriteVariablesAsync(context, await context.Runtime().Runner.ReadAsync(context.Tenant(), id, context.RequestAborted) ?? throw ApiException.NoInstance(id));

    private static async Task SetVariablesAsync(HttpContext context, string id)
    {
        var body = await context.ReadObjectAsync();
        if (!ElsaQuery.TryGet(body, "variables", out var given) || given.ValueKind != JsonValueKind.Array)
            throw ApiException.Bad("'variables' must be a list of {id, value}.");
        var instance = await context.Runtime().Runner.ReadAsync(context.Tenant(), id, context.RequestAborted) ?? throw ApiException.NoInstance(id);
        var values = new Dictionary<string, object?>(StringComparer.Ordinal);
        foreach (var variable in given.EnumerateArray())
        {
            var variableId = ElsaQuery.TextOf(variable, "id") ?? throw ApiException.Bad("Each of 'variables' needs an 'id'.");
            var found = instance.Graph.Root.Variables.FirstOrDefault(v => v.Definition.Id == variableId)
                ?? throw ApiException.Bad($"The workflow has no variable with the id '{variableId}'. It has: {string.Join(", ", instance.Graph.Root.Variables.Select(v => v.Definition.Id))}.");
            values[found.Definition.Name] = ElsaQuery.TryGet(variable, "value", out var value) ? ValueConverter.FromJson(value) : null;
        }

        await WriteVariablesAsync(context, await context.Runtime().Operations.SetVariablesAsync(
            context.Tenant(), id, values, context.Actor(), null, context.RequestAborted));
    }

    private static Task WriteVariablesAsync(HttpContext context, WorkflowInstance instance)
    {
        var variables = instance.Graph.Root.Variables.Where(v => !v.IsInput).DistinctBy(v => v.Definition.Id).ToList();
        return context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            writer.WriteStartArray("items");
            foreach (var variable in variables)
            {
                writer.WriteStartObject();
                writer.WriteString("id", variable.Definition.Id);
                writer.WriteString("name", variable.Definition.Name);
                if (instance.GetVariable(variable) is { } value)
                {
                    writer.WritePropertyName("value");
                    ValueConverter.WriteJson(writer, value);
                }

                writer.WriteEndObject();
            }

            writer.WriteEndArray();
            writer.WriteNumber("count", variables.Count);
            writer.WriteEndObject();
        });
    }
}

using System.Text.Json;
using Conclave.Server.Api;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Instances;

namespace Conclave.Server.ElsaApi.Instances;

/// <summary>Orders of the list, as Studio (<c>LastExecuted</c>) and Elsa's server (<c>UpdatedAt</c>) spell them.</summary>
internal enum InstanceOrderBy
{
    Created,
    UpdatedAt,
    LastExecuted,
    Finished,
    Name,
}

/// <summary>Directions of a list.</summary>
internal enum OrderDirection
{
    Ascending,
    Descending,
}

/// <summary>Statuses as Elsa names them; ours and <c>Interrupted</c>, which ours never are.</summary>
internal enum InstanceSubStatus
{
    Pending = WorkflowSubStatus.Pending,
    Executing = WorkflowSubStatus.Executing,
    Suspended = WorkflowSubStatus.Suspended,
    Finished = WorkflowSubStatus.Finished,
    Cancelled = WorkflowSubStatus.Cancelled,
    Faulted = WorkflowSubStatus.Faulted,
    Interrupted = 100,
}

/// <summary>Which instances a request wants, in which order: members of its query or of its body.</summary>
internal sealed record InstanceQuery(InstanceFilter Filter, InstanceOrder Order, bool Descending, PageOf? Page, bool IsSystem)
{
    /// <summary>Reads a request.</summary>
    public static InstanceQuery Read(HttpContext context, JsonElement body)
    {
        string? Text(string name) => context.Query(name) ?? ElsaQuery.TextOf(body, name);
        IReadOnlyList<string> Texts(string name) => context.Request.Values(name) is { Count: > 0 } given ? given : ElsaQuery.TextsOf(body, name) ?? [];
        bool? Flag(string name) => context.Flag(name) ?? ElsaQuery.FlagOf(body, name);
        int? Number(string name) => context.Number(name) ?? NumberOf(body, name);

        var order = ElsaQuery.Choice<InstanceOrderBy>("orderBy", Text("orderBy")) ?? InstanceOrderBy.Created;
        var direction = ElsaQuery.Choice<OrderDirection>("orderDirection", Text("orderDirection"))
            ?? (order == InstanceOrderBy.Name ? OrderDirection.Ascending : OrderDirection.Descending);
        var filter = new InstanceFilter
        {
            Ids = Texts("ids"),
            DefinitionId = Text("definitionId"),
            DefinitionIds = Texts("definitionIds"),
            CorrelationId = Text("correlationId"),
            Names = Text("name") is { } name ? [name] : null,
            Version = Number("version"),
            HasIncidents = Flag("hasIncidents"),
            Status = ElsaQuery.Choice<WorkflowStatus>("status", Text("status")),
            SubStatus = SubStatusOf("subStatus", Text("subStatus")),
            Statuses = StatusesOf(Texts("statuses")),
            SubStatuses = SubStatusesOf(Texts("subStatuses")),
            Search = Text("searchTerm")?.Trim(),
            Times = ReadTimes(body),
        };
        // Who names a workflow, or instances, wants them all.
        var isNamed = filter.DefinitionId is not null || filter.DefinitionIds is { Count: > 0 } || filter.Ids is { Count: > 0 };
        return new InstanceQuery(
            filter with { LeavesOutDeleted = !isNamed },
            order switch
            {
                InstanceOrderBy.Created => InstanceOrder.Created,
                InstanceOrderBy.Finished => InstanceOrder.Finished,
                InstanceOrderBy.Name => InstanceOrder.Name,
                _ => InstanceOrder.Updated,
            },
            direction == OrderDirection.Descending,
            ElsaQuery.ReadPage(Number("page"), Number("pageSize")),
            Flag("isSystem") == true);
    }

    /// <summary>Statuses by name.</summary>
    public static IReadOnlyList<WorkflowStatus> StatusesOf(IReadOnlyList<string> names) =>
        [.. names.Select(n => ElsaQuery.Choice<WorkflowStatus>("statuses", n)).OfType<WorkflowStatus>()];

    /// <summary>Sub statuses by name.</summary>
    public static IReadOnlyList<WorkflowSubStatus> SubStatusesOf(IReadOnlyList<string> names) =>
        [.. names.Select(n => SubStatusOf("subStatuses", n)).OfType<WorkflowSubStatus>()];

    /// <summary>Reads comparisons with times: <c>timestampFilters</c>.</summary>
    public static IReadOnlyList<TimeFilter> ReadTimes(JsonElement body)
    {
        if (!ElsaQuery.TryGet(body, "timestampFilters", out var given))
            return [];
        if (given.ValueKind != JsonValueKind.Array)
            throw ApiException.Bad("'timestampFilters' must be a list of {column, operator, timestamp}.");
        return [.. given.EnumerateArray().Select(ReadTime)];
    }

    private static TimeFilter ReadTime(JsonElement filter)
    {
        var column = ElsaQuery.Choice<InstanceTime>("column", ElsaQuery.TextOf(filter, "column"));
        var comparison = ElsaQuery.Choice<TimeComparison>("operator", ElsaQuery.TextOf(filter, "operator"));
        if (column is null || comparison is null)
            throw ApiException.Bad("Each of 'timestampFilters' needs a 'column' (CreatedAt, UpdatedAt, FinishedAt) and an 'operator' (Is, IsNot, LessThan, GreaterThan, LessThanOrEqual, GreaterThanOrEqual).");
        return ElsaQuery.TryGet(filter, "timestamp", out var given) && given.ValueKind == JsonValueKind.String && given.TryGetDateTimeOffset(out var time)
            ? new TimeFilter(column.Value, comparison.Value, time)
            : throw ApiException.Bad("'timestamp' must be an ISO 8601 time such as 2026-01-31T10:20:30Z; midnight means the whole day.");
    }

    private static WorkflowSubStatus? SubStatusOf(string name, string? text) => (WorkflowSubStatus?)ElsaQuery.Choice<InstanceSubStatus>(name, text);

    private static int? NumberOf(JsonElement body, string name) => !ElsaQuery.TryGet(body, name, out var given)
        ? null
        : given.ValueKind == JsonValueKind.Number && given.TryGetInt32(out var number) ? number : throw ApiException.Bad($"'{name}' must be a whole number.");
}

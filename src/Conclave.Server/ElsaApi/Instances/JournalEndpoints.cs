using System.Text.Json;
using Conclave.Server.Accounts;
using Conclave.Server.Api;
using Conclave.Server.OpenApi;
using Conclave.Workflows.Execution;

namespace Conclave.Server.ElsaApi.Instances;

/// <summary>The journal of an instance.</summary>
internal static class JournalEndpoints
{
    private const int DefaultTake = 100;
    private const int LargestTake = 5_000;

    public static void Map(RouteGroupBuilder group)
    {
        group.MapGet("/workflow-instances/{id}/journal", (HttpContext context, string id) => ListAsync(context, id, new JournalQuery())).RequirePermission(InstanceApi.Read)
            .Describe("ElsaGetJournal", "Read the journal of an instance", o => o.DescribePage());
        group.MapPost("/workflow-instances/{id}/journal", FilterAsync).RequirePermission(InstanceApi.Read)
            .Describe("ElsaFilterJournal", "Read entries of the journal of an instance", o => o.Takes<JournalRequest>(isOptional: true).DescribePage());
        group.MapGet("/workflow-instances/{id}/journal/{activityId}", LastAsync).RequirePermission(InstanceApi.Read)
            .Describe("ElsaGetLastJournalEntry", "Get the last entry of an activity", o => o.Answers<JournalRecordShape>());
    }

    private static ApiOperation DescribePage(this ApiOperation operation) => operation
        .Query<long>("skip", "How many come before.").Query<int>("take", "Most entries, at most 5,000; 100 without it.").ElsaPages().Answers<PageShape<JournalRecordShape>>();

    /// <summary>Writes an entry as Elsa's client reads it.</summary>
    public static void Write(Utf8JsonWriter writer, string instanceId, JournalRecord record)
    {
        var (entry, node) = (record.Entry, record.Node);
        writer.WriteStartObject();
        writer.WriteString("id", $"{instanceId}-j{entry.Sequence}");
        writer.WriteString("activityInstanceId", WorkflowStateJson.ActivityInstanceId(instanceId, entry.ActivityInstance));
        if (record.ParentInstance > 0)
            writer.WriteString("parentActivityInstanceId", WorkflowStateJson.ActivityInstanceId(instanceId, record.ParentInstance));
        writer.WriteString("activityId", node?.Id ?? entry.NodeId[(entry.NodeId.LastIndexOf(':') + 1)..]);
        writer.WriteString("activityType", node?.Type ?? ExecutionJson.UnknownType);
        writer.WriteNumber("activityTypeVersion", node?.Version ?? 1);
        if (node?.Name is { } name)
            writer.WriteString("activityName", name);
        writer.WriteString("nodeId", entry.NodeId);
        writer.WriteString("timestamp", entry.Timestamp);
        writer.WriteNumber("sequence", entry.Sequence);
        writer.WriteString("eventName", entry.Event.ToString());
        if (entry.Exception is { } exception)
        {
            writer.WriteString("message", exception.Message);
            WriteException(writer, "payload", exception);
        }
        else if (entry.Event == ExecutionEvent.Completed)
            WorkflowStateJson.WriteValues(writer, "payload", [KeyValuePair.Create("Outcomes", (object?)(entry.Details?.Outcomes ?? ["Done"]))]);

        writer.WriteEndObject();
    }

    private static async Task FilterAsync(HttpContext context, string id)
    {
        var body = await context.ReadObjectAsync();
        ElsaQuery.TryGet(body, "filter", out var filter);
        await ListAsync(context, id, new JournalQuery
        {
            ActivityIds = SetOf(filter, "activityIds"),
            NodeIds = SetOf(filter, "activityNodeIds"),
            ExcludedTypes = SetOf(filter, "excludedActivityTypes"),
            Events = SetOf(filter, "eventNames"),
        });
    }

    private static async Task ListAsync(HttpContext context, string id, JournalQuery query)
    {
        var page = ElsaQuery.ReadPage(context.Number("page"), context.Number("pageSize"));
        var skip = page?.Offset ?? context.Number("skip") ?? 0;
        var take = page?.Size ?? context.Number("take") ?? context.Number("pageSize") ?? DefaultTake;
        if (skip < 0 || take is < 0 or > LargestTake)
            throw ApiException.Bad($"'skip' must be 0 or more, and 'take' 0 to {LargestTake}.");
        await CheckAsync(context, id);
        var (records, total) = await query.ReadAsync(context.Runtime(), context.Tenant(), id, skip, take, context.RequestAborted);
        await context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            writer.WriteStartArray("items");
            foreach (var record in records)
                Write(writer, id, record);
            writer.WriteEndArray();
            writer.WriteNumber("totalCount", total);
            writer.WriteEndObject();
        });
    }

    private static async Task LastAsync(HttpContext context, string id, string activityId)
    {
        await CheckAsync(context, id);
        var query = new JournalQuery
        {
            ActivityIds = new HashSet<string> { activityId },
            Events = new HashSet<string> { nameof(ExecutionEvent.Started), nameof(ExecutionEvent.Completed), nameof(ExecutionEvent.Faulted) },
        };
        var last = await query.FindLastAsync(context.Runtime(), context.Tenant(), id, context.RequestAborted)
            ?? throw new ApiException(404, "journal.no_entry", $"Activity '{activityId}' has not run in instance '{id}'.");
        await context.WriteJsonAsync(writer => Write(writer, id, last));
    }

    private static async Task CheckAsync(HttpContext context, string id)
    {
        if (await context.Runtime().Instances.FindAsync(context.Tenant(), id, context.RequestAborted) is null)
            throw ApiException.NoInstance(id);
    }

    private static HashSet<string>? SetOf(JsonElement filter, string name) => ElsaQuery.TextsOf(filter, name)?.ToHashSet(StringComparer.Ordinal);

    private static void WriteException(Utf8JsonWriter writer, string member, ExceptionState exception)
    {
        writer.WriteStartObject(member);
        writer.WriteString("Exception", exception.Type);
        writer.WriteString("Message", exception.Message);
        writer.WriteStartObject("Data");
        writer.WriteEndObject();
        if (exception.StackTrace is { } stackTrace)
            writer.WriteString("StackTrace", stackTrace);
        if (exception.Inner is { } inner)
            WriteException(writer, "InnerException", inner);
        writer.WriteEndObject();
    }
}

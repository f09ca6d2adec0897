using System.Globalization;
using System.Text.Json;
using Conclave.Server.Accounts;
using Conclave.Server.OpenApi;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;
using Conclave.Workflows.Runtime.Instances;
using Conclave.Workflows.Runtime.Journal;

namespace Conclave.Server.Api;

/// <summary>Instances: list, read, journal, delete.</summary>
internal static class InstanceEndpoints
{
    public static void Map(RouteGroupBuilder instances)
    {
        var group = instances.WithTags("Instances");
        group.MapGet("/", ListAsync).RequirePermission(Permissions.ReadInstances)
            .Describe("ListInstances", "List instances, newest first", o => o
                .Query("definitionId", "Of this workflow.").Query<WorkflowStatus>("status", "That run, or have ended.").Query<WorkflowSubStatus>("subStatus", "That stand like this.")
                .Query("correlationId", "With this correlation id.").Query("parentId", "Started by this instance.").Query<bool>("hasIncidents", "With or without incidents.")
                .Pages().Answers<PageShape<InstanceSummaryShape>>());
        group.MapGet("/{id}", GetAsync).RequirePermission(Permissions.ReadInstances)
            .Describe("GetInstance", "Get an instance with its values, bookmarks and incidents", o => o.Answers<InstanceShape>());
        group.MapGet("/{id}/journal", JournalAsync).RequirePermission(Permissions.ReadInstances)
            .Describe("GetInstanceJournal", "Read what happened in an instance", o => o
                .Query<long>("after", "Entries after this number.").Pages().Answers<PageShape<JournalEntryShape>>());
        group.MapDelete("/{id}", DeleteAsync).RequirePermission(Permissions.DeleteInstances)
            .Describe("DeleteInstance", "Delete an instance that has ended", o => o.Query<bool>("force", "Deletes it even if it has not ended.").Answers(204).Refuses(409));
        ReplayEndpoints.Map(group);
        OperationEndpoints.Map(group);
    }

    /// <summary>Reads which instances are meant: members of a query or of a body.</summary>
    internal static InstanceFilter ReadFilter(Func<string, string?> read) => new()
    {
        DefinitionId = read("definitionId"),
        CorrelationId = read("correlationId"),
        ParentId = read("parentId"),
        Status = ReadEnum<WorkflowStatus>("status", read("status")),
        SubStatus = ReadEnum<WorkflowSubStatus>("subStatus", read("subStatus")),
        HasIncidents = read("hasIncidents") is not { } text ? null : (bool.TryParse(text, out var isTrue) ? isTrue : throw ApiException.Bad("'hasIncidents' must be true or false.")),
    };

    internal static async Task WriteAsync(HttpContext context, InstanceSummary summary)
    {
        var instance = await context.Runtime().Runner.ReadAsync(context.Tenant(), summary.Id, context.RequestAborted);
        await context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            WriteSummary(writer, summary);
            if (instance is not null)
                WriteDetails(writer, instance);
            writer.WriteEndObject();
        });
    }

    private static async Task ListAsync(HttpContext context)
    {
        var limit = context.Limit();
        var instances = await context.Runtime().Instances.ListAsync(
            context.Tenant(), ReadFilter(context.Query), Cursor.Read(context.Query("cursor")) is { } after ? new InstanceCursor(after.Time, after.Id) : null, limit, context.RequestAborted);
        await context.WritePageAsync(instances, instances.Count == limit ? Cursor.Of(instances[^1].CreatedAt, instances[^1].Id) : null, (writer, summary) =>
        {
            writer.WriteStartObject();
            WriteSummary(writer, summary);
            writer.WriteEndObject();
        });
    }

    private static async Task GetAsync(HttpContext context, string id) => await WriteAsync(
        context, await context.Runtime().Instances.FindAsync(context.Tenant(), id, context.RequestAborted) ?? throw ApiException.NoInstance(id));

    private static async Task DeleteAsync(HttpContext context, string id)
    {
        var runtime = context.Runtime();
        var found = await runtime.Instances.FindAsync(context.Tenant(), id, context.RequestAborted) ?? throw ApiException.NoInstance(id);
        if (found.Status == WorkflowStatus.Running && !string.Equals(context.Query("force"), "true", StringComparison.OrdinalIgnoreCase))
            throw new ApiException(409, "instance.running", $"Instance '{id}' has not ended. Cancel it first, or delete it anyway with force=true.");
        await runtime.Instances.DeleteAsync(context.Tenant(), id, context.RequestAborted);
        context.Response.StatusCode = 204;
    }

    private static async Task JournalAsync(HttpContext context, string id)
    {
        var runtime = context.Runtime();
        var tenant = context.Tenant();
        if (await runtime.Instances.FindAsync(tenant, id, context.RequestAborted) is null)
            throw ApiException.NoInstance(id);
        var limit = context.Limit();
        var given = context.Query("after") ?? context.Query("cursor");
        var after = given is null ? -1 : long.TryParse(given, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) ? number : throw ApiException.Bad("'after' must be a sequence number.");
        var entries = await runtime.Journal.ReadAsync(tenant, id, after, limit, context.RequestAborted);
        var operations = await runtime.Journal.ReadOperationsAsync(tenant, id, context.RequestAborted);
        var last = entries.Count == limit ? entries[^1].Entry.Sequence : long.MaxValue;
        var items = new List<(long Sequence, Action<Utf8JsonWriter> Write)>();
        foreach (var entry in entries)
        {
            var node = await FindNodeAsync(context, entry);
            items.Add((entry.Entry.Sequence, writer => JournalJson.Write(writer, entry, node)));
        }

        // An operation comes before the entry that has its number; of several the last is put there first.
        foreach (var operation in operations.Where(o => o.Sequence > after && o.Sequence <= last).Reverse())
            items.Insert(items.FindIndex(i => i.Sequence >= operation.Sequence) is >= 0 and var place ? place : items.Count, (operation.Sequence, writer => JournalJson.Write(writer, operation)));
        await context.WritePageAsync(items, entries.Count == limit ? last.ToString(CultureInfo.InvariantCulture) : null, (writer, item) => item.Write(writer));
    }

    /// <summary>The activity of an entry; null when its version was deleted since.</summary>
    private static async ValueTask<ActivityNode?> FindNodeAsync(HttpContext context, StoredJournalEntry entry)
    {
        try
        {
            return (await context.Runtime().Catalog.Of(context.Tenant()).GetGraphAsync(entry.VersionId, context.RequestAborted)).FindNode(entry.Entry.NodeId);
        }
        catch (Exception exception) when (exception is WorkflowException or WorkflowDefinitionException)
        {
            return null;
        }
    }

    private static void WriteSummary(Utf8JsonWriter writer, InstanceSummary summary)
    {
        writer.WriteString("id", summary.Id);
        writer.WriteString("definitionId", summary.DefinitionId);
        writer.WriteString("definitionVersionId", summary.DefinitionVersionId);
        writer.WriteNumber("version", summary.Version);
        writer.WriteString("status", summary.Status.ToString());
        writer.WriteString("subStatus", summary.SubStatus.ToString());
        writer.WriteString("correlationId", summary.CorrelationId);
        writer.WriteString("name", summary.Name);
        writer.WriteString("parentId", summary.ParentId);
        writer.WriteNumber("incidentCount", summary.IncidentCount);
        writer.WriteString("createdAt", summary.CreatedAt);
        writer.WriteString("updatedAt", summary.UpdatedAt);
        if (summary.FinishedAt is { } finished)
            writer.WriteString("finishedAt", finished);
        else
            writer.WriteNull("finishedAt");
    }

    private static void WriteDetails(Utf8JsonWriter writer, WorkflowInstance instance)
    {
        writer.WriteNumber("bursts", instance.Bursts);
        writer.WritePropertyName("input");
        ValueConverter.WriteJson(writer, instance.Input);
        writer.WritePropertyName("output");
        ValueConverter.WriteJson(writer, instance.Output);
        writer.WriteStartObject("variables");
        foreach (var variable in instance.Graph.Root.Variables.Where(v => !v.IsInput).DistinctBy(v => v.Definition.Name))
        {
            writer.WritePropertyName(variable.Definition.Name);
            ValueConverter.WriteJson(writer, instance.GetVariable(variable));
        }

        writer.WriteEndObject();
        writer.WriteStartArray("bookmarks");
        foreach (var bookmark in instance.Bookmarks)
        {
            writer.WriteStartObject();
            writer.WriteNumber("number", bookmark.Number);
            writer.WriteString("name", bookmark.Name);
            writer.WriteString("activityId", bookmark.Context.Node.Id);
            writer.WriteString("payload", bookmark.Payload.ToString());
            if (bookmark.DueAt is { } due)
                writer.WriteString("dueAt", due);
            writer.WriteString("createdAt", bookmark.CreatedAt);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteStartArray("incidents");
        foreach (var incident in instance.Incidents)
        {
            writer.WriteStartObject();
            writer.WriteString("activityId", incident.ActivityId);
            writer.WriteString("activityNodeId", incident.ActivityNodeId);
            writer.WriteString("activityType", incident.ActivityType);
            writer.WriteNumber("activityInstance", incident.ActivityInstance);
            writer.WriteString("message", incident.Message);
            writer.WriteString("exception", incident.Exception?.Type);
            writer.WriteString("timestamp", incident.Timestamp);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }

    private static T? ReadEnum<T>(string name, string? text) where T : struct, Enum => text is null
        ? null
        : Enum.TryParse<T>(text, ignoreCase: true, out var value) && Enum.IsDefined(value)
            ? value
            : throw ApiException.Bad($"'{name}' must be one of {string.Join(", ", Enum.GetNames<T>())}; it is '{text}'.");
}

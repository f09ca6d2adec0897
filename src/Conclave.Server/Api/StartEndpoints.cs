using System.Globalization;
using System.Text.Json;
using Conclave.Server.Accounts;
using Conclave.Server.OpenApi;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;
using Conclave.Workflows.Runtime;
using Conclave.Workflows.Runtime.Instances;
using Conclave.Workflows.Runtime.Queue;

namespace Conclave.Server.Api;

/// <summary>Starting workflows, one or many.</summary>
internal static class StartEndpoints
{
    private const double LongestWaitSeconds = 60;
    private const int LargestMany = 10_000;

    /// <summary>Due items from which on more bulk work is refused.</summary>
    private const long DeepQueue = 200_000;

    public static void Map(RouteGroupBuilder group)
    {
        group.MapPost("/{definitionId}/start", StartAsync).RequirePermission(Permissions.ExecuteDefinitions)
            .Describe("StartWorkflow", "Start an instance", o => o
                .Takes<StartRequest>(isOptional: true).Answers<InstanceShape>(200, "With wait: it ended or suspended in time.").Answers<StartedShape>(202, "It runs.").Refuses(404));
        group.MapPost("/{definitionId}/start-many", StartManyAsync).RequirePermission(Permissions.ExecuteDefinitions)
            .Describe("StartWorkflowManyTimes", "Start 1 to 10,000 instances together", o => o
                .Takes<IReadOnlyList<StartRequest>>().Answers<StartedManyShape>(202, "All run, or none if one of them is wrong.").Refuses(429).Note("Takes one start a line (NDJSON), too."));
    }

    private static async Task StartAsync(HttpContext context, string definitionId)
    {
        var body = await context.ReadObjectAsync();
        var runtime = context.Runtime();
        var tenant = context.Tenant();
        // All is read before anything starts: a refused request starts nothing.
        var (priority, longest) = (ReadPriority(body), ReadWait(body));
        var graph = await FindGraphAsync(context, definitionId, body);
        var request = context.Features.Get<IdempotentRequest>();
        var instance = runtime.Catalog.Of(tenant).Engine.CreateInstance(graph, ReadStart(body, request?.InstanceId));
        var outcome = await runtime.Runner.EnqueueAsync(tenant, instance, priority);
        if (outcome != CommitOutcome.Stored && !IsEarlier(outcome, request, instance))
            throw NotStarted(outcome, instance.Id);
        if (longest is { } wait)
        {
            var ended = await WaitAsync(runtime, tenant, instance.Id, wait, context.RequestAborted);
            if (ended is not null && ended.SubStatus is not (WorkflowSubStatus.Pending or WorkflowSubStatus.Executing))
            {
                await InstanceEndpoints.WriteAsync(context, ended);
                return;
            }
        }

        context.Response.Headers.Location = $"/api/instances/{instance.Id}";
        await context.WriteJsonAsync(writer => WriteStarted(writer, instance.Id), 202);
    }

    private static async Task StartManyAsync(HttpContext context, string definitionId)
    {
        var runtime = context.Runtime();
        if ((await runtime.Queue.GetStatsAsync(context.Tenant(), context.RequestAborted)).Due > DeepQueue)
            throw new ApiException(429, "queue.too_deep", $"More than {DeepQueue:N0} items wait already. Send the rest later.") { RetryAfter = "10" };
        var requests = ReadMany(await context.ReadBodyAsync());
        if (requests.Count is 0 or > LargestMany)
            throw ApiException.Bad($"Send 1 to {LargestMany:N0} starts at once; these are {requests.Count:N0}.");
        var engine = runtime.Catalog.Of(context.Tenant()).Engine;
        var earlier = context.Features.Get<IdempotentRequest>();
        var instances = new List<(WorkflowInstance Instance, WorkPriority Priority)>(requests.Count);
        foreach (var body in requests)
        {
            if (body.ValueKind != JsonValueKind.Object)
                throw ApiException.Bad($"Start {instances.Count + 1} is not a JSON object.");
            // Many at once must not delay what somebody waits for.
            var priority = body.TryGetProperty("priority", out _) ? ReadPriority(body) : WorkPriority.P3;
            var id = earlier is null ? null : string.Create(CultureInfo.InvariantCulture, $"{earlier.InstanceId}-{instances.Count + 1}");
            instances.Add((engine.CreateInstance(await FindGraphAsync(context, definitionId, body), ReadStart(body, id)), priority));
        }

        var outcome = await runtime.Runner.EnqueueAsync(context.Tenant(), instances);
        if (outcome != CommitOutcome.Stored && !IsEarlier(outcome, earlier, instances[0].Instance))
            throw NotStarted(outcome, "one of these ids");
        await context.WriteJsonAsync(
            writer =>
            {
                writer.WriteStartObject();
                writer.WriteNumber("started", instances.Count);
                writer.WriteStartArray("instanceIds");
                foreach (var (instance, _) in instances)
                    writer.WriteStringValue(instance.Id);
                writer.WriteEndArray();
                writer.WriteEndObject();
            },
            202);
    }

    /// <summary>Whether it was the same request that started the instance, and died before it could answer. Many start together or not at all.</summary>
    private static bool IsEarlier(CommitOutcome outcome, IdempotentRequest? request, WorkflowInstance first) =>
        outcome == CommitOutcome.Exists && request is { IsRepeated: true } && first.Id.StartsWith(request.InstanceId, StringComparison.Ordinal);

    private static ApiException NotStarted(CommitOutcome outcome, string id) => outcome == CommitOutcome.Exists
        ? new ApiException(409, "instance.exists", $"There is an instance with the id '{id}' already. Nothing was started.")
        : new ApiException(409, "instance.not_activated", "The workflow's activation strategy allows no other instance while one runs. Nothing was started.");

    private static List<JsonElement> ReadMany(byte[] body)
    {
        if (body.AsSpan().TrimStart(" \t\r\n"u8) is [(byte)'[', ..])
            return [.. JsonText.Parse(body).EnumerateArray()];
        var lines = new List<JsonElement>();
        foreach (var range in body.AsSpan().Split((byte)'\n'))
        {
            var line = body.AsSpan(range).Trim(" \t\r"u8);
            if (line.Length > 0)
                lines.Add(JsonText.Parse(line));
        }

        return lines;
    }

    private static async ValueTask<WorkflowGraph> FindGraphAsync(HttpContext context, string definitionId, JsonElement body)
    {
        var workflows = context.Runtime().Catalog.Of(context.Tenant());
        var store = context.Runtime().Catalog.Store;
        var version = body.TryGetProperty("version", out var given) ? ValueConverter.ToText(ValueConverter.FromJson(given))?.ToLowerInvariant() : null;
        if (version is null or "" or "published")
        {
            return await workflows.FindPublishedAsync(definitionId, context.RequestAborted)
                ?? throw new ApiException(404, "workflow.not_found", $"There is no published workflow '{definitionId}'. Publish it, or start a draft with \"version\": \"latest\".");
        }

        var stored = version == "latest"
            ? await store.FindLatestAsync(context.Tenant(), definitionId, context.RequestAborted)
            : int.TryParse(version, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
                ? await store.FindAsync(context.Tenant(), definitionId, number, context.RequestAborted)
                : throw ApiException.Bad($"'version' must be latest, published or a number; it is '{version}'.");
        return await workflows.GetGraphAsync((stored ?? throw ApiException.NoWorkflow(definitionId)).Definition.Id, context.RequestAborted);
    }

    private static WorkflowStart ReadStart(JsonElement body, string? newId)
    {
        var input = ReadInput(body.TryGetProperty("input", out var given) ? given : default);
        return new WorkflowStart { InstanceId = CheckInstanceId(Text(body, "instanceId")) ?? newId, CorrelationId = JsonText.CheckName("correlationId", Text(body, "correlationId")), Name = JsonText.CheckName("name", Text(body, "name")), Input = input };
    }

    /// <summary>Reads inputs by name; nothing given is none.</summary>
    /// <exception cref="ApiException">They are no object.</exception>
    internal static Dictionary<string, object?> ReadInput(JsonElement given, string name = "input")
    {
        var input = new Dictionary<string, object?>(StringComparer.Ordinal);
        if (given.ValueKind is JsonValueKind.Undefined or JsonValueKind.Null)
            return input;
        if (given.ValueKind != JsonValueKind.Object)
            throw ApiException.Bad($"'{name}' must be an object with the workflow's {(name == "input" ? "inputs" : name)} by name.");
        foreach (var value in given.EnumerateObject())
            input[value.Name] = ValueConverter.FromJson(value.Value);
        return input;
    }

    /// <summary>Checks the id of a new instance.</summary>
    /// <exception cref="ApiException">It cannot stand in a path, or is too long.</exception>
    internal static string? CheckInstanceId(string? id) => id is { Length: > 200 } || id?.AsSpan().ContainsAnyExcept(Identifier) == true
        ? throw ApiException.Bad("'instanceId' may have at most 200 letters, digits and -_.~ characters.")
        : id;

    private static readonly System.Buffers.SearchValues<char> Identifier =
        System.Buffers.SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~");

    private static string? Text(JsonElement body, string name) =>
        body.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null
            ? value.ValueKind == JsonValueKind.String ? value.GetString() is { Length: > 0 } text ? text : null : throw ApiException.Bad($"'{name}' must be a text.")
            : null;

    private static WorkPriority ReadPriority(JsonElement body)
    {
        if (!body.TryGetProperty("priority", out var given) || given.ValueKind == JsonValueKind.Null)
            return WorkPriority.P2;
        var text = ValueConverter.ToText(ValueConverter.FromJson(given))?.TrimStart('P', 'p');
        return text is "0" or "1" or "2" or "3"
            ? (WorkPriority)(text[0] - '0')
            : throw ApiException.Bad("'priority' must be 0 (at once), 1, 2 (ordinary) or 3 (bulk).");
    }

    private static TimeSpan? ReadWait(JsonElement body)
    {
        if (!body.TryGetProperty("wait", out var given) || given.ValueKind == JsonValueKind.Null)
            return null;
        return given.ValueKind == JsonValueKind.Number && given.TryGetDouble(out var seconds) && seconds is > 0 and <= LongestWaitSeconds
            ? TimeSpan.FromSeconds(seconds)
            : throw ApiException.Bad($"'wait' must be a number of seconds, above 0 and at most {LongestWaitSeconds}.");
    }

    private static async Task<InstanceSummary?> WaitAsync(WorkflowRuntime runtime, string tenant, string id, TimeSpan wait, CancellationToken cancellationToken)
    {
        var until = DateTimeOffset.UtcNow + wait;
        for (var pause = 2; ; pause = Math.Min(pause * 2, 100))
        {
            var found = await runtime.Instances.FindAsync(tenant, id, cancellationToken);
            if (found is null or { SubStatus: not (WorkflowSubStatus.Pending or WorkflowSubStatus.Executing) } || DateTimeOffset.UtcNow > until)
                return found;
            await Task.Delay(pause, cancellationToken);
        }
    }

    private static void WriteStarted(Utf8JsonWriter writer, string id)
    {
        writer.WriteStartObject();
        writer.WriteString("instanceId", id);
        writer.WriteString("status", nameof(WorkflowStatus.Running));
        writer.WriteString("subStatus", nameof(WorkflowSubStatus.Pending));
        writer.WriteString("statusUrl", $"/api/instances/{id}");
        writer.WriteEndObject();
    }
}

using System.Text.Json;
using Conclave.Server.Accounts;
using Conclave.Server.Api;
using Conclave.Server.OpenApi;
using Conclave.Workflows.Runtime.Instances;
using Conclave.Workflows.Runtime.Operations;

namespace Conclave.Server.ElsaApi.Instances;

/// <summary>Changes to instances: cancel, set a variable, migrate, run faulted activities again.</summary>
internal static class AlterationEndpoints
{
    /// <summary>Any of them lets somebody come this far; each change needs its own.</summary>
    private static readonly string[] AnyChange = [InstanceApi.Write, Cancel, Migrate, Retry];

    private const string Cancel = "cancel:workflow-instances";
    private const string Migrate = "migrate:workflow-instances";
    private const string Retry = "retry:workflow-instances";

    /// <summary>Most instances that one request changes while its caller waits; a plan has no limit.</summary>
    private const int MostAtOnce = 1_000;

    private const int MostFound = 10_000;

    public static void Map(RouteGroupBuilder group)
    {
        var alterations = group.MapGroup("/alterations");
        alterations.MapPost("/submit", SubmitAsync).RequirePermission(AnyChange)
            .Describe("ElsaSubmitAlterations", "Plan changes to all instances that fit a filter", o => o.Takes<AlterationPlanRequest>().Answers<PlanIdShape>());
        alterations.MapPost("/run", RunAsync).RequirePermission(AnyChange)
            .Describe("ElsaRunAlterations", "Change up to 1,000 instances and wait", o => o.Takes<AlterationRunRequest>().Answers<AlterationResultsShape>());
        alterations.MapPost("/dry-run", DryRunAsync).RequirePermission(InstanceApi.Read)
            .Describe("ElsaDryRunAlterations", "See which instances a filter fits", o => o.Takes<AlterationDryRunRequest>().Answers<FoundInstancesShape>());
        alterations.MapPost("/workflows/retry", RetryAsync).RequirePermission(Retry)
            .Describe("ElsaRetryInstances", "Run activities again that faulted", o => o.Takes<AlterationRetryRequest>().Answers<AlterationResultsShape>());
        alterations.MapGet("/{id}", GetAsync).RequirePermission(InstanceApi.Read).Describe("ElsaGetAlterationPlan", "See how far a plan is", o => o.Answers<AlterationProgressShape>());
    }

    private static async Task SubmitAsync(HttpContext context)
    {
        var body = await context.ReadObjectAsync();
        ElsaQuery.TryGet(body, "alterations", out var alterations);
        if (!IsAllowed(context, Alteration.ReadList(alterations)))
            return;
        ElsaQuery.TryGet(body, "filter", out var filter);
        var id = JsonText.CheckName("id", ElsaQuery.TextOf(body, "id"));
        var planId = await context.Runtime().Alterations.SubmitAsync(context.Tenant(), id, alterations, ReadFilter(filter), context.Actor(), context.RequestAborted);
        await context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            writer.WriteString("planId", planId);
            writer.WriteEndObject();
        });
    }

    private static async Task RunAsync(HttpContext context)
    {
        var body = await context.ReadObjectAsync();
        ElsaQuery.TryGet(body, "alterations", out var given);
        var alterations = Alteration.ReadList(given);
        if (IsAllowed(context, alterations))
            await AlterAsync(context, body, alterations);
    }

    /// <summary>Whether the caller has the right to each change; answers 403 when not.</summary>
    private static bool IsAllowed(HttpContext context, IReadOnlyList<Alteration> alterations)
    {
        var isAllowed = alterations.All(a => context.User.Has(a switch
        {
            Alteration.Cancel => Cancel,
            Alteration.Migrate => Migrate,
            Alteration.Retry => Retry,
            _ => InstanceApi.Write,
        }));
        if (!isAllowed)
            context.Response.StatusCode = StatusCodes.Status403Forbidden;
        return isAllowed;
    }

    private static async Task RetryAsync(HttpContext context)
    {
        var body = await context.ReadObjectAsync();
        var activities = ElsaQuery.TextsOf(body, "activityIds") ?? [];
        IReadOnlyList<Alteration> retries = activities.Count == 0
            ? [new Alteration.Retry(null, null)]
            : [.. activities.Select(id => new Alteration.Retry(null, id))];
        await AlterAsync(context, body, retries);
    }

    private static async Task AlterAsync(HttpContext context, JsonElement body, IReadOnlyList<Alteration> alterations)
    {
        var ids = (ElsaQuery.TextsOf(body, "workflowInstanceIds") ?? []).Distinct(StringComparer.Ordinal).ToList();
        if (ids.Count is 0 or > MostAtOnce)
            throw ApiException.Bad($"'workflowInstanceIds' must name 1 to {MostAtOnce:N0} instances; submit a plan for more.");
        var results = new AlterationResult[ids.Count];
        await Parallel.ForAsync(0, ids.Count, new ParallelOptions { MaxDegreeOfParallelism = 8, CancellationToken = context.RequestAborted }, async (i, token) =>
            results[i] = await context.Runtime().Operations.AlterAsync(context.Tenant(), ids[i], alterations, context.Actor(), null, token));
        await context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            writer.WriteStartArray("results");
            foreach (var result in results)
            {
                writer.WriteStartObject();
                writer.WriteString("workflowInstanceId", result.InstanceId);
                writer.WriteBoolean("isSuccessful", result.IsSuccessful);
                // What there was to run has run when the answer comes.
                writer.WriteBoolean("workflowHasScheduledWork", false);
                writer.WriteStartObject("log");
                WriteLog(writer, "logEntries", result.Log, result.IsSuccessful, null);
                writer.WriteEndObject();
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
            writer.WriteEndObject();
        });
    }

    private static async Task DryRunAsync(HttpContext context)
    {
        var body = await context.ReadObjectAsync();
        var filter = ReadFilter(ElsaQuery.TryGet(body, "filter", out var given) ? given : body);
        var ids = filter is null ? [] : await context.Runtime().Instances.FindIdsAsync(context.Tenant(), filter, MostFound, context.RequestAborted);
        await context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            writer.WriteStartArray("workflowInstanceIds");
            foreach (var id in ids)
                writer.WriteStringValue(id);
            writer.WriteEndArray();
            writer.WriteEndObject();
        });
    }

    private static async Task GetAsync(HttpContext context, string id)
    {
        var plans = context.Runtime().Alterations;
        var plan = await plans.FindAsync(context.Tenant(), id, context.RequestAborted)
            ?? throw new ApiException(404, "alteration.not_found", $"There is no plan '{id}'.");
        var jobs = await plans.ReadJobsAsync(context.Tenant(), id, context.RequestAborted);
        await context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            Write(writer, plan);
            writer.WriteStartArray("jobs");
            foreach (var job in jobs)
                Write(writer, plan, job);
            writer.WriteEndArray();
            writer.WriteEndObject();
        });
    }

    /// <summary>Which instances are meant; null for none.</summary>
    private static InstanceFilter? ReadFilter(JsonElement filter)
    {
        if (ElsaQuery.TryGet(filter, "activityFilters", out var activities) && activities.ValueKind == JsonValueKind.Array && activities.GetArrayLength() > 0)
            throw ApiException.Bad("'activityFilters' is not supported: instances cannot be found by their activities. Name them in 'workflowInstanceIds'.");
        IReadOnlyList<string> Texts(string name) => ElsaQuery.TextsOf(filter, name) ?? [];
        var read = new InstanceFilter
        {
            Ids = Texts("workflowInstanceIds"),
            CorrelationIds = Texts("correlationIds"),
            Names = Texts("names"),
            Search = ElsaQuery.TextOf(filter, "searchTerm"),
            Times = InstanceQuery.ReadTimes(filter),
            DefinitionIds = Texts("definitionIds"),
            DefinitionVersionIds = Texts("definitionVersionIds"),
            HasIncidents = ElsaQuery.FlagOf(filter, "hasIncidents"),
            Statuses = InstanceQuery.StatusesOf(Texts("statuses")),
            SubStatuses = InstanceQuery.SubStatusesOf(Texts("subStatuses")),
        };
        var isSystem = ElsaQuery.FlagOf(filter, "isSystem") == true;
        return isSystem || (read.IsEmpty && ElsaQuery.FlagOf(filter, "emptyFilterSelectsAll") != true) ? null : read;
    }

    private static void Write(Utf8JsonWriter writer, AlterationPlan plan)
    {
        writer.WriteStartObject("plan");
        writer.WriteString("id", plan.Id);
        writer.WritePropertyName("alterations");
        plan.Alterations.WriteTo(writer);
        writer.WriteString("status", plan.CompletedAt is not null ? "Completed" : plan.StartedAt is not null ? "Running" : "Pending");
        writer.WriteString("createdAt", plan.CreatedAt);
        if (plan.StartedAt is { } started)
            writer.WriteString("startedAt", started);
        if (plan.CompletedAt is { } completed)
            writer.WriteString("completedAt", completed);
        writer.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter writer, AlterationPlan plan, AlterationJob job)
    {
        writer.WriteStartObject();
        writer.WriteString("id", $"{plan.Id}-{job.InstanceId}");
        writer.WriteString("planId", plan.Id);
        writer.WriteString("workflowInstanceId", job.InstanceId);
        writer.WriteString("status", job.IsSuccessful switch { null => "Pending", true => "Completed", false => "Failed" });
        WriteLog(writer, "log", job.Log, job.IsSuccessful == true, job.CompletedAt);
        writer.WriteString("createdAt", plan.CreatedAt);
        if (job.CompletedAt is { } completed)
            writer.WriteString("completedAt", completed);
        writer.WriteEndObject();
    }

    private static void WriteLog(Utf8JsonWriter writer, string name, IReadOnlyList<string> log, bool isSuccessful, DateTimeOffset? time)
    {
        writer.WriteStartArray(name);
        for (var i = 0; i < log.Count; i++)
        {
            writer.WriteStartObject();
            writer.WriteString("message", log[i]);
            writer.WriteString("logLevel", isSuccessful || i < log.Count - 1 ? "Information" : "Error");
            writer.WriteString("timestamp", time ?? DateTimeOffset.UtcNow);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }
}

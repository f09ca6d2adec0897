using Conclave.Server.Accounts;
using Conclave.Server.Api;
using Conclave.Server.OpenApi;
using Conclave.Workflows.Runtime.Executions;

namespace Conclave.Server.ElsaApi.Instances;

/// <summary>Executions of activities: records, summaries, statistics, call stacks.</summary>
internal static class ExecutionEndpoints
{
    private const string Read = "read:activity-execution";
    private const int LongestStack = 1_000;
    private const int DefaultStack = 100;

    /// <summary>Most workflows that started each other in one call stack.</summary>
    private const int MostInstances = 32;

    public static void Map(RouteGroupBuilder group)
    {
        group.MapPost("/activity-executions/report", ReportAsync).RequirePermission(Read)
            .Describe("ElsaReportExecutions", "Count how often activities of an instance ran", o => o.Takes<ReportRequest>().Answers<ReportShape>());
        group.MapGet("/activity-executions/list", (HttpContext context) => ListAsync(context, isSummary: false)).RequirePermission(Read)
            .Describe("ElsaListExecutions", "List executions of activities with their values", o => o.DescribeFilter().Answers<ListShape<ExecutionShape>>());
        group.MapGet("/activity-execution-summaries/list", (HttpContext context) => ListAsync(context, isSummary: true)).RequirePermission(Read)
            .Describe("ElsaListExecutionSummaries", "List executions of activities", o => o.DescribeFilter().Answers<ListShape<ExecutionSummaryShape>>());
        group.MapGet("/activity-executions/count", CountAsync).RequirePermission(Read)
            .Describe("ElsaCountExecutions", "Count executions of activities", o => o.DescribeFilter().Answers<CountShape>());
        group.MapGet("/activity-executions/by-id", (HttpContext context) => GetAsync(context, context.Query("id") ?? throw ApiException.Bad("'id' is missing."))).RequirePermission(Read)
            .Describe("ElsaFindExecution", "Get an execution of an activity", o => o.Required("id", "Its id.").Answers<ExecutionShape>().Refuses(404));
        group.MapGet("/activity-executions/{id}", GetAsync).RequirePermission(Read)
            .Describe("ElsaGetExecution", "Get an execution of an activity", o => o.Answers<ExecutionShape>());
        group.MapGet("/activity-executions/{id}/call-stack", CallStackAsync).RequirePermission(Read)
            .Describe("ElsaGetCallStack", "See who started an execution, also through other workflows", o => o
                .Query<bool>("includeCrossWorkflowChain", "false stays in the instance.").Query<int>("skip", "How many come before.").Query<int>("take", "Most executions, at most 1,000; 100 without it.")
                .Answers<CallStackShape>());
    }

    private static ApiOperation DescribeFilter(this ApiOperation operation) => operation
        .Required("workflowInstanceId", "The instance.").Query<string[]>("activityNodeId", "Of these nodes.").Query("activityId", "Of this activity.").Query<bool>("completed", "That have ended, or not.");

    private static async Task ReportAsync(HttpContext context)
    {
        var body = await context.ReadObjectAsync();
        var id = ElsaQuery.TextOf(body, "workflowInstanceId") ?? throw ApiException.Bad("'workflowInstanceId' is missing.");
        var executions = context.Runtime().Executions;
        var live = await executions.ReadLiveAsync(context.Tenant(), id, context.RequestAborted);
        var report = await executions.ReportAsync(context.Tenant(), id, context.RequestAborted);
        var nodeIds = (IEnumerable<string>?)ElsaQuery.TextsOf(body, "activityNodeIds") ?? report.NodeIds;
        await context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            writer.WriteStartArray("stats");
            // The client makes a dictionary of it: no node may come twice.
            foreach (var nodeId in nodeIds.Distinct(StringComparer.Ordinal))
            {
                if (report.Find(nodeId, live) is { } stats)
                    ExecutionJson.Write(writer, stats);
            }

            writer.WriteEndArray();
            writer.WriteEndObject();
        });
    }

    private static async Task ListAsync(HttpContext context, bool isSummary)
    {
        var (instanceId, filter) = ReadFilter(context);
        var found = await context.Runtime().Executions.FindAsync(context.Tenant(), instanceId, filter with { WithValues = !isSummary }, context.RequestAborted);
        await context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            writer.WriteStartArray("items");
            foreach (var execution in found.Items)
                ExecutionJson.Write(writer, execution, isSummary);
            writer.WriteEndArray();
            writer.WriteNumber("count", found.Count);
            writer.WriteEndObject();
        });
    }

    private static async Task CountAsync(HttpContext context)
    {
        var (instanceId, filter) = ReadFilter(context);
        // Only the open ones need to be kept, which the state of the instance may know to be gone.
        var found = await context.Runtime().Executions.FindAsync(context.Tenant(), instanceId, filter with { WithValues = false }, context.RequestAborted);
        await context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            writer.WriteNumber("count", found.Count);
            writer.WriteEndObject();
        });
    }

    private static async Task GetAsync(HttpContext context, string id)
    {
        var execution = await FindAsync(context, id);
        var starter = execution.ParentNumber == 0 ? await FindStarterAsync(context, execution.InstanceId) : null;
        await context.WriteJsonAsync(writer => ExecutionJson.Write(writer, execution, isSummary: false, starter));
    }

    private static async Task CallStackAsync(HttpContext context, string id)
    {
        var skip = context.Number("skip") ?? 0;
        var take = context.Number("take") ?? DefaultStack;
        if (skip < 0 || take is < 1 or > LongestStack)
            throw ApiException.Bad($"'skip' must be 0 or more, and 'take' 1 to {LongestStack}.");
        var execution = await FindAsync(context, id);
        var stack = new List<(ActivityExecution Execution, ActivityExecution? StartedBy)>();
        var (instanceId, number) = (execution.InstanceId, execution.Number);
        for (var instances = 0; instances < MostInstances; instances++)
        {
            var path = await context.Runtime().Executions.FindPathAsync(context.Tenant(), instanceId, number, context.RequestAborted);
            var starter = context.Flag("includeCrossWorkflowChain") == false ? null : await FindStarterAsync(context, instanceId);
            stack.InsertRange(0, path.Select(e => (e, e.ParentNumber == 0 ? starter : null)));
            if (starter is null)
                break;
            (instanceId, number) = (starter.InstanceId, starter.Number);
        }

        await context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            writer.WriteString("activityExecutionId", id);
            writer.WriteStartArray("items");
            foreach (var (one, startedBy) in stack.Skip(skip).Take(take))
                ExecutionJson.Write(writer, one, isSummary: false, startedBy);
            writer.WriteEndArray();
            writer.WriteNumber("totalCount", stack.Count);
            writer.WriteEndObject();
        });
    }

    private static async Task<ActivityExecution> FindAsync(HttpContext context, string id)
    {
        var found = ExecutionJson.ReadId(id) is { } key
            ? await context.Runtime().Executions.FindAsync(context.Tenant(), key.InstanceId, key.Number, context.RequestAborted)
            : null;
        return found ?? throw new ApiException(404, "execution.not_found", $"There is no execution '{id}' of an activity. Its instance may have been deleted, or its journal may be past its retention.");
    }

    /// <summary>The execution of the activity that started an instance; null when none did, or nobody knows.</summary>
    private static async Task<ActivityExecution?> FindStarterAsync(HttpContext context, string instanceId)
    {
        var runtime = context.Runtime();
        var parent = (await runtime.Instances.FindAsync(context.Tenant(), instanceId, context.RequestAborted))?.ParentId;
        // Ids of children are made of the parent's and of the number of the execution that starts them, and of an item for one of many.
        if (parent is null || !instanceId.StartsWith($"{parent}-", StringComparison.Ordinal)
            || !int.TryParse(instanceId[(parent.Length + 1)..].Split('-')[0], System.Globalization.CultureInfo.InvariantCulture, out var number))
            return null;
        return await runtime.Executions.FindAsync(context.Tenant(), parent, number, context.RequestAborted);
    }

    private static (string InstanceId, ExecutionFilter Filter) ReadFilter(HttpContext context)
    {
        var instanceId = context.Query("workflowInstanceId") ?? throw ApiException.Bad("'WorkflowInstanceId' is missing.");
        var nodeIds = context.Request.Values("activityNodeId");
        return (instanceId, new ExecutionFilter
        {
            NodeIds = nodeIds.Count == 0 ? null : nodeIds.ToHashSet(StringComparer.Ordinal),
            ActivityId = context.Query("activityId"),
            Completed = context.Flag("completed"),
        });
    }
}

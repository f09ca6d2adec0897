using System.Globalization;
using System.Text.Json;
using Conclave.Server.Accounts;
using Conclave.Server.Api;
using Conclave.Server.OpenApi;
using Conclave.Server.Webhooks;
using Conclave.Workflows.Activities;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;
using Conclave.Workflows.Runtime.Definitions;
using Conclave.Workflows.Runtime.Instances;
using Conclave.Workflows.Runtime.Queue;

namespace Conclave.Server.ElsaApi.Definitions;

/// <summary>Running workflows: at once, with the answer, or in the queue.</summary>
internal static class DefinitionRuns
{
    private const int LargestMany = 10_000;

    public static void Map(RouteGroupBuilder group)
    {
        var runs = group.MapGroup("").RequirePermission(DefinitionLinks.Execute);
        runs.MapPost("/{definitionId}/execute", ExecuteAsync).Describe("ElsaExecuteDefinition", "Run a workflow and wait", o => o
            .Takes<ExecuteRequest>(isOptional: true).DescribeRun());
        runs.MapGet("/{definitionId}/execute", ExecuteAsync).Describe("ElsaExecuteDefinitionByGet", "Run a workflow and wait", o => o
            .Query("correlationId", "Correlation id of the instance.").Query("name", "Name of the instance.").Query("triggerActivityId", "The trigger to begin with.")
            .Query("versionOptions", DefinitionLinks.VersionsHelp).Query("input", "Inputs as JSON.").Query("variables", "Variables as JSON.").Query("activityHandle", "Another activity to begin with, as JSON.")
            .DescribeRun());
        runs.MapPost("/{definitionId}/dispatch", DispatchAsync).Describe("ElsaDispatchDefinition", "Put an instance into the queue", o => o.Takes<DispatchRequest>(isOptional: true).Answers<DispatchedShape>());
        runs.MapPost("/{definitionId}/bulk-dispatch", BulkDispatchAsync).Describe("ElsaBulkDispatchDefinition", "Put many instances into the queue", o => o
            .Takes<BulkDispatchRequest>(isOptional: true).Answers<DispatchedManyShape>());
    }

    private static ApiOperation DescribeRun(this ApiOperation operation) => operation
        .Answers<ExecutedShape>(200, "It has run as far as it goes, or cannot start (without a body).")
        .Answers<ExecutedShape>(500, "It faulted.")
        .OrWhatTheWorkflowAnswers()
        .Note("The header x-elsa-workflow-instance-id names the instance; x-elsa-workflow-cannot-start says True when the activation strategy refuses another one.");

    private static async Task ExecuteAsync(HttpContext context, string definitionId)
    {
        var body = await ReadAsync(context);
        var graph = await FindGraphAsync(context, definitionId, body);
        var start = ReadStart(graph, body);
        var reply = new HttpReply();
        // Whoever hangs up does not stop what was begun; the end of the server does, and it goes on in the queue.
        var stopping = context.RequestServices.GetRequiredService<IHostApplicationLifetime>().ApplicationStopped;
        var run = await context.Runtime().Runner.StartAsync(context.Tenant(), graph, start, new RequestContext(reply), stopping);
        var instance = run.Outcome == CommitOutcome.Stored
            ? run.Instance
            // Somebody took it over while this process seemed dead, or it was never allowed to begin.
            : await context.Runtime().Runner.ReadAsync(context.Tenant(), run.Instance.Id, context.RequestAborted);
        var headers = context.Response.Headers;
        headers["x-elsa-workflow-cannot-start"] = instance is null ? "True" : "False";
        if (instance is null)
            return;
        headers["x-elsa-workflow-instance-id"] = instance.Id;
        if (reply.IsAnswered && run.Outcome == CommitOutcome.Stored)
        {
            await reply.WriteToAsync(context.Response, context.RequestAborted);
            return;
        }

        headers["x-elsa-response"] = "true";
        var starts = await context.Runtime().Executions.FindStartsAsync(
            context.Tenant(), instance.Id, instance.Contexts.Select(c => c.Number).ToHashSet(), context.RequestAborted);
        await context.WriteJsonAsync(
            writer =>
            {
                writer.WriteStartObject();
                writer.WritePropertyName("workflowState");
                WorkflowStateJson.Write(writer, instance, starts);
                writer.WriteEndObject();
            },
            instance.SubStatus == WorkflowSubStatus.Faulted ? StatusCodes.Status500InternalServerError : StatusCodes.Status200OK);
    }

    private static async Task DispatchAsync(HttpContext context, string definitionId)
    {
        var body = await context.ReadObjectAsync();
        var graph = await FindGraphAsync(context, definitionId, body);
        var start = ReadStart(graph, body) with { InstanceId = StartEndpoints.CheckInstanceId(ElsaQuery.TextOf(body, "instanceId")) };
        var instance = context.Runtime().Catalog.Of(context.Tenant()).Engine.CreateInstance(graph, start);
        RefuseUnstored(await context.Runtime().Runner.EnqueueAsync(context.Tenant(), instance, WorkPriority.P2), instance.Id);
        await context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            writer.WriteString("workflowInstanceId", instance.Id);
            writer.WriteEndObject();
        });
    }

    private static async Task BulkDispatchAsync(HttpContext context, string definitionId)
    {
        var body = await context.ReadObjectAsync();
        var graph = await FindGraphAsync(context, definitionId, body);
        var start = ReadStart(graph, body);
        var count = ElsaQuery.TextOf(body, "count") is not { } text
            ? 1
            : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number is >= 1 and <= LargestMany
                ? number
                : throw ApiException.Bad($"'count' must be 1 to {LargestMany:N0}; it is {text}.");
        var engine = context.Runtime().Catalog.Of(context.Tenant()).Engine;
        var instances = Enumerable.Range(0, count).Select(_ => (Instance: engine.CreateInstance(graph, start), WorkPriority.P3)).ToList();
        RefuseUnstored(await context.Runtime().Runner.EnqueueAsync(context.Tenant(), instances), "one of these ids");
        await context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            DefinitionJson.WriteTexts(writer, "workflowInstanceIds", instances.Select(i => i.Instance.Id));
            writer.WriteEndObject();
        });
    }

    private static void RefuseUnstored(CommitOutcome outcome, string id)
    {
        if (outcome == CommitOutcome.Exists)
            throw ApiException.Bad($"There is an instance with the id '{id}' already. Nothing was started.");
        if (outcome != CommitOutcome.Stored)
            throw ApiException.Bad("The workflow's activation strategy allows no other instance while one runs. Nothing was started.");
    }

    /// <summary>What to run: the body, or with GET the query, whose objects are JSON.</summary>
    private static async Task<JsonElement> ReadAsync(HttpContext context)
    {
        if (!HttpMethods.IsGet(context.Request.Method))
            return await context.ReadObjectAsync();
        // A link on somebody else's page must not run workflows with the rights of whoever follows it.
        if (context.Request.Headers["Sec-Fetch-Site"] == "cross-site")
            throw ApiException.Bad("A page of another site cannot start workflows.");
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            foreach (var name in (string[])["correlationId", "name", "triggerActivityId", "versionOptions"])
            {
                if (context.Query(name) is { } text)
                    writer.WriteString(name, text);
            }

            foreach (var name in (string[])["input", "variables", "activityHandle"])
            {
                if (context.Query(name) is not { } json)
                    continue;
                writer.WritePropertyName(name);
                JsonText.Parse(System.Text.Encoding.UTF8.GetBytes(json)).WriteTo(writer);
            }

            writer.WriteEndObject();
        }

        return JsonElement.Parse(buffer.GetBuffer().AsSpan(0, (int)buffer.Length), new JsonDocumentOptions { MaxDepth = 512 });
    }

    private static async ValueTask<WorkflowGraph> FindGraphAsync(HttpContext context, string definitionId, JsonElement body)
    {
        var catalog = context.Runtime().Catalog;
        var workflows = catalog.Of(context.Tenant());
        var versions = ElsaQuery.ReadVersions(ElsaQuery.TextOf(body, "versionOptions")) ?? VersionOptions.Published;
        if (versions == VersionOptions.Published && await workflows.FindPublishedAsync(definitionId, context.RequestAborted) is { } published)
            return published;
        var stored = await catalog.Store.FindAsync(context.Tenant(), definitionId, versions, context.RequestAborted) ?? throw ApiException.NoWorkflow(definitionId);
        return await workflows.GetGraphAsync(stored.Definition.Id, context.RequestAborted);
    }

    private static WorkflowStart ReadStart(WorkflowGraph graph, JsonElement body) => new()
    {
        CorrelationId = JsonText.CheckName("correlationId", ElsaQuery.TextOf(body, "correlationId")),
        Name = JsonText.CheckName("name", ElsaQuery.TextOf(body, "name")),
        TriggerActivityId = ReadFirst(graph, body),
        Input = StartEndpoints.ReadInput(ElsaQuery.TryGet(body, "input", out var input) ? input : default),
        Variables = ReadVariables(graph, body),
    };

    private static Dictionary<string, object?> ReadVariables(WorkflowGraph graph, JsonElement body)
    {
        var values = StartEndpoints.ReadInput(ElsaQuery.TryGet(body, "variables", out var given) ? given : default, "variables");
        foreach (var (name, value) in values)
        {
            var variable = graph.Root.Variables.FirstOrDefault(v => v.Definition.Name == name) ?? throw ApiException.Bad($"The workflow has no variable '{name}'.");
            try
            {
                ValueConverter.Convert(value, variable.Type);
            }
            catch (ValueConversionException exception)
            {
                throw ApiException.Bad($"The value of the variable '{name}' does not fit: {exception.Message}");
            }
        }

        return values;
    }

    /// <summary>The activity to begin with: a trigger, or one that a handle names.</summary>
    private static string? ReadFirst(WorkflowGraph graph, JsonElement body)
    {
        if (ElsaQuery.TextOf(body, "triggerActivityId") is { } trigger)
        {
            return graph.Nodes.Any(n => n.Id == trigger)
                ? trigger
                : throw ApiException.Bad($"The workflow has no activity with the id '{trigger}' ('triggerActivityId').");
        }

        if (!ElsaQuery.TryGet(body, "activityHandle", out var handle) || handle.ValueKind != JsonValueKind.Object)
            return null;
        var (id, nodeId) = (ElsaQuery.TextOf(handle, "activityId"), ElsaQuery.TextOf(handle, "activityNodeId"));
        if (id is null && nodeId is null)
            return null;
        var node = nodeId is not null ? graph.FindNode(nodeId) : graph.Nodes.FirstOrDefault(n => n.Id == id);
        return node is { Parent: { Activity: Flowchart, Parent.Activity: Workflow } }
            ? node.Id
            : throw ApiException.Bad("'activityHandle' must name an activity directly in the workflow's flowchart: a workflow can begin nowhere else.");
    }
}

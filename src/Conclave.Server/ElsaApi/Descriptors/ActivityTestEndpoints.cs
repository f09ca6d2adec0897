using System.Text.Json;
using Conclave.Server.Accounts;
using Conclave.Server.Api;
using Conclave.Server.OpenApi;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;
using Conclave.Workflows.Runtime.Definitions;

namespace Conclave.Server.ElsaApi.Descriptors;

/// <summary>Runs one activity, so that its author sees what it makes of its inputs.</summary>
/// <remarks>
/// Nothing is stored. The activity really runs: one that calls something outside does so. What it asks the engine for (an event, another workflow, a task) is
/// shown in <c>payload.Effects</c> and not carried out, and activities inside it do not run.
/// </remarks>
internal static class ActivityTestEndpoints
{
    private static readonly TimeSpan LongestTest = TimeSpan.FromSeconds(60);

    public static void Map(RouteGroupBuilder group) => group.MapPost("/tests/activities", RunAsync).RequirePermission("exec:tests")
        .Describe("ElsaTestActivity", "Run one activity with test values", o => o
            .Takes<ActivityTestRequest>().Answers<ActivityTestShape>().Note("The activity really runs: an HTTP request is sent."));

    private static async Task RunAsync(HttpContext context)
    {
        var body = await context.ReadObjectAsync();
        var workflows = context.Runtime().Catalog.Of(context.Tenant());
        var definition = await FindAsync(context, Handle(body, "workflowDefinitionHandle"));
        var graph = await workflows.CompileAsync(definition, context.RequestAborted);
        var handle = Handle(body, "activityHandle");
        var id = handle.TextMember("activityNodeId") ?? handle.TextMember("activityId")
            ?? throw ApiException.Bad("'activityHandle' must name the activity: give its activityNodeId or its activityId.");
        var node = graph.FindNode(id) ?? graph.FindActivity(id)
            ?? throw ApiException.Bad($"Version {definition.Version} of workflow '{definition.DefinitionId}' has no activity '{id}'. Save the workflow first if the activity is new.");
        var host = new TestHost(context.Runtime().Runner.Services.Configuration);
        using var timeout = new CancellationTokenSource(LongestTest, context.RequestServices.GetRequiredService<TimeProvider>());
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, timeout.Token);
        ActivityTestResult result;
        try
        {
            result = await ActivityTest.RunAsync(workflows.Engine, graph, node, definition.CustomProperties.Member("VariableTestValues"), host, ended.Token);
        }
        catch (OperationCanceledException) when (!context.RequestAborted.IsCancellationRequested)
        {
            throw ApiException.Bad($"The activity did not finish within {LongestTest.TotalSeconds:0} seconds, so its test was ended. What it did until then outside this server is done.");
        }

        await context.WriteJsonAsync(writer => Write(writer, result, host));
    }

    private static async Task<WorkflowDefinition> FindAsync(HttpContext context, JsonElement handle)
    {
        var store = context.Runtime().Catalog.Store;
        if (handle.TextMember("definitionVersionId") is { } versionId)
        {
            return (await store.FindAsync(context.Tenant(), versionId, context.RequestAborted))?.Definition
                ?? throw ApiException.Bad($"There is no version '{versionId}' of a workflow. It may have been deleted; reload the page.");
        }

        if (handle.TextMember("definitionId") is not { } definitionId)
            throw ApiException.Bad("'workflowDefinitionHandle' must name the workflow: give its definitionVersionId or its definitionId.");
        return (await FindVersionAsync(context, store, definitionId, handle.TextMember("versionOptions")))?.Definition
            ?? throw ApiException.Bad($"There is no workflow '{definitionId}', or not the version that was asked for.");
    }

    private static Task<StoredDefinition?> FindVersionAsync(HttpContext context, DefinitionStore store, string definitionId, string? version) => version switch
    {
        "Published" => store.FindPublishedAsync(context.Tenant(), definitionId, context.RequestAborted),
        _ when int.TryParse(version, out var number) => store.FindAsync(context.Tenant(), definitionId, number, context.RequestAborted),
        null or "Latest" => store.FindLatestAsync(context.Tenant(), definitionId, context.RequestAborted),
        _ => throw ApiException.Bad($"'versionOptions' must be Latest, Published or a number here; it is '{version}'."),
    };

    private static void Write(Utf8JsonWriter writer, ActivityTestResult result, TestHost host)
    {
        writer.WriteStartObject();
        WriteValues(writer, "activityState", result.Inputs);
        WriteValues(writer, "outputs", result.Outputs);
        WriteValues(writer, "payload", Payload(result, host));
        if (result.Exception is { } exception)
        {
            writer.WritePropertyName("exception");
            Write(writer, exception);
        }

        writer.WriteString("status", result.Status.ToString());
        writer.WriteEndObject();
    }

    private static Dictionary<string, object?> Payload(ActivityTestResult result, TestHost host)
    {
        var payload = new Dictionary<string, object?>();
        if (result.Outcomes.Count > 0)
            payload["Outcomes"] = result.Outcomes;
        if (result.Variables.Count > 0)
            payload["Variables"] = result.Variables;
        if (host.Lines.Count > 0)
            payload["Lines"] = host.Lines;
        if (result.Bookmarks.Count > 0)
            payload["WaitsFor"] = result.Bookmarks.Select(b => new Dictionary<string, object?> { ["name"] = b.Name, ["dueAt"] = b.DueAt }).ToArray();
        if (result.Effects.Count > 0)
            payload["Effects"] = result.Effects.Select(Describe).ToArray();
        return payload;
    }

    private static Dictionary<string, object?> Describe(WorkflowEffect effect) => effect switch
    {
        EventPublished published => new() { ["kind"] = "Event", ["eventName"] = published.EventName, ["correlationId"] = published.CorrelationId, ["payload"] = published.Payload },
        TaskRequested requested => new() { ["kind"] = "Task", ["taskName"] = requested.TaskName, ["payload"] = requested.Payload },
        WorkflowDispatched dispatched => new() { ["kind"] = "Workflow", ["definitionId"] = dispatched.Request.DefinitionId, ["correlationId"] = dispatched.Request.CorrelationId, ["input"] = dispatched.Request.Input },
        _ => new() { ["kind"] = effect.GetType().Name },
    };

    private static void Write(Utf8JsonWriter writer, ExceptionState exception)
    {
        writer.WriteStartObject();
        writer.WriteString("type", exception.Type);
        writer.WriteString("message", exception.Message);
        if (exception.StackTrace is { } trace)
            writer.WriteString("stackTrace", trace);
        if (exception.Inner is { } inner)
        {
            writer.WritePropertyName("innerException");
            Write(writer, inner);
        }

        writer.WriteEndObject();
    }

    private static void WriteValues(Utf8JsonWriter writer, string name, IReadOnlyDictionary<string, object?> values)
    {
        writer.WritePropertyName(name);
        ValueConverter.WriteJson(writer, values);
    }

    private static JsonElement Handle(JsonElement body, string name) => body.Member(name) is { ValueKind: JsonValueKind.Object } handle
        ? handle
        : throw ApiException.Bad($"'{name}' must be an object.");

    /// <summary>Keeps what is written, and offers nothing that reaches other workflows.</summary>
    private sealed class TestHost(Func<string, string?> configuration) : WorkflowHost
    {
        public List<string> Lines { get; } = [];

        public override void WriteLine(string? text) => Lines.Add(text ?? "");

        public override ValueTask<string?> ReadLineAsync(CancellationToken cancellationToken) => throw Unavailable("read from a console");

        public override string? GetConfiguration(string name) => configuration(name);
    }
}

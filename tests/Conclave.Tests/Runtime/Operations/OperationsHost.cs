using System.Collections.Concurrent;
using Conclave.Workflows.Activities;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;
using Conclave.Workflows.Runtime.Journal;
using Conclave.Workflows.Runtime.Operations;

namespace Conclave.Tests.Runtime.Operations;

/// <summary>A runtime whose workflows may fail on command.</summary>
public abstract class OperationsTest : IAsyncLifetime
{
    protected const string Tenant = TestRuntime.Tenant;

    internal TestRuntime Host { get; private set; } = null!;

    private protected InstanceOperations Operations { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        var catalog = ActivityCatalog.BuiltIn.With(ActivityType.From<Flaky>(), ActivityType.From<Slow>());
        Host = await TestRuntime.StartAsync(
            expressions: ExpressionSyntaxes.BuiltIn.With(new TestSyntax()), catalog: catalog);
        Operations = new InstanceOperations(Host.Runtime.Runner, Host.Database.DataSource, Host.Runtime.Queue);
    }

    public Task DisposeAsync() => Host.DisposeAsync().AsTask();

    private protected static string Workflow(string id, string root, string more = "") =>
        $$"""{ "definitionId": "{{id}}", {{more}} "root": {{root}} }""";

    private protected static string Write(string id) => $$"""{ "id": "{{id}}", "type": "Elsa.WriteLine", "version": 1, "text": "{{id}}" }""";

    private protected static string Event(string id, string? name = null) =>
        $$"""{ "id": "{{id}}", "type": "Elsa.Event", "version": 1, "eventName": "{{name ?? id}}" }""";

    private protected static string Fails(string id = "flaky") => $$"""{ "id": "{{id}}", "type": "Test.Flaky", "version": 1 }""";

    private protected static string Sequence(string id, params string[] steps) =>
        $$"""{ "id": "{{id}}", "type": "Elsa.Sequence", "version": 1, "activities": [ {{string.Join(",", steps)}} ] }""";

    private protected static string Parallel(string id, params string[] branches) =>
        $$"""{ "id": "{{id}}", "type": "Elsa.Parallel", "version": 1, "activities": [ {{string.Join(",", branches)}} ] }""";

    private protected static string Flowchart(string id, string[] activities, params string[] connections) => Json.Flowchart(
        id, [.. activities.Select(a => System.Text.Json.Nodes.JsonNode.Parse(a)!)], connections).ToJsonString();

    private protected const string ContinuesWithIncidents =
        "\"options\": { \"incidentStrategyType\": \"Elsa.Workflows.IncidentStrategies.ContinueWithIncidentsStrategy, Elsa.Workflows.Core\" },";

    private protected async Task<byte[]> StateAsync(string id) => (await Host.Runtime.Instances.ReadAsync(Tenant, id, default))!.State;

    private protected Task<List<InstanceOperation>> DoneAsync(string id) => Host.Runtime.Journal.ReadOperationsAsync(Tenant, id, default);

    /// <summary>Asserts that an operation is refused with a code and leaves the instance as it is.</summary>
    private protected async Task<WorkflowException> RefusedAsync(string code, string id, Func<Task> operation)
    {
        var before = await Host.Runtime.Instances.ReadAsync(Tenant, id, default);
        var operations = await DoneAsync(id);
        var exception = await Assert.ThrowsAsync<WorkflowException>(operation);
        Assert.Equal(code, exception.Code);
        if (before is not null)
            Assert.Equal(before.State, await StateAsync(id));
        Assert.Equal(operations.Select(o => o with { Notes = null }), (await DoneAsync(id)).Select(o => o with { Notes = null }));
        return exception;
    }

    /// <summary>How often each activity completed.</summary>
    private protected async Task<Dictionary<string, int>> CompletedAsync(string id) => (await Host.TraceAsync(id))
        .Where(t => t.EndsWith(":Completed", StringComparison.Ordinal))
        .GroupBy(t => t.Split(':')[1])
        .ToDictionary(g => g.Key, g => g.Count());
}

/// <summary>Fails as long as its instance is on the list.</summary>
[Activity("Test", "Test", "For tests.")]
public sealed class Flaky : Activity
{
    public static ConcurrentDictionary<string, bool> Healed { get; } = new();

    public override ValueTask ExecuteAsync(ActivityContext context)
    {
        if (!Healed.ContainsKey(context.Instance.Id))
            throw new WorkflowException("test.flaky", "not today");
        context.Complete();
        return ValueTask.CompletedTask;
    }
}

/// <summary>Takes long, and does not listen when it is asked to stop.</summary>
[Activity("Test", "Test", "For tests.")]
public sealed class Slow : Activity
{
    public static ConcurrentDictionary<string, bool> Running { get; } = new();

    public override async ValueTask ExecuteAsync(ActivityContext context)
    {
        Running[context.Instance.Id] = true;
        await Task.Delay(20);
        context.Complete();
    }
}

using Conclave.Tests.Runtime.Operations;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Replay;

namespace Conclave.Tests.Runtime.Replay;

/// <summary>Replays of stored instances, with what people did to them.</summary>
public sealed class InstanceReplayTests : OperationsTest
{
    private const string Variables = """
        "variables": [ { "id": "n", "name": "N", "typeName": "Int32", "value": 1 }, { "id": "t", "name": "T", "typeName": "String" } ],
        """;

    [Fact]
    public async Task Find_FaultRetryVariablesMigrateCancel_TellsEachPointAndTheStoredEnd()
    {
        await Host.PublishAsync(Workflow("life", Sequence("root", Set("set", "n", "5"), Fails(), Event("go")), Variables));
        var id = (await Host.StartAsync("life")).Instance.Id;
        await StandsAsStoredAsync(id);
        Flaky.Healed[id] = true;
        await Operations.RetryAsync(Tenant, id, null, "ann", "mended", default);
        await StandsAsStoredAsync(id);
        await Operations.SetVariablesAsync(Tenant, id, new Dictionary<string, object?> { ["T"] = new string('x', 1_000) }, "bob", "wrong", default);
        await StandsAsStoredAsync(id);
        // The variable keeps its id and gets another name.
        await Host.PublishAsync(Workflow(
            "life", Sequence("root", Set("set", "n", "6"), Fails(), Event("go"), Write("after")), Variables.Replace("\"N\"", "\"Number\"", StringComparison.Ordinal)));
        await Operations.MigrateAsync(Tenant, id, "2", dryRun: false, "ann", null, default);
        await StandsAsStoredAsync(id);
        await Operations.CancelAsync(Tenant, id, "eve", "enough", default);
        await StandsAsStoredAsync(id);

        var steps = await StepsAsync(id);

        Assert.Equal(["retry ann mended", "variables bob wrong", "migrate ann ", "cancel eve enough"], steps.Where(s => s.Operation is not null).Select(s => $"{s.Operation!.Operation} {s.Operation.Actor} {s.Operation.Reason}"));
        var faulted = await AtAsync(id, steps.Last(s => s.Entry?.Entry.Event == ExecutionEvent.Faulted).Sequence);
        Assert.Equal(WorkflowSubStatus.Faulted, faulted.SubStatus);
        Assert.Equal(["root Running", "flaky Faulted"], faulted.Open.Skip(1).Select(e => $"{e.Activity.ActivityId} {e.Status}"));
        Assert.Equal("not today", faulted.FindActivity("Workflow1:root:flaky")!.Last.Exception!.Message);
        Assert.Empty(faulted.Operations);
        Assert.Equal((5, null), (Value(faulted, "N"), Value(faulted, "T")));
        var waiting = await AtAsync(id, steps.Last(s => s.Entry?.Entry.Event == ExecutionEvent.Suspended).Sequence);
        Assert.Equal((WorkflowSubStatus.Suspended, ReplayStatus.Waiting), (waiting.SubStatus, waiting.FindActivity("Workflow1:root:go")!.Last.Status));
        Assert.Equal((1, 1), (waiting.FindActivity("Workflow1:root:flaky")!.Count(ReplayStatus.Completed), waiting.FindActivity("Workflow1:root:flaky")!.Count(ReplayStatus.Faulted)));
        Assert.Equal(1, waiting.Definition!.Version);
        var end = await Host.Runtime.Replay.FindAsync(Tenant, id, ReplayPoint.End, default);
        Assert.Equal((5, new string('x', 1_000), 2), (Value(end, "Number"), Value(end, "T"), end.Definition!.Version));
        Assert.DoesNotContain(end.Scopes.SelectMany(s => s.Variables), v => v.Key == "N");
    }

    [Fact]
    public async Task Find_AtATime_HasWhatHappenedUntilThen()
    {
        await Host.PublishAsync(Workflow("waits", Sequence("root", Set("set", "n", "5"), Event("go")), Variables));
        var id = (await Host.StartAsync("waits")).Instance.Id;
        await Operations.SetVariablesAsync(Tenant, id, new Dictionary<string, object?> { ["N"] = 7 }, "ann", null, default);
        var steps = await StepsAsync(id);

        var before = await Host.Runtime.Replay.FindAsync(Tenant, id, new ReplayPoint.AtTime(steps[0].Entry!.Entry.Timestamp.AddTicks(-1)), default);
        var after = await Host.Runtime.Replay.FindAsync(Tenant, id, new ReplayPoint.AtTime(steps[^1].Operation!.CreatedAt), default);

        Assert.Equal((-1, WorkflowSubStatus.Pending, 0), (before.Position, before.SubStatus, before.Activities.Count));
        Assert.Equal((7, "variables"), (Value(after, "N"), Assert.Single(after.Operations).Operation));
    }

    [Fact]
    public async Task Find_ValuesThatTheLogMustNotKeep_AreUnknown()
    {
        const string Excluded = """
            "customProperties": { "logPersistenceMode": { "default": "Exclude" } },
            """;
        await Host.PublishAsync(Workflow("secret", Sequence("root", Set("kept", "n", "5"), Set("hidden", "t", "secret", Excluded), Event("go")), Variables));
        var id = (await Host.StartAsync("secret")).Instance.Id;

        var state = await Host.Runtime.Replay.FindAsync(Tenant, id, ReplayPoint.End, default);

        var values = Assert.Single(state.Scopes).Variables;
        Assert.Equal(new RecordedValue(5, true), values["N"]);
        Assert.Equal(RecordedValue.Unknown, values["T"]);
        Assert.Equal(0, await Host.Database.QueryAsync<long>("select count(*) from conclave.journal where position('secret'::bytea in entries) > 0"));
    }

    private static string Set(string id, string variable, string value, string more = "") => $$"""
        { "id": "{{id}}", "type": "Elsa.SetVariable", "version": 1, {{more}} "variable": { "id": "{{variable}}" },
          "value": { "typeName": "Object", "expression": { "type": "Literal", "value": "{{value}}" } } }
        """;

    private static object? Value(ReplayState state, string name) => state.Scopes.First().Variables[name].Value;

    private Task<ReplayState> AtAsync(string id, long position) => Host.Runtime.Replay.FindAsync(Tenant, id, new ReplayPoint.AtPosition(position), default);

    private async Task<List<ReplayStep>> StepsAsync(string id)
    {
        var steps = new List<ReplayStep>();
        await foreach (var step in Host.Runtime.Replay.WalkAsync(Tenant, id, ReplayPoint.End, default))
            steps.Add(step);
        return steps;
    }

    /// <summary>Asserts that the end of the replay is what the database has.</summary>
    private async Task StandsAsStoredAsync(string id)
    {
        var stored = await Host.ReadAsync(id);
        var replayed = await Host.Runtime.Replay.FindAsync(Tenant, id, ReplayPoint.End, default);
        Assert.Equal(stored.SubStatus, replayed.SubStatus);
        Assert.Equal(stored.Graph.Definition.Id, replayed.VersionId);
        Assert.Equal(
            stored.Contexts.Where(c => c.Status is ActivityStatus.Running or ActivityStatus.Faulted).Select(c => c.Number).Order(),
            replayed.Open.Select(e => e.Number));
        Assert.Equal(
            stored.Graph.Root.Variables.Select(v => (v.Definition.Name, stored.GetVariable(v))),
            replayed.Scopes.First().Variables.OrderBy(v => v.Key, StringComparer.Ordinal).Select(v => (v.Key, v.Value.Value)));
    }
}

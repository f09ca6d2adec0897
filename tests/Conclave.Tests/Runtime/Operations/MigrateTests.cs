using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Definitions;
using Conclave.Workflows.Runtime.Instances;
using Conclave.Workflows.Runtime.Operations;

namespace Conclave.Tests.Runtime.Operations;

public sealed class MigrateTests : OperationsTest
{
    private const string Tokens = """ "customProperties": { "Flowchart:ExecutionMode": "TokenBased" }, """;

    [Fact]
    public async Task Migrate_StepsAroundTheOneThatWaits_RunsOnlyWhatIsNew()
    {
        var id = await StartAsync(Sequence("root", Write("a"), Event("go"), Write("b")));
        await PublishAsync(Sequence("root", Write("new"), Write("a"), Event("go"), Write("c"), Write("b")));

        var before = await Host.Runtime.Instances.ReadAsync(Tenant, id, default);
        var dry = await MigrateAsync(id, "2", dryRun: true);
        Assert.False(dry.Applied);
        var after = await Host.Runtime.Instances.ReadAsync(Tenant, id, default);
        Assert.Equal((before!.Fence, Convert.ToHexString(before.State)), (after!.Fence, Convert.ToHexString(after.State)));
        Assert.Equal(["migrate.skipped"], dry.Problems.Select(p => p.Code));
        Assert.Equal(1, (await Host.FindAsync(id))!.Version);
        var report = await MigrateAsync(id, "2");
        Assert.True(report.Applied);
        Assert.Equal(dry.Problems, report.Problems);
        Assert.Equal(2, (await Host.FindAsync(id))!.Version);

        await Host.PublishEventAsync("go");
        await Host.WaitAsync(id, WorkflowSubStatus.Finished);
        Assert.Equal(["a", "go", "c", "b", "root", "Workflow1"], (await Host.TraceAsync(id)).Where(t => t.EndsWith(":Completed", StringComparison.Ordinal)).Select(t => t.Split(':')[1]));
        Assert.Equal("migrate", Assert.Single(await DoneAsync(id)).Operation);
    }

    [Fact]
    public async Task Migrate_BackToTheOlderVersion_Works()
    {
        await StartAsync(Sequence("root", Event("go"), Write("b")));
        await PublishAsync(Sequence("root", Write("x"), Event("go"), Write("b")));
        var id = (await Host.StartAsync("flow")).Instance.Id;

        var report = await MigrateAsync(id, "1");

        Assert.Equal((true, 0), (report.Applied, report.Problems.Count));
        await Host.PublishEventAsync("go", instanceId: id);
        await Host.WaitAsync(id, WorkflowSubStatus.Finished);
        Assert.Equal(1, (await CompletedAsync(id))["b"]);
    }

    [Fact]
    public async Task Migrate_WhatRunsIsGoneOrAnotherType_IsRefusedAndSaysWhat()
    {
        var id = await StartAsync(Sequence("root", Parallel("all", Event("one"), Event("two"), Event("three"))));
        await PublishAsync(Sequence("root", Parallel("all", Event("one"), Write("two"))));
        var state = await StateAsync(id);

        var report = await MigrateAsync(id, "2");

        Assert.False(report.Applied);
        Assert.Equal(
            [("migrate.type_changed", "two"), ("migrate.activity_missing", "three")],
            report.Problems.Where(p => p.Severity == ProblemSeverity.Error).Select(p => (p.Code, p.ActivityId)));
        Assert.Equal(state, await StateAsync(id));
        Assert.Empty(await DoneAsync(id));
        Assert.Equal(1, (await Host.FindAsync(id))!.Version);
    }

    [Fact]
    public async Task Migrate_DoneStepComesLaterNow_IsRefused()
    {
        var id = await StartAsync(Sequence("root", Write("a"), Event("go")));
        await PublishAsync(Sequence("root", Event("go"), Write("a")));

        Assert.Equal("migrate.position_lost", Assert.Single((await MigrateAsync(id, "2")).Problems).Code);
    }

    [Fact]
    public async Task Migrate_ParallelGetsABranch_EndsWithTheOnesItStarted()
    {
        var id = await StartAsync(Parallel("all", Write("a"), Event("one"), Event("two")));
        await PublishAsync(Parallel("all", Event("new"), Event("two"), Event("one")));

        Assert.Equal(["migrate.skipped"], (await MigrateAsync(id, "2")).Problems.Select(p => p.Code));

        await Host.PublishEventAsync("one");
        await TestRuntime.UntilAsync(async () => (await Host.ReadAsync(id)).Bookmarks.Count == 1);
        Assert.Equal(WorkflowSubStatus.Suspended, (await Host.FindAsync(id))!.SubStatus);
        await Host.PublishEventAsync("two");
        await Host.WaitAsync(id, WorkflowSubStatus.Finished);
    }

    [Theory]
    [InlineData("")]
    [InlineData(Tokens)]
    public async Task Migrate_FlowchartReordered_JoinsAndGoesOn(string mode)
    {
        const string Join = """{ "id": "join", "type": "Elsa.FlowJoin", "version": 1, "mode": "WaitAll" }""";
        var id = await StartAsync(Flowchart("flow", [Write("start"), Write("a"), Event("go"), Join, Write("end")], "start->a", "start->go", "a->join", "go->join", "join->end"), mode);
        await PublishAsync(
            Flowchart("flow", [Write("more"), Write("end"), Join, Event("go"), Write("a"), Write("start")], "start->go", "start->a", "go->join", "a->join", "join->more", "more->end"), mode);

        Assert.Empty((await MigrateAsync(id, "2")).Problems);

        await Host.PublishEventAsync("go");
        await Host.WaitAsync(id, WorkflowSubStatus.Finished);
        var completed = await CompletedAsync(id);
        Assert.All(completed.Values, times => Assert.Equal(1, times));
        Assert.Contains("more", completed.Keys);
        Assert.Contains("end", completed.Keys);
    }

    [Theory]
    [InlineData("")]
    [InlineData(Tokens)]
    public async Task Migrate_JoinWaitsForSomethingElseNow_IsRefused(string mode)
    {
        const string Join = """{ "id": "join", "type": "Elsa.FlowJoin", "version": 1, "mode": "WaitAll" }""";
        var id = await StartAsync(Flowchart("flow", [Write("start"), Write("a"), Event("go"), Join], "start->a", "start->go", "a->join", "go->join"), mode);
        await PublishAsync(Flowchart("flow", [Write("start"), Write("a"), Event("go"), Join], "start->a", "start->go", "a->join"), mode);

        Assert.Contains((await MigrateAsync(id, "2")).Problems, p => (p.Code, p.ActivityId) == ("migrate.position_lost", "join"));
    }

    [Fact]
    public async Task Migrate_TokensJoinWouldWaitForADoneActivity_IsRefused()
    {
        const string Join = """{ "id": "join", "type": "Elsa.FlowJoin", "version": 1, "mode": "WaitAll" }""";
        var id = await StartAsync(Flowchart("flow", [Write("a"), Event("go"), Join], "a->go", "go->join"), Tokens);
        await PublishAsync(Flowchart("flow", [Write("a"), Event("go"), Join], "a->go", "go->join", "a->join"), Tokens);

        Assert.Equal([("migrate.position_lost", "join")], (await MigrateAsync(id, "2")).Problems.Select(p => (p.Code, p.ActivityId)));
    }

    [Fact]
    public async Task Migrate_InsideAWorkflowUsedAsAnActivity_KeepsItsPlace()
    {
        const string Part = """{ "id": "part", "type": "Part", "version": 1, "workflowDefinitionId": "part" }""";
        await Host.PublishAsync("""{ "definitionId": "part", "name": "Part", "options": { "usableAsActivity": true }, "root": """ + Sequence("root", Write("a"), Event("go")) + " }");
        var id = await StartAsync(Sequence("root", Part, Write("b")));
        await PublishAsync(Sequence("root", Write("x"), Part, Write("c"), Write("b")));

        Assert.Equal([("migrate.skipped", "x")], (await MigrateAsync(id, "2")).Problems.Select(p => (p.Code, p.ActivityId)));

        await Host.PublishEventAsync("go");
        await Host.WaitAsync(id, WorkflowSubStatus.Finished);
        var completed = await CompletedAsync(id);
        Assert.Equal((1, 1, 1), (completed["a"], completed["c"], completed["b"]));
    }

    [Fact]
    public async Task Migrate_NewConnectionFromADoneActivity_IsPassedByAndNothingHangs()
    {
        var id = await StartAsync(Flowchart("flow", [Write("a"), Event("go"), Write("end")], "a->go", "go->end"));
        await PublishAsync(Flowchart("flow", [Write("a"), Event("go"), Write("end")], "a->go", "go->end", "a->end"));

        Assert.Equal(["migrate.skipped"], (await MigrateAsync(id, "2")).Problems.Select(p => p.Code));

        await Host.PublishEventAsync("go");
        await Host.WaitAsync(id, WorkflowSubStatus.Finished);
        Assert.Equal(1, (await CompletedAsync(id))["end"]);
    }

    [Fact]
    public async Task Migrate_LoopAndItsLiteralBecomesAnExpression_KeepsTheItems()
    {
        static string Each(string items, params string[] body) => $$"""
            { "id": "each", "type": "Elsa.ForEach", "version": 1, "items": { "typeName": "Object", "expression": {{items}} }, "body": {{Sequence("body", body)}} }
            """;
        var id = await StartAsync(Each("""{ "type": "Object", "value": "[1,2]" }""", Event("go"), Write("b")));
        await PublishAsync(Each("""{ "type": "Variable", "value": { "id": "v" } }""", Write("a"), Event("go"), Write("b")), """ "variables": [ { "id": "v", "name": "V", "typeName": "Object" } ], """);

        Assert.Equal(["migrate.input_kept", "migrate.skipped"], (await MigrateAsync(id, "2")).Problems.Select(p => p.Code).Order());

        await Host.PublishEventAsync("go");
        await TestRuntime.UntilAsync(async () => (await Host.ReadAsync(id)) is { Bookmarks: [{ Number: 2 }] });
        await Host.PublishEventAsync("go");
        await Host.WaitAsync(id, WorkflowSubStatus.Finished);
        var completed = await CompletedAsync(id);
        Assert.Equal((1, 2, 2), (completed["a"], completed["go"], completed["b"]));
    }

    [Fact]
    public async Task Migrate_StateMachine_KeepsItsState()
    {
        static string Machine(string states, string transitions) => $$"""
            { "id": "machine", "type": "Elsa.StateMachine", "version": 1, "initialState": "open", "states": [ {{states}} ], "transitions": [ {{transitions}} ] }
            """;
        static string Transition(string from, string to, string trigger) => $$"""{ "from": "{{from}}", "to": "{{to}}", "trigger": {{Event(trigger)}} }""";
        static string State(string name, string? entry = null) => entry is null ? $$"""{ "name": "{{name}}" }""" : $$"""{ "name": "{{name}}", "entry": {{Write(entry)}} }""";
        var id = await StartAsync(Machine($"{State("open")}, {State("closed")}", Transition("open", "closed", "close")));
        await PublishAsync(Machine(
            $"{State("new")}, {State("closed", "enter")}, {State("open")}",
            $"{Transition("new", "open", "begin")}, {Transition("open", "new", "again")}, {Transition("open", "closed", "close")}"));

        Assert.Equal([("migrate.skipped", "again")], (await MigrateAsync(id, "2")).Problems.Select(p => (p.Code, p.ActivityId)));

        await Host.PublishEventAsync("close");
        await Host.WaitAsync(id, WorkflowSubStatus.Finished);
        Assert.Equal(1, (await CompletedAsync(id))["enter"]);
    }

    [Fact]
    public async Task Migrate_Variables_MapByIdAndNameAndAreConverted()
    {
        static string Variables(params (string Id, string Name, string Type, string Value)[] all) => $$"""
            "variables": [ {{string.Join(",", all.Select(v => $$"""{ "id": "{{v.Id}}", "name": "{{v.Name}}", "typeName": "{{v.Type}}", "value": "{{v.Value}}" }"""))}} ],
            """;
        var id = await StartAsync(Event("go"), Variables(("1", "A", "Int32", "5"), ("2", "B", "String", "text"), ("3", "C", "String", "12")));
        await PublishAsync(Event("go"), Variables(("1", "A2", "String", "x"), ("9", "b", "String", "y"), ("4", "D", "Int32", "4")));
        await PublishAsync(Event("go"), Variables(("2", "B", "Int32", "0")));

        Assert.Equal(["migrate.variable_removed"], (await MigrateAsync(id, "2")).Problems.Select(p => p.Code));
        var stored = await Host.ReadAsync(id);
        Assert.Equal(["5", "text", 4], stored.Graph.Root.Variables.Select(stored.GetVariable));
        Assert.Contains((await MigrateAsync(id, "3")).Problems, p => p.Code == "migrate.variable_type" && p.Severity == ProblemSeverity.Error);
    }

    [Fact]
    public async Task Migrate_EventHasAnotherName_KeepsWaitingForTheOldOneAndWarns()
    {
        var id = await StartAsync(Sequence("root", Event("go", "old")));
        await PublishAsync(Sequence("root", Event("go", "new")));

        Assert.Equal(["migrate.bookmark_kept"], (await MigrateAsync(id, "2")).Problems.Select(p => p.Code));

        await Host.PublishEventAsync("old");
        await Host.WaitAsync(id, WorkflowSubStatus.Finished);
    }

    [Fact]
    public async Task Migrate_Faulted_CanBeRetriedInTheCorrectedVersion()
    {
        var id = await StartAsync(Sequence("root", Write("a"), """{ "id": "set", "type": "Elsa.Fault", "version": 1, "message": "wrong" }""", Write("b")));
        await PublishAsync(Sequence("root", Write("a"), """{ "id": "x", "type": "Elsa.Start", "version": 1 }""", Write("b")));
        Assert.False((await MigrateAsync(id, "2")).Applied);
        await PublishAsync(Sequence("root", Write("a"), """{ "id": "set", "type": "Elsa.Fault", "version": 1, "message": "other" }""", Write("b"), Write("c")));

        Assert.True((await MigrateAsync(id, "3")).Applied);
        Assert.Equal(WorkflowSubStatus.Faulted, (await Host.FindAsync(id))!.SubStatus);
        Assert.Equal("other", Assert.Single((await Operations.RetryAsync(Tenant, id, null, "ann", null, default)).Incidents).Message);
        Assert.Equal(1, (await CompletedAsync(id))["a"]);
    }

    [Fact]
    public async Task Migrate_WrongUse_IsRefused()
    {
        var id = await StartAsync(Event("go"));
        await Host.PublishAsync("""{ "id": "other-1", "definitionId": "other", "root": """ + Event("go") + " }");

        await RefusedAsync("definition.version_missing", id, () => MigrateAsync(id, "7"));
        await RefusedAsync("migrate.same_version", id, () => MigrateAsync(id, "1"));
        await RefusedAsync("migrate.other_workflow", id, () => MigrateAsync(id, "other-1", dryRun: true));
        await RefusedAsync("instance.not_found", "nobody", () => MigrateAsync("nobody", "1", dryRun: true));
        await Host.PublishEventAsync("go", instanceId: id);
        await Host.WaitAsync(id, WorkflowSubStatus.Finished);
        await RefusedAsync("instance.ended", id, () => MigrateAsync(id, "1"));
    }

    [Fact]
    public async Task Migrate_HundredsAtOnce_AllMoveAndRunOn()
    {
        await StartAsync(Sequence("root", Event("go"), Write("b")));
        for (var i = 0; i < 250; i++)
            await Host.StartAsync("flow");
        await PublishAsync(Sequence("root", Write("a"), Event("go"), Write("c")));

        var result = await Operations.BulkAsync(
            Tenant,
            new InstanceFilter { DefinitionId = "flow", SubStatus = WorkflowSubStatus.Suspended },
            async (id, token) => (await Operations.MigrateAsync(Tenant, id, "2", false, "ann", "bulk", token)).ThrowIfRefused(),
            default);
        await Host.PublishEventAsync("go");

        Assert.Equal((251, 0), (result.Done, result.Failed.Count));
        await TestRuntime.UntilAsync(async () =>
            await Host.Database.QueryAsync<long>("select count(*) from conclave.workflow_instance where version = 2 and sub_status = 3") == 251);
    }

    private Task<StoredDefinition> PublishAsync(string root, string more = "") => Host.PublishAsync(Workflow("flow", root, more));

    private async Task<string> StartAsync(string root, string more = "")
    {
        await PublishAsync(root, more);
        return (await Host.StartAsync("flow")).Instance.Id;
    }

    private Task<MigrationReport> MigrateAsync(string id, string version, bool dryRun = false) =>
        Operations.MigrateAsync(Tenant, id, version, dryRun, "ann", "new rules", default);
}

using System.Text.Json;
using Conclave.Agents.Approvals;
using Conclave.Tests.Runtime;
using Conclave.Workflows.Execution;
using static Conclave.Tests.Agents.Approvals.ApprovalHost;

namespace Conclave.Tests.Agents.Approvals;

public sealed class AwaitApprovalTests : IAsyncLifetime
{
    private ApprovalHost _host = null!;

    public async Task InitializeAsync() => _host = await ApprovalHost.StartAsync();

    public Task DisposeAsync() => _host.DisposeAsync().AsTask();

    [Fact]
    public async Task Approved_InASequence_GoesOnWithWhatWasSaid()
    {
        var instance = await _host.StartAsync(Ask());
        var approval = await _host.PendingOneAsync(instance);
        Assert.Equal(($"{instance}-2", "Refund 120 EUR", "ask", Action().Canonical, Action().Hash), (approval.Id, approval.Title, approval.ActivityId, approval.Action, approval.CurrentHash));

        await _host.SayAsync(approval, Ann, comment: "Fine with me.");

        Assert.Equal("Approved", await _host.ResultAsync(instance, "Decision"));
        Assert.Equal("Fine with me.", await _host.ResultAsync(instance, "Comment"));
        Assert.Equal("""["ann"]""", JsonSerializer.Serialize(await _host.ResultAsync(instance, "By")));
        Assert.Equal(["requested", "approved"], await _host.KindsAsync(approval.Id));
    }

    [Fact]
    public async Task Approved_WithOtherArguments_GoesOnWithThose()
    {
        var instance = await _host.StartAsync(Ask());
        var approval = await _host.PendingOneAsync(instance);

        var decided = await _host.SayAsync(approval, Ann, arguments: """{"order":"A-7","amount":80}""");

        Assert.Equal((true, Action("""{"amount":80,"order":"A-7"}""").Hash, Action().Canonical), (decided.IsEdited, decided.CurrentHash, decided.Action));
        Assert.Equal("""{"amount":80,"order":"A-7"}""", ((JsonElement)(await _host.ResultAsync(instance, "Args"))!).GetRawText());
        Assert.Equal(true, await _host.ResultAsync(instance, "Edited"));
        Assert.Equal(["requested", "edited", "approved"], await _host.KindsAsync(approval.Id));
    }

    [Fact]
    public async Task Rejected_GoesOnThroughRejected()
    {
        var instance = await _host.StartAsync($$"""
            { "id": "flow", "type": "Elsa.Flowchart", "version": 1, "activities": [
                {{Ask()}},
                { "id": "no", "type": "Elsa.SetVariable", "version": 1, "variable": { "id": "comment", "name": "Comment" }, "value": "went through Rejected" } ],
              "connections": [ { "source": { "activity": "ask", "port": "Rejected" }, "target": { "activity": "no", "port": "In" } } ] }
            """);
        var approval = await _host.PendingOneAsync(instance);

        await _host.SayAsync(approval, Bob, ApprovalVerdict.Reject, comment: "Too much.");

        Assert.Equal("went through Rejected", await _host.ResultAsync(instance, "Comment"));
        Assert.Equal("Rejected", await _host.ResultAsync(instance, "Decision"));
    }

    [Fact]
    public async Task Loop_AsksInEachRound_AndEachHasItsOwnApproval()
    {
        var instance = await _host.StartAsync($$"""
            { "id": "each", "type": "Elsa.ForEach", "version": 1, "items": {{Wrapped("[1, 2, 3]")}}, "body": {{Ask()}} }
            """);
        var ids = new HashSet<string>();
        for (var round = 0; round < 3; round++)
        {
            Approval? next = null;
            await TestRuntime.UntilAsync(async () => (next = (await _host.PendingAsync(instance))[0]) is not null && ids.Add(next.Id));
            await _host.SayAsync(next!, Ann);
        }

        await _host.ResultAsync(instance, "Decision");
        Assert.Equal(3, ids.Count);
    }

    [Fact]
    public async Task While_AsksUntilSomebodyRefuses()
    {
        var instance = await _host.StartAsync($$"""
            { "id": "loop", "type": "Elsa.While", "version": 1, "condition": true, "body": { "id": "flow", "type": "Elsa.Flowchart", "version": 1, "activities": [
                {{Ask()}}, { "id": "stop", "type": "Elsa.Break", "version": 1 } ],
              "connections": [ { "source": { "activity": "ask", "port": "Rejected" }, "target": { "activity": "stop", "port": "In" } } ] } }
            """);
        var first = await _host.PendingOneAsync(instance);
        await _host.SayAsync(first, Ann);
        Approval? second = null;
        await TestRuntime.UntilAsync(async () => (second = (await _host.PendingAsync(instance))[0]).Id != first.Id);

        await _host.SayAsync(second!, Ann, ApprovalVerdict.Reject);

        Assert.Equal("Rejected", await _host.ResultAsync(instance, "Decision"));
    }

    [Fact]
    public async Task Parallel_BothAskAtOnce_AndGoOnInAnyOrder()
    {
        var instance = await _host.StartAsync($$"""{ "id": "both", "type": "Elsa.Parallel", "version": 1, "activities": [ {{Ask("one")}}, {{Ask("two")}} ] }""");
        var waiting = await _host.PendingAsync(instance, 2);

        await Task.WhenAll(waiting.Select(a => _host.SayAsync(a, Ann)));

        await _host.ResultAsync(instance, "Decision");
    }

    [Fact]
    public async Task Instance_Cancelled_NobodyMayDecideAnyMore()
    {
        var instance = await _host.StartAsync(Ask());
        var approval = await _host.PendingOneAsync(instance);

        await _host.Workflows.Runtime.Operations.CancelAsync(Tenant, instance, "ann", null, default);
        await _host.Workflows.WaitAsync(instance, WorkflowSubStatus.Cancelled);

        Assert.Equal(ApprovalStatus.Cancelled, (await _host.Store.FindAsync(Tenant, approval.Id, default))!.Status);
        await RefusedAsync(ApprovalCodes.NotWaiting, () => _host.SayAsync(approval, Ann));
    }

    [Fact]
    public async Task Branch_CancelledInTheSameBurst_AsksNobody()
    {
        // The loop is broken by the other branch before anything is stored.
        var instance = await _host.StartAsync($$"""
            { "id": "loop", "type": "Elsa.While", "version": 1, "condition": true, "body":
              { "id": "both", "type": "Elsa.Parallel", "version": 1, "activities": [ {{Ask()}}, { "id": "stop", "type": "Elsa.Break", "version": 1 } ] } }
            """);

        await _host.Workflows.WaitAsync(instance, WorkflowSubStatus.Finished);

        Assert.Empty(await _host.Store.ListAsync(Tenant, new ApprovalFilter { InstanceId = instance }, null, 10, default));
    }

    [Fact]
    public async Task Due_NobodyDecides_GoesOnThroughExpired()
    {
        var instance = await _host.StartAsync(Ask(more: """ "dueIn": "00:00:01", """));
        var approval = await _host.PendingOneAsync(instance);

        Assert.Equal("Expired", await _host.ResultAsync(instance, "Decision"));

        await RefusedAsync(ApprovalCodes.Expired, () => _host.SayAsync(approval, Ann));
        await RefusedAsync(ApprovalCodes.Expired, () => _host.Store.ConsumeAsync(Tenant, approval.Id, Action(), "k", default));
    }

    [Fact]
    public async Task Due_DecidedBefore_TheDecisionStands()
    {
        var instance = await _host.StartAsync(Ask(more: """ "dueIn": "00:00:02", """));
        var approval = await _host.PendingOneAsync(instance);
        await _host.SayAsync(approval, Ann);

        // The workflow may wake up for the end of its time before it hears of the decision.
        var (status, _, _) = await _host.Store.WakeAsync(Tenant, approval.Id, DateTimeOffset.UtcNow.AddHours(1), default);

        Assert.Equal(ApprovalStatus.Approved, status);
        Assert.Equal("Approved", await _host.ResultAsync(instance, "Decision"));
    }

    [Fact]
    public async Task Escalation_AfterItsTime_OthersMayDecideToo()
    {
        var instance = await _host.StartAsync(Ask(more: $$""" "assignees": {{Wrapped("""["ann"]""")}}, "escalateAfter": "00:00:01", "escalateToGroups": {{Wrapped("""["administrator"]""")}}, """));
        var approval = await _host.PendingOneAsync(instance);
        await RefusedAsync(ApprovalCodes.NotAssigned, () => _host.SayAsync(approval, Cleo));

        await TestRuntime.UntilAsync(async () => (await _host.Store.FindAsync(Tenant, approval.Id, default))!.EscalatedAt is not null);
        await _host.SayAsync(approval, Cleo);

        Assert.Equal("Approved", await _host.ResultAsync(instance, "Decision"));
        Assert.Equal(["requested", "escalated", "approved"], await _host.KindsAsync(approval.Id));
    }

    [Fact]
    public async Task Reminder_EachTimeItIsDue_TellsWorkflows()
    {
        await _host.Workflows.PublishAsync("""
            { "definitionId": "mail", "root": { "id": "on", "type": "Elsa.Event", "version": 1, "eventName": "ApprovalReminder", "customProperties": { "canStartWorkflow": true } } }
            """);
        var instance = await _host.StartAsync(Ask(more: """ "remindEvery": "00:00:01", """));
        var approval = await _host.PendingOneAsync(instance);

        await TestRuntime.UntilAsync(async () => (await _host.Store.FindAsync(Tenant, approval.Id, default))!.Reminders >= 2);
        await TestRuntime.UntilAsync(async () => (await _host.Workflows.Runtime.Instances.ListAsync(Tenant, new() { DefinitionIds = ["mail"] }, null, 10, default)).Count >= 2);
        await _host.SayAsync(approval, Ann);

        Assert.Equal("Approved", await _host.ResultAsync(instance, "Decision"));
    }

    [Fact]
    public async Task Bookmark_ResumedByHand_DecidesNothing()
    {
        var instance = await _host.StartAsync(Ask());
        var approval = await _host.PendingOneAsync(instance);
        var bookmark = (await _host.Workflows.ReadAsync(instance)).Bookmarks.Single();

        await _host.Workflows.Runtime.Stimuli.ResumeAsync(Tenant, instance, bookmark.Number, "Approved", default);

        await TestRuntime.UntilAsync(async () => (await _host.Workflows.ReadAsync(instance)).Bursts == 2);
        Assert.Equal(ApprovalStatus.Pending, (await _host.Store.FindAsync(Tenant, approval.Id, default))!.Status);
        await _host.SayAsync(approval, Ann);
        Assert.Equal("Approved", await _host.ResultAsync(instance, "Decision"));
    }

    [Fact]
    public async Task Stimulus_SentByHand_ReopensTheApproval()
    {
        var instance = await _host.StartAsync(Ask());
        var approval = await _host.PendingOneAsync(instance);

        await _host.Workflows.Runtime.Stimuli.DeliverAsync(
            new(Tenant, ApprovalStore.Stimulus, Conclave.Workflows.Runtime.Instances.BookmarkKey.Of(ApprovalStore.Stimulus, approval.Id)) { Input = "Approved", Id = "by-hand" }, default);

        await TestRuntime.UntilAsync(async () => (await _host.KindsAsync(approval.Id)).Contains("reopened"));
        await TestRuntime.UntilAsync(async () => (await _host.Workflows.ReadAsync(instance)).Bursts == 2);
        await _host.SayAsync(approval, Ann);
        Assert.Equal("Approved", await _host.ResultAsync(instance, "Decision"));
    }

    [Fact]
    public async Task Mend_DecidedApprovalWhoseWorkflowStillWaits_LetsItGoOn()
    {
        var instance = await _host.StartAsync(Ask());
        var approval = await _host.PendingOneAsync(instance);
        await _host.Database.ExecuteAsync($"update conclave.approval set status = 'approved', decided_at = now() - interval '1 minute' where id = '{approval.Id}'");

        Assert.Equal(1, await _host.Store.MendAsync(default));

        Assert.Equal("Approved", await _host.ResultAsync(instance, "Decision"));
        Assert.Equal(0, await _host.Store.MendAsync(default));
    }

    [Fact]
    public async Task UserTask_WithOutcomes_GoesOnThroughTheOneThatWasChosen()
    {
        var instance = await _host.StartAsync($$"""
            { "id": "do", "type": "Conclave.Agents.UserTask", "version": 1, "title": "Pack the parcel", "possibleOutcomes": {{Wrapped("""["Ship", "Refund"]""")}},
              "form": {{Wrapped("""{"type":"object","properties":{"weight":{"type":"number"}},"required":["weight"]}""")}},
              "outcome": { "memoryReference": { "id": "decision" } }, "formData": { "memoryReference": { "id": "form" } } }
            """);
        var task = await _host.PendingOneAsync(instance);
        Assert.Equal(ApprovalKind.Task, task.Kind);
        await RefusedAsync(ApprovalCodes.BadForm, () => _host.SayAsync(task, Ann, ApprovalVerdict.Complete, form: """{"weight":2}"""));
        await RefusedAsync(ApprovalCodes.BadDecision, () => _host.SayAsync(task, Ann, form: """{"weight":2,"outcome":"Ship"}"""));

        await _host.SayAsync(task, Ann, ApprovalVerdict.Complete, form: """{"weight":2,"outcome":"Refund"}""");

        Assert.Equal("Refund", await _host.ResultAsync(instance, "Decision"));
        Assert.Equal(2, ((JsonElement)(await _host.ResultAsync(instance, "Form"))!).GetProperty("weight").GetInt32());
    }

    [Theory]
    [InlineData("""[1]""", "")]
    [InlineData("""{"a":1}""", """ "quorum": 0, """)]
    [InlineData("""{"a":1}""", """ "priority": "P9", """)]
    [InlineData("""{"a":1}""", """ "dueIn": "00:00:00", """)]
    public async Task Ask_WhatCannotBeAsked_IsAnIncident(string action, string more)
    {
        var instance = await _host.StartAsync(Ask(more: more, action: action));

        await _host.Workflows.WaitAsync(instance, WorkflowSubStatus.Faulted);
        Assert.StartsWith("AwaitApproval 'ask': ", Assert.Single((await _host.Workflows.ReadAsync(instance)).Incidents).Message, StringComparison.Ordinal);
        Assert.Empty(await _host.Store.ListAsync(Tenant, new ApprovalFilter { InstanceId = instance }, null, 10, default));
    }
}

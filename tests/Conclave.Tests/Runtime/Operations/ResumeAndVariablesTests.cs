using Conclave.Workflows.Execution;

namespace Conclave.Tests.Runtime.Operations;

public sealed class ResumeAndVariablesTests : OperationsTest
{
    private const string Variables = """
        "variables": [ { "id": "n", "name": "N", "typeName": "Int32", "value": 1 }, { "id": "t", "name": "T", "typeName": "String" } ],
        """;

    [Fact]
    public async Task Resume_OnlyBookmark_GoesOnWithTheInput()
    {
        await Host.PublishAsync(Workflow("waits", """
            { "id": "go", "type": "Elsa.Event", "version": 1, "eventName": "go", "result": { "memoryReference": { "id": "n" } } }
            """, Variables));
        var id = (await Host.StartAsync("waits")).Instance.Id;

        var instance = await Operations.ResumeAsync(Tenant, id, null, 42, "ann", "lost event", default);

        Assert.Equal((WorkflowSubStatus.Finished, (object)42), (instance.SubStatus, instance.GetVariable(instance.Graph.Root.Variables[0])));
        Assert.Equal(0, await Host.Database.QueryAsync<long>("select count(*) from conclave.bookmark"));
        Assert.Equal("resume", Assert.Single(await DoneAsync(id)).Operation);
        await RefusedAsync("instance.ended", id, () => Operations.ResumeAsync(Tenant, id, null, null, "ann", null, default));
    }

    [Fact]
    public async Task Resume_UnknownOrAmbiguous_IsRefusedAndListsWhatWaits()
    {
        await Host.PublishAsync(Workflow("two", Parallel("all", Event("one"), Event("two"))));
        var id = (await Host.StartAsync("two")).Instance.Id;

        var unknown = await RefusedAsync("instance.bookmark_unknown", id, () => Operations.ResumeAsync(Tenant, id, 99, null, "ann", null, default));
        Assert.Contains("'one'", unknown.Message, StringComparison.Ordinal);
        await RefusedAsync("instance.bookmark_unknown", id, () => Operations.ResumeAsync(Tenant, id, null, null, "ann", null, default));

        await Operations.ResumeAsync(Tenant, id, 2, null, "ann", null, default);
        Assert.Equal(["one"], (await Host.ReadAsync(id)).Bookmarks.Select(b => b.Context.Node.Id));
        await Host.PublishEventAsync("one");
        await Host.WaitAsync(id, WorkflowSubStatus.Finished);
    }

    [Fact]
    public async Task SetVariables_AreConvertedAndRecorded()
    {
        await Host.PublishAsync(Workflow("waits", Event("go"), Variables));
        var id = (await Host.StartAsync("waits")).Instance.Id;

        await Operations.SetVariablesAsync(Tenant, id, new Dictionary<string, object?> { ["n"] = "7", ["T"] = new string('x', 1_000) }, "ann", "fix", default);

        var stored = await Host.ReadAsync(id);
        Assert.Equal((7, new string('x', 1_000)), (stored.GetVariable(stored.Graph.Root.Variables[0]), stored.GetVariable(stored.Graph.Root.Variables[1])));
        var done = Assert.Single(await DoneAsync(id));
        Assert.StartsWith("""{"N":{"from":"1","to":"7"},"T":{"from":null,"to":"xxx""", done.Details, StringComparison.Ordinal);
        Assert.True(done.Details!.Length < 500);
        await Host.PublishEventAsync("go");
        await Host.WaitAsync(id, WorkflowSubStatus.Finished);
        await RefusedAsync("instance.ended", id, () => Operations.SetVariablesAsync(Tenant, id, new Dictionary<string, object?> { ["N"] = 1 }, "ann", null, default));
    }

    [Fact]
    public async Task SetVariables_SomeAreWrong_NoneIsSetAndAllProblemsAreListed()
    {
        await Host.PublishAsync(Workflow("waits", Event("go"), Variables));
        var id = (await Host.StartAsync("waits")).Instance.Id;

        var refused = await RefusedAsync("instance.bad_variables", id, () => Operations.SetVariablesAsync(
            Tenant, id, new Dictionary<string, object?> { ["T"] = "fine", ["N"] = "many", ["X"] = 1 }, "ann", null, default));

        Assert.Contains("'N'", refused.Message, StringComparison.Ordinal);
        Assert.Contains("'X'", refused.Message, StringComparison.Ordinal);
    }
}

using Conclave.Workflows.Execution;

namespace Conclave.Tests.Runtime.Definitions;

/// <summary>Workflows used as activities run in the version that is named, also when newer ones are published.</summary>
public sealed class UsedVersionTests : IAsyncLifetime
{
    private TestRuntime _host = null!;

    public async Task InitializeAsync() => _host = await TestRuntime.StartAsync();

    public Task DisposeAsync() => _host.DisposeAsync().AsTask();

    [Theory]
    [InlineData("workflowDefinitionVersionId")]
    [InlineData("WorkflowDefinitionVersionId")]
    [InlineData(null)]
    public async Task Run_OuterVersionsThatNameDifferentInnerOnes_EachRunsItsOwn(string? member)
    {
        var first = await PublishInnerAsync("one");
        await _host.PublishAsync(Outer("outer1", "inner", 1, member, first));
        var second = await PublishInnerAsync("two");
        await _host.PublishAsync(Outer("outer2", "inner", 2, member, second));

        await RunsAsync(_host, "outer1", "one");
        await RunsAsync(_host, "outer2", "two");
        await using var other = await TestRuntime.StartAsync(_host.Database);
        await RunsAsync(other, "outer2", "two");
        await RunsAsync(other, "outer1", "one");
    }

    [Fact]
    public async Task Run_InnerOneIsUsedByOneThatIsUsed_RunsTheNamedVersion()
    {
        var inner = await PublishInnerAsync("one");
        var middle = await _host.PublishAsync(Outer("middle", "inner", 1, "workflowDefinitionVersionId", inner));
        await _host.PublishAsync(Outer("outer", "middle", 1, "workflowDefinitionVersionId", middle.Definition.Id));
        await PublishInnerAsync("two");

        await RunsAsync(_host, "outer", "one");
        await using var other = await TestRuntime.StartAsync(_host.Database);
        await RunsAsync(other, "outer", "one");
    }

    [Fact]
    public async Task Run_WhileTheInnerOneChanges_AlwaysRunsTheNamedVersion()
    {
        var first = await PublishInnerAsync("one");
        await PublishInnerAsync("two");
        var outer = await _host.PublishAsync(Outer("outer", "inner", 1, "workflowDefinitionVersionId", first));
        var workflows = _host.Runtime.Catalog.Of(TestRuntime.Tenant);
        using var stop = new CancellationTokenSource();
        var refreshing = Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
                await _host.Runtime.Catalog.RefreshAsync(TestRuntime.Tenant, "inner", default);
        });

        for (var i = 0; i < 500; i++)
            Assert.NotNull((await workflows.GetGraphAsync(outer.Definition.Id, default)).FindActivity("one"));

        await stop.CancelAsync();
        await refreshing;
    }

    private static string Outer(string id, string used, int version, string? member, string versionId) => $$"""
        { "definitionId": "{{id}}", "options": { "usableAsActivity": true },
          "root": { "id": "use", "type": "Used", "version": {{version}}, "workflowDefinitionId": "{{used}}"{{(member is null ? "" : $", \"{member}\": \"{versionId}\"")}} } }
        """;

    private async Task<string> PublishInnerAsync(string line) => (await _host.PublishAsync($$"""
        { "definitionId": "inner", "name": "Inner", "options": { "usableAsActivity": true },
          "root": { "id": "{{line}}", "type": "Elsa.WriteLine", "version": 1, "text": "{{line}}" } }
        """)).Definition.Id;

    private static async Task RunsAsync(TestRuntime host, string definitionId, string line)
    {
        var run = await host.StartAsync(definitionId);
        Assert.Equal(WorkflowSubStatus.Finished, run.Instance.SubStatus);
        Assert.Equal([$"WriteLine:{line}:Completed"], (await host.TraceAsync(run.Instance.Id)).Where(t => t.StartsWith("WriteLine", StringComparison.Ordinal) && t.EndsWith("Completed", StringComparison.Ordinal)));
    }
}

using Conclave.Workflows.Execution;

namespace Conclave.Tests.Runtime.Watching;

public sealed class InstanceWatchTests : IAsyncLifetime
{
    private const string Waiting = """
        { "definitionId": "w", "root": { "id": "e", "type": "Elsa.Event", "version": 1, "eventName": "go" } }
        """;

    private readonly List<string> _told = [];
    private TestRuntime _web = null!;
    private TestRuntime _worker = null!;

    public async Task InitializeAsync()
    {
        _web = await TestRuntime.StartAsync(isWorker: false);
        _worker = await TestRuntime.StartAsync(on: _web.Database);
        _web.Runtime.Watch.Changed += (_, id) =>
        {
            lock (_told)
                _told.Add(id);
        };
    }

    public async Task DisposeAsync()
    {
        await _worker.DisposeAsync();
        await _web.DisposeAsync();
    }

    [Fact]
    public async Task Watch_AnotherProcessCommits_TellsOfThatInstanceAlone()
    {
        var (watched, other) = await StartTwoAsync();
        await _web.Runtime.Watch.WatchAsync(TestRuntime.Tenant, watched, default);

        await _web.PublishEventAsync("go");

        await _web.WaitAsync(watched, WorkflowSubStatus.Finished);
        await _web.WaitAsync(other, WorkflowSubStatus.Finished);
        await TestRuntime.UntilAsync(() => Task.FromResult(Told().Contains(watched)));
        Assert.DoesNotContain(other, Told());
    }

    [Fact]
    public async Task Watch_NotificationIsLost_FindsTheChangeItself()
    {
        var (watched, _) = await StartTwoAsync();
        await _web.Runtime.Watch.WatchAsync(TestRuntime.Tenant, watched, default);
        await using var change = _web.Database.DataSource.CreateCommand("update conclave.workflow_instance set updated_at = updated_at + interval '1 second' where id = $1");
        change.Parameters.Add(new Npgsql.NpgsqlParameter<string> { TypedValue = watched });

        await change.ExecuteNonQueryAsync();

        await TestRuntime.UntilAsync(() => Task.FromResult(Told().Contains(watched)));
    }

    [Fact]
    public async Task Unwatch_AsOftenAsWatched_TellsNothingMore()
    {
        var (watched, other) = await StartTwoAsync();
        foreach (var id in (string[])[watched, watched, other])
            await _web.Runtime.Watch.WatchAsync(TestRuntime.Tenant, id, default);
        _web.Runtime.Watch.Unwatch(TestRuntime.Tenant, watched);
        _web.Runtime.Watch.Unwatch(TestRuntime.Tenant, watched);

        await _web.PublishEventAsync("go");

        await TestRuntime.UntilAsync(() => Task.FromResult(Told().Contains(other)));
        await _web.WaitAsync(watched, WorkflowSubStatus.Finished);
        Assert.DoesNotContain(watched, Told());
    }

    [Fact]
    public async Task Watch_ProcessStartsLater_KnowsWhatIsLookedAt()
    {
        var (watched, _) = await StartTwoAsync();
        await _web.Runtime.Watch.WatchAsync(TestRuntime.Tenant, watched, default);
        await _worker.DisposeAsync();
        _worker = await TestRuntime.StartAsync(on: _web.Database);

        await _web.PublishEventAsync("go");

        await TestRuntime.UntilAsync(() => Task.FromResult(Told().Contains(watched)));
    }

    private async Task<(string First, string Second)> StartTwoAsync()
    {
        await _worker.PublishAsync(Waiting);
        var (first, second) = (await _worker.EnqueueAsync("w"), await _worker.EnqueueAsync("w"));
        await _worker.WaitAsync(first, WorkflowSubStatus.Suspended);
        await _worker.WaitAsync(second, WorkflowSubStatus.Suspended);
        return (first, second);
    }

    private List<string> Told()
    {
        lock (_told)
            return [.. _told];
    }
}

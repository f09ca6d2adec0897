using Conclave.Tests.Runtime.Postgres;
using Conclave.Workflows.Runtime;
using Conclave.Workflows.Runtime.Instances;

namespace Conclave.Tests.Runtime.Timers;

/// <summary>Tests with timers: processes that come and go on one database.</summary>
public abstract class TimerTests : IAsyncLifetime
{
    private protected static readonly RuntimeOptions Options = new() { PollInterval = TimeSpan.FromMilliseconds(100) };

    private readonly List<TestRuntime> _hosts = [];

    private protected TestDatabase Database { get; private set; } = null!;

    public async Task InitializeAsync() => Database = await PostgresServer.NewDatabaseAsync();

    public async Task DisposeAsync()
    {
        foreach (var host in _hosts)
            await host.DisposeAsync();
        await Database.DisposeAsync();
    }

    private protected async Task<TestRuntime> StartAsync(RuntimeOptions? options = null, bool isWorker = true)
    {
        var host = await TestRuntime.StartAsync(Database, (options ?? Options) with { Owner = Guid.CreateVersion7() }, isWorker, useTimers: true);
        _hosts.Add(host);
        if (isWorker)
            await TestRuntime.UntilAsync(() => Task.FromResult(host.Runtime.Timers!.IsRunning));
        return host;
    }

    private protected async Task StopAsync(TestRuntime host)
    {
        _hosts.Remove(host);
        await host.DisposeAsync();
    }

    private protected static Task UntilAsync(TestRuntime host, Func<IReadOnlyList<InstanceSummary>, bool> isReached)
    {
        IReadOnlyList<InstanceSummary> found = [];
        return TestRuntime.UntilAsync(async () => isReached(found = await ListAsync(host)), state: () => $"{found.Count} instances");
    }

    private protected static async Task<IReadOnlyList<InstanceSummary>> ListAsync(TestRuntime host) =>
        await host.Runtime.Instances.ListAsync(TestRuntime.Tenant, new InstanceFilter(), null, 1_000, default);
}

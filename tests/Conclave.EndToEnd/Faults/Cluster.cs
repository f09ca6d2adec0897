using System.Net;

namespace Conclave.EndToEnd.Faults;

/// <summary>Two web processes and two workers on one database. The tests of the collection share it, one after the other.</summary>
public sealed class Cluster : IAsyncLifetime
{
    // Waits for a dead worker must not make the tests long.
    private static readonly string[] Settings = ["Worker:Lease=00:00:02", "Worker:PollInterval=00:00:00.2", "Drain:Timeout=00:00:02", "OutboundHttp:AllowPrivateAddresses=true", "Logging:LogLevel:Conclave=Warning"];

    private readonly string[] _folders = [.. Enumerable.Range(0, 4).Select(_ => ServerProcess.NewFolder())];
    private readonly ServerProcess[] _servers = new ServerProcess[4];

    internal FaultDatabase Database { get; private set; } = null!;

    internal ServerProcess Web => _servers[0];

    internal ServerProcess OtherWeb => _servers[1];

    internal ServerProcess Worker => _servers[2];

    internal ServerProcess OtherWorker => _servers[3];

    public async Task InitializeAsync()
    {
        Database = await FaultDatabase.NewAsync();
        // The first one makes the tables.
        await StartAsync(0);
        await Task.WhenAll(StartAsync(1), StartAsync(2), StartAsync(3));
    }

    public async Task DisposeAsync()
    {
        await Task.WhenAll(_servers.Where(s => s is not null).Select(s => s.DisposeAsync().AsTask()));
        foreach (var folder in _folders)
            await ServerProcess.RemoveAsync(folder);
        await Database.DisposeAsync();
    }

    /// <summary>Starts a server that was killed again.</summary>
    internal async Task RestartAsync(ServerProcess killed)
    {
        var place = Array.IndexOf(_servers, killed);
        await killed.DisposeAsync();
        await StartAsync(place);
    }

    internal Task PublishAsync(string definitionId, string json) => Web.PublishAsync(definitionId, json);

    /// <summary>Publishes a workflow that starts with a webhook at the path of its name, and waits until both web processes know it.</summary>
    internal async Task PublishWebhookAsync(string path, string json)
    {
        await Web.PublishAsync(path, json);
        await ServerProcess.UntilAsync(
            async () =>
            {
                using var answer = await OtherWeb.Http.GetAsync($"/workflows/{path}");
                return answer.StatusCode == HttpStatusCode.MethodNotAllowed;
            },
            "the other process knows the workflow");
    }

    /// <summary>Waits until so many instances of a workflow have finished.</summary>
    internal Task FinishedAsync(string definitionId, int count, int seconds = 120) => ServerProcess.UntilAsync(
        async () => await Database.FinishedAsync(definitionId) == count, $"{count} instances of {definitionId} finish", seconds);

    private async Task StartAsync(int place) => _servers[place] = await ServerProcess.StartAsync(
        _folders[place], [.. Settings, $"ConnectionStrings:Conclave={Database.ConnectionString}", $"Roles={(place < 2 ? "web" : "worker")}"]);
}

[CollectionDefinition(Name)]
public sealed class ClusterCollection : ICollectionFixture<Cluster>
{
    public const string Name = "cluster";
}

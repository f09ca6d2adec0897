using System.Net;
using System.Text;
using Conclave.Workflows.Runtime.Postgres;
using Microsoft.Extensions.Logging.Abstractions;

namespace Conclave.EndToEnd.Faults;

/// <summary>PostgreSQL dies under load.</summary>
public sealed class DatabaseOutageTests
{
    [Fact]
    public async Task Postgres_KilledAndRestartedUnderLoad_NothingIsLost()
    {
        var options = new EmbeddedPostgresOptions { DataFolder = FaultDatabase.NewPostgresFolder(), SharedBuffersMegabytes = 32 };
        var postgres = await EmbeddedPostgres.StartAsync(options, NullLogger.Instance, default);
        await using var database = FaultDatabase.Of(postgres);
        await using var server = await ServerProcess.StartAsync(null, $"ConnectionStrings:Conclave={postgres.ConnectionString}", "Worker:Lease=00:00:02", "Logging:LogLevel:Conclave=Warning");
        await server.PublishAsync("outage", Json.CommittingWorkflow("outage", 5));
        await server.PublishAsync("outage-hook", Json.Workflow("outage-hook", $"{Json.Webhook("outage")}, {Json.Line("say")}"));
        using var stop = new CancellationTokenSource();
        var load = Enumerable.Range(0, 4).Select(i => LoadAsync(server, i, stop.Token)).ToArray();
        await ServerProcess.UntilAsync(async () => await database.FinishedAsync("outage") > 20, "work flows");

        await ServerProcess.SignalAsync(postgres.ProcessId!.Value, "KILL");
        await ServerProcess.UntilAsync(async () => await IsReadyAsync(server) == HttpStatusCode.ServiceUnavailable, "the server is not ready");
        await postgres.DisposeAsync();
        postgres = await EmbeddedPostgres.StartAsync(options, NullLogger.Instance, default);
        Assert.Equal(database.ConnectionString, postgres.ConnectionString);
        database.Source.Clear();
        await ServerProcess.UntilAsync(async () => await IsReadyAsync(server) == HttpStatusCode.OK, "the server is ready");
        var before = await database.FinishedAsync("outage");
        await ServerProcess.UntilAsync(async () => await database.FinishedAsync("outage") > before + 20, "work flows again");
        await stop.CancelAsync();

        var sent = (await Task.WhenAll(load)).Sum();
        await ServerProcess.UntilAsync(async () => await database.FinishedAsync("outage") == sent, $"all {sent} that were accepted finish");
        await database.CheckJournalsAsync("outage", sent, Json.Steps(5));
        await ServerProcess.UntilAsync(async () => await database.FinishedAsync("outage-hook") == sent, $"all {sent} webhooks finish");
        Assert.Equal(sent, await database.CountAsync("select count(*) from conclave.workflow_instance where definition_id = 'outage-hook'"));
        Assert.Equal(0, await database.CountAsync("select count(*) from conclave.work_item"));
        Assert.Equal(0, await database.CountAsync("select count(*) from conclave.dead_work_item"));
        await server.StopAsync();
        await postgres.DisposeAsync();
    }

    private static async Task<HttpStatusCode> IsReadyAsync(ServerProcess server)
    {
        using var response = await server.Http.GetAsync("/health/ready");
        return response.StatusCode;
    }

    /// <summary>Starts instances, each request repeated under its key until it is answered.</summary>
    private static async Task<int> LoadAsync(ServerProcess server, int number, CancellationToken cancellationToken)
    {
        var sent = 0;
        for (; !cancellationToken.IsCancellationRequested; sent++)
        {
            await SendAsync(server, "/api/workflows/outage/start", $"start-{number}-{sent}");
            await SendAsync(server, "/workflows/outage", $"hook-{number}-{sent}");
        }

        return sent;
    }

    private static async Task SendAsync(ServerProcess server, string path, string key)
    {
        using var timeout = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (true)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new StringContent("{}", Encoding.UTF8, "application/json") };
            request.Headers.Add("Idempotency-Key", key);
            using var response = await server.Http.SendAsync(request, timeout.Token);
            if (response.IsSuccessStatusCode)
                return;
            var text = await response.Content.ReadAsStringAsync(timeout.Token);
            Assert.True(response.StatusCode is HttpStatusCode.ServiceUnavailable or HttpStatusCode.Conflict, $"{(int)response.StatusCode} {text}");
            Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
            await Task.Delay(100, timeout.Token);
        }
    }
}

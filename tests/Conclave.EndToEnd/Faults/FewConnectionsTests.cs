using System.Net;
using System.Text;

namespace Conclave.EndToEnd.Faults;

/// <summary>Fewer connections than anybody would like.</summary>
public sealed class FewConnectionsTests
{
    [Fact]
    public async Task Pool_ThreeConnectionsUnderLoad_EverythingCompletes()
    {
        const int Instances = 300;
        const int Requests = 200;
        await using var database = await FaultDatabase.NewAsync();
        await using var server = await ServerProcess.StartAsync(
            null, $"ConnectionStrings:Conclave={database.ConnectionString};Maximum Pool Size=3", "Logging:LogLevel:Conclave=Warning");
        await server.PublishAsync("few", Json.CommittingWorkflow("few", 5));
        await server.PublishAsync("few-hook", Json.Workflow("few-hook", $"{Json.Webhook("few")}, {Json.Event("go", "few-go")}, {Json.Line("say")}"));

        await server.PostAsync("/api/workflows/few/start-many", Json.Starts("few", 0, Instances));
        await Task.WhenAll(Enumerable.Range(0, Requests).Select(i => SendAsync(server, $"few-{i}")));
        await ServerProcess.UntilAsync(
            async () => await database.CountAsync("select count(*) from conclave.bookmark") == Requests, "all wait");
        await server.PostAsync("/api/events/few-go", "{}");

        await ServerProcess.UntilAsync(async () => await database.FinishedAsync("few") == Instances && await database.FinishedAsync("few-hook") == Requests, "all finish");
        await database.CheckJournalsAsync("few", Instances, Json.Steps(5));
        await database.CheckJournalsAsync("few-hook", Requests, "hook", "go", "say");
        Assert.Equal(0, await database.CountAsync("select count(*) from conclave.dead_work_item"));
        using var ready = await server.Http.GetAsync("/health/ready");
        Assert.Equal(HttpStatusCode.OK, ready.StatusCode);
    }

    private static async Task SendAsync(ServerProcess server, string key)
    {
        while (true)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, "/workflows/few") { Content = new StringContent("{}", Encoding.UTF8, "application/json") };
            request.Headers.Add("Idempotency-Key", key);
            using var response = await server.Http.SendAsync(request);
            if (response.IsSuccessStatusCode)
                return;
            // Slow is allowed, and so is "not now"; losing the request is not.
            Assert.True(response.StatusCode is HttpStatusCode.ServiceUnavailable or HttpStatusCode.Conflict, $"{response.StatusCode}");
            await Task.Delay(100);
        }
    }
}

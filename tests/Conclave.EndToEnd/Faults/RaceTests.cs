using System.Net;
using System.Text;
using System.Text.Json;
using Conclave.Workflows.Execution;

namespace Conclave.EndToEnd.Faults;

/// <summary>Many at once for one thing, through two processes.</summary>
[Collection(ClusterCollection.Name)]
public sealed class RaceTests(Cluster cluster)
{
    private const int AtOnce = 50;

    [Theory]
    [InlineData("race-one", true)]
    [InlineData("race-all", false)]
    public async Task Events_FiftyAtOnceForOneBookmark_ResumeItOnce(string id, bool isForOneInstance)
    {
        await cluster.PublishAsync(id, Json.Workflow(id, $"{Json.Event("go", $"go-{id}")}, {Json.Line("between")}, {Json.Event("end", $"end-{id}")}"));
        await cluster.Web.PostAsync($"/api/workflows/{id}/start", $$"""{ "instanceId": "{{id}}-1", "wait": 30 }""");
        var body = isForOneInstance ? $$"""{ "instanceId": "{{id}}-1" }""" : "{}";

        var answers = await Task.WhenAll(Enumerable.Range(0, AtOnce).Select(i =>
            (i % 2 == 0 ? cluster.Web : cluster.OtherWeb).PostAsync($"/api/events/go-{id}", body)));

        Assert.Equal(1, answers.Sum(a => a.GetProperty("resumed").GetInt32()));
        // The others wait for an instance that may ask again, or nobody hears them.
        Assert.Equal(isForOneInstance ? AtOnce - 1 : 0, answers.Count(a => a.GetProperty("waiting").GetBoolean()));
        await ServerProcess.UntilAsync(
            async () => await cluster.Database.CountAsync($"select count(*) from conclave.bookmark where instance_id = '{id}-1' and activity_id = 'end'") == 1, "it waits for the end");
        await cluster.OtherWeb.PostAsync($"/api/events/end-{id}", body);
        await cluster.FinishedAsync(id, 1);
        var journal = (await cluster.Database.CheckJournalsAsync(id, 1, "go", "between", "end"))[$"{id}-1"];
        Assert.Equal(2, journal.Count(e => e.Event == ExecutionEvent.Resumed));
    }

    [Theory]
    [InlineData("hook-key", "Idempotency-Key")]
    [InlineData("hook-id", "webhook-id")]
    public async Task Webhook_FiftyAtOnceWithOneKey_StartsOneInstanceAndAllGetItsAnswer(string id, string header)
    {
        await cluster.PublishWebhookAsync(id, Json.Workflow(id, $"{Json.Webhook(id)}, {Json.Line("say")}"));

        var answers = await Task.WhenAll(Enumerable.Range(0, AtOnce).Select(i => SendUntilAnsweredAsync(i % 2 == 0 ? cluster.Web : cluster.OtherWeb, id, header)));

        var instance = JsonElement.Parse(Assert.Single(answers.Distinct())).GetProperty("instanceId").GetString();
        Assert.Equal(1, await cluster.Database.CountAsync($"select count(*) from conclave.workflow_instance where definition_id = '{id}'"));
        Assert.Equal(instance, Assert.Single(await cluster.Database.CheckJournalsAsync(id, 1, "hook", "say")).Key);
    }

    [Fact]
    public async Task Webhook_FiftyAtOnceWithOneKeyForAnInstanceThatWaits_ResumeItOnceAndAllGetItsAnswer()
    {
        await cluster.PublishAsync("hook-waits", Json.Workflow("hook-waits", $"{Json.Line("before")}, {Json.Webhook("hook-waits", canStart: false)}, {Json.Line("after")}"));
        await cluster.Web.PostAsync("/api/workflows/hook-waits/start", """{ "instanceId": "hook-waits-1", "wait": 30 }""");

        var answers = await Task.WhenAll(Enumerable.Range(0, AtOnce).Select(i => SendUntilAnsweredAsync(i % 2 == 0 ? cluster.Web : cluster.OtherWeb, "hook-waits", "Idempotency-Key")));

        Assert.Equal("hook-waits-1", JsonElement.Parse(Assert.Single(answers.Distinct())).GetProperty("instanceId").GetString());
        await cluster.Database.CheckJournalsAsync("hook-waits", 1, "before", "hook", "after");
        // With another key it is another request, for which nobody waits.
        Assert.Equal(HttpStatusCode.NotFound, (await SendAsync(cluster.Web, "hook-waits", "Idempotency-Key", "two")).StatusCode);
    }

    private static async Task<string> SendUntilAnsweredAsync(ServerProcess server, string id, string header)
    {
        while (true)
        {
            using var response = await SendAsync(server, id, header, "one");
            var text = await response.Content.ReadAsStringAsync();
            if (response.StatusCode == HttpStatusCode.OK)
                return text;
            Assert.Equal(HttpStatusCode.Conflict, response.StatusCode);
            Assert.NotNull(response.Headers.RetryAfter);
            await Task.Delay(50);
        }
    }

    private static async Task<HttpResponseMessage> SendAsync(ServerProcess server, string id, string header, string key)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, $"/workflows/{id}") { Content = new StringContent("{}", Encoding.UTF8, "application/json") };
        request.Headers.Add(header, key);
        return await server.Http.SendAsync(request);
    }
}

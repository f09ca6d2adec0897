using System.Net;
using System.Text;
using Conclave.Workflows.Execution;

namespace Conclave.EndToEnd.Faults;

/// <summary>Processes killed with <c>kill -9</c>, and frozen.</summary>
[Collection(ClusterCollection.Name)]
public sealed class KilledWorkerTests(Cluster cluster)
{
    [Fact]
    public async Task Worker_KilledDuringBurstsOfManyCommits_OthersGoOnFromTheLastCommit()
    {
        const int Instances = 200;
        await cluster.PublishAsync("steps", Json.CommittingWorkflow("steps", 20));
        await cluster.Web.PostAsync("/api/workflows/steps/start-many", Json.Starts("steps", 1, Instances));
        await ServerProcess.UntilAsync(
            async () => await cluster.Database.CountAsync("select count(*) from conclave.workflow_instance where definition_id = 'steps' and sub_status = 1") > 0,
            "bursts are under way");

        await cluster.Worker.KillAsync();

        await cluster.RestartAsync(cluster.Worker);
        await cluster.FinishedAsync("steps", Instances);
        await cluster.Database.CheckJournalsAsync("steps", Instances, Json.Steps(20));
    }

    [Fact]
    public async Task Worker_KilledDuringAnEffect_OtherRepeatsItUnderTheSameKey()
    {
        await using var target = await HttpTarget.StartAsync(holds: 1);
        await cluster.PublishAsync("effect", Json.Workflow("effect", $"{Json.Line("before")}, {Json.Call("call", target.Url)}, {Json.Line("after")}"));
        // The one that is to die must be the one that takes the work.
        await cluster.OtherWorker.SignalAsync("STOP");
        await cluster.Web.PostAsync("/api/workflows/effect/start", """{ "instanceId": "effect-1" }""");
        await ServerProcess.UntilAsync(() => Task.FromResult(target.Count == 1), "the request arrives");

        await cluster.Worker.KillAsync();
        await cluster.OtherWorker.SignalAsync("CONT");

        await cluster.FinishedAsync("effect", 1);
        Assert.Equal(2, Assert.Single(target.Requests).Value);
        await cluster.Database.CheckJournalsAsync("effect", 1, "before", "call", "after");
        await cluster.RestartAsync(cluster.Worker);
    }

    [Fact]
    public async Task Worker_StoppedInOrderDuringAnEffect_OtherRepeatsItUnderTheSameKey()
    {
        await using var target = await HttpTarget.StartAsync(holds: 1);
        await cluster.PublishAsync("stopped", Json.Workflow("stopped", $"{Json.Line("before")}, {Json.Call("call", target.Url)}, {Json.Line("after")}"));
        await cluster.OtherWorker.SignalAsync("STOP");
        await cluster.Web.PostAsync("/api/workflows/stopped/start", """{ "instanceId": "stopped-1" }""");
        await ServerProcess.UntilAsync(() => Task.FromResult(target.Count == 1), "the request arrives");

        await cluster.Worker.StopAsync();
        await cluster.OtherWorker.SignalAsync("CONT");

        await cluster.FinishedAsync("stopped", 1);
        Assert.Equal(2, Assert.Single(target.Requests).Value);
        var journal = (await cluster.Database.CheckJournalsAsync("stopped", 1, "before", "call", "after"))["stopped-1"];
        Assert.Single(journal, e => e.NodeId.EndsWith(":call", StringComparison.Ordinal) && e.Event == ExecutionEvent.Completed);
        await cluster.RestartAsync(cluster.Worker);
    }

    [Fact]
    public async Task Worker_FrozenPastItsLeaseDuringAnEffect_StoresNothingOnceItWakes()
    {
        await using var target = await HttpTarget.StartAsync(holds: 1);
        await cluster.PublishAsync("frozen", Json.Workflow("frozen", $"{Json.Line("before")}, {Json.Call("call", target.Url)}, {Json.Line("after")}"));
        await cluster.OtherWorker.SignalAsync("STOP");
        await cluster.Web.PostAsync("/api/workflows/frozen/start", """{ "instanceId": "frozen-1" }""");
        await ServerProcess.UntilAsync(() => Task.FromResult(target.Count == 1), "the request arrives");

        await cluster.Worker.SignalAsync("STOP");
        await cluster.OtherWorker.SignalAsync("CONT");
        await cluster.FinishedAsync("frozen", 1);
        var before = (await cluster.Database.CheckJournalsAsync("frozen", 1, "before", "call", "after"))["frozen-1"];
        target.Release();
        await cluster.Worker.SignalAsync("CONT");

        await ServerProcess.UntilAsync(
            () => Task.FromResult(cluster.Worker.Output.Any(l => l.Contains("frozen-1", StringComparison.Ordinal) && l.Contains("nothing of this burst is stored", StringComparison.Ordinal))),
            "the frozen worker notices");
        var after = (await cluster.Database.ReadJournalsAsync("frozen"))["frozen-1"];
        Assert.Equal(before.Select(e => (e.Sequence, e.Timestamp, e.Event)), after.Select(e => (e.Sequence, e.Timestamp, e.Event)));
        Assert.Single(after, e => e.NodeId.EndsWith(":call", StringComparison.Ordinal) && e.Event == ExecutionEvent.Completed);
        Assert.Equal(2, Assert.Single(target.Requests).Value);
        Assert.Equal(0, await cluster.Database.CountAsync("select count(*) from conclave.work_item where instance_id = 'frozen-1'"));
    }

    [Fact]
    public async Task Web_KilledUnderLoad_RepeatedRequestsNeverStartASecondInstance()
    {
        const int Requests = 150;
        await using var target = await HttpTarget.StartAsync(holds: 0);
        // The effect makes the burst commit in the middle, before there is an answer to store.
        await cluster.PublishWebhookAsync("keyed", Json.Workflow("keyed", $"{Json.Webhook("keyed")}, {Json.Call("call", target.Url)}, {Json.Line("after")}"));
        var answers = new Task<string>[Requests];
        for (var i = 0; i < Requests; i++)
            answers[i] = SendUntilAnsweredAsync("keyed", $"keyed-{i}");
        await ServerProcess.UntilAsync(() => Task.FromResult(target.Count > 10), "bursts are under way");

        await cluster.OtherWeb.KillAsync();

        var first = await Task.WhenAll(answers);
        await cluster.RestartAsync(cluster.OtherWeb);
        await cluster.FinishedAsync("keyed", Requests);
        Assert.Equal(Requests, await cluster.Database.CountAsync("select count(*) from conclave.workflow_instance where definition_id = 'keyed'"));
        for (var i = 0; i < Requests; i += 10)
            Assert.Equal(first[i], await SendUntilAnsweredAsync("keyed", $"keyed-{i}"));
        await cluster.Database.CheckJournalsAsync("keyed", Requests, "hook", "call", "after");
    }

    [Fact]
    public async Task Web_KilledBetweenItsFirstCommitAndItsAnswer_RepeatedRequestFindsTheInstance()
    {
        await using var target = await HttpTarget.StartAsync(holds: 1);
        await cluster.PublishWebhookAsync("answerless", Json.Workflow("answerless", $"{Json.Webhook("answerless")}, {Json.Call("call", target.Url)}, {Json.Line("after")}"));
        var answer = SendUntilAnsweredAsync("answerless", "one");
        await ServerProcess.UntilAsync(() => Task.FromResult(target.Count == 1), "the effect is under way");

        await cluster.OtherWeb.KillAsync();

        var instance = await answer;
        await cluster.FinishedAsync("answerless", 1);
        Assert.Equal(instance, Assert.Single(await cluster.Database.CheckJournalsAsync("answerless", 1, "hook", "call", "after")).Key);
        Assert.Equal(1, await cluster.Database.CountAsync("select count(*) from conclave.workflow_instance where definition_id = 'answerless'"));
        Assert.Equal(2, Assert.Single(target.Requests).Value);
        await cluster.RestartAsync(cluster.OtherWeb);
        Assert.Equal(instance, await SendUntilAnsweredAsync("answerless", "one"));
    }

    /// <summary>What a caller does that wants its request handled: the same request again, to whoever lives, until there is an answer.</summary>
    private async Task<string> SendUntilAnsweredAsync(string path, string key)
    {
        using var timeout = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        for (var attempt = 0; ; attempt++)
        {
            var server = attempt % 2 == 0 ? cluster.OtherWeb : cluster.Web;
            using var request = new HttpRequestMessage(HttpMethod.Post, $"/workflows/{path}") { Content = new StringContent("{}", Encoding.UTF8, "application/json") };
            request.Headers.Add("Idempotency-Key", key);
            try
            {
                using var response = await server.Http.SendAsync(request, timeout.Token);
                var text = await response.Content.ReadAsStringAsync(timeout.Token);
                if (response.IsSuccessStatusCode)
                    return System.Text.Json.JsonElement.Parse(text).GetProperty("instanceId").GetString()!;
                Assert.True(response.StatusCode is HttpStatusCode.Conflict or HttpStatusCode.ServiceUnavailable, text);
            }
            catch (HttpRequestException)
            {
                // Killed in the middle.
            }

            await Task.Delay(200, timeout.Token);
        }
    }
}

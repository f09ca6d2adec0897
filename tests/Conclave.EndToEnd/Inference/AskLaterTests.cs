using System.Text.Json;
using Conclave.EndToEnd.Faults;
using Conclave.Tests.Inference.Doubles;

namespace Conclave.EndToEnd.Inference;

/// <summary>Workflows that wait for the gateway at a bookmark.</summary>
public sealed class AskLaterTests
{
    [Fact]
    public async Task AskLater_WaitsWithoutAWorker_SurvivesAKill_GoesOnOnce()
    {
        await using var models = new OpenAIDouble();
        await models.StartAsync();
        await using var database = await FaultDatabase.NewAsync();
        var folder = ServerProcess.NewFolder();
        string[] settings =
        [
            $"ConnectionStrings:Conclave={database.ConnectionString}", "Worker:Concurrency=1", "Worker:PollInterval=00:00:00.2", "Inference:IdempotencyLease=00:00:02", "Inference:DiscoverOllama=false",
            "Inference:Servers:0:Name=vllm", "Inference:Servers:0:Provider=vllm", $"Inference:Servers:0:Address={models.Address}", "Inference:Servers:0:Models:0:Name=small", "Inference:Servers:0:Models:0:Capabilities=Chat",
        ];
        models.Answer = _ => DoubleAnswer.Say("one two") with { Failure = DoubleFailure.HangMidStream, FailAfter = 1 };
        List<string> ids = [];
        var killed = await ServerProcess.StartAsync(folder, settings);
        try
        {
            await killed.PublishAsync("later", Workflow("later", "small"));
            await killed.PublishAsync("never", Workflow("never", "nobody-has-it"));
            await ServerProcess.UntilAsync(async () => (await killed.GetAsync("/v1/models")).GetProperty("data").EnumerateArray().Any(m => m.GetProperty("id").GetString() == "small"), "the model is known");
            // One place of the worker, and three that wait.
            for (var i = 0; i < 3; i++)
                ids.Add(await killed.StartAsync("later"));
            foreach (var id in ids)
                await killed.UntilAsync(id, "Suspended");
            await ServerProcess.UntilAsync(() => Task.FromResult(models.Requests.Count(r => r.IsChat) == 3), "the model is asked");
            var failing = await killed.StartAsync("never");
            var failed = await killed.UntilAsync(failing, "Faulted");
            Assert.True(failed.GetRawText().Contains("nobody-has-it", StringComparison.Ordinal), failed.GetRawText());
            // A workflow that is cancelled waits no more, and its question is dropped.
            var cancelled = await killed.StartAsync("later");
            await killed.UntilAsync(cancelled, "Suspended");
            await ServerProcess.UntilAsync(() => Task.FromResult(models.Requests.Count(r => r.IsChat) == 4), "the model is asked once more");
            (await killed.CallAsync($"POST /api/instances/{cancelled}/cancel", "{}")).Is(200);
            await ServerProcess.UntilAsync(
                async () => await database.CountAsync($"select count(*) from conclave.inference_syscall where instance_id = '{cancelled}' and error_code = 'syscall.cancelled' and is_told") == 1, "its question is dropped");
            await ServerProcess.UntilAsync(() => Task.FromResult(models.Aborted >= 1), "the model is stopped");
            await killed.KillAsync();
        }
        finally
        {
            await killed.DisposeAsync();
        }

        models.Answer = _ => DoubleAnswer.Say("one two three");
        await using var server = await ServerProcess.StartAsync(folder, settings);
        try
        {
            foreach (var id in ids)
            {
                var instance = await server.UntilAsync(id, "Finished");
                Assert.Contains(instance.GetProperty("variables").EnumerateObject(), v => v.Value.ValueKind == JsonValueKind.String && v.Value.GetString()!.EndsWith("two three", StringComparison.Ordinal));
            }

            var syscalls = (await server.GetAsync("/api/scheduler/status")).GetProperty("items").EnumerateArray().ToList();
            Assert.Equal(5, syscalls.Count);
            Assert.All(syscalls, s => Assert.Equal("Done", s.GetProperty("status").GetString()));
            await ServerProcess.UntilAsync(async () => await database.CountAsync("select count(*) from conclave.inference_syscall where not is_told") == 0, "all workflows are told");
        }
        finally
        {
            await server.StopAsync();
            await ServerProcess.RemoveAsync(folder);
        }
    }

    private static string Workflow(string id, string model) => $$"""
        { "definitionId": "{{id}}",
          "root": { "id": "ask1", "type": "Conclave.AskLater", "version": 1, "model": { "typeName": "String", "expression": { "type": "Literal", "value": "{{model}}" } },
            "prompt": { "typeName": "String", "expression": { "type": "Literal", "value": "count" } }, "result": { "typeName": "Object", "memoryReference": { "id": "answer" } } },
          "variables": [ { "id": "answer", "name": "Answer", "typeName": "Object" } ] }
        """;
}

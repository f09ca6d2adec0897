using System.Text.Json;
using Conclave.EndToEnd.Faults;
using Conclave.Tests.Inference.Doubles;

namespace Conclave.EndToEnd.Inference;

public sealed class KilledDuringCallTests
{
    [Fact]
    public async Task Kill_WhileAModelWritesForAnActivity_AnotherProcessGoesOnWithTheTextAndOneCallIsRecorded()
    {
        await using var models = new OpenAIDouble();
        await models.StartAsync();
        await using var database = await FaultDatabase.NewAsync();
        var folder = ServerProcess.NewFolder();
        string[] settings =
        [
            $"ConnectionStrings:Conclave={database.ConnectionString}", "Worker:Lease=00:00:02", "Worker:PollInterval=00:00:00.2", "Inference:IdempotencyLease=00:00:02", "Inference:SnapshotInterval=00:00:00.1",
            "Inference:DiscoverOllama=false", "Inference:Servers:0:Name=vllm", "Inference:Servers:0:Provider=openai-compatible", $"Inference:Servers:0:Address={models.Address}",
            "Inference:Servers:0:Models:0:Name=small", "Inference:Servers:0:Models:0:Capabilities=Chat, Continue",
        ];
        // It says two words and no more; whoever comes with them hears the rest.
        models.Answer = request => request.LastMessage.GetProperty("role").ValueEquals("assistant")
            ? DoubleAnswer.Say("three four")
            : DoubleAnswer.Say("one two three four") with { Failure = DoubleFailure.HangMidStream, FailAfter = 2 };
        string id;
        var killed = await ServerProcess.StartAsync(folder, settings);
        try
        {
            await killed.PublishAsync("count", """
                { "definitionId": "count",
                  "root": { "id": "count1", "type": "Conclave.Chat", "version": 1, "model": { "typeName": "String", "expression": { "type": "Literal", "value": "small" } },
                    "prompt": { "typeName": "String", "expression": { "type": "Literal", "value": "count" } }, "result": { "typeName": "Object", "memoryReference": { "id": "answer" } } },
                  "variables": [ { "id": "answer", "name": "Answer", "typeName": "Object" } ] }
                """);
            await ServerProcess.UntilAsync(async () => (await killed.GetAsync("/v1/models")).GetProperty("data").EnumerateArray().Any(m => m.GetProperty("id").GetString() == "small"), "the model is known");
            id = await killed.StartAsync("count");
            await ServerProcess.UntilAsync(async () => await database.CountAsync("select count(*) from conclave.inference_snapshot where text = 'one two '") == 1, "its text so far is stored");
            await killed.KillAsync();
        }
        finally
        {
            await killed.DisposeAsync();
        }

        await using var server = await ServerProcess.StartAsync(folder, settings);
        try
        {
            var instance = await server.UntilAsync(id, "Finished");

            Assert.Equal("one two three four", instance.GetProperty("variables").EnumerateObject().Select(v => v.Value).Single(v => v.ValueKind == JsonValueKind.String).GetString());
            Assert.Equal(2, models.Requests.Count(r => r.IsChat));
            await ServerProcess.UntilAsync(async () => (await server.ItemsAsync($"/api/inference/calls?instanceId={id}")).Count > 0, "the call is recorded");
            // A burst whose lease is lost on a busy machine is repeated; its call is a replay then, which no model was asked for.
            var call = Assert.Single(await server.ItemsAsync($"/api/inference/calls?instanceId={id}"), c => c.GetProperty("cache").GetString() == "Miss");
            Assert.Equal("Completed", call.GetProperty("outcome").GetString(), ignoreCase: true);
            Assert.Equal(0, await database.CountAsync("select count(*) from conclave.inference_snapshot"));
        }
        finally
        {
            await server.StopAsync();
            await ServerProcess.RemoveAsync(folder);
        }
    }
}

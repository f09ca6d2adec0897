using System.Text.Json;
using Conclave.EndToEnd.Faults;
using Conclave.Tests.Inference.Doubles;

namespace Conclave.EndToEnd.Inference;

/// <summary>Workflows run in one process, model calls in another: over HTTP between them, one database.</summary>
public sealed class RemoteInferenceTests : IAsyncLifetime
{
    private OpenAIDouble Models { get; } = new();
    private FaultDatabase _database = null!;
    private ServerProcess _gateway = null!;
    private ServerProcess _web = null!;
    private ServerProcess _worker = null!;

    public async Task InitializeAsync()
    {
        await Models.StartAsync();
        _database = await FaultDatabase.NewAsync();
        var database = $"ConnectionStrings:Conclave={_database.ConnectionString}";
        _gateway = await ServerProcess.StartAsync(null,
            database, "Roles=inference", "Inference:DiscoverOllama=false", "Inference:Servers:0:Name=vllm", "Inference:Servers:0:Provider=openai-compatible", $"Inference:Servers:0:Address={Models.Address}");
        var key = (await File.ReadAllTextAsync(Path.Combine(_gateway.DataFolder, "api-key"))).Trim();
        string[] remote = [database, $"Inference:Url={_gateway.Http.BaseAddress}", $"Inference:ApiKey={key}", "Worker:PollInterval=00:00:00.2"];
        _web = await ServerProcess.StartAsync(null, [.. remote, "Roles=web"]);
        _worker = await ServerProcess.StartAsync(null, [.. remote, "Roles=worker"]);
    }

    public async Task DisposeAsync()
    {
        foreach (var server in (ServerProcess?[])[_worker, _web, _gateway])
        {
            if (server is not null)
                await server.DisposeAsync();
        }

        await _database.DisposeAsync();
        await Models.DisposeAsync();
    }

    [Fact]
    public async Task Chat_GatewayIsElsewhere_AnswersAndListenersInAThirdProcessHearIt()
    {
        var gate = new TaskCompletionSource();
        Models.Answer = request => DoubleAnswer.For(request) with { BeforeToken = token => token == 2 ? gate.Task : Task.CompletedTask };
        await _web.PublishAsync("ask", Workflow("small"));
        using var listening = await _web.Http.GetAsync("/api/inference/streams/ask-1", HttpCompletionOption.ResponseHeadersRead);
        using var lines = new StreamReader(await listening.Content.ReadAsStreamAsync());
        Assert.Equal(": listening", await lines.ReadLineAsync());

        var id = await _web.StartAsync("ask");
        // The first words come to the web process while the model still writes.
        var heard = "";
        while (heard != "You said: ")
            heard += await NextAsync();
        gate.SetResult();
        var instance = await _web.UntilAsync(id, "Finished");

        Assert.Equal("You said: hello there", instance.GetProperty("variables").EnumerateObject().Select(v => v.Value).Single(v => v.ValueKind == JsonValueKind.String).GetString());
        while (heard != "You said: hello there")
            heard += await NextAsync();
        await ServerProcess.UntilAsync(async () => await _database.CountAsync($"select count(*) from conclave.inference_call where instance_id = '{id}' and outcome = 4") == 1, "the call is recorded");

        async Task<string> NextAsync()
        {
            using var late = new CancellationTokenSource(TimeSpan.FromSeconds(30));
            while (await lines.ReadLineAsync(late.Token) is { } line)
            {
                if (line.StartsWith("data: ", StringComparison.Ordinal) && JsonElement.Parse(line[6..]).TryGetProperty("text", out var text))
                    return text.GetString()!;
            }

            throw new InvalidOperationException("The stream has ended.");
        }
    }

    [Fact]
    public async Task Chat_GatewayRefuses_FaultsWithItsWords()
    {
        await _web.PublishAsync("ask", Workflow("nobody-has-it"));

        var instance = await _web.UntilAsync(await _web.StartAsync("ask"), "Faulted");

        Assert.Contains("nobody-has-it", Assert.Single(instance.GetProperty("incidents").EnumerateArray()).GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Embed_GatewayIsElsewhere_OutputsVectors()
    {
        await _web.PublishAsync("embed", """
            { "definitionId": "embed",
              "root": { "id": "embed1", "type": "Conclave.Embed", "version": 1, "model": { "typeName": "String", "expression": { "type": "Literal", "value": "embedder" } },
                "texts": { "typeName": "Object", "expression": { "type": "Object", "value": "[\"one\", \"two\"]" } }, "result": { "typeName": "Object", "memoryReference": { "id": "answer" } } },
              "variables": [ { "id": "answer", "name": "Answer", "typeName": "Object" } ] }
            """);

        var instance = await _web.UntilAsync(await _web.StartAsync("embed"), "Finished");

        Assert.Equal(2, instance.GetProperty("variables").EnumerateObject().Select(v => v.Value).Single(v => v.ValueKind == JsonValueKind.Array).GetArrayLength());
    }

    private static string Workflow(string model) => $$"""
        { "definitionId": "ask",
          "root": { "id": "ask1", "type": "Conclave.Chat", "version": 1, "model": { "typeName": "String", "expression": { "type": "Literal", "value": "{{model}}" } },
            "prompt": { "typeName": "String", "expression": { "type": "Literal", "value": "hello there" } }, "channel": { "typeName": "String", "expression": { "type": "Literal", "value": "ask-1" } },
            "result": { "typeName": "Object", "memoryReference": { "id": "answer" } } },
          "variables": [ { "id": "answer", "name": "Answer", "typeName": "Object" } ] }
        """;
}

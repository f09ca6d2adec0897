using System.Text.Json;
using Conclave.Inference;
using Conclave.Inference.Providers;
using Conclave.Inference.Providers.Scripted;
using Microsoft.Extensions.AI;

namespace Conclave.Tests.Inference.Providers;

public sealed class ScriptedProviderTests : IDisposable
{
    private const string Models = """
        models:
          - name: demo
          - name: vectors
            capabilities: [embeddings]
            dimensions: 64

        """;

    private readonly string _file = Path.Combine(Path.GetTempPath(), $"conclave-script-{Guid.NewGuid():N}.yaml");
    private readonly ManualClock _clock = new();

    public void Dispose() => File.Delete(_file);

    [Fact]
    public async Task Chat_RuleFits_AnswersAndSaysThatItIsAScript()
    {
        var client = Connect("""
            rules:
              - when: { last_matches: 'weather in (?<city>\w+)' }
                reply: "It is sunny in {{city}}, {{nobody}}."
                thinking: "They asked: {{last}}"
              - reply: "Anything else?"
            """);

        var updates = await StreamAsync(client, "What is the weather in Bern?");
        var response = updates.ToChatResponse();

        Assert.Equal("It is sunny in Bern, {{nobody}}.", response.Text);
        Assert.Equal("They asked: What is the weather in Bern?", string.Concat(response.Messages[0].Contents.OfType<TextReasoningContent>()));
        Assert.Equal("scripted/demo", response.ModelId);
        Assert.Equal(ChatFinishReason.Stop, response.FinishReason);
        Assert.True(response.Usage!.OutputTokenCount > 6);
        Assert.All(updates, u => Assert.Equal(true, u.AdditionalProperties![ScriptedProvider.Mark]));
        Assert.Equal("Anything else?", (await StreamAsync(client, "hi", "scripted/demo")).ToChatResponse().Text);
    }

    [Fact]
    public async Task Chat_ToolCall_FillsArgumentsAndAnswersTheResult()
    {
        var client = Connect("""
            rules:
              - when: { after_tool: true }
                reply: "The tool says {{tool_result}}."
              - when: { has_tool: weather, last_matches: 'in (\w+)' }
                tool_calls:
                  - name: weather
                    arguments: { city: "{{1}}", days: 3, exact: true, unit: "{{example}}", places: ["{{1}} centre"] }
            """);
        var tool = AIFunctionFactory.CreateDeclaration("weather", "", JsonElement.Parse("""{"type":"object","properties":{"city":{"type":"string"},"unit":{"enum":["celsius","kelvin"]}}}"""));
        var options = new ChatOptions { ModelId = "demo", Tools = [tool] };
        List<ChatMessage> messages = [new(ChatRole.User, "weather in Bern")];

        var first = await client.Chat.GetResponseAsync(messages, options);
        messages.AddRange(first.Messages);
        var call = first.Messages[0].Contents.OfType<FunctionCallContent>().Single();
        messages.Add(new ChatMessage(ChatRole.Tool, [new FunctionResultContent(call.CallId, "21 degrees")]));
        var second = await client.Chat.GetResponseAsync(messages, options);

        Assert.Equal(ChatFinishReason.ToolCalls, first.FinishReason);
        Assert.Equal("""{"city":"Bern","days":3,"exact":true,"unit":"celsius","places":["Bern centre"]}""", JsonSerializer.Serialize(call.Arguments));
        Assert.Equal("The tool says 21 degrees.", second.Text);
    }

    [Fact]
    public async Task Chat_SchemaWanted_ExampleFitsIt()
    {
        var client = Connect("""
            rules:
              - when: { has_schema: true }
                reply: "{{example}}"
            """);
        var options = new ChatOptions
        {
            ModelId = "demo",
            ResponseFormat = ChatResponseFormat.ForJsonSchema(JsonElement.Parse("""{"type":"object","properties":{"n":{"type":"integer","minimum":5},"tags":{"type":"array","items":{"type":"string"}}}}""")),
        };

        Assert.Equal("""{"n":5,"tags":["example"]}""", (await client.Chat.GetResponseAsync("go", options)).Text);
    }

    [Theory]
    [InlineData("overloaded", ModelServerFailure.Overloaded)]
    [InlineData("context_too_long", ModelServerFailure.ContextTooLong)]
    [InlineData("cut", ModelServerFailure.Cut)]
    public async Task Chat_RuleFails_FailsWithItsKindAfterItsTokens(string kind, ModelServerFailure expected)
    {
        var client = Connect($$"""
            rules:
              - reply: "one two three"
                fail: { kind: {{kind}}, after: 2, message: "as told", retry_after: 3s }
            """);
        var text = "";

        var failure = await Assert.ThrowsAsync<ModelServerException>(async () =>
        {
            await foreach (var update in client.Chat.GetStreamingResponseAsync("go", new ChatOptions { ModelId = "demo" }))
                text += update.Text;
        });

        Assert.Equal((expected, "as told", TimeSpan.FromSeconds(3), "one two "), (failure.Failure, failure.Message, failure.RetryAfter, text));
    }

    [Fact]
    public async Task Chat_RuleWithTimes_IsUsedSoOften()
    {
        var client = Connect("""
            rules:
              - fail: { kind: server_error }
                times: 2
              - reply: "fine"
            """);

        await Assert.ThrowsAsync<ModelServerException>(() => StreamAsync(client, "go"));
        await Assert.ThrowsAsync<ModelServerException>(() => StreamAsync(client, "go"));
        Assert.Equal("fine", (await StreamAsync(client, "go")).ToChatResponse().Text);
    }

    [Fact]
    public async Task Chat_Speed_PausesBetweenTokens()
    {
        var client = Connect("""
            rules:
              - reply: "one two three"
                delay: 5s
                tokens_per_second: 0.5
            """);
        var began = _clock.GetUtcNow();

        var reading = StreamAsync(client, "go");
        while (!reading.IsCompleted)
        {
            _clock.Advance(TimeSpan.FromSeconds(1));
            await Task.Yield();
        }

        Assert.Equal("one two three", (await reading).ToChatResponse().Text);
        Assert.True(_clock.GetUtcNow() - began >= TimeSpan.FromSeconds(9));
    }

    [Fact]
    public async Task Chat_Hang_EndsWithTheTimeoutOfTheServer()
    {
        var client = Connect("""
            rules:
              - fail: { kind: hang }
            """);
        var reading = StreamAsync(client, "go");
        while (!reading.IsCompleted)
        {
            _clock.Advance(TimeSpan.FromMinutes(2));
            await Task.Yield();
        }

        Assert.Equal(ModelServerFailure.Timeout, (await Assert.ThrowsAsync<ModelServerException>(() => reading)).Failure);
    }

    [Fact]
    public async Task Chat_LimitAndContinuation_SayTheRest()
    {
        var client = Connect("""
            rules:
              - reply: "one two three four"
            """);

        var begun = await client.Chat.GetResponseAsync("go", new ChatOptions { ModelId = "demo", MaxOutputTokens = 2 });
        var rest = await client.Chat.GetResponseAsync([new ChatMessage(ChatRole.User, "go"), .. begun.Messages], new ChatOptions { ModelId = "demo" });

        Assert.Equal((ChatFinishReason.Length, "one two "), (begun.FinishReason, begun.Text));
        Assert.Equal("three four", rest.Text);
    }

    [Fact]
    public async Task Chat_FileChanges_AnswersByTheNewOne()
    {
        var client = Connect("rules: [ { reply: old } ]");
        var before = (await StreamAsync(client, "go")).ToChatResponse().Text;
        File.WriteAllText(_file, Models + "rules: [ { reply: newer } ]");
        var after = (await StreamAsync(client, "go")).ToChatResponse().Text;

        Assert.Equal(("old", "newer"), (before, after));
    }

    [Theory]
    [InlineData("rules: [ { reply: a, nonsense: 1 } ]")]
    [InlineData("rules: [ { when: { last: a } } ]")]
    [InlineData("rules: [ { reply: a, delay: soon } ]")]
    [InlineData("rules: [ { reply: a, when: { last_matches: '(' } } ]")]
    [InlineData("rules: [ { fail: { kind: sadness } } ]")]
    [InlineData("rules: [ { reply: a, tokens_per_second: 0 } ]")]
    [InlineData("rules: [")]
    public async Task ListModels_FileIsNoScript_SaysWhatIsWrong(string rules)
    {
        var client = Connect(rules);

        var failure = await Assert.ThrowsAsync<ModelServerException>(() => client.ListModelsAsync(default));

        Assert.Equal(ModelServerFailure.InvalidAnswer, failure.Failure);
        Assert.Contains(_file, failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Chat_NoRuleFits_SaysSo()
    {
        var client = Connect("rules: [ { when: { last: moon }, reply: a } ]");

        Assert.Equal(ModelServerFailure.BadRequest, (await Assert.ThrowsAsync<ModelServerException>(() => StreamAsync(client, "sun"))).Failure);
        Assert.Equal(ModelServerFailure.ModelNotFound, (await Assert.ThrowsAsync<ModelServerException>(() => StreamAsync(client, "moon", "other"))).Failure);
    }

    [Fact]
    public async Task Embed_Texts_AreNearWhenTheyShareWords()
    {
        var client = Connect("rules: []");
        var embeddings = await client.Embeddings.GenerateAsync(
            ["the cat sat on the mat", "the cat sat on the mat", "a cat sat on a mat", "quarterly revenue grew again"], new EmbeddingGenerationOptions { ModelId = "scripted/vectors" });

        float Nearness(int a, int b) => embeddings[a].Vector.ToArray().Zip(embeddings[b].Vector.ToArray(), (x, y) => x * y).Sum();

        Assert.Equal(64, embeddings[0].Vector.Length);
        Assert.Equal(1, Nearness(0, 1), 3);
        Assert.True(Nearness(0, 2) > Nearness(0, 3) + 0.2f);
    }

    [Fact]
    public async Task ShippedExample_EveryModel_Answers()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "Platform.sln")))
            folder = folder.Parent!;
        var client = new ScriptedProvider(_clock).Connect(Server(Path.Combine(folder.FullName, "workflows", "models", "scripted.yaml")), null);

        var models = await client.ListModelsAsync(default);

        Assert.Contains(models, m => m.Capabilities!.Value.HasFlag(ModelCapabilities.Chat | ModelCapabilities.Tools));
        Assert.Contains(models, m => m.Capabilities!.Value.HasFlag(ModelCapabilities.Embeddings));
        foreach (var model in models.Where(m => m.Capabilities!.Value.HasFlag(ModelCapabilities.Chat)))
        {
            var reading = StreamAsync(client, "hello there", model.Name);
            while (!reading.IsCompleted)
            {
                _clock.Advance(TimeSpan.FromSeconds(1));
                await Task.Yield();
            }

            Assert.NotEmpty((await reading).ToChatResponse().Text);
        }
    }

    private static ModelServer Server(string file) => new() { Id = "s1", Name = "script", Provider = "scripted", Address = new Uri(file) };

    private IModelClient Connect(string rules)
    {
        File.WriteAllText(_file, Models + rules);
        return new ScriptedProvider(_clock).Connect(Server(_file), null);
    }

    private static async Task<List<ChatResponseUpdate>> StreamAsync(IModelClient client, string text, string model = "demo")
    {
        List<ChatResponseUpdate> updates = [];
        await foreach (var update in client.Chat.GetStreamingResponseAsync(text, new ChatOptions { ModelId = model }))
            updates.Add(update);
        return updates;
    }
}

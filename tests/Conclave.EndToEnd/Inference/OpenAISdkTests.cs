using System.ClientModel;
using OpenAI;
using OpenAI.Chat;
using OpenAI.Embeddings;

namespace Conclave.EndToEnd.Inference;

/// <summary>OpenAI's own library for .NET against the gateway.</summary>
[Collection(ModelApiServer.Name)]
public sealed class OpenAISdkTests(ModelApiServer fixture)
{
    private OpenAIClient Client => new(new ApiKeyCredential(fixture.Key), new OpenAIClientOptions { Endpoint = new Uri($"{fixture.Address}/v1") });

    [Fact]
    public async Task Chat_WholeAndStreamed()
    {
        var chat = Client.GetChatClient("small");

        ChatCompletion whole = await chat.CompleteChatAsync([new UserChatMessage("hello there")]);
        var streamed = "";
        await foreach (var update in chat.CompleteChatStreamingAsync([new UserChatMessage("hello there")]))
            streamed += string.Concat(update.ContentUpdate.Select(part => part.Text));

        Assert.Equal("You said: hello there", whole.Content[0].Text);
        Assert.Equal(11, whole.Usage.InputTokenCount);
        Assert.Equal(ChatFinishReason.Stop, whole.FinishReason);
        Assert.Equal("You said: hello there", streamed);
    }

    [Fact]
    public async Task Tools_CallAndResult()
    {
        var chat = Client.GetChatClient("other");
        var options = new ChatCompletionOptions { Tools = { ChatTool.CreateFunctionTool("weather", "Tells the weather", BinaryData.FromString("""{"type": "object", "properties": {"city": {"type": "string"}}}""")) } };
        List<ChatMessage> messages = [new UserChatMessage("Weather?")];

        ChatCompletion called = await chat.CompleteChatAsync(messages, options);
        Assert.Equal(ChatFinishReason.ToolCalls, called.FinishReason);
        messages.Add(new AssistantChatMessage(called));
        messages.Add(new ToolChatMessage(called.ToolCalls[0].Id, "sunny"));
        ChatCompletion answered = await chat.CompleteChatAsync(messages, options);

        Assert.Equal("You said: sunny", answered.Content[0].Text);
    }

    [Fact]
    public async Task Schema_AnswerFits_WholeAndStreamed()
    {
        var chat = Client.GetChatClient("small");
        var options = new ChatCompletionOptions
        {
            ResponseFormat = ChatResponseFormat.CreateJsonSchemaFormat(
                "person", BinaryData.FromString("""{"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"], "additionalProperties": false}"""), jsonSchemaIsStrict: true),
        };

        ChatCompletion whole = await chat.CompleteChatAsync([new UserChatMessage("A person")], options);
        var streamed = "";
        await foreach (var update in chat.CompleteChatStreamingAsync([new UserChatMessage("A person")], options))
            streamed += string.Concat(update.ContentUpdate.Select(part => part.Text));

        Assert.Equal(System.Text.Json.JsonValueKind.Number, System.Text.Json.JsonElement.Parse(whole.Content[0].Text).GetProperty("age").ValueKind);
        Assert.Equal(System.Text.Json.JsonValueKind.Number, System.Text.Json.JsonElement.Parse(streamed).GetProperty("age").ValueKind);
    }

    [Fact]
    public async Task Abort_EndsTheCallAtTheModelsServer()
    {
        const string Text = "slow, for the .NET library";
        using var stop = new CancellationTokenSource();
        var (said, before) = (0, fixture.Ollama.Aborted);

        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (var update in Client.GetChatClient("small").CompleteChatStreamingAsync([new UserChatMessage(Text)], cancellationToken: stop.Token))
            {
                if (update.ContentUpdate.Count > 0 && ++said == 3)
                    await stop.CancelAsync();
            }
        });

        await ServerProcess.UntilAsync(() => Task.FromResult(fixture.Ollama.Aborted > before), "the model's server is told");
    }

    [Fact]
    public async Task Embeddings_AreRead()
    {
        var embeddings = Client.GetEmbeddingClient("embedder");

        OpenAIEmbeddingCollection vectors = await embeddings.GenerateEmbeddingsAsync(["one", "two"]);

        Assert.Equal(2, vectors.Count);
        Assert.NotEqual(vectors[0].ToFloats().ToArray(), vectors[1].ToFloats().ToArray());
    }

    [Fact]
    public async Task Models_AreListed() =>
        Assert.Contains((await Client.GetOpenAIModelClient().GetModelsAsync()).Value, model => model.Id == "other");

    [Fact]
    public async Task UnknownModel_IsTheLibrarysError()
    {
        var error = await Assert.ThrowsAsync<ClientResultException>(() => Client.GetChatClient("nobody-has-it").CompleteChatAsync([new UserChatMessage("x")]));

        Assert.Equal(404, error.Status);
        Assert.Contains("nobody-has-it", error.Message, StringComparison.Ordinal);
    }
}

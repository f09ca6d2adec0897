using System.Text.Json;
using Conclave.Inference;
using Conclave.Inference.Providers;
using Conclave.Inference.Providers.OpenAI;
using Conclave.Tests.Inference.Doubles;
using Microsoft.Extensions.AI;

namespace Conclave.Tests.Inference.Providers;

public sealed class OpenAICompatibleProviderTests : EmbeddingProviderContract<OpenAIDouble>
{
    protected override IModelProvider CreateProvider(TimeProvider time) => new OpenAIProvider(OpenAIDialect.Compatible, time);

    [Fact]
    public async Task Chat_Settings_AreWrittenByTheirNames()
    {
        var options = new ChatOptions
        {
            ModelId = "small",
            MaxOutputTokens = 7,
            Temperature = 0.5f,
            TopP = 0.25f,
            TopK = 3,
            Seed = 9,
            StopSequences = ["END"],
            Instructions = "Be brief.",
            FrequencyPenalty = 0.125f,
            PresencePenalty = 0.75f,
            Tools = [Weather],
            ToolMode = ChatToolMode.RequireSpecific("weather"),
            AllowMultipleToolCalls = false,
            AdditionalProperties = new() { ["priority"] = JsonElement.Parse("-3"), ["logit_bias"] = JsonElement.Parse("""{"5":1}"""), ["num_ctx"] = 4096, ["n"] = 4, ["think"] = false },
        };

        await StreamAsync(Client, Hello, options);

        AssertJson(
            """
            {"model":"small","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"hello there"}],
            "max_tokens":7,"temperature":0.5,"top_p":0.25,"top_k":3,"frequency_penalty":0.125,"presence_penalty":0.75,"seed":9,"stop":["END"],
            "tools":[{"type":"function","function":{"name":"weather","description":"Tells the weather.","parameters":{"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer"}},"required":["city","days"]}}}],
            "parallel_tool_calls":false,"tool_choice":{"type":"function","function":{"name":"weather"}},"chat_template_kwargs":{"enable_thinking":false},"priority":-3,"logit_bias":{"5":1}}
            """, Server.LastChat.Body.GetRawText());
    }

    [Fact]
    public async Task Chat_LastMessageOfAssistant_IsContinued()
    {
        await StreamAsync(Client, [.. Hello, new ChatMessage(ChatRole.Assistant, "Once upon")], Options());

        Assert.True(Server.LastChat.Body.GetProperty("continue_final_message").GetBoolean());
        Assert.False(Server.LastChat.Body.GetProperty("add_generation_prompt").GetBoolean());
        Assert.Equal("Once upon", Server.LastChat.LastText);
    }

    [Fact]
    public async Task Chat_Image_IsSentAsDataAddress()
    {
        await StreamAsync(Client, [new ChatMessage(ChatRole.User, [new TextContent("what is this"), new DataContent(new byte[] { 1, 2, 3 }, "image/png")])], Options());

        var parts = Server.LastChat.LastMessage.GetProperty("content");
        Assert.Equal("what is this", parts[0].GetProperty("text").GetString());
        Assert.Equal("data:image/png;base64,AQID", parts[1].GetProperty("image_url").GetProperty("url").GetString());
    }

    [Fact]
    public async Task Chat_CachedAndReasoningTokens_AreCounted()
    {
        Server.Answer = _ => DoubleAnswer.Say("x") with { CachedTokens = 8, ReasoningTokens = 5 };

        var usage = (await Client.Chat.GetResponseAsync(Hello, Options())).Usage!;

        Assert.Equal(8, usage.CachedInputTokenCount);
        Assert.Equal(5, usage.ReasoningTokenCount);
    }

    [Fact]
    public async Task Chat_ArgumentsThatAreNoJson_AreKeptAsText()
    {
        Server.Answer = _ => new DoubleAnswer { ToolCalls = [("weather", "{\"city\": ")] };

        var call = (await Client.Chat.GetResponseAsync(Hello, Options())).Messages[0].Contents.OfType<FunctionCallContent>().Single();

        Assert.NotNull(call.Exception);
        Assert.Equal("{\"city\": ", call.AdditionalProperties!["arguments"]);
    }

    [Fact]
    public async Task Connect_AddressWithVersion_Works()
    {
        using var client = CreateProvider(TimeProvider.System).Connect(new ModelServer { Id = "s1", Name = "double", Provider = "openai-compatible", Address = new Uri(Server.Address, "v1") }, null);

        Assert.NotEmpty(await client.ListModelsAsync(default));
    }
}

public sealed class OpenAIProviderTests : ProviderContract<OpenAIDouble>
{
    protected override IModelProvider CreateProvider(TimeProvider time) => new OpenAIProvider(OpenAIDialect.OpenAI, time);

    [Fact]
    public async Task Chat_Settings_AreThoseThatOpenAITakes()
    {
        var options = new ChatOptions
        {
            ModelId = "small",
            MaxOutputTokens = 7,
            TopK = 3,
            Reasoning = new ReasoningOptions { Effort = ReasoningEffort.Low },
            AdditionalProperties = new() { ["priority"] = 1, ["min_p"] = 0.1, ["service_tier"] = "flex" },
        };

        await StreamAsync(Client, [.. Hello, new ChatMessage(ChatRole.Assistant, "Once upon")], options);

        AssertJson(
            """
            {"model":"small","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hello there"},{"role":"assistant","content":"Once upon"}],
            "max_completion_tokens":7,"reasoning_effort":"low","service_tier":"flex"}
            """, Server.LastChat.Body.GetRawText());
    }

    [Fact]
    public async Task Chat_Schema_IsMadeStrict()
    {
        var options = Options();
        options.ResponseFormat = ChatResponseFormat.ForJsonSchema(JsonElement.Parse("""{"type":"object","properties":{"n":{"type":"integer","minimum":1}}}"""), "count");

        await StreamAsync(Client, Hello, options);

        AssertJson(
            """{"name":"count","strict":true,"schema":{"type":"object","properties":{"n":{"type":["integer","null"]}},"required":["n"],"additionalProperties":false}}""",
            Server.LastChat.Body.GetProperty("response_format").GetProperty("json_schema").GetRawText());
    }

    [Fact]
    public async Task Chat_SchemaThatCannotBeStrict_IsSentAsItIs()
    {
        var options = Options();
        options.ResponseFormat = ChatResponseFormat.ForJsonSchema(JsonElement.Parse("""{"type":"object","additionalProperties":{"type":"integer"}}"""), "counts");

        await StreamAsync(Client, Hello, options);

        AssertJson(
            """{"name":"counts","strict":false,"schema":{"type":"object","additionalProperties":{"type":"integer"}}}""",
            Server.LastChat.Body.GetProperty("response_format").GetProperty("json_schema").GetRawText());
    }

    [Fact]
    public async Task Embed_Texts_AreAskedForInBase64AndRead()
    {
        var embeddings = await Client.Embeddings.GenerateAsync(["a"], new EmbeddingGenerationOptions { ModelId = "embedder" });

        Assert.Equal("base64", Server.Requests.Last().Text("encoding_format"));
        Assert.Equal(1, embeddings[0].Vector.ToArray().Sum(x => x * x), 3);
    }
}

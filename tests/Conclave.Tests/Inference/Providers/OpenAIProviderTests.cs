using System.Text.Json;
using Conclave.Inference;
using Conclave.Inference.Providers;
using Conclave.Inference.Providers.OpenAI;
using Conclave.Tests.Inference.Doubles;
using Microsoft.Extensions.AI;

namespace Conclave.Tests.Inference.Providers;

public sealed class OpenAICompatibleProviderTests : EmbeddingProviderContract<OpenAIDouble>
{
    protected override IModelProvider CreateProvider(TimeProvider time) => new OpenAIProvider(OpenAIHost.Compatible, time);

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
    protected override IModelProvider CreateProvider(TimeProvider time) => new OpenAIProvider(OpenAIHost.OpenAI, time);

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

/// <summary>Clouds that speak OpenAI's API at addresses and with words of their own.</summary>
public sealed class OpenAICloudTests : IAsyncLifetime
{
    private OpenAIDouble Server { get; } = new();

    public static TheoryData<string, string, string> Clouds => new()
    {
        { "groq", "openai", "/openai/v1" },
        { "gemini", "v1beta/openai", "/v1beta/openai" },
        { "huggingface", "", "/v1" },
        { "vllm", "", "/v1" },
    };

    public Task InitializeAsync() => Server.StartAsync();

    public async Task DisposeAsync() => await Server.DisposeAsync();

    [Theory]
    [MemberData(nameof(Clouds))]
    public async Task Cloud_ChatModelsAndEmbeddings_AtItsOwnPath(string name, string address, string path)
    {
        Server.ApiPath = path;
        using var client = Connect(name, address);

        var models = await client.ListModelsAsync(default);
        var answer = await client.Chat.GetResponseAsync("hello there", new ChatOptions { ModelId = "small", MaxOutputTokens = 7 });
        var vectors = await client.Embeddings.GenerateAsync(["one"], new EmbeddingGenerationOptions { ModelId = "embedder" });

        Assert.Contains(models, m => m.Name == "small");
        Assert.Equal("You said: hello there", answer.Text);
        Assert.Single(vectors);
        Assert.All(Server.Requests, r => Assert.Equal("Bearer sk-cloud", r.Headers["Authorization"]));
        Assert.Equal(7, Server.LastChat.Body.GetProperty("max_tokens").GetInt32());
    }

    [Fact]
    public async Task Cloud_WhatOnlyOwnServersTake_IsLeftOut()
    {
        using var client = Connect("huggingface", "");
        var options = new ChatOptions
        {
            ModelId = "small",
            TopK = 3,
            ResponseFormat = ChatResponseFormat.ForJsonSchema(JsonElement.Parse("""{"type":"object","properties":{"n":{"type":"integer"}}}"""), "count"),
            AdditionalProperties = new() { ["priority"] = 1, ["min_p"] = 0.1, ["think"] = false, ["service_tier"] = "flex" },
        };

        await client.Chat.GetResponseAsync("hello", options);

        var body = Server.LastChat.Body;
        Assert.Equal("flex", body.GetProperty("service_tier").GetString());
        Assert.All((string[])["top_k", "priority", "min_p", "chat_template_kwargs"], member => Assert.False(body.TryGetProperty(member, out _), member));
        Assert.Equal(JsonValueKind.Object, body.GetProperty("response_format").GetProperty("json_schema").GetProperty("schema").GetProperty("properties").ValueKind);
    }

    [Fact]
    public async Task Gemini_NamesModelsAsResources_BareNamesAreKept()
    {
        Server.ApiPath = "/v1beta/openai";
        Server.Models.Add(new DoubleModel("models/gemini-x"));
        using var client = Connect("gemini", "v1beta/openai");

        Assert.Contains(await client.ListModelsAsync(default), m => m.Name == "gemini-x");
    }

    [Fact]
    public async Task Vllm_IsKnownToConstrainAndToContinue()
    {
        Server.OwnedBy = "somebody";
        using var client = Connect("vllm", "");

        Assert.Equal(ModelCapabilities.Chat | ModelCapabilities.JsonSchema | ModelCapabilities.Continue, (await client.ListModelsAsync(default)).Single(m => m.Name == "small").Capabilities);
    }

    private IModelClient Connect(string name, string address) => new OpenAIProvider(OpenAIHost.All.Single(h => h.Name == name))
        .Connect(new ModelServer { Id = "s1", Name = "double", Provider = name, Address = new Uri(Server.Address, address) }, "sk-cloud");
}

using System.Text.Json;
using Conclave.Inference;
using Conclave.Inference.Providers;
using Conclave.Inference.Providers.Anthropic;
using Conclave.Tests.Inference.Doubles;
using Microsoft.Extensions.AI;

namespace Conclave.Tests.Inference.Providers;

public sealed class AnthropicProviderTests : ProviderContract<AnthropicDouble>
{
    protected override IModelProvider CreateProvider(TimeProvider time) => new AnthropicProvider(time);

    [Fact]
    public async Task Chat_Settings_AreWrittenByTheirNames()
    {
        var options = new ChatOptions
        {
            ModelId = "small",
            MaxOutputTokens = 7,
            Temperature = 1.5f,
            TopK = 3,
            StopSequences = ["END"],
            Instructions = "Be brief.",
            Tools = [Weather],
            ToolMode = ChatToolMode.RequireAny,
            AllowMultipleToolCalls = false,
            AdditionalProperties = new() { ["user"] = JsonElement.Parse("\"u1\""), ["logprobs"] = true, ["num_ctx"] = 1 },
        };

        await StreamAsync(Client, [new ChatMessage(ChatRole.System, "Be kind."), .. Hello], options);

        AssertJson(
            """
            {"model":"small","stream":true,"max_tokens":7,"system":"Be brief.\n\nBe kind.","messages":[{"role":"user","content":[{"type":"text","text":"hello there"}]}],
            "temperature":1,"top_k":3,"stop_sequences":["END"],
            "tools":[{"name":"weather","description":"Tells the weather.","input_schema":{"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer"}},"required":["city","days"]}}],
            "tool_choice":{"type":"any","disable_parallel_tool_use":true},"metadata":{"user_id":"u1"}}
            """, Server.LastChat.Body.GetRawText());
    }

    [Fact]
    public async Task Chat_Conversation_IsWrittenInTurns()
    {
        ChatMessage[] messages =
        [
            new(ChatRole.User, [new TextContent("look"), new DataContent(new byte[] { 1, 2, 3 }, "image/png")]),
            new(ChatRole.Assistant, [new TextReasoningContent("hm") { ProtectedData = "signed" }, new FunctionCallContent("t1", "weather", new Dictionary<string, object?> { ["city"] = "Bern" })]),
            new(ChatRole.Tool, [new FunctionResultContent("t1", "sunny")]),
            new(ChatRole.User, "and then?"),
            new(ChatRole.Assistant, "Then "),
        ];

        await StreamAsync(Client, messages, Options());

        AssertJson(
            """
            [{"role":"user","content":[{"type":"text","text":"look"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AQID"}}]},
            {"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"signed"},{"type":"tool_use","id":"t1","name":"weather","input":{"city":"Bern"}}]},
            {"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":"sunny"},{"type":"text","text":"and then?"}]},
            {"role":"assistant","content":[{"type":"text","text":"Then"}]}]
            """, Server.LastChat.Body.GetProperty("messages").GetRawText());
    }

    [Fact]
    public async Task Chat_ThinkingModels_AreAskedAsTheirGenerationWants()
    {
        Server.Models.Add(new DoubleModel("claude-sonnet-4-5-20250929"));
        Server.Models.Add(new DoubleModel("claude-opus-4-8"));
        var options = Options("claude-sonnet-4-5-20250929");
        options.Temperature = 0.5f;
        options.Reasoning = new ReasoningOptions { Effort = ReasoningEffort.Low };

        await StreamAsync(Client, Hello, options);
        var older = Server.LastChat.Body;
        options.ModelId = "claude-opus-4-8";
        await StreamAsync(Client, Hello, options);
        var newer = Server.LastChat.Body;

        AssertJson("""{"type":"enabled","budget_tokens":1024}""", older.GetProperty("thinking").GetRawText());
        Assert.Equal(1524, older.GetProperty("max_tokens").GetInt32());
        AssertJson("""{"type":"adaptive","display":"summarized"}""", newer.GetProperty("thinking").GetRawText());
        AssertJson("""{"effort":"low"}""", newer.GetProperty("output_config").GetRawText());
        Assert.False(newer.TryGetProperty("temperature", out _));
    }

    [Fact]
    public async Task Chat_Schema_IsGivenToModelsThatAreHeldToIt()
    {
        Server.Models.Add(new DoubleModel("claude-opus-4-5"));
        var options = Options("claude-opus-4-5");
        options.ResponseFormat = ChatResponseFormat.ForJsonSchema(JsonElement.Parse("""{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}"""), "count");

        await StreamAsync(Client, Hello, options);

        AssertJson(
            """{"format":{"type":"json_schema","schema":{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"],"additionalProperties":false}}}""",
            Server.LastChat.Body.GetProperty("output_config").GetRawText());
    }

    [Fact]
    public async Task Chat_Signature_ComesWithTheThinking()
    {
        Server.Answer = _ => DoubleAnswer.Say("four") with { Thinking = "two and two" };

        var response = await Client.Chat.GetResponseAsync(Hello, Options());

        Assert.Contains(response.Messages[0].Contents.OfType<TextReasoningContent>(), c => c.ProtectedData == "signed");
    }

    [Fact]
    public async Task Chat_CachedTokens_ArePartOfTheInput()
    {
        Server.Answer = _ => DoubleAnswer.Say("x") with { InputTokens = 11, CachedTokens = 8 };

        var usage = (await Client.Chat.GetResponseAsync(Hello, Options())).Usage!;

        Assert.Equal((11, 8, 12), (usage.InputTokenCount, usage.CachedInputTokenCount, usage.TotalTokenCount));
    }

    [Fact]
    public async Task Chat_OverloadedInTheStream_IsOverloaded()
    {
        Server.Answer = _ => DoubleAnswer.Fail(DoubleFailure.ErrorMidStream) with { ErrorType = "overloaded_error", ErrorMessage = "Overloaded" };

        Assert.Equal(ModelServerFailure.Overloaded, (await FailAsync()).Failure);
    }

    [Fact]
    public async Task Embed_Texts_AreRefused()
    {
        var failure = await Assert.ThrowsAsync<ModelServerException>(() => Client.Embeddings.GenerateAsync(["a"], new EmbeddingGenerationOptions { ModelId = "small" }));

        Assert.Equal(ModelServerFailure.ModelNotFound, failure.Failure);
    }

    [Theory]
    [InlineData("claude-sonnet-4-5-20250929", true, true)]
    [InlineData("claude-3-5-haiku-20241022", true, false)]
    [InlineData("claude-opus-4-8", false, true)]
    [InlineData("claude-sonnet-5", false, true)]
    public async Task ListModels_Generation_TellsWhatTheyCan(string name, bool continues, bool schemas)
    {
        Server.Models.Clear();
        Server.Models.Add(new DoubleModel(name));

        var model = Assert.Single(await Client.ListModelsAsync(default));

        Assert.Equal(continues, model.Capabilities!.Value.HasFlag(ModelCapabilities.Continue));
        Assert.Equal(schemas, model.Capabilities.Value.HasFlag(ModelCapabilities.JsonSchema));
    }
}

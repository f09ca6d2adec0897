using System.Text.Json;
using Conclave.Inference;
using Conclave.Inference.Providers;
using Conclave.Inference.Providers.Ollama;
using Conclave.Tests.Inference.Doubles;
using Microsoft.Extensions.AI;

namespace Conclave.Tests.Inference.Providers;

public sealed class OllamaProviderTests : EmbeddingProviderContract<OllamaDouble>
{
    protected override IModelProvider CreateProvider(TimeProvider time) => new OllamaProvider(time);

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
            AdditionalProperties = new() { ["num_ctx"] = JsonElement.Parse("4096"), ["keep_alive"] = "5m", ["think"] = JsonElement.Parse("true"), ["user"] = "me", ["min_p"] = 0.5 },
        };

        await StreamAsync(Client, Hello, options);

        AssertJson(
            """
            {"model":"small","stream":true,"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"hello there"}],"keep_alive":"5m","think":true,
            "options":{"num_predict":7,"temperature":0.5,"top_p":0.25,"top_k":3,"seed":9,"stop":["END"],"num_ctx":4096,"min_p":0.5}}
            """, Server.LastChat.Body.GetRawText());
    }

    [Fact]
    public async Task Chat_Image_IsSentAsBytes()
    {
        await StreamAsync(Client, [new ChatMessage(ChatRole.User, [new TextContent("what is this"), new DataContent(new byte[] { 1, 2, 3 }, "image/png")])], Options());

        Assert.Equal("AQID", Server.LastChat.LastMessage.GetProperty("images")[0].GetString());
    }

    [Fact]
    public async Task Chat_ImageByAddress_IsRefused()
    {
        var failure = await Assert.ThrowsAsync<ModelServerException>(() =>
            StreamAsync(Client, [new ChatMessage(ChatRole.User, [new UriContent("https://example.org/cat.png", "image/png")])], Options()));

        Assert.Equal(ModelServerFailure.BadRequest, failure.Failure);
    }

    [Fact]
    public async Task Chat_ToolResult_NamesTheTool()
    {
        ChatMessage[] messages =
        [
            .. Hello,
            new(ChatRole.Assistant, [new FunctionCallContent("c1", "weather", new Dictionary<string, object?> { ["city"] = "Bern" })]),
            new(ChatRole.Tool, [new FunctionResultContent("c1", JsonElement.Parse("""{"degrees":21}"""))]),
        ];

        await StreamAsync(Client, messages, Options());

        AssertJson(
            """
            [{"role":"user","content":"hello there"},{"role":"assistant","content":"","tool_calls":[{"function":{"name":"weather","arguments":{"city":"Bern"}}}]},
            {"role":"tool","tool_name":"weather","content":"{\"degrees\":21}"}]
            """, Server.LastChat.Body.GetProperty("messages").GetRawText());
    }

    [Fact]
    public async Task ListModels_SecondTime_AsksOnlyWhatMayHaveChanged()
    {
        await Client.ListModelsAsync(default);
        var models = await Client.ListModelsAsync(default);

        Assert.Equal(2, Server.Requests.Count(r => r.Path == "/api/show"));
        Assert.Equal(ModelCapabilities.Chat | ModelCapabilities.Tools | ModelCapabilities.Vision | ModelCapabilities.JsonSchema | ModelCapabilities.Thinking | ModelCapabilities.Continue, models[0].Capabilities);
        Assert.Equal("Q4_K_M", models[0].Quantization);
    }

    [Theory]
    [InlineData("small")]
    [InlineData("embedder")]
    public async Task Manager_LoadAndUnload_ShowsInTheList(string model)
    {
        async Task<bool?> IsLoadedAsync() => (await Client.ListModelsAsync(default)).Single(m => m.Name == model).IsLoaded;

        Assert.False(await IsLoadedAsync());
        await Client.Manager!.LoadAsync(model, TimeSpan.FromMinutes(5), default);
        Assert.True(await IsLoadedAsync());
        Assert.Equal("300s", Server.Requests.Last(r => r.Path is "/api/generate" or "/api/embed").Text("keep_alive"));
        await Client.Manager.UnloadAsync(model, default);
        Assert.False(await IsLoadedAsync());
    }

    [Fact]
    public async Task Manager_Pull_TellsItsProgress()
    {
        List<PullProgress> progress = [];
        await foreach (var step in Client.Manager!.PullAsync("new", default))
            progress.Add(step);

        Assert.Equal(new PullProgress("pulling abc", "sha256:abc", 1000, 500), progress[1]);
        Assert.Equal("success", progress[^1].Status);
        Assert.Contains(await Client.ListModelsAsync(default), m => m.Name == "new");
    }

    [Fact]
    public async Task Manager_PullOfUnknownModel_FailsWithItsKind()
    {
        Server.PullLines.Clear();
        Server.PullLines.Add("""{"status":"pulling manifest"}""");
        Server.PullLines.Add("""{"error":"pull model manifest: file does not exist"}""");

        var failure = await Assert.ThrowsAsync<ModelServerException>(async () =>
        {
            await foreach (var _ in Client.Manager!.PullAsync("new", default))
            {
            }
        });

        Assert.Equal(ModelServerFailure.ModelNotFound, failure.Failure);
    }

    [Fact]
    public async Task Manager_Delete_TakesItOffTheList()
    {
        await Client.Manager!.DeleteAsync("small", default);

        Assert.DoesNotContain(await Client.ListModelsAsync(default), m => m.Name == "small");
        Assert.Equal(ModelServerFailure.ModelNotFound, (await Assert.ThrowsAsync<ModelServerException>(() => Client.Manager.DeleteAsync("small", default))).Failure);
    }
}

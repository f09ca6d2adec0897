using System.Text.Json;
using Conclave.Inference;
using Conclave.Inference.Providers;
using Conclave.Tests.Inference.Doubles;
using Microsoft.Extensions.AI;

namespace Conclave.Tests.Inference.Providers;

/// <summary>What providers do whose servers also embed, list what their models are, and are held to schemas.</summary>
public abstract class EmbeddingProviderContract<TDouble> : ProviderContract<TDouble>
    where TDouble : ModelServerDouble, new()
{
    private static readonly EmbeddingGenerationOptions Embedder = new() { ModelId = "embedder" };

    [Fact]
    public async Task Embed_Texts_AnswersAVectorForEachInTheirOrder()
    {
        var embeddings = await Client.Embeddings.GenerateAsync(["a", "b", "a"], Embedder);

        Assert.Equal(3, embeddings.Count);
        Assert.Equal(8, embeddings[0].Vector.Length);
        Assert.Equal(embeddings[0].Vector.ToArray(), embeddings[2].Vector.ToArray());
        Assert.NotEqual(embeddings[0].Vector.ToArray(), embeddings[1].Vector.ToArray());
        Assert.Equal(1, embeddings[0].Vector.ToArray().Sum(x => x * x), 3);
        Assert.Equal(9, embeddings.Usage!.InputTokenCount);
    }

    [Fact]
    public async Task Embed_Dimensions_ArePassedOn()
    {
        var embeddings = await Client.Embeddings.GenerateAsync(["a"], new EmbeddingGenerationOptions { ModelId = "embedder", Dimensions = 5 });

        Assert.Equal(5, embeddings[0].Vector.Length);
    }

    [Fact]
    public async Task Embed_UnknownModel_FailsWithItsKind()
    {
        var failure = await Assert.ThrowsAsync<ModelServerException>(() => Client.Embeddings.GenerateAsync(["a"], new EmbeddingGenerationOptions { ModelId = "nothing" }));

        Assert.Equal(ModelServerFailure.ModelNotFound, failure.Failure);
    }

    [Fact]
    public async Task Chat_ModelThatIsOnlyListed_IsNotFound()
    {
        Server.Models.Add(new DoubleModel("lie") { IsLie = true });

        Assert.Contains(await Client.ListModelsAsync(default), m => m.Name == "lie");
        Assert.Equal(ModelServerFailure.ModelNotFound, (await FailAsync(Options("lie"))).Failure);
    }

    [Fact]
    public async Task Chat_Schema_IsPassedOnAndFilled()
    {
        var options = Options();
        options.ResponseFormat = ChatResponseFormat.ForJsonSchema(JsonElement.Parse("""{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"],"additionalProperties":false}"""), "count");

        var response = await Client.Chat.GetResponseAsync(Hello, options);

        Assert.Equal("""{"n":42}""", response.Text);
    }

    [Fact]
    public async Task Chat_AnyJson_IsPassedOn()
    {
        var options = Options();
        options.ResponseFormat = ChatResponseFormat.Json;

        Assert.StartsWith("{", (await Client.Chat.GetResponseAsync(Hello, options)).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Chat_Logprobs_ComeAsTheyAre()
    {
        var options = Options();
        options.AdditionalProperties = new() { ["logprobs"] = JsonElement.Parse("true"), ["top_logprobs"] = JsonElement.Parse("2") };

        var updates = await StreamAsync(Client, Hello, options);

        Assert.Equal(2, Server.LastChat.Body.GetProperty("top_logprobs").GetInt32());
        var logprobs = updates.Select(u => u.AdditionalProperties?.TryGetValue("logprobs", out var value) == true ? value : null).OfType<JsonElement>().ToList();
        Assert.Equal(HelloTokens, logprobs.Count);
        Assert.Equal(-0.25, logprobs[0].GetProperty("content")[0].GetProperty("logprob").GetDouble());
    }

    [Fact]
    public async Task ListModels_ServerIsThere_TellsWhatTheyCan()
    {
        var models = await Client.ListModelsAsync(default);

        Assert.Equal(["small", "embedder"], models.Select(m => m.Name));
        Assert.True(models[0].Capabilities!.Value.HasFlag(ModelCapabilities.Chat | ModelCapabilities.JsonSchema | ModelCapabilities.Continue));
        Assert.Equal(ModelCapabilities.Embeddings, models[1].Capabilities);
        Assert.Equal(8192, models[0].ContextSize);
    }
}

using Conclave.Tests.Inference.Doubles;

namespace Conclave.EndToEnd.Inference;

/// <summary>A server with two model servers that are doubles: an Ollama and one with OpenAI's API. The doubles answer sensibly unless a test says otherwise.</summary>
public sealed class ModelApiServer : IAsyncLifetime
{
    public const string Name = "model APIs";

    internal OllamaDouble Ollama { get; } = new();

    internal OpenAIDouble OpenAI { get; } = new();

    internal ServerProcess Server { get; private set; } = null!;

    /// <summary>The key of the machine.</summary>
    internal string Key { get; private set; } = null!;

    internal string Address => Server.Http.BaseAddress!.ToString().TrimEnd('/');

    public async Task InitializeAsync()
    {
        await Ollama.StartAsync();
        OpenAI.Models.Clear();
        OpenAI.Models.Add(new DoubleModel("other") { CanCallTools = true });
        await OpenAI.StartAsync();
        Server = await ServerProcess.StartAsync(null,
            "Inference:DiscoverOllama=false",
            "Inference:Servers:0:Name=lama", "Inference:Servers:0:Provider=ollama", $"Inference:Servers:0:Address={Ollama.Address}",
            "Inference:Servers:1:Name=vllm", "Inference:Servers:1:Provider=openai-compatible", $"Inference:Servers:1:Address={OpenAI.Address}",
            "Inference:Servers:1:Models:0:Name=other", "Inference:Servers:1:Models:0:Capabilities=Chat, Tools, JsonSchema, Continue");
        Key = (await File.ReadAllTextAsync(Path.Combine(Server.DataFolder, "api-key"))).Trim();
        // Beside the aliases, which there are as soon as there is a model.
        await ServerProcess.UntilAsync(
            async () => (await Server.GetAsync("/v1/models")).GetProperty("data").EnumerateArray().Count(m => m.GetProperty("owned_by").GetString() != "conclave") >= 3, "all models are known");
    }

    public async Task DisposeAsync()
    {
        await Server.DisposeAsync();
        await Ollama.DisposeAsync();
        await OpenAI.DisposeAsync();
        SharedServer.AssertCleanLog(Server, Key);
    }
}

[CollectionDefinition(ModelApiServer.Name)]
public sealed class ModelApiServerTests : ICollectionFixture<ModelApiServer>;

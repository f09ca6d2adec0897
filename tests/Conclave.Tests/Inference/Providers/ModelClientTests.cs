using Conclave.Tests.Inference.Doubles;

namespace Conclave.Tests.Inference.Providers;

/// <summary>The doubles are what they claim to be: the clients that people use, unmodified, work against them.</summary>
public sealed class ModelClientTests
{
    [Fact]
    public Task OpenAIClient_AgainstTheDouble_PassesTheSuite() => PassAsync<OpenAIDouble>("openai");

    [Fact]
    public Task OllamaClient_AgainstTheDouble_PassesTheSuite() => PassAsync<OllamaDouble>("ollama");

    private static async Task PassAsync<TDouble>(string client)
        where TDouble : ModelServerDouble, new()
    {
        await using var server = new TDouble { ApiKey = "key-0123456789" };
        await server.StartAsync();

        var results = await ModelClients.RunAsync(server.Address, client, server.ApiKey);

        Assert.True(results.Count > 10);
        Assert.All(results, r => Assert.True(r.IsOk, $"{r.Client} {r.Test}: {r.Error}"));
        // The one that the suite stopped itself.
        await server.WaitForAbortAsync();
    }
}

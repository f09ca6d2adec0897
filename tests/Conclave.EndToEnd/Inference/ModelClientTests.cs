using Conclave.Tests.Inference.Doubles;

namespace Conclave.EndToEnd.Inference;

/// <summary>The npm clients <c>openai</c> and <c>ollama</c>, unmodified, against the gateway: the suite that the doubles behind it pass too.</summary>
[Collection(ModelApiServer.Name)]
public sealed class ModelClientTests(ModelApiServer fixture)
{
    [Theory]
    [InlineData("openai", "small")]
    [InlineData("openai", "other")]
    [InlineData("ollama", "small")]
    [InlineData("ollama", "other")]
    public async Task Client_AgainstTheGateway_PassesTheSuite(string client, string model)
    {
        var results = await ModelClients.RunAsync(fixture.Server.Http.BaseAddress!, client, fixture.Key, model);

        Assert.True(results.Count > 10);
        Assert.All(results, r => Assert.True(r.IsOk, $"{r.Client} {r.Test}: {r.Error}"));
    }
}

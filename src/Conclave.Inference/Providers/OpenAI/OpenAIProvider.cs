using Microsoft.Extensions.AI;

namespace Conclave.Inference.Providers.OpenAI;

/// <summary>Servers that speak OpenAI's API: OpenAI itself, other clouds, and vLLM, llama.cpp, LM Studio, LiteLLM and their like.</summary>
/// <param name="host">Which of them.</param>
/// <param name="time">The clock of time-outs.</param>
public sealed class OpenAIProvider(OpenAIHost host, TimeProvider? time = null) : IModelProvider
{
    /// <inheritdoc/>
    public string Name => host.Name;

    /// <inheritdoc/>
    public IModelClient Connect(ModelServer server, string? apiKey) => new OpenAIClient(host, server, apiKey, time ?? TimeProvider.System);
}

/// <summary>One server that speaks OpenAI's API.</summary>
internal sealed class OpenAIClient : IModelClient
{
    private readonly ModelServerConnection _connection;
    private readonly OpenAIModels _models;

    public OpenAIClient(OpenAIHost host, ModelServer server, string? apiKey, TimeProvider time)
    {
        // Other programs want the address with /v1, so that is what people paste.
        var path = server.Address.IsAbsoluteUri ? server.Address.AbsolutePath.TrimEnd('/') : "";
        if (path.EndsWith("/v1", StringComparison.Ordinal))
            server = server with { Address = new UriBuilder(server.Address) { Path = path[..^3] }.Uri };
        _connection = string.IsNullOrEmpty(apiKey)
            ? new ModelServerConnection(server, null, time)
            : new ModelServerConnection(server, apiKey, time, ("Authorization", "Bearer " + apiKey));
        _models = new OpenAIModels(host, _connection);
        Chat = new OpenAIChat(host, _connection);
        Embeddings = new OpenAIEmbeddings(host, _connection);
    }

    public IChatClient Chat { get; }

    public IEmbeddingGenerator<string, Embedding<float>> Embeddings { get; }

    public IModelManager? Manager => null;

    public Task<IReadOnlyList<ServedModel>> ListModelsAsync(CancellationToken cancellationToken) => _models.ListAsync(cancellationToken);

    public void Dispose() => _connection.Dispose();
}

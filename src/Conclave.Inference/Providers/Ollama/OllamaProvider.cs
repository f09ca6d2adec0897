using Microsoft.Extensions.AI;

namespace Conclave.Inference.Providers.Ollama;

/// <summary>Ollama, through its own API.</summary>
/// <param name="time">The clock of time-outs.</param>
public sealed class OllamaProvider(TimeProvider? time = null) : IModelProvider
{
    /// <summary>Where an Ollama listens when nobody says otherwise.</summary>
    public static readonly Uri DefaultAddress = new("http://127.0.0.1:11434");

    /// <inheritdoc/>
    public string Name => "ollama";

    /// <inheritdoc/>
    public IModelClient Connect(ModelServer server, string? apiKey) => new OllamaClient(server, apiKey, time ?? TimeProvider.System);
}

/// <summary>One Ollama.</summary>
internal sealed class OllamaClient : IModelClient
{
    private readonly ModelServerConnection _connection;
    private readonly OllamaModels _models;

    public OllamaClient(ModelServer server, string? apiKey, TimeProvider time)
    {
        // Ollama itself takes no key, but proxies before it and its cloud do.
        _connection = string.IsNullOrEmpty(apiKey)
            ? new ModelServerConnection(server, null, time)
            : new ModelServerConnection(server, apiKey, time, ("Authorization", "Bearer " + apiKey));
        _models = new OllamaModels(_connection);
        Chat = new OllamaChat(_connection);
        Embeddings = new OllamaEmbeddings(_connection);
        Manager = new OllamaManager(_connection);
    }

    public IChatClient Chat { get; }

    public IEmbeddingGenerator<string, Embedding<float>> Embeddings { get; }

    public IModelManager Manager { get; }

    public Task<IReadOnlyList<ServedModel>> ListModelsAsync(CancellationToken cancellationToken) => _models.ListAsync(cancellationToken);

    public void Dispose() => _connection.Dispose();
}

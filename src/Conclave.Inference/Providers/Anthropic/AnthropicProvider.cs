using Microsoft.Extensions.AI;

namespace Conclave.Inference.Providers.Anthropic;

/// <summary>Anthropic, through its Messages API.</summary>
/// <param name="time">The clock of time-outs.</param>
public sealed class AnthropicProvider(TimeProvider? time = null) : IModelProvider
{
    /// <summary>Version of the API that this speaks.</summary>
    internal const string ApiVersion = "2023-06-01";

    /// <inheritdoc/>
    public string Name => "anthropic";

    /// <inheritdoc/>
    public IModelClient Connect(ModelServer server, string? apiKey) => new AnthropicClient(server, apiKey, time ?? TimeProvider.System);
}

/// <summary>One account at Anthropic.</summary>
internal sealed class AnthropicClient : IModelClient
{
    private readonly ModelServerConnection _connection;
    private readonly AnthropicModels _models;

    public AnthropicClient(ModelServer server, string? apiKey, TimeProvider time)
    {
        _connection = string.IsNullOrEmpty(apiKey)
            ? new ModelServerConnection(server, null, time, ("anthropic-version", AnthropicProvider.ApiVersion))
            : new ModelServerConnection(server, apiKey, time, ("anthropic-version", AnthropicProvider.ApiVersion), ("x-api-key", apiKey));
        _models = new AnthropicModels(_connection);
        Chat = new AnthropicChat(_connection);
        Embeddings = new AnthropicEmbeddings(_connection);
    }

    public IChatClient Chat { get; }

    public IEmbeddingGenerator<string, Embedding<float>> Embeddings { get; }

    public IModelManager? Manager => null;

    public Task<IReadOnlyList<ServedModel>> ListModelsAsync(CancellationToken cancellationToken) => _models.ListAsync(cancellationToken);

    public void Dispose() => _connection.Dispose();

    /// <summary>Anthropic has no embeddings.</summary>
    private sealed class AnthropicEmbeddings(ModelServerConnection connection) : IEmbeddingGenerator<string, Embedding<float>>
    {
        public Task<GeneratedEmbeddings<Embedding<float>>> GenerateAsync(
            IEnumerable<string> values, EmbeddingGenerationOptions? options = null, CancellationToken cancellationToken = default) =>
            Task.FromException<GeneratedEmbeddings<Embedding<float>>>(connection.Failed(ModelServerFailure.ModelNotFound, "does not embed texts: Anthropic has no such API"));

        public object? GetService(Type serviceType, object? serviceKey = null) => serviceKey is null && serviceType.IsInstanceOfType(this) ? this : null;

        public void Dispose()
        {
        }
    }
}

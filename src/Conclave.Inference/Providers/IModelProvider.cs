using Microsoft.Extensions.AI;

namespace Conclave.Inference.Providers;

/// <summary>A kind of model server. One for each protocol; others may be plugged in.</summary>
public interface IModelProvider
{
    /// <summary>Its name: <see cref="ModelServer.Provider"/> of its servers, and <c>gen_ai.provider.name</c> in telemetry.</summary>
    string Name { get; }

    /// <summary>Makes a client of one server. Does not talk to it yet.</summary>
    /// <param name="server">The server; its address is checked.</param>
    /// <param name="apiKey">Its key in the clear; null for none.</param>
    IModelClient Connect(ModelServer server, string? apiKey);
}

/// <summary>One model server as seen by the gateway. Safe for many calls at once; failures are <see cref="ModelServerException"/>.</summary>
public interface IModelClient : IDisposable
{
    /// <summary>
    /// Asks models; <see cref="ChatOptions.ModelId"/> names the model. Cancelling ends the request on the server. A last message of the
    /// assistant is text to continue, where the server has <see cref="ModelCapabilities.Continue"/>.
    /// </summary>
    IChatClient Chat { get; }

    /// <summary>Embeds texts; <see cref="EmbeddingGenerationOptions.ModelId"/> names the model.</summary>
    IEmbeddingGenerator<string, Embedding<float>> Embeddings { get; }

    /// <summary>The models that it has, with what can be found out about them, and which are loaded. Also its health check.</summary>
    Task<IReadOnlyList<ServedModel>> ListModelsAsync(CancellationToken cancellationToken);

    /// <summary>Pulls, deletes, loads and unloads models; null where the protocol has no such calls.</summary>
    IModelManager? Manager { get; }
}

/// <summary>Manages the models of one server.</summary>
public interface IModelManager
{
    /// <summary>Fetches a model; the last status is <c>success</c>.</summary>
    IAsyncEnumerable<PullProgress> PullAsync(string model, CancellationToken cancellationToken);

    /// <summary>Deletes a model.</summary>
    /// <exception cref="ModelServerException"><see cref="ModelServerFailure.ModelNotFound"/>.</exception>
    Task DeleteAsync(string model, CancellationToken cancellationToken);

    /// <summary>Loads a model into memory and keeps it for a time; null for the server's default.</summary>
    Task LoadAsync(string model, TimeSpan? keepAlive, CancellationToken cancellationToken);

    /// <summary>Takes a model out of memory.</summary>
    Task UnloadAsync(string model, CancellationToken cancellationToken);
}

/// <summary>How far a pull is.</summary>
/// <param name="Status">What is done, such as <c>pulling manifest</c>.</param>
/// <param name="Digest">The layer; null outside layers.</param>
/// <param name="TotalBytes">Size of the layer.</param>
/// <param name="CompletedBytes">Bytes of it that are there.</param>
public sealed record PullProgress(string Status, string? Digest = null, long? TotalBytes = null, long? CompletedBytes = null);

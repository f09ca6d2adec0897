using Microsoft.Extensions.AI;

namespace Conclave.Inference.Providers.Scripted;

/// <summary>
/// Answers from a file instead of a model: for demonstrations, tests, and a first start without any model. Says in every answer that it is one.
/// </summary>
/// <param name="time">The clock of delays.</param>
/// <remarks>The file's format is in <c>docs/inference-providers.md</c>.</remarks>
public sealed class ScriptedProvider(TimeProvider? time = null) : IModelProvider
{
    /// <summary>Name of the mark on every update, in <see cref="ChatResponseUpdate.AdditionalProperties"/>, with the value true.</summary>
    public const string Mark = "conclave.scripted";

    /// <summary>What its models' names begin with.</summary>
    public const string ModelPrefix = "scripted/";

    /// <inheritdoc/>
    public string Name => "scripted";

    /// <inheritdoc/>
    public IModelClient Connect(ModelServer server, string? apiKey) => new ScriptedClient(server, time ?? TimeProvider.System);
}

/// <summary>One script.</summary>
internal sealed class ScriptedClient : IModelClient
{
    private readonly ScriptSource _source;

    public ScriptedClient(ModelServer server, TimeProvider time)
    {
        _source = new ScriptSource(server);
        Chat = new ScriptedChat(_source, server, time);
        Embeddings = new ScriptedEmbeddings(_source);
    }

    public IChatClient Chat { get; }

    public IEmbeddingGenerator<string, Embedding<float>> Embeddings { get; }

    public IModelManager? Manager => null;

    public Task<IReadOnlyList<ServedModel>> ListModelsAsync(CancellationToken cancellationToken)
    {
        try
        {
            cancellationToken.ThrowIfCancellationRequested();
            return Task.FromResult<IReadOnlyList<ServedModel>>([.. _source.Current.Models.Select(m => new ServedModel
            {
                Name = ScriptedProvider.ModelPrefix + m.Name,
                Capabilities = m.CapabilityFlags,
                ContextSize = m.Context,
                IsLoaded = true,
                Family = "scripted",
                ModifiedAt = _source.ModifiedAt,
            })]);
        }
        catch (Exception exception) when (exception is ModelServerException or OperationCanceledException)
        {
            return Task.FromException<IReadOnlyList<ServedModel>>(exception);
        }
    }

    public void Dispose()
    {
    }
}

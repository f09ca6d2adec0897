using System.Runtime.CompilerServices;
using Conclave.Inference;
using Conclave.Inference.Providers;
using Microsoft.Extensions.AI;

namespace Conclave.Samples.Extending;

/// <summary>A kind of model server: here one that repeats the last message, word by word. A real one would send a request instead.</summary>
public sealed class EchoProvider : IModelProvider
{
    /// <inheritdoc/>
    public string Name => "echo";

    /// <inheritdoc/>
    public IModelClient Connect(ModelServer server, string? apiKey) => new Client();

    private sealed class Client : IModelClient, IChatClient
    {
        public IChatClient Chat => this;

        public IEmbeddingGenerator<string, Embedding<float>> Embeddings =>
            throw new ModelServerException(ModelServerFailure.BadRequest, "Echo has no embeddings.");

        public IModelManager? Manager => null;

        public Task<IReadOnlyList<ServedModel>> ListModelsAsync(CancellationToken cancellationToken) =>
            Task.FromResult<IReadOnlyList<ServedModel>>([new ServedModel { Name = "parrot", Capabilities = ModelCapabilities.Chat, ContextSize = 4_096, IsLoaded = true }]);

        public Task<ChatResponse> GetResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default) =>
            GetStreamingResponseAsync(messages, options, cancellationToken).ToChatResponseAsync(cancellationToken);

        public async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
            IEnumerable<ChatMessage> messages, ChatOptions? options = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
        {
            var words = (messages.LastOrDefault(m => m.Role == ChatRole.User)?.Text ?? "").Split(' ');
            for (var i = 0; i < words.Length; i++)
            {
                cancellationToken.ThrowIfCancellationRequested();
                // Where a real one waits for the next piece.
                await Task.Yield();
                yield return new ChatResponseUpdate(ChatRole.Assistant, i == 0 ? words[i] : " " + words[i]) { ModelId = "parrot" };
            }

            yield return new ChatResponseUpdate(ChatRole.Assistant, [new UsageContent(new UsageDetails { InputTokenCount = words.Length, OutputTokenCount = words.Length })])
            {
                ModelId = "parrot",
                FinishReason = ChatFinishReason.Stop,
            };
        }

        public object? GetService(Type serviceType, object? serviceKey = null) => serviceKey is null && serviceType.IsInstanceOfType(this) ? this : null;

        public void Dispose()
        {
        }
    }
}

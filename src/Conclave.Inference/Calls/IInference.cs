using Microsoft.Extensions.AI;

namespace Conclave.Inference;

/// <summary>
/// Model calls, wherever the gateway runs: <c>InferenceGateway</c> in this process, <c>RemoteInference</c> over HTTP when the
/// role <c>inference</c> runs elsewhere.
/// </summary>
public interface IInference
{
    /// <summary>Asks a model and hands on what it says as it says it.</summary>
    /// <param name="call">What is asked.</param>
    /// <param name="report">Filled while the call proceeds; where it runs is known before the first update.</param>
    /// <param name="cancellationToken">Ends the call; its slot is free at once.</param>
    /// <returns>Updates; the last ones carry <see cref="UsageContent"/> and the finish reason.</returns>
    /// <exception cref="InferenceException">The call was refused, or failed on every server that could answer it.</exception>
    IAsyncEnumerable<ChatResponseUpdate> StreamAsync(ChatCall call, CallReport report, CancellationToken cancellationToken);

    /// <summary>Embeds texts.</summary>
    /// <param name="call">What to embed.</param>
    /// <param name="report">Filled while the call proceeds.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    /// <returns>A vector for each text, in their order.</returns>
    /// <exception cref="InferenceException">The call was refused, or failed on every server that could answer it.</exception>
    Task<GeneratedEmbeddings<Embedding<float>>> EmbedAsync(EmbedCall call, CallReport report, CancellationToken cancellationToken);

    /// <summary>Asks a model and waits for the whole answer.</summary>
    /// <inheritdoc cref="StreamAsync"/>
    async Task<ChatResponse> ChatAsync(ChatCall call, CallReport report, CancellationToken cancellationToken) =>
        await StreamAsync(call, report, cancellationToken).ToChatResponseAsync(cancellationToken);
}

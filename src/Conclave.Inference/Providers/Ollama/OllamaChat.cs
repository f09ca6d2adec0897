using System.Runtime.CompilerServices;
using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Conclave.Inference.Providers.Ollama;

/// <summary><c>/api/chat</c>, streamed.</summary>
internal sealed class OllamaChat(ModelServerConnection connection) : StreamingChat
{
    private readonly Uri _endpoint = connection.Endpoint("api/chat");

    public override async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        options ??= new ChatOptions();
        var body = OllamaChatRequest.Write(messages, options);
        using var answer = await connection.SendAsync(HttpMethod.Post, _endpoint, body, options.ModelId, cancellationToken);
        var reader = new OllamaChatReader(connection, options.ModelId);
        Func<JsonElement, ChatResponseUpdate?> read = reader.Read;
        while (!reader.IsDone)
        {
            if (!await answer.ReadLineAsync())
                throw connection.Failed(ModelServerFailure.Cut, "ended its answer in the middle");
            if (answer.Parse(read) is { } update)
                yield return update;
        }

        await answer.EndAsync();
    }
}

using System.Runtime.CompilerServices;
using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Conclave.Inference.Providers.Anthropic;

/// <summary><c>/v1/messages</c>, streamed.</summary>
internal sealed class AnthropicChat(ModelServerConnection connection) : StreamingChat
{
    private readonly Uri _endpoint = connection.Endpoint("v1/messages");

    public override async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        options ??= new ChatOptions();
        var body = AnthropicRequest.Write(messages, options);
        using var answer = await connection.SendAsync(HttpMethod.Post, _endpoint, body, options.ModelId, cancellationToken);
        var reader = new AnthropicReader(connection, options.ModelId);
        Func<JsonElement, ChatResponseUpdate?> read = reader.Read;
        while (!reader.IsStopped && await answer.ReadEventAsync())
        {
            if (answer.Parse(read) is { } update)
                yield return update;
        }

        yield return reader.Complete();
        await answer.EndAsync();
    }
}

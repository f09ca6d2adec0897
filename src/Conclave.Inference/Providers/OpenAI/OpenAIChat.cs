using System.Runtime.CompilerServices;
using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Conclave.Inference.Providers.OpenAI;

/// <summary><c>/v1/chat/completions</c>. Always streamed, so that silence is noticed and cancelling takes effect at once.</summary>
internal sealed class OpenAIChat(OpenAIHost host, ModelServerConnection connection) : StreamingChat
{
    private readonly Uri _endpoint = connection.Endpoint(host.Path + "chat/completions");

    public override async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        options ??= new ChatOptions();
        var body = OpenAIChatRequest.Write(host.Dialect, messages, options);
        using var answer = await connection.SendAsync(HttpMethod.Post, _endpoint, body, options.ModelId, cancellationToken);
        var reader = new OpenAIChatReader(connection, options.ModelId);
        if (answer.IsJson)
        {
            // Some servers answer whole where a stream was asked for, errors too.
            if (await answer.ReadJsonAsync(reader.Read) is { } update)
                yield return update;
        }
        else
        {
            Func<JsonElement, ChatResponseUpdate?> read = reader.Read;
            while (await answer.ReadEventAsync() && !answer.Line.Span.SequenceEqual("[DONE]"u8))
            {
                if (answer.Parse(read) is { } update)
                    yield return update;
            }
        }

        if (reader.Complete() is { } last)
            yield return last;
        await answer.EndAsync();
    }
}

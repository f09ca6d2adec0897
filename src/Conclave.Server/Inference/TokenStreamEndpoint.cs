using System.Text.Json;
using Conclave.Inference.Streaming;
using Conclave.Server.Accounts;
using Conclave.Server.Api;
using Conclave.Server.OpenApi;

namespace Conclave.Server.Inference;

/// <summary><c>GET /api/inference/streams/{channel}</c>: answers of the activity Chat while they come.</summary>
internal static class TokenStreamEndpoint
{
    // Proxies close connections that are silent for a minute.
    private static readonly TimeSpan KeepAlive = TimeSpan.FromSeconds(15);

    public static void Map(RouteGroupBuilder inference) => inference.MapGet("/streams/{channel}", HandleAsync).WithTags("Model calls").RequirePermission(Permissions.ReadInstances)
        .Describe("ListenToAnswers", "Listen to the answers that Chat hands on to a channel, from now on", o => o
            .AnswersFile("text/event-stream", "Events begin, token with {text}, and end, for each answer; until you leave."));

    private static async Task HandleAsync(HttpContext context, string channel, TokenStreams streams)
    {
        if (!TokenStreams.IsChannel(channel))
            throw ApiException.Bad($"A channel has 1 to {TokenStreams.LongestChannel} characters, and no control characters.");
        var cancellationToken = context.RequestAborted;
        using var subscription = await streams.SubscribeAsync(context.Tenant(), channel, cancellationToken);
        using var stream = EventStream.Events(context.Response);
        // From here on nothing is missed: who starts a workflow now hears all of it.
        await stream.WriteCommentAsync("listening", cancellationToken);
        while (await HasMoreAsync())
        {
            while (subscription.TryRead(out var piece))
                await stream.WriteAsync(Write, piece, cancellationToken, piece.Kind switch { TokenPieceKind.Begin => "begin", TokenPieceKind.End => "end", _ => "token" });
        }

        async Task<bool> HasMoreAsync()
        {
            var waiting = subscription.WaitAsync(cancellationToken).AsTask();
            while (true)
            {
                try
                {
                    return await waiting.WaitAsync(KeepAlive, context.Clock(), cancellationToken);
                }
                catch (TimeoutException)
                {
                    await stream.WriteCommentAsync("waiting", cancellationToken);
                }
            }
        }
    }

    private static void Write(Utf8JsonWriter writer, TokenPiece piece)
    {
        writer.WriteStartObject();
        if (piece.Kind == TokenPieceKind.Text)
            writer.WriteString("text", piece.Text);
        writer.WriteEndObject();
    }
}

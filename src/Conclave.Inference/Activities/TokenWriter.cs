using Conclave.Inference.Streaming;
using Conclave.Workflows.Execution;
using Microsoft.Extensions.AI;

namespace Conclave.Inference.Activities;

/// <summary>Hands an answer's text on to a channel, from its begin to its end; to none without a channel.</summary>
internal sealed class TokenWriter : IDisposable
{
    private readonly TokenStreams? _streams;
    private readonly string _tenant;
    private readonly string _channel;

    private TokenWriter(TokenStreams? streams, string tenant, string channel)
    {
        (_streams, _tenant, _channel) = (streams, tenant, channel);
        streams?.Begin(tenant, channel);
    }

    /// <summary>Hears updates; null when nobody is to.</summary>
    public Action<ChatResponseUpdate>? Write => _streams is { } streams ? update => streams.Publish(_tenant, _channel, update.Text) : null;

    /// <summary>Begins.</summary>
    /// <exception cref="WorkflowException"><c>ai.bad_channel</c>.</exception>
    public static TokenWriter Open(ActivityContext context, string? channel)
    {
        if (string.IsNullOrWhiteSpace(channel))
            return new TokenWriter(null, "", "");
        return TokenStreams.IsChannel(channel)
            ? new TokenWriter(context.Engine.Service<TokenStreams>("stream answers"), context.Host.Tenant, channel)
            : throw new WorkflowException("ai.bad_channel", $"{context.Node}: a channel has 1 to {TokenStreams.LongestChannel} characters, and no control characters.") { IsPermanent = true };
    }

    /// <summary>Ends, however the call did.</summary>
    public void Dispose() => _streams?.End(_tenant, _channel);
}

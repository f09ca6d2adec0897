using System.Runtime.CompilerServices;
using Conclave.Agents;
using Conclave.Agents.Turns;
using Conclave.Inference;
using Conclave.Inference.Streaming;
using Conclave.Server.Accounts;
using Microsoft.Extensions.AI;

namespace Conclave.Server.Agents;

/// <summary>Agents as models: <c>agent/</c> and the name of one is a model that answers with a turn; everything else goes to the models.</summary>
/// <remarks>
/// The last message is what is said to the agent, those before it are the beginning of its conversation; instructions (<c>system</c>) are not taken: an agent has its own. A session of
/// the caller (<c>x-conclave-session</c>) that names a conversation goes on with that one. Tools of the caller are not called.
/// </remarks>
internal sealed class AgentInference(IInference models, AgentStore agents, TurnStore turns, TurnStarter starter, TokenStreams tokens, TimeProvider time, bool mayRun) : IInference
{
    /// <summary>What names of agents begin with among models.</summary>
    public const string Prefix = "agent/";

    private static readonly TimeSpan LookInterval = TimeSpan.FromMilliseconds(250);

    /// <summary>What a request may call: models, and agents where it has the right.</summary>
    public static IInference Of(HttpContext context)
    {
        var services = context.RequestServices;
        return new AgentInference(
            services.GetRequiredService<IInference>(), services.GetRequiredService<AgentStore>(), services.GetRequiredService<TurnStore>(), services.GetRequiredService<TurnStarter>(),
            services.GetRequiredService<TokenStreams>(), services.GetRequiredService<TimeProvider>(), context.User.Has(Permissions.ExecuteAgents));
    }

    /// <inheritdoc/>
    public IAsyncEnumerable<ChatResponseUpdate> StreamAsync(ChatCall call, CallReport report, CancellationToken cancellationToken) =>
        call.Model.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase) ? TurnAsync(call, report, cancellationToken) : models.StreamAsync(call, report, cancellationToken);

    /// <inheritdoc/>
    public Task<GeneratedEmbeddings<Embedding<float>>> EmbedAsync(EmbedCall call, CallReport report, CancellationToken cancellationToken) => models.EmbedAsync(call, report, cancellationToken);

    private async IAsyncEnumerable<ChatResponseUpdate> TurnAsync(ChatCall call, CallReport report, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var tenant = call.Context.Tenant;
        var (agent, turnId, request) = await ReadAsync(call, cancellationToken);
        using var heard = await tokens.SubscribeAsync(tenant, turnId, cancellationToken);
        try
        {
            await starter.StartAsync(agent, request, cancellationToken);
        }
        catch (AgentException exception)
        {
            throw Of(exception);
        }

        report.Model = call.Model;
        report.Phase = CallPhase.Running;
        var said = "";
        Task<bool>? piece = null;
        // Of a stream with holes nothing more is heard.
        var isWhole = true;
        var turn = await turns.FindAsync(tenant, turnId, cancellationToken);
        while (turn is null or { IsEnded: false })
        {
            // Tokens come at once; whether the turn has ended is asked when an answer has, and now and then.
            var look = Task.Delay(LookInterval, time, cancellationToken);
            if (isWhole)
                piece ??= heard.WaitAsync(cancellationToken).AsTask();
            await Task.WhenAny(piece ?? look, look);
            cancellationToken.ThrowIfCancellationRequested();
            if (piece is { IsCompleted: true })
                (isWhole, piece) = (await piece, null);
            var mayHaveEnded = look.IsCompleted;
            while (heard.TryRead(out var next))
            {
                mayHaveEnded |= next.Kind == TokenPieceKind.End;
                if (next.Kind == TokenPieceKind.Begin)
                    said = "";
                if (next.Kind != TokenPieceKind.Text)
                    continue;
                said += next.Text;
                yield return new ChatResponseUpdate(ChatRole.Assistant, next.Text) { ModelId = call.Model, ResponseId = turnId };
            }

            if (mayHaveEnded)
                turn = await turns.FindAsync(tenant, turnId, cancellationToken);
        }

        report.InputTokens = turn.InputTokens;
        report.OutputTokens = turn.OutputTokens;
        report.Cost = turn.Cost;
        if (turn.Status != "completed")
            throw new InferenceException(InferenceFailure.ServerFailed, "agents.turn_failed", $"The agent's turn '{turnId}' {turn.Status}: {turn.Error ?? "nobody said why"}");
        // What was not heard as it was said: all of it, where the stream had holes or the last step wrote something else.
        if (turn.Answer is { } answer && answer != said)
            yield return new ChatResponseUpdate(ChatRole.Assistant, answer.StartsWith(said, StringComparison.Ordinal) ? answer[said.Length..] : answer) { ModelId = call.Model, ResponseId = turnId };
        yield return new ChatResponseUpdate
        {
            Role = ChatRole.Assistant,
            ModelId = call.Model,
            ResponseId = turnId,
            FinishReason = ChatFinishReason.Stop,
            Contents = [new UsageContent(new UsageDetails { InputTokenCount = turn.InputTokens, OutputTokenCount = turn.OutputTokens, TotalTokenCount = turn.InputTokens + turn.OutputTokens })],
        };
    }

    private async Task<(Agent Agent, string TurnId, TurnRequest Request)> ReadAsync(ChatCall call, CancellationToken cancellationToken)
    {
        var tenant = call.Context.Tenant;
        if (!mayRun)
            throw new InferenceException(InferenceFailure.Forbidden, "request.forbidden", $"Talking to agents needs the right '{Permissions.ExecuteAgents}'.");
        var name = call.Model[Prefix.Length..];
        var agent = await agents.FindAsync(tenant, name, cancellationToken)
            ?? throw new InferenceException(InferenceFailure.ModelNotFound, "agents.not_found", $"There is no agent '{name}'. GET /api/agents lists them.") { Parameter = "model" };
        var messages = call.Messages.Where(m => m.Role != ChatRole.System && m.Text.Length > 0).ToList();
        if (messages.Count == 0 || messages[^1].Role != ChatRole.User)
            throw new InferenceException(InferenceFailure.BadRequest, "agents.bad_message", "The last message must be the user's, with a text.") { Parameter = "messages" };
        var conversation = call.Context.SessionId is { } session && await turns.FindConversationAsync(tenant, session, cancellationToken) is { } known && known.AgentId == agent.Id ? known.Id : null;
        var turnId = call.Context.IdempotencyKey is { } key ? TurnStarter.IdOf($"{tenant}/{call.Context.ApiKeyId}/{key}", 0) : TurnStarter.NewId();
        return (agent, turnId, new TurnRequest(messages[^1].Text, call.Context.ApiKeyId is { } id ? $"key:{id}" : "api-key")
        {
            TurnId = turnId,
            ConversationId = conversation,
            MaxCost = call.Context.MaxCost,
            // One that goes on is stored already.
            History = conversation is not null ? [] : [.. messages.SkipLast(1).Select(m => m.Role == ChatRole.Assistant ? TurnMessage.Assistant(m.Text, default) : TurnMessage.User(m.Text))],
        });
    }

    private static InferenceException Of(AgentException exception) => new(
        exception.Failure switch
        {
            AgentFailure.NotFound => InferenceFailure.ModelNotFound,
            AgentFailure.Busy => InferenceFailure.QueueFull,
            AgentFailure.Conflict => InferenceFailure.Unavailable,
            _ => InferenceFailure.BadRequest,
        },
        exception.Code, exception.Message, exception)
    { RetryAfter = exception.RetryAfter };
}

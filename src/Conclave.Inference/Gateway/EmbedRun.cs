using Conclave.Inference.Providers;
using Conclave.Inference.Scheduling;
using Microsoft.Extensions.AI;

namespace Conclave.Inference.Gateway;

/// <summary>Vectors of some texts: tries the servers of the plan one after the other.</summary>
internal sealed class EmbedRun(InferenceGateway gateway, EmbedCall call, CallReport report, CallClock clock)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    /// <summary>Embeds.</summary>
    public async Task<GeneratedEmbeddings<Embedding<float>>> RunAsync(CancellationToken cancellationToken)
    {
        var plan = gateway.Plan(call);
        report.Decision = plan.Decision;
        var left = plan.Candidates.ToList();
        ModelServerException? last = null;
        while (left.Count > 0)
        {
            if (await AcquireAsync(left, cancellationToken) is not { } slot)
                break;
            using var grant = slot;
            var candidate = left.First(c => c.Server.Id == grant.ServerId);
            left.Remove(candidate);
            var server = gateway.Pool.Find(candidate.Server.Id);
            using var serverCall = server?.TryBegin(candidate.Model.Name);
            if (serverCall is null)
            {
                Note($"{candidate.Server.Name} {server?.WhyNot(candidate.Model.Name) ?? "is not in the pool any more"}.");
                continue;
            }

            (report.Server, report.Provider, report.Model, report.IsLocal) = (candidate.Server.Name, candidate.Server.Provider, candidate.Model.Name, candidate.Server.IsLocal);
            report.Tell(CallPhase.Running);
            try
            {
                return await AskAsync(candidate, grant, serverCall.Client, serverCall.Succeed, cancellationToken);
            }
            catch (ModelServerException exception)
            {
                serverCall.Fail(exception);
                gateway.LogServerFailed(report.CallId, candidate.Server.Name, candidate.Model.Name, exception.Failure, exception.Message);
                if (!exception.MayPassElsewhere)
                    throw new InferenceException(InferenceFailure.BadRequest, "inference.bad_request", $"{candidate.Server.Name} does not take the request: {exception.Message}", exception);
                Note($"{candidate.Server.Name} failed: {exception.Message}");
                last = exception;
            }
        }

        var what = string.Join(" ", report.Decision!.Reasons.TakeLast(8));
        throw last is null or { Failure: ModelServerFailure.Overloaded }
            ? new InferenceException(InferenceFailure.Unavailable, "inference.unavailable", $"No server can embed with '{call.Model}' right now. {what} Try again in a moment.", last) { RetryAfter = last?.RetryAfter ?? TimeSpan.FromSeconds(2) }
            : new InferenceException(InferenceFailure.ServerFailed, "inference.server_failed", $"Every server that may embed with '{call.Model}' failed. {what}", last) { RetryAfter = TimeSpan.FromSeconds(5) };
    }

    private async Task<SlotGrant?> AcquireAsync(List<RouteCandidate> candidates, CancellationToken cancellationToken)
    {
        report.Tell(CallPhase.Queued);
        clock.Queued();
        try
        {
            var request = new SlotRequest
            {
                CallId = report.CallId,
                Tenant = call.Context.Tenant,
                Flow = call.Context.Flow,
                Priority = call.Context.Priority,
                Deadline = call.Context.Deadline,
                Servers = [],
                Cost = Math.Max(1, Tokens.Read(call.Texts)),
            };
            return await gateway.Slots.AcquireAsync(candidates, request, OnMoved, Note, cancellationToken);
        }
        finally
        {
            clock.Dequeued();
            (report.QueuePosition, report.ExpectedWait) = (0, null);
        }
    }

    private async Task<GeneratedEmbeddings<Embedding<float>>> AskAsync(
        RouteCandidate candidate, SlotGrant grant, IModelClient client, Action succeeded, CancellationToken cancellationToken)
    {
        var timeout = candidate.Server.Timeout + Patience;
        using var silence = new CancellationTokenSource(timeout, gateway.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(silence.Token, cancellationToken);
        clock.Sent();
        GeneratedEmbeddings<Embedding<float>> vectors;
        try
        {
            vectors = await client.Embeddings.GenerateAsync(call.Texts, new EmbeddingGenerationOptions { ModelId = candidate.Model.Name, Dimensions = call.Dimensions }, either.Token);
        }
        catch (OperationCanceledException) when (silence.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new ModelServerException(ModelServerFailure.Timeout, $"{candidate.Server.Name} said nothing for {timeout.TotalSeconds:0.#} s.");
        }
        finally
        {
            clock.Returned();
        }

        if (vectors.Count != call.Texts.Count)
            throw new ModelServerException(ModelServerFailure.InvalidAnswer, $"{candidate.Server.Name} answered {call.Texts.Count} texts with {vectors.Count} vectors.");
        succeeded();
        report.TimeToFirstToken = clock.Elapsed;
        report.InputTokens = vectors.Usage?.InputTokenCount ?? Tokens.Read(call.Texts);
        report.Cost = Price.Of(candidate.Model, report.InputTokens, 0);
        report.Slices.Add(new CallSlice(grant.QueuedAt, grant.StartedAt, gateway.Time.GetUtcNow(), candidate.Server.Name, 0));
        grant.Settle(report.InputTokens);
        return vectors;
    }

    private void OnMoved(QueuePlace place)
    {
        (report.QueuePosition, report.ExpectedWait) = (place.Position, place.ExpectedWait);
        report.Changed?.Invoke(report);
    }

    private void Note(string reason) => report.Decision = report.Decision! with { Reasons = [.. report.Decision.Reasons, reason] };
}

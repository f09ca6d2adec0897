using Conclave.Inference.Budgets;
using Conclave.Inference.Caching;
using Microsoft.Extensions.AI;

namespace Conclave.Inference.Gateway;

/// <content>Embeddings: by key, by text, and in batches.</content>
public sealed partial class InferenceGateway
{
    /// <inheritdoc/>
    public async Task<GeneratedEmbeddings<Embedding<float>>> EmbedAsync(EmbedCall call, CallReport report, CancellationToken cancellationToken)
    {
        using var scope = new CallScope(this, call.Context, "embeddings", call.Model, report, null, cancellationToken);
        try
        {
            return await scope.RunAsync(call.Context.IdempotencyKey is null ? EmbedCachedAsync(call, report, scope.Clock, scope.Token) : EmbedOnceAsync(call, report, scope.Clock, scope.Token));
        }
        finally
        {
            scope.End();
        }
    }

    private async Task<GeneratedEmbeddings<Embedding<float>>> EmbedOnceAsync(EmbedCall call, CallReport report, CallClock clock, CancellationToken cancellationToken)
    {
        using var claim = await _answers.ClaimAsync(call.Context.Tenant, call.Context.IdempotencyKey!, CallHash.Of(call), call.Context.Deadline, cancellationToken);
        if (claim.Answer is { } known)
        {
            known.Fill(report, CacheOutcome.Replay);
            return known.ToVectors();
        }

        var isStored = false;
        await using var keeper = new KeyKeeper(this, claim, null);
        try
        {
            var vectors = await EmbedCachedAsync(call, report, clock, cancellationToken);
            await _answers.CompleteAsync(claim, StoredAnswer.Of(vectors, report));
            isStored = true;
            return vectors;
        }
        finally
        {
            await keeper.DisposeAsync();
            if (!isStored)
                await _answers.AbandonAsync(claim);
        }
    }

    private async Task<GeneratedEmbeddings<Embedding<float>>> EmbedCachedAsync(EmbedCall call, CallReport report, CallClock clock, CancellationToken cancellationToken)
    {
        if (call.Texts.Count == 0)
            throw new InferenceException(InferenceFailure.BadRequest, "inference.bad_request", "There is no text to embed.") { Parameter = "input" };
        if (call.Context.Cache == CachePolicy.Off)
            return await EmbedNewAsync(call, report, clock, cancellationToken);

        var plan = Plan(call);
        var model = $"{plan.Candidates[0].Model.Name}@{plan.Candidates[0].Model.Digest}";
        var keys = call.Texts.Select(t => CallHash.Key(call.Context.Tenant, model, call.Dimensions, t)).ToArray();
        var vectors = new float[]?[keys.Length];
        if (call.Context.Cache == CachePolicy.Use)
        {
            for (var i = 0; i < keys.Length; i++)
                vectors[i] = _vectors.Find(keys[i]);
        }

        var missing = Enumerable.Range(0, keys.Length).Where(i => vectors[i] is null).ToArray();
        if (missing.Length == 0)
        {
            (report.Cache, report.Model, report.Decision) = (CacheOutcome.Hit, plan.Candidates[0].Model.Name, plan.Decision);
            return New(vectors, 0);
        }

        var found = await EmbedNewAsync(call with { Texts = [.. missing.Select(i => call.Texts[i])] }, report, clock, cancellationToken);
        for (var i = 0; i < missing.Length; i++)
        {
            var vector = found[i].Vector.ToArray();
            vectors[missing[i]] = vector;
            // Another model may have answered when the first one could not.
            if (report.Model == plan.Candidates[0].Model.Name)
                _vectors.Put(keys[missing[i]], vector, (vector.Length * sizeof(float)) + 256);
        }

        return New(vectors, report.InputTokens);

        static GeneratedEmbeddings<Embedding<float>> New(float[]?[] vectors, long tokens) => new(vectors.Select(v => new Embedding<float>(v)))
        {
            Usage = new UsageDetails { InputTokenCount = tokens },
        };
    }

    private async Task<GeneratedEmbeddings<Embedding<float>>> EmbedNewAsync(EmbedCall call, CallReport report, CallClock clock, CancellationToken cancellationToken)
    {
        var worst = Plan(call).Candidates.Max(c => Price.Of(c.Model, Tokens.Read(call.Texts), 0));
        await using var reservation = _budgets is null ? null : await _budgets.ReserveAsync(call.Context, new BudgetAmount(worst, Tokens.Read(call.Texts)), cancellationToken);
        report.Tell(CallPhase.Queued);
        clock.Sent();
        try
        {
            return await _batcher.EmbedAsync(call, report, cancellationToken);
        }
        finally
        {
            clock.Returned();
            report.TimeToFirstToken = clock.Elapsed;
            if (reservation is not null)
                await reservation.SettleAsync(new BudgetAmount(report.Cost, report.InputTokens));
        }
    }
}

using System.Runtime.CompilerServices;
using Conclave.Inference.Budgets;
using Conclave.Inference.Caching;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Conclave.Inference.Gateway;

/// <content>Answers that are there already: by idempotency key, and of equal calls. </content>
public sealed partial class InferenceGateway
{
    private IAsyncEnumerable<ChatResponseUpdate> AnswerAsync(ChatCall call, CallReport report, CallClock clock, CancellationToken cancellationToken)
    {
        if (call.Context.IdempotencyKey is not null)
            return AnswerOnceAsync(call, report, clock, cancellationToken);
        return call.Context.Cache == CachePolicy.Off
            ? AskAsync(new ChatRun(this, call, report, clock), call, report, null, cancellationToken)
            : AnswerCachedAsync(new ChatRun(this, call, report, clock), call, report, null, cancellationToken);
    }

    private async IAsyncEnumerable<ChatResponseUpdate> AnswerOnceAsync(
        ChatCall call, CallReport report, CallClock clock, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var (tenant, key) = (call.Context.Tenant, call.Context.IdempotencyKey!);
        using var claim = await _answers.ClaimAsync(tenant, key, CallHash.Of(call), call.Context.Deadline, cancellationToken);
        if (claim.Answer is { } known)
        {
            known.Fill(report, CacheOutcome.Replay);
            foreach (var update in known.ToUpdates())
                yield return update;
            yield break;
        }

        var (isStored, wasContinued) = (false, false);
        var run = new ChatRun(this, call, report, clock);
        await using var keeper = new KeyKeeper(this, claim, run);
        try
        {
            var snapshot = await _snapshots.FindAsync(tenant, SnapshotKey(call, report.CallId), cancellationToken);
            wasContinued = snapshot is not null;
            var updates = call.Context.Cache == CachePolicy.Off
                ? AskAsync(run, call, report, snapshot, cancellationToken)
                : AnswerCachedAsync(run, call, report, snapshot, cancellationToken);
            var all = new List<ChatResponseUpdate>();
            var held = new List<ChatResponseUpdate>();
            await foreach (var update in updates)
            {
                all.Add(update);
                // Nobody is told that the answer is whole before it is in the database: who has heard so must find it there.
                if (held.Count > 0 || update.FinishReason is not null)
                    held.Add(update);
                else
                    yield return update;
            }

            await _answers.CompleteAsync(claim, StoredAnswer.Of(all.ToChatResponse(), report));
            isStored = true;
            foreach (var update in held)
                yield return update;
        }
        finally
        {
            await keeper.DisposeAsync();
            if (!isStored)
                await GiveUpAsync(call, report, run, claim);
            else if (wasContinued || run.HasStored || keeper.HasStored)
                await ForgetSnapshotAsync(call, report.CallId);
        }
    }

    private async IAsyncEnumerable<ChatResponseUpdate> AnswerCachedAsync(
        ChatRun run, ChatCall call, CallReport report, CallSnapshot? snapshot, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // Two models do not say the same, and neither do two builds of one.
        var first = run.Plan.Candidates[0].Model;
        var hash = CallHash.Of(call, $"{first.Name}@{first.Digest}");
        if (snapshot is null && call.Context.Cache == CachePolicy.Use && await _cache.FindAsync(call.Context.Tenant, hash, cancellationToken) is { } known)
        {
            report.Decision = run.Plan.Decision;
            known.Fill(report, CacheOutcome.Hit);
            foreach (var update in known.ToUpdates())
                yield return update;
            yield break;
        }

        var all = new List<ChatResponseUpdate>();
        await foreach (var update in AskAsync(run, call, report, snapshot, cancellationToken))
        {
            all.Add(update);
            yield return update;
        }

        // Cut off by a limit is no answer for others.
        var response = all.ToChatResponse();
        if (report.Model == first.Name && response.FinishReason != ChatFinishReason.Length)
            await _cache.StoreAsync(call.Context.Tenant, hash, StoredAnswer.Of(response, report), cancellationToken);
    }

    private async IAsyncEnumerable<ChatResponseUpdate> AskAsync(
        ChatRun run, ChatCall call, CallReport report, CallSnapshot? snapshot, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var budget = new CallBudget(_budgets, call.Context, CallLimits.WorstSlice(call, run.Plan));
        await budget.ReserveAsync(cancellationToken);
        run.Budget = budget;
        var (costBefore, tokensBefore) = (snapshot?.Cost ?? 0, (snapshot?.InputTokens ?? 0) + (snapshot?.OutputTokens ?? 0));
        try
        {
            await foreach (var update in run.StreamAsync(snapshot, cancellationToken))
                yield return update;
        }
        finally
        {
            await budget.SettleAsync(new BudgetAmount(report.Cost - costBefore, report.InputTokens + report.OutputTokens - tokensBefore));
            if (run.HasStored && call.Context.IdempotencyKey is null)
                await ForgetSnapshotAsync(call, report.CallId);
        }
    }

    // What there is of the text stays for the repeated call; the key is free at once.
    private async Task GiveUpAsync(ChatCall call, CallReport report, ChatRun run, KeyClaim claim)
    {
        try
        {
            if (run.Snapshot is { } snapshot)
                await _snapshots.StoreAsync(call.Context.Tenant, SnapshotKey(call, report.CallId), snapshot, CancellationToken.None);
            await _answers.AbandonAsync(claim);
        }
        catch (NpgsqlException exception)
        {
            // The lease ends by itself.
            LogSnapshotNotStored(report.CallId, exception);
        }
    }

    /// <summary>Says now and then that a call with a key still runs, and stores what it has.</summary>
    private sealed class KeyKeeper : IAsyncDisposable
    {
        private readonly PeriodicTimer _timer;
        private readonly Task _keeping;

        public KeyKeeper(InferenceGateway gateway, KeyClaim claim, ChatRun? run)
        {
            var third = gateway._answers.Lease / 3;
            // Ended by its disposal, which unlike a cancellation throws nothing: most calls end before the first tick.
            _timer = new PeriodicTimer(third < gateway.Options.SnapshotInterval ? third : gateway.Options.SnapshotInterval, gateway.Time);
            _keeping = KeepAsync(gateway, claim, run, third);
        }

        /// <summary>Whether it has stored what the call had so far.</summary>
        public bool HasStored { get; private set; }

        public async ValueTask DisposeAsync()
        {
            _timer.Dispose();
            await _keeping;
        }

        private async Task KeepAsync(InferenceGateway gateway, KeyClaim claim, ChatRun? run, TimeSpan third)
        {
            var (renewed, stored) = (gateway.Time.GetTimestamp(), 0);
            while (await _timer.WaitForNextTickAsync(CancellationToken.None))
            {
                try
                {
                    if (gateway.Time.GetElapsedTime(renewed) + _timer.Period > third)
                    {
                        await gateway._answers.RenewAsync(claim, CancellationToken.None);
                        renewed = gateway.Time.GetTimestamp();
                    }

                    if (run?.Snapshot is { } snapshot && snapshot.Text.Length != stored)
                    {
                        HasStored = true;
                        await gateway._snapshots.StoreAsync(claim.Tenant, $"key:{claim.Key}", snapshot, CancellationToken.None);
                        stored = snapshot.Text.Length;
                    }
                }
                catch (NpgsqlException exception)
                {
                    gateway.LogKeyNotKept(claim.Key, exception);
                }
            }
        }
    }

    [LoggerMessage(4206, LogLevel.Warning, "The text so far of the call with the idempotency key {Key} could not be stored; it is tried again")]
    private partial void LogKeyNotKept(string key, Exception exception);
}

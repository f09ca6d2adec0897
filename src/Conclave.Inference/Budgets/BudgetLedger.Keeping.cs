using System.Collections.Concurrent;
using System.Collections.Frozen;
using Conclave.Workflows.Runtime.Postgres;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Conclave.Inference.Budgets;

// Which budgets there are, and what is done about them in the background.
public sealed partial class BudgetLedger
{
    // A new budget takes effect within a second.
    private static readonly TimeSpan LookInterval = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan KeepInterval = Lease / 4;
    private static readonly TimeSpan ShareInterval = TimeSpan.FromSeconds(5);

    // Uses older than this are forgotten.
    private static readonly TimeSpan Memory = TimeSpan.FromDays(400);

    private readonly ConcurrentQueue<(Guid Id, BudgetAmount Actual)> _unsettled = [];
    private readonly CancellationTokenSource _stop = new();
    private readonly SemaphoreSlim _loading = new(1);
    private volatile Known? _known;
    private Task? _keeping;

    /// <summary>How much of each budget is used in this period, from 0 to 1, as it was some seconds ago; of several subjects by the one that has used most. For metrics.</summary>
    internal IReadOnlyList<(string Budget, double Share)> Shares { get; private set; } = [];

    /// <summary>Stops what is done in the background. Reservations of calls that still run expire.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        if (_keeping is not null) await _keeping;
        _stop.Dispose();
        _loading.Dispose();
    }

    /// <summary>Reads which budgets there are, if that has changed.</summary>
    internal async Task LookAsync(CancellationToken cancellationToken)
    {
        await _loading.WaitAsync(cancellationToken);
        try
        {
            await using var look = database.CreateCommand("select revision from conclave.inference_budget_revision");
            var revision = (long)(await look.ExecuteScalarAsync(cancellationToken))!;
            if (_known?.Revision == revision) return;
            // Read after the revision: a change between the two is read twice, not missed.
            List<Budget> budgets = [];
            await using var command = database.CreateCommand($"select {Columns} from conclave.inference_budget b");
            await using var reader = await command.ExecuteReaderAsync(cancellationToken);
            while (await reader.ReadAsync(cancellationToken)) budgets.Add(Read(reader));
            _known = new Known(revision, budgets.GroupBy(b => b.Tenant).ToFrozenDictionary(g => g.Key, g => g.ToArray()));
        }
        finally
        {
            _loading.Release();
        }
    }

    private async Task<IReadOnlyList<(string Budget, double Share)>> ReadSharesAsync(DateTimeOffset now, CancellationToken cancellationToken)
    {
        if (_known is not { Budgets.Count: > 0 }) return [];
        List<(string, double)> shares = [];
        await using var command = database.CreateCommand("""
            select b.name, coalesce(max(greatest((u.money_spent + u.money_reserved) / nullif(b.money, 0), (u.tokens_spent + u.tokens_reserved)::numeric / nullif(b.tokens, 0))), 0)::float8
              from conclave.inference_budget b left join conclave.inference_budget_use u
                on u.tenant = b.tenant and u.budget = b.name and u.starts = conclave.inference_period_start(b.period, $1)
             group by b.name
            """);
        command.Parameters.AddValue(now.UtcDateTime);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken)) shares.Add((reader.GetString(0), reader.GetDouble(1)));
        return shares;
    }

    /// <summary>Ends reservations that have expired.</summary>
    /// <returns>How many.</returns>
    internal async Task<int> ExpireAsync(CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        List<Guid> expired = [];
        await using (var command = database.CreateCommand("select id from conclave.inference_reservation where expires_at <= $1 order by expires_at limit 1000"))
        {
            command.Parameters.AddValue(now.UtcDateTime);
            await using var reader = await command.ExecuteReaderAsync(cancellationToken);
            while (await reader.ReadAsync(cancellationToken)) expired.Add(reader.GetGuid(0));
        }

        var ended = 0;
        foreach (var id in expired)
        {
            if (await SettleAsync(id, default, now, cancellationToken)) ended++;
        }

        if (ended > 0) LogExpired(ended);
        return ended;
    }

    /// <summary>Renews the reservations of calls that run here.</summary>
    internal async Task RenewAsync(CancellationToken cancellationToken)
    {
        var open = _open.Keys.ToArray();
        if (open.Length == 0) return;
        await using var command = database.CreateCommand(
            "update conclave.inference_reservation set expires_at = $3 where owner = $1 and id = any($2) and is_call");
        command.Parameters.AddValue(_owner);
        command.Parameters.AddValue(open);
        command.Parameters.AddValue((time.GetUtcNow() + Lease).UtcDateTime);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Tries again to settle what could not be settled.</summary>
    internal async Task SettleLateAsync(CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested && _unsettled.TryPeek(out var late))
        {
            if (!await SettleAsync(late.Id, late.Actual, null, cancellationToken)) LogSettledLate(late.Id, late.Actual.Money, late.Actual.Tokens);
            _unsettled.TryDequeue(out _);
            _open.TryRemove(late.Id, out _);
        }
    }

    /// <summary>Forgets uses of long ago.</summary>
    internal async Task ForgetAsync(CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("""
            delete from conclave.inference_budget_use u
             where u.updated_at < $1 and u.money_reserved = 0 and u.tokens_reserved = 0
                or u.updated_at < $2 and not exists (select from conclave.inference_budget b where b.tenant = u.tenant and b.name = u.budget)
            """);
        command.Parameters.AddValue((time.GetUtcNow() - Memory).UtcDateTime);
        command.Parameters.AddValue((time.GetUtcNow() - TimeSpan.FromDays(1)).UtcDateTime);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    private async ValueTask<IReadOnlyList<(string Budget, string Subject)>> ApplicableAsync(CallContext context, CancellationToken cancellationToken)
    {
        if (_keeping is null) _ = LazyInitializer.EnsureInitialized(ref _keeping, () => Task.Run(KeepAsync));
        if (_known is null) await LookAsync(cancellationToken);
        if (!_known!.Budgets.TryGetValue(context.Tenant, out var budgets)) return [];
        List<(string, string)> applicable = [];
        foreach (var budget in budgets)
        {
            if (SubjectOf(budget.Scope, context) is { } subject &&
                (budget.Subject == subject || (budget.Subject == Budget.Each && !Array.Exists(budgets, own => own.Scope == budget.Scope && own.Period == budget.Period && own.Subject == subject))))
                applicable.Add((budget.Name, subject));
        }

        return applicable;
    }

    private static string? SubjectOf(BudgetScope scope, CallContext context) => scope switch
    {
        BudgetScope.Tenant => "",
        BudgetScope.Agent => context.AgentId,
        BudgetScope.Instance => context.InstanceId,
        _ => context.ApiKeyId,
    };

    private async Task KeepAsync()
    {
        using var timer = new PeriodicTimer(LookInterval, time);
        var kept = time.GetUtcNow();
        var shown = DateTimeOffset.MinValue;
        var forgotten = DateTimeOffset.MinValue;
        var failing = false;
        while (true)
        {
            try
            {
                if (!await timer.WaitForNextTickAsync(_stop.Token)) return;
                await LookAsync(_stop.Token);
                await SettleLateAsync(_stop.Token);
                var now = time.GetUtcNow();
                if (now - kept >= KeepInterval)
                {
                    kept = now;
                    await RenewAsync(_stop.Token);
                    await ExpireAsync(_stop.Token);
                }

                if (now - shown >= ShareInterval)
                {
                    shown = now;
                    Shares = await ReadSharesAsync(now, _stop.Token);
                }

                if (now - forgotten >= TimeSpan.FromDays(1))
                {
                    forgotten = now;
                    await ForgetAsync(_stop.Token);
                }

                failing = false;
            }
            catch (OperationCanceledException) when (_stop.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception) when (exception is NpgsqlException or InvalidOperationException or TimeoutException)
            {
                if (!failing) LogKeepingFailed(exception);
                failing = true;
            }
        }
    }

    [LoggerMessage(4033, LogLevel.Warning, "{Count} reservations expired because their process has died; calls are counted at their worst case")]
    private partial void LogExpired(int count);

    [LoggerMessage(4034, LogLevel.Warning, "The budgets could not be read or kept; what is known of them holds until that works again")]
    private partial void LogKeepingFailed(Exception exception);

    /// <summary>The budgets that there are, by tenant.</summary>
    private sealed record Known(long Revision, FrozenDictionary<string, Budget[]> Budgets);
}

using System.Collections.Concurrent;
using System.Globalization;
using Conclave.Inference.Telemetry;
using Conclave.Workflows.Runtime.Postgres;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Conclave.Inference.Budgets;

/// <summary>
/// Money and tokens: the worst case of a call is set aside on every budget that applies before it starts, what it really took is counted after it.
/// Whatever number of processes and calls there are at once, no budget is overspent as long as no call takes more than its worst case.
/// </summary>
/// <remarks>
/// <para>Invariant of each budget, in money and in tokens: spent + reserved ≤ limit, checked and changed under the lock of its row. The limits are read with
/// the rows; only which budgets there are is remembered, and no older than half a second, so that calls to which none applies touch no database.</para>
/// <para>A reservation belongs to the process that made it, which renews it while the call runs. When the process dies, it expires after
/// <see cref="Lease"/> and counts as spent, whole: the call may have been served and paid.</para>
/// </remarks>
public sealed partial class BudgetLedger(NpgsqlDataSource database, TimeProvider time, ILogger<BudgetLedger> logger) : IAsyncDisposable
{
    /// <summary>How long a reservation outlives its process.</summary>
    public static readonly TimeSpan Lease = TimeSpan.FromMinutes(2);

    private readonly Guid _owner = Guid.NewGuid();
    private readonly ConcurrentDictionary<Guid, bool> _open = [];

    /// <summary>Sets the worst case of a call aside.</summary>
    /// <param name="context">Whose call it is; with <see cref="CallContext.Reservation"/> it draws on that, and asks only budgets that that does not cover.</param>
    /// <param name="worstCase">The most that it may take.</param>
    /// <param name="cancellationToken">Ends the attempt; nothing is set aside then, or it expires.</param>
    /// <returns>The reservation; null when no budget applies.</returns>
    /// <exception cref="InferenceException"><see cref="InferenceFailure.BudgetExhausted"/>: says which budget, its limit, what is spent and set aside, when it starts anew.</exception>
    public async ValueTask<BudgetReservation?> ReserveAsync(CallContext context, BudgetAmount worstCase, CancellationToken cancellationToken)
    {
        var budgets = await ApplicableAsync(context, cancellationToken);
        if (budgets.Count == 0 && context.Reservation is null) return null;
        var id = Guid.CreateVersion7();
        _open[id] = true;
        try
        {
            await ReserveAsync(id, context, budgets, worstCase, isCall: true, Lease, cancellationToken);
        }
        catch
        {
            _open.TryRemove(id, out _);
            throw;
        }

        return new BudgetReservation(this, id, worstCase);
    }

    /// <summary>Sets an amount aside for a run, whose calls then draw on it by <see cref="CallContext.Reservation"/>, from any process.</summary>
    /// <param name="context">Whose run it is; it may itself draw on a reservation.</param>
    /// <param name="amount">What the run may spend on the budgets that apply to it.</param>
    /// <param name="lifetime">How long it is kept, at most; then what is left of it is given back.</param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    /// <returns>Its id; to be ended by <see cref="ReleaseAsync"/>.</returns>
    /// <exception cref="InferenceException">As for <see cref="ReserveAsync(CallContext, BudgetAmount, CancellationToken)"/>.</exception>
    public async Task<Guid> HoldAsync(CallContext context, BudgetAmount amount, TimeSpan lifetime, CancellationToken cancellationToken)
    {
        var id = Guid.CreateVersion7();
        await ReserveAsync(id, context, await ApplicableAsync(context, cancellationToken), amount, isCall: false, lifetime, cancellationToken);
        return id;
    }

    /// <summary>Gives back what is left of what was set aside for a run. Calls of it that still run are counted when they end.</summary>
    /// <returns>Whether it was still there.</returns>
    public Task<bool> ReleaseAsync(Guid id, CancellationToken cancellationToken) => SettleAsync(id, default, null, cancellationToken);

    internal async Task SettleAsync(Guid id, BudgetAmount actual)
    {
        try
        {
            if (!await SettleAsync(id, actual, null, default)) LogSettledLate(id, actual.Money, actual.Tokens);
            _open.TryRemove(id, out _);
        }
        catch (Exception exception) when (exception is NpgsqlException or InvalidOperationException)
        {
            // It stays open, so that it is renewed until it could be settled.
            _unsettled.Enqueue((id, actual));
            LogNotSettled(id, exception);
        }
    }

    // Sets aside, or throws. Reservations that have expired are ended first when they may be what is missing.
    private async Task ReserveAsync(
        Guid id, CallContext context, IReadOnlyList<(string Budget, string Subject)> budgets, BudgetAmount amount, bool isCall, TimeSpan lifetime,
        CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(amount.Money);
        ArgumentOutOfRangeException.ThrowIfNegative(amount.Tokens);
        var refusal = await TryReserveAsync(id, context, budgets, amount, isCall, lifetime, cancellationToken);
        if (refusal is not null && await ExpireAsync(cancellationToken) > 0)
            refusal = await TryReserveAsync(id, context, budgets, amount, isCall, lifetime, cancellationToken);
        if (refusal is { } refused)
        {
            GenAITelemetry.BudgetRefused(refused.Scope);
            throw refused.Exception;
        }
    }

    private async Task<(string Scope, InferenceException Exception)?> TryReserveAsync(
        Guid id, CallContext context, IReadOnlyList<(string Budget, string Subject)> budgets, BudgetAmount amount, bool isCall, TimeSpan lifetime,
        CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        await using var command = database.CreateCommand("select * from conclave.reserve_budget($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)");
        command.Parameters.AddValue(id);
        command.Parameters.AddValue(context.Tenant);
        command.Parameters.AddArray(budgets, b => b.Budget);
        command.Parameters.AddArray(budgets, b => b.Subject);
        command.Parameters.AddUuid(context.Reservation);
        command.Parameters.AddValue(isCall);
        command.Parameters.AddValue(amount.Money);
        command.Parameters.AddValue(amount.Tokens);
        command.Parameters.AddValue(_owner);
        command.Parameters.AddValue(now.UtcDateTime);
        command.Parameters.AddValue((now + lifetime).UtcDateTime);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        if (!await reader.ReadAsync(cancellationToken)) return null;
        var scope = reader.IsDBNull(0) ? "run" : (BudgetScope)reader.GetInt16(1) switch { BudgetScope.Tenant => "tenant", BudgetScope.Agent => "agent", BudgetScope.Instance => "instance", _ => "api-key" };
        return (scope, Refusal(reader, amount, now));
    }

    private async Task<bool> SettleAsync(Guid id, BudgetAmount actual, DateTimeOffset? expiredAt, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("select conclave.settle_budget($1, $2, $3, $4, $5)");
        command.Parameters.AddValue(id);
        command.Parameters.AddValue(actual.Money);
        command.Parameters.AddValue(actual.Tokens);
        command.Parameters.AddValue(time.GetUtcNow().UtcDateTime);
        command.Parameters.AddTime(expiredAt);
        return await command.ExecuteScalarAsync(cancellationToken) is true;
    }

    private static InferenceException Refusal(NpgsqlDataReader row, BudgetAmount amount, DateTimeOffset now)
    {
        var need = $"the call may need {Money(amount.Money)} and {Count(amount.Tokens)} tokens";
        if (row.IsDBNull(0))
        {
            var reservation = row.GetString(2);
            return row.GetBoolean(10)
                ? Exhausted("inference.reservation_gone", $"The reservation {reservation} that the call draws on is not there: it was released, has expired, or is not one of a run of this tenant. Start the run again.")
                : Exhausted("inference.budget_exhausted", $"The run's reservation {reservation} has {Money(row.GetDecimal(4))} and {Count(row.GetInt64(5))} tokens left; {need}. Reserve more for the run, or let calls write less.");
        }

        var period = (BudgetPeriod)row.GetInt16(3);
        var subject = row.GetString(2);
        var scope = (BudgetScope)row.GetInt16(1);
        var resets = Resets(period, now);
        List<string> facts = [];
        if (!row.IsDBNull(4)) facts.Add($"of {Money(row.GetDecimal(4))}, {Money(row.GetDecimal(6))} are spent and {Money(row.GetDecimal(7))} reserved for running calls");
        if (!row.IsDBNull(5)) facts.Add($"of {Count(row.GetInt64(5))} tokens, {Count(row.GetInt64(8))} are spent and {Count(row.GetInt64(9))} reserved for running calls");
        var whose = scope == BudgetScope.Tenant ? "the tenant" : $"{scope switch { BudgetScope.Agent => "agent", BudgetScope.Instance => "run", _ => "API key" }} '{subject}'";
        return Exhausted(
            "inference.budget_exhausted",
            $"The budget '{row.GetString(0)}' of {whose} ({period switch { BudgetPeriod.Day => "a day", BudgetPeriod.Month => "a month", _ => "in all" }}) does not suffice: " +
            $"{string.Join("; ", facts)}; {need}. {(resets is null ? "It does not start anew" : $"It starts anew at {resets:yyyy-MM-ddTHH:mm:ssZ}")}; whoever has the right 'manage:inference' may raise it.",
            resets - now);

        static string Money(decimal money) => money.ToString("0.00####", CultureInfo.InvariantCulture);
        static string Count(long tokens) => tokens.ToString("N0", CultureInfo.InvariantCulture);
        static InferenceException Exhausted(string code, string message, TimeSpan? retryAfter = null) =>
            new(InferenceFailure.BudgetExhausted, code, message) { RetryAfter = retryAfter };
    }

    private static DateTimeOffset? Resets(BudgetPeriod period, DateTimeOffset at) => period switch
    {
        BudgetPeriod.Day => new DateTimeOffset(at.UtcDateTime.Date, TimeSpan.Zero).AddDays(1),
        BudgetPeriod.Month => new DateTimeOffset(at.UtcDateTime.Year, at.UtcDateTime.Month, 1, 0, 0, 0, TimeSpan.Zero).AddMonths(1),
        _ => null,
    };

    [LoggerMessage(4031, LogLevel.Warning, "Reservation {ReservationId} had expired, or its budgets are gone, when its call ended with {Money} and {Tokens} tokens; its worst case was counted instead")]
    private partial void LogSettledLate(Guid reservationId, decimal money, long tokens);

    [LoggerMessage(4032, LogLevel.Warning, "What reservation {ReservationId} really took could not be counted; it is tried again")]
    private partial void LogNotSettled(Guid reservationId, Exception exception);
}

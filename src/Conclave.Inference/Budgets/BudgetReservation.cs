namespace Conclave.Inference.Budgets;

/// <summary>What is set aside for one call. Disposed without having been settled, all of it is given back: the call cost nothing.</summary>
public sealed class BudgetReservation : IAsyncDisposable
{
    private readonly BudgetLedger _ledger;
    private int _isSettled;

    internal BudgetReservation(BudgetLedger ledger, Guid id, BudgetAmount amount)
    {
        _ledger = ledger;
        Id = id;
        Amount = amount;
    }

    /// <summary>Its id.</summary>
    public Guid Id { get; }

    /// <summary>What is set aside.</summary>
    public BudgetAmount Amount { get; }

    /// <summary>
    /// Counts what the call really took; the rest is free for others when this returns. More than was set aside counts too. Only the first call
    /// does anything. When the database cannot be reached it is tried again later, and the caller is not bothered; so it takes no token either.
    /// </summary>
    /// <param name="actual">What it took.</param>
    public Task SettleAsync(BudgetAmount actual) =>
        Interlocked.Exchange(ref _isSettled, 1) == 0 ? _ledger.SettleAsync(Id, actual) : Task.CompletedTask;

    /// <summary>Gives everything back, if it was not settled.</summary>
    public async ValueTask DisposeAsync() => await SettleAsync(default);
}

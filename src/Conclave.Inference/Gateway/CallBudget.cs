using Conclave.Inference.Budgets;
using Npgsql;

namespace Conclave.Inference.Gateway;

/// <summary>
/// What is set aside for a call: the worst case of each of its slices, before the slice begins. A slice reads the conversation and what the ones before it wrote,
/// and writes the rest, so that each may take as much as the whole call.
/// </summary>
/// <param name="ledger">The budgets; null for none.</param>
/// <param name="context">Whose call it is.</param>
/// <param name="slice">The most that one slice takes.</param>
internal sealed class CallBudget(BudgetLedger? ledger, CallContext context, BudgetAmount slice) : IAsyncDisposable
{
    private readonly List<BudgetReservation> _slices = [];

    /// <summary>Whether a budget counts the call: then it must not write more than was set aside.</summary>
    public bool IsCounted => _slices.Count > 0;

    /// <summary>The most that one slice takes.</summary>
    public BudgetAmount Slice => slice;

    /// <summary>Sets a slice aside.</summary>
    /// <exception cref="InferenceException">A budget does not suffice.</exception>
    public async ValueTask ReserveAsync(CancellationToken cancellationToken)
    {
        if (ledger is not null && await ledger.ReserveAsync(context, slice, cancellationToken) is { } reserved)
            _slices.Add(reserved);
    }

    /// <summary>Sets a further slice aside, for a call that may give its slot away; false when it cannot, so that the call keeps its slot.</summary>
    public async Task<bool> TryReserveAsync(CancellationToken cancellationToken)
    {
        try
        {
            await ReserveAsync(cancellationToken);
            return true;
        }
        catch (Exception exception) when (exception is InferenceException or NpgsqlException or OperationCanceledException)
        {
            return false;
        }
    }

    /// <summary>Counts what the call really took; the rest is free again.</summary>
    public async Task SettleAsync(BudgetAmount actual)
    {
        // Slice by slice, so that at no moment more is spent and reserved than was set aside. What is beyond all of them counts too.
        for (var i = 0; i < _slices.Count; i++)
        {
            var isLast = i == _slices.Count - 1;
            var part = isLast ? actual : new BudgetAmount(Math.Min(actual.Money, slice.Money), Math.Min(actual.Tokens, slice.Tokens));
            await _slices[i].SettleAsync(part);
            actual = new BudgetAmount(actual.Money - part.Money, actual.Tokens - part.Tokens);
        }
    }

    /// <summary>Gives back what was not settled.</summary>
    public async ValueTask DisposeAsync()
    {
        foreach (var reserved in _slices)
            await reserved.DisposeAsync();
    }
}

namespace Conclave.Inference.Budgets;

/// <summary>What may be spent on models by somebody in a period.</summary>
public sealed record Budget
{
    /// <summary>Stands for each subject of a scope: each has the limit for itself. A budget of a subject's own, of the same scope and period, replaces it there.</summary>
    public const string Each = "*";

    /// <summary>Owner.</summary>
    public required string Tenant { get; init; }

    /// <summary>Its name, unique within the tenant, named in errors: letters, digits, <c>-</c>, <c>_</c>, <c>.</c>; at most 63.</summary>
    public required string Name { get; init; }

    /// <summary>Whose spending it limits.</summary>
    public required BudgetScope Scope { get; init; }

    /// <summary>Id of the agent, workflow instance or API key, or <see cref="Each"/>; empty for the tenant.</summary>
    public string Subject { get; init; } = "";

    /// <summary>When it starts anew.</summary>
    public required BudgetPeriod Period { get; init; }

    /// <summary>Most money, in the currency of the prices; null for no such limit.</summary>
    public decimal? Money { get; init; }

    /// <summary>Most tokens, read and written together; null for no such limit.</summary>
    public long? Tokens { get; init; }

    /// <summary>Says what is wrong with it; null when nothing is.</summary>
    internal string? Problem() => this switch
    {
        { Name.Length: 0 or > 63 } => "'name' must have 1 to 63 characters.",
        _ when !Name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.') => "'name' may have letters, digits, '-', '_' and '.' only.",
        { Scope: BudgetScope.Tenant, Subject.Length: > 0 } => "'subject' must be left out for scope 'tenant'.",
        { Scope: not BudgetScope.Tenant, Subject.Length: 0 or > 255 } => "'subject' must be an id of at most 255 characters, or '*' for each one.",
        { Money: null, Tokens: null } => "'money' or 'tokens' must be given, or both.",
        { Money: < 0 or > 1_000_000_000_000 } => "'money' must be 0 to 1,000,000,000,000.",
        { Tokens: < 0 or > 1_000_000_000_000_000 } => "'tokens' must be 0 to 1,000,000,000,000,000.",
        _ => null,
    };
}

/// <summary>Whose spending a budget limits. Numbers are stored and never change.</summary>
public enum BudgetScope : short
{
    /// <summary>All of the tenant's.</summary>
    Tenant = 0,

    /// <summary>An agent's.</summary>
    Agent = 1,

    /// <summary>A workflow instance's: a run's.</summary>
    Instance = 2,

    /// <summary>An API key's.</summary>
    ApiKey = 3,
}

/// <summary>When a budget starts anew. A call counts in the period in which it was reserved. Numbers are stored and never change.</summary>
public enum BudgetPeriod : short
{
    /// <summary>At midnight UTC.</summary>
    Day = 0,

    /// <summary>On the first of the month, midnight UTC.</summary>
    Month = 1,

    /// <summary>Never; for an instance, its run.</summary>
    Run = 2,
}

/// <summary>What a call takes.</summary>
/// <param name="Money">In the currency of the prices.</param>
/// <param name="Tokens">Read and written together.</param>
public readonly record struct BudgetAmount(decimal Money, long Tokens)
{
    /// <summary>What a call to a model takes: tokens × price of a million ÷ 1,000,000.</summary>
    /// <param name="model">The model; its prices count, none is free.</param>
    /// <param name="inputTokens">Tokens read.</param>
    /// <param name="outputTokens">Tokens written: the most that may come for the worst case, those that came for the actual.</param>
    public static BudgetAmount Of(ServedModel model, long inputTokens, long outputTokens) => new(
        ((inputTokens * (model.InputPrice ?? 0)) + (outputTokens * (model.OutputPrice ?? 0))) / 1_000_000m, inputTokens + outputTokens);

    /// <summary>The worse of two, each part by itself: for a call that may go to either model.</summary>
    public static BudgetAmount Worse(BudgetAmount one, BudgetAmount other) => new(Math.Max(one.Money, other.Money), Math.Max(one.Tokens, other.Tokens));
}

/// <summary>What was spent of a budget in a period.</summary>
/// <param name="Subject">Whose spending it is; empty for the tenant.</param>
/// <param name="Starts">When the period began; the year 2000 for <see cref="BudgetPeriod.Run"/>.</param>
/// <param name="Resets">When the next one begins; null for never.</param>
/// <param name="Spent">What calls that have ended took.</param>
/// <param name="Reserved">What is set aside for calls and runs that have not ended.</param>
/// <param name="Calls">Calls that have ended; one that was continued after it had given its slot away counts for each part.</param>
/// <param name="UpdatedAt">When that changed last.</param>
public sealed record BudgetUse(
    string Subject, DateTimeOffset Starts, DateTimeOffset? Resets, BudgetAmount Spent, BudgetAmount Reserved, long Calls, DateTimeOffset UpdatedAt);

/// <summary>A budget and what is spent of it now.</summary>
/// <param name="Budget">The budget.</param>
/// <param name="Uses">What is spent in the current period, the largest spenders first; at most 100 of a budget for <see cref="Budget.Each"/>.</param>
/// <param name="UpdatedAt">When the budget was changed last.</param>
/// <param name="UpdatedBy">By whom.</param>
public sealed record BudgetReport(Budget Budget, IReadOnlyList<BudgetUse> Uses, DateTimeOffset UpdatedAt, string UpdatedBy);

using Conclave.Inference.Budgets;

namespace Conclave.Inference.Gateway;

/// <summary>What a call may cost at most, and who is too dear for it.</summary>
internal static class CallLimits
{
    /// <summary>The plan without the models that could cost more than the call may.</summary>
    /// <exception cref="InferenceException">All of them could.</exception>
    public static RoutePlan Within(ChatCall call, RoutePlan plan)
    {
        if (call.Context.MaxCost is not { } most)
            return plan;
        var (read, written) = WorstTokens(call);
        var affordable = plan.Candidates.Where(c => Price.Of(c.Model, read, written) <= most).ToList();
        if (affordable.Count == 0)
        {
            var cheapest = plan.Candidates.Min(c => Price.Of(c.Model, read, written));
            throw new InferenceException(InferenceFailure.BudgetExhausted, "inference.too_dear", FormattableString.Invariant($"The call may cost at most {most}, but could cost {cheapest:0.######} even with the cheapest model: {read} tokens to read and {written} to write. Allow more, write less, or choose a cheaper model."));
        }

        return affordable.Count == plan.Candidates.Count ? plan : plan with
        {
            Candidates = affordable,
            Decision = plan.Decision with { Reasons = [.. plan.Decision.Reasons, FormattableString.Invariant($"{plan.Candidates.Count - affordable.Count} candidates could cost more than {most}.")] },
        };
    }

    /// <summary>The most that one slice of a call may take.</summary>
    public static BudgetAmount WorstSlice(ChatCall call, RoutePlan plan)
    {
        var (read, written) = WorstTokens(call);
        return new BudgetAmount(plan.Candidates.Max(c => WorstPrice(c.Model, read, written)), read + written);
    }

    /// <summary>The most that one slice of a call may cost with a model.</summary>
    public static decimal WorstPrice(ChatCall call, ServedModel model)
    {
        var (read, written) = WorstTokens(call);
        return WorstPrice(model, read, written);
    }

    // What slices before have written is read instead, which some models charge more for.
    private static decimal WorstPrice(ServedModel model, long read, long written) => Math.Max(Price.Of(model, read, written), Price.Of(model, read + written, 0));

    private static (long Read, long Written) WorstTokens(ChatCall call) => (Tokens.Read(call), call.Options.MaxOutputTokens ?? Tokens.MostOutput);
}

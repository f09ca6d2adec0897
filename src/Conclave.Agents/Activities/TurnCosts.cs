using System.Globalization;
using System.Text.Json;
using Conclave.Agents.Turns;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;

namespace Conclave.Agents.Activities;

/// <summary>
/// What a turn may still cost. A turn's limit holds for everything that was begun in it, at the same time too: each call of a model asks what all of it has cost by then, so that no more is
/// spent beyond the limit than the calls that are under way.
/// </summary>
internal static class TurnCosts
{
    /// <summary>The limits that hold for a turn: its own, and those of the turns that it was begun in.</summary>
    public static IReadOnlyList<SharedLimit> LimitsOf(WorkflowInstance instance)
    {
        var input = instance.Input;
        var limits = new List<SharedLimit>();
        if (input.GetValueOrDefault(TurnInputs.SharedLimits) is { } shared && ValueConverter.ToJson(shared) is { ValueKind: JsonValueKind.Object } json)
            limits.AddRange(json.EnumerateObject().Select(l => new SharedLimit(l.Name, decimal.Parse(l.Value.GetString()!, CultureInfo.InvariantCulture))));
        if (input.GetValueOrDefault(TurnInputs.MaxCost) is { } most)
            limits.Add(new SharedLimit(instance.Id, ValueConverter.Convert<decimal>(most)));
        return limits;
    }

    /// <summary>The input that keeps limits; null for none.</summary>
    public static object? ToInput(IReadOnlyList<SharedLimit> limits) =>
        limits.Count == 0 ? null : limits.ToDictionary(l => l.TurnId, object? (l) => l.Most.ToString(CultureInfo.InvariantCulture));

    private static readonly Dictionary<string, decimal> NothingSpent = [];

    /// <summary>What a turn may still cost; null without a limit.</summary>
    public static async ValueTask<decimal?> LeftAsync(ActivityContext context)
    {
        var (limits, own) = (LimitsOf(context.Instance), context.Instance.Id);
        if (limits.Count == 0)
            return null;
        // A test has the id of the turn that was recorded, which has spent all of it.
        var spent = context.Host.Recorded is not null ? NothingSpent : await context.Engine.Service<TurnStore>("run agents").SpentAsync(context.Host.Tenant, [own, .. limits.Select(l => l.TurnId)], context.CancellationToken);
        // What this burst has spent and not stored yet.
        var pending = Math.Max(0, TurnProgress.Of(context).Cost - spent.GetValueOrDefault(own));
        return limits.Min(l => Math.Max(0, l.Most - spent.GetValueOrDefault(l.TurnId) - pending));
    }
}

using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Conclave.Inference.Pool;
using Microsoft.Extensions.AI;

namespace Conclave.Inference.Routing;

/// <summary>Decides which servers and models may answer a call, in which order, and says why.</summary>
/// <param name="pool">The servers.</param>
/// <param name="aliases">What names other than models mean.</param>
/// <param name="rated">How good answers were, for the strategy <c>smart</c>.</param>
/// <param name="affinity">Which server has whose cache.</param>
/// <remarks>A name means, in this order: an alias that somebody made; a model on any server; <c>server/model</c>; a default alias.</remarks>
public sealed class ModelRouter(ServerPool pool, Aliases aliases, RatedCalls rated, SessionAffinity affinity)
{
    /// <summary>How long a call waits for a tier before the next one is asked too, where no rule says otherwise.</summary>
    private static readonly TimeSpan UsualWait = TimeSpan.FromSeconds(10);

    private readonly ConcurrentDictionary<(string Tenant, string Alias, string Rule), Turn> _turns = new();

    /// <summary>Which server has whose cache; who makes calls tells it.</summary>
    public SessionAffinity Affinity => affinity;

    /// <summary>Where a question may go.</summary>
    /// <exception cref="InferenceException">Nowhere: there is no such model, none takes the conversation, or no server can answer now.</exception>
    public RoutePlan Plan(ChatCall call)
    {
        var needs = CallNeeds.Of(call);
        var text = call.Messages.LastOrDefault(m => m.Role == ChatRole.User)?.Text ?? "";
        var features = TextFeatures.Of(text);
        var plan = Plan(call.Context, call.Model, needs, new Lazy<Complexity?>(() => Complexity.Of(call, needs)), features);
        return plan with { Decision = plan.Decision with { Features = Convert.ToBase64String(MemoryMarshal.AsBytes(features.AsSpan())) } };
    }

    /// <summary>Where texts may be embedded.</summary>
    /// <inheritdoc cref="Plan(ChatCall)"/>
    public RoutePlan Plan(EmbedCall call) => Plan(call.Context, call.Model, CallNeeds.Of(call), new Lazy<Complexity?>((Complexity?)null), null);

    private RoutePlan Plan(CallContext context, string requested, CallNeeds needs, Lazy<Complexity?> complexity, sbyte[]? features)
    {
        if (aliases.FindStored(context.Tenant, requested) is { } made)
            return Resolve(made.Alias, context, requested, needs, complexity, features);
        var selection = new Selection(context, needs, affinity.Find(context));
        foreach (var server in pool.Servers)
        {
            if (server.FindModel(requested) is { } model)
                selection.Consider(server, model, tier: 0);
        }

        // A model's own name may have a slash too; it comes first.
        var slash = requested.IndexOf('/', StringComparison.Ordinal);
        if (selection.IsEmpty && slash > 0 && pool.FindByName(requested[..slash]) is { } named && named.FindModel(requested[(slash + 1)..]) is { } ofServer)
            selection.Consider(named, ofServer, tier: 0);
        if (selection.IsEmpty && aliases.FindDefault(context.Tenant, requested) is { } usual)
            return Resolve(usual.Alias, context, requested, needs, complexity, features);
        return selection.IsPossible
            ? selection.ToPlan(new RouteDecision(requested, null, null, []), _ => UsualWait)
            : throw selection.Nothing(requested);
    }

    private RoutePlan Resolve(ModelAlias alias, CallContext context, string requested, CallNeeds needs, Lazy<Complexity?> complexity, sbyte[]? features)
    {
        var reasons = new List<string>();
        double? score = null;
        Selection? last = null;
        foreach (var rule in alias.Rules)
        {
            if (rule.When is { } when && (when.MinComplexity ?? when.MaxComplexity) is not null && score is null && complexity.Value is { } known)
            {
                score = known.Score;
                reasons.Add(known.ToString());
            }

            if (AliasRules.WhyNot(rule.When, context, needs, score) is { } unfit)
            {
                reasons.Add($"The rule '{rule.Name}' was passed over: {unfit}.");
                continue;
            }

            var selection = new Selection(rule.KeepLocal ? context with { DataPolicy = DataPolicy.LocalOnly } : context, needs, affinity.Find(context));
            Consider(rule, selection);
            if (!selection.IsPossible)
            {
                reasons.Add($"The rule '{rule.Name}' fits, but {(selection.IsEmpty ? "there is none of its models" : "none of its models can answer now")}.");
                reasons.AddRange(selection.LeftOut);
                last = selection.IsEmpty ? last ?? selection : selection;
                continue;
            }

            reasons.Add($"The rule '{rule.Name}' of '{alias.Name}' decides.");
            OrderModels(alias, rule, context, needs, features, selection, reasons);
            return selection.ToPlan(
                new RouteDecision(requested, rule.Name, score, reasons),
                tier => rule.Targets[tier].MaxWaitSeconds is { } seconds ? TimeSpan.FromSeconds(seconds) : UsualWait);
        }

        if (last is { IsEmpty: false })
            throw last.Nothing(requested);
        throw new InferenceException(
            last is null ? InferenceFailure.BadRequest : InferenceFailure.ModelNotFound,
            last is null ? "inference.no_rule" : "inference.model_not_found",
            $"The alias '{requested}' has no model for this call. {string.Join(' ', reasons)}")
        {
            Parameter = "model",
        };
    }

    private void Consider(RoutingRule rule, Selection selection)
    {
        for (var tier = 0; tier < rule.Targets.Count; tier++)
        {
            var target = rule.Targets[tier];
            foreach (var server in pool.Servers)
            {
                if (target.Servers is { } servers && !servers.Any(s => MergedModels.Fits(s, server.Server.Name)))
                    continue;
                if (target.ServerTags?.Except(server.Server.Tags, StringComparer.Ordinal).Any() == true)
                    continue;
                foreach (var model in server.Models)
                {
                    if (target.Models.Any(m => MergedModels.Fits(m, model.Name)))
                        selection.Consider(server, model, tier, rule.MaxInputPrice, rule.MaxOutputPrice);
                }
            }
        }
    }

    /// <summary>Puts models in an order where the strategy has one; else they are equals.</summary>
    private void OrderModels(ModelAlias alias, RoutingRule rule, CallContext context, CallNeeds needs, sbyte[]? features, Selection selection, List<string> reasons)
    {
        if (rule.Strategy == RoutingStrategy.Sequential)
        {
            // The order of the rule, whatever the servers list first, so that every model has its turn.
            var models = selection.Models.OrderBy(m => Place(rule, m.Name)).ThenBy(m => m.Name, StringComparer.Ordinal).ToList();
            var turn = _turns.GetOrAdd((context.Tenant, alias.Name, rule.Name), _ => new Turn()).Next(models.Count);
            selection.Order([.. models.Skip(turn).Concat(models.Take(turn)).Select(m => m.Name)]);
            reasons.Add($"Models take turns; it is that of {models[turn].Name}.");
        }
        else if (rule.Strategy == RoutingStrategy.Smart && features is not null)
        {
            var predictions = QualityPrediction.Order(features, needs.Tokens, selection.Models, rated.Of(context.Tenant), rule.QualityTolerance);
            selection.Order([.. predictions.Select(p => p.Model)]);
            reasons.AddRange(predictions.Select(p => p.ToString()));
        }
    }

    private static int Place(RoutingRule rule, string model)
    {
        var place = 0;
        foreach (var pattern in rule.Targets.SelectMany(t => t.Models))
        {
            if (MergedModels.Fits(pattern, model))
                return place;
            place++;
        }

        return place;
    }

    private sealed class Turn
    {
        private int _next = -1;

        public int Next(int count) => (int)((uint)Interlocked.Increment(ref _next) % (uint)count);
    }
}

using System.Globalization;
using Conclave.Inference.Pool;

namespace Conclave.Inference.Routing;

/// <summary>Candidates of one call: what speaks against each, and in which order the others are.</summary>
internal sealed class Selection(CallContext context, CallNeeds needs, (string ServerId, string Model)? cached)
{
    private readonly List<Candidate> _fit = [];
    private readonly List<string> _leftOut = [];
    private bool _isForbidden;
    private bool _isTooLong;
    private bool _isUnfit;
    private bool _isAway;
    private int _largestContext;
    private Dictionary<string, int>? _order;

    /// <summary>Whether nothing was considered yet.</summary>
    public bool IsEmpty { get; private set; } = true;

    /// <summary>Whether there is a candidate.</summary>
    public bool IsPossible => _fit.Count > 0;

    /// <summary>What was left out and why.</summary>
    public IReadOnlyList<string> LeftOut => _leftOut;

    /// <summary>The models that may answer, and the least that a million tokens of each cost, read and written.</summary>
    public IReadOnlyList<(string Name, decimal InputPrice, decimal OutputPrice)> Models =>
        [.. _fit.GroupBy(c => c.Model.Name).Select(g => (g.Key, g.Min(c => c.Model.InputPrice ?? 0), g.Min(c => c.Model.OutputPrice ?? 0)))];

    /// <summary>Has models come in an order, whatever their tier.</summary>
    public void Order(IReadOnlyList<string> models) => _order = models.Index().ToDictionary(m => m.Item, m => m.Index, StringComparer.Ordinal);

    /// <summary>Looks at a model on a server.</summary>
    public void Consider(PooledServer server, ServedModel model, int tier, decimal? maxInputPrice = null, decimal? maxOutputPrice = null)
    {
        // Of a server of another tenant nobody learns that it is there.
        if (server.Server.Tenant is { } owner && owner != context.Tenant)
            return;
        IsEmpty = false;
        var name = $"{server.Server.Name}/{model.Name}";
        if ((TooExpensive(model, maxInputPrice, maxOutputPrice) ?? WhyNever(server, model)) is { } reason)
        {
            _leftOut.Add($"{name} was left out: {reason}.");
            return;
        }

        var away = server.Slots > 0 ? server.WhyNot(model.Name)
            : $"has {server.Server.Slots} slots for all processes that call it, and this one has none of them";
        if (away is not null)
        {
            _isAway = true;
            _leftOut.Add($"{name} was left out: {server.Server.Name} {away}.");
            return;
        }

        if (!_fit.Any(c => c.Server == server && c.Model.Name == model.Name))
            _fit.Add(new Candidate(tier, server, model));
    }

    /// <summary>The plan; there must be a candidate.</summary>
    /// <param name="decision">What is known of the decision; the candidates and what was left out are added.</param>
    /// <param name="waitOf">How long to wait for a tier before the next one is asked.</param>
    public RoutePlan ToPlan(RouteDecision decision, Func<int, TimeSpan> waitOf)
    {
        // One that only plays answers is for when there is nothing real.
        if (_fit.Any(c => !c.IsScripted))
        {
            foreach (var scripted in _fit.Where(c => c.IsScripted))
                _leftOut.Add($"{scripted.Name} was left out: it answers from a script, and a real server is there.");
            _fit.RemoveAll(c => c.IsScripted);
        }

        // Most calls have one candidate.
        var ordered = _fit.Count == 1 ? _fit : _fit
            .OrderBy(Step)
            .ThenByDescending(c => c.Server.Server.IsLocal)
            .ThenByDescending(IsCached)
            .ThenByDescending(c => c.Model.IsLoaded == true)
            .ThenBy(c => c.Price)
            .ThenBy(c => c.Server.Server.Rank)
            .ThenBy(c => c.Load)
            .ThenBy(c => c.Server.Server.Name, StringComparer.Ordinal)
            .ToList();
        var reasons = new List<string>(decision.Reasons);
        var candidates = new List<RouteCandidate>();
        var tier = -1;
        Candidate? before = null;
        foreach (var candidate in ordered)
        {
            // Servers elsewhere are a tier of their own: a free slot there is no reason to leave the house at once.
            if (before is null || Step(before) != Step(candidate) || before.Server.Server.IsLocal != candidate.Server.Server.IsLocal)
                tier++;
            candidates.Add(new RouteCandidate(tier, candidate.Server.Server, candidate.Model) { MaxWait = waitOf(candidate.Tier) });
            reasons.Add(Describe(candidate, tier));
            before = candidate;
        }

        // After the last tier there is nothing to stop waiting for.
        var last = tier;
        return new RoutePlan(
            [.. candidates.Select(c => c.Tier < last ? c : c with { MaxWait = null })],
            decision with { Reasons = [.. reasons, .. _leftOut] });
    }

    private int Step(Candidate candidate) => _order?.GetValueOrDefault(candidate.Model.Name, int.MaxValue) ?? candidate.Tier;

    private static string? TooExpensive(ServedModel model, decimal? maxInputPrice, decimal? maxOutputPrice) =>
        model.InputPrice > maxInputPrice ? FormattableString.Invariant($"a million tokens read cost {model.InputPrice}, and the rule allows {maxInputPrice}")
        : model.OutputPrice > maxOutputPrice ? FormattableString.Invariant($"a million tokens written cost {model.OutputPrice}, and the rule allows {maxOutputPrice}")
        : null;

    private string? WhyNever(PooledServer server, ServedModel model)
    {
        if (context.DataPolicy == DataPolicy.LocalOnly && !server.Server.IsLocal)
        {
            _isForbidden = true;
            return "the call may not leave the house, and the server is elsewhere";
        }

        if (context.RequiredTags.Except(server.Server.Tags, StringComparer.Ordinal).FirstOrDefault() is { } tag)
        {
            _isForbidden = true;
            return $"the call needs a server with the tag '{tag}'";
        }

        // What is not known may be there; the server will say. Only whether it embeds or answers shows in its name.
        if (model.Capabilities is null && !DefaultAliases.Can(model, needs.Capabilities & (ModelCapabilities.Chat | ModelCapabilities.Embeddings)))
        {
            _isUnfit = true;
            return "by its name the model does something else";
        }

        if (model.Capabilities is { } capabilities && (needs.Capabilities & ~capabilities) is not ModelCapabilities.None and var missing)
        {
            _isUnfit = true;
            return $"the model cannot do what the call needs ({string.Join(", ", CapabilitiesConverter.NamesOf(missing))})";
        }

        if (model.ContextSize is { } size && needs.Tokens > size)
        {
            _isTooLong = true;
            _largestContext = Math.Max(_largestContext, size);
            return string.Create(CultureInfo.InvariantCulture, $"the call has about {needs.Tokens} tokens, and the model takes {size}");
        }

        return null;
    }

    /// <summary>Why there is no candidate.</summary>
    public InferenceException Nothing(string requested)
    {
        var facts = string.Join(' ', _leftOut);
        // What comes back counts before what never fits: waiting may help.
        if (_isAway)
            return new InferenceException(InferenceFailure.Unavailable, "inference.unavailable", $"No server can answer '{requested}' now. {facts}") { RetryAfter = TimeSpan.FromSeconds(5) };
        if (_isTooLong)
        {
            return new InferenceException(
                InferenceFailure.ContextTooLong,
                "inference.context_too_long",
                string.Create(CultureInfo.InvariantCulture, $"The conversation has about {needs.Tokens} tokens with its answer; the largest model for '{requested}' takes {_largestContext}. Shorten it, or ask for a shorter answer."))
            {
                Parameter = "messages",
            };
        }

        if (_isForbidden)
            return new InferenceException(InferenceFailure.Forbidden, "inference.not_allowed", $"No server may answer '{requested}'. {facts}") { Parameter = "model" };
        if (_isUnfit)
            return new InferenceException(InferenceFailure.BadRequest, "inference.model_unfit", $"'{requested}' cannot answer this call. {facts} If the model can do it after all, say so among its server's models.") { Parameter = "model" };
        return new InferenceException(
            InferenceFailure.ModelNotFound, "inference.model_not_found", $"There is no model, alias or server/model '{requested}'. GET /v1/models lists what there is.")
        { Parameter = "model" };
    }

    private string Describe(Candidate candidate, int tier)
    {
        var facts = new List<string> { candidate.Server.Server.IsLocal ? "local" : "elsewhere" };
        if (IsCached(candidate))
            facts.Add("has the session's cache");
        if (candidate.Model.IsLoaded is { } isLoaded)
            facts.Add(isLoaded ? "loaded" : "not loaded");
        facts.Add(candidate.Price == 0 ? "free" : string.Create(CultureInfo.InvariantCulture, $"{candidate.Model.InputPrice ?? 0} in and {candidate.Model.OutputPrice ?? 0} out for a million tokens"));
        facts.Add(string.Create(CultureInfo.InvariantCulture, $"{candidate.Server.Running} of {candidate.Server.Slots} slots busy"));
        if (candidate.Model.Capabilities is null)
            facts.Add("what it can do is not known");
        return $"{candidate.Name} may answer, tier {tier}: {string.Join(", ", facts)}.";
    }

    private bool IsCached(Candidate candidate) => cached is { } known && known.ServerId == candidate.Server.Server.Id && known.Model == candidate.Model.Name;

    private sealed record Candidate(int Tier, PooledServer Server, ServedModel Model)
    {
        public string Name => $"{Server.Server.Name}/{Model.Name}";

        public bool IsScripted => Server.Server.Provider == ServerRules.Scripted;

        public decimal Price => (Model.InputPrice ?? 0) + (Model.OutputPrice ?? 0);

        public double Load { get; } = Server.Slots == 0 ? double.MaxValue : (double)Server.Running / Server.Slots;
    }
}

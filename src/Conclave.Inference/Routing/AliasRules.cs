using System.Text.RegularExpressions;

namespace Conclave.Inference.Routing;

/// <summary>What an alias must be like, and which calls its rules fit.</summary>
internal static partial class AliasRules
{
    /// <summary>What is wrong with an alias; empty when nothing is.</summary>
    public static IReadOnlyList<string> Problems(ModelAlias alias)
    {
        var problems = new List<string>();
        if (!NamePattern().IsMatch(alias.Name))
            problems.Add($"'name' must be 1 to 63 letters, digits, '-', '_', '.' or ':'; it is '{alias.Name}'.");
        if (alias.Description?.Length > 500)
            problems.Add("'description' has more than 500 characters.");
        if (alias.Rules.Count is 0 or > 50)
            problems.Add($"'rules' must be 1 to 50; there are {alias.Rules.Count}.");
        for (var i = 0; i < alias.Rules.Count; i++)
        {
            var where = $"rules[{i}]";
            var rule = alias.Rules[i];
            if (rule.Name.Trim().Length is 0 or > 63)
                problems.Add($"{where}.name must have 1 to 63 characters.");
            if (alias.Rules.Take(i).Any(r => r.Name == rule.Name))
                problems.Add($"{where}.name '{rule.Name}' is there twice; decisions name the rule.");
            if (rule.Targets.Count is 0 or > 20)
                problems.Add($"{where}.targets must be 1 to 20; there are {rule.Targets.Count}.");
            if (rule.MaxInputPrice < 0 || rule.MaxOutputPrice < 0)
                problems.Add($"{where}: prices must not be below 0.");
            if (rule.QualityTolerance is not (>= 0 and <= 1))
                problems.Add($"{where}.qualityTolerance must be 0 to 1.");
            if (rule.When is { } when)
                Check(when, $"{where}.when", problems);
            for (var t = 0; t < rule.Targets.Count; t++)
                Check(rule.Targets[t], $"{where}.targets[{t}]", problems);
        }

        return problems;
    }

    /// <summary>Why a rule is not for a call; null when it is.</summary>
    public static string? WhyNot(RuleConditions? when, CallContext context, CallNeeds needs, double? complexity)
    {
        if (when is null)
            return null;
        if (when.Needs is { } wanted && (needs.Capabilities & wanted) != wanted)
            return $"it is for calls that need {string.Join(" and ", Pool.CapabilitiesConverter.NamesOf(wanted & ~needs.Capabilities))}";
        if (needs.Tokens < when.MinTokens)
            return $"it is for calls with at least {when.MinTokens} tokens, and this one has about {needs.Tokens}";
        if (needs.Tokens > when.MaxTokens)
            return $"it is for calls with at most {when.MaxTokens} tokens, and this one has about {needs.Tokens}";
        if ((when.MinComplexity ?? when.MaxComplexity) is not null && complexity is null)
            return "it looks at the complexity, which texts to embed do not have";
        if (complexity < when.MinComplexity)
            return FormattableString.Invariant($"it is for complexities from {when.MinComplexity}, and this call has {complexity:0.##}");
        if (complexity >= when.MaxComplexity && when.MaxComplexity < 1)
            return FormattableString.Invariant($"it is for complexities below {when.MaxComplexity}, and this call has {complexity:0.##}");
        if (when.Tenants is { } tenants && !tenants.Contains(context.Tenant))
            return "it is for other tenants";
        if (when.Agents is { } agents && (context.AgentId is not { } agent || !agents.Contains(agent)))
            return "it is for other agents";
        if (when.LocalOnly is { } local && local != (context.DataPolicy == DataPolicy.LocalOnly))
            return local ? "it is for calls that must stay in the house" : "it is for calls that may leave the house";
        return when.Tags?.Except(context.RequiredTags, StringComparer.Ordinal).FirstOrDefault() is { } tag ? $"it is for calls with the tag '{tag}'" : null;
    }

    private static void Check(RuleConditions when, string where, List<string> problems)
    {
        if (when.MinComplexity is not (null or (>= 0 and <= 1)) || when.MaxComplexity is not (null or (>= 0 and <= 1)))
            problems.Add($"{where}: complexities must be 0 to 1.");
        if (when.MinComplexity > when.MaxComplexity || when.MinTokens > when.MaxTokens)
            problems.Add($"{where}: a least value is above its greatest; no call would fit.");
        if (when.MinTokens < 0 || when.MaxTokens < 0)
            problems.Add($"{where}: tokens must not be below 0.");
    }

    private static void Check(RuleTier tier, string where, List<string> problems)
    {
        if (tier.Models.Count is 0 or > 200 || tier.Models.Any(m => m.Length is 0 or > 255))
            problems.Add($"{where}.models must be 1 to 200 names or patterns of 1 to 255 characters; leave it out for all models.");
        if (tier.MaxWaitSeconds is not (null or (>= 0 and <= 3600)))
            problems.Add($"{where}.maxWaitSeconds must be 0 to 3,600.");
    }

    [GeneratedRegex(@"^[A-Za-z0-9._:-]{1,63}\z")]
    private static partial Regex NamePattern();
}

namespace Conclave.Agents;

/// <summary>Finds what is wrong with a configuration before it is stored.</summary>
public static class AgentConfigurationCheck
{
    private const int LongestText = 100_000;
    private const int MostNames = 200;

    /// <summary>What is wrong, by the path of the member in camel case; empty when nothing is.</summary>
    public static IReadOnlyDictionary<string, string[]> Check(AgentConfiguration configuration)
    {
        var problems = new Dictionary<string, string[]>();
        Text("description", configuration.Description, 2_000);
        Text("personality", configuration.Personality, LongestText);
        Text("mood", configuration.Mood, 2_000);
        Text("systemPrompt", configuration.SystemPrompt, LongestText);
        Require(configuration.Model is { Length: > 0 and <= 255 }, "model", "must name a model or an alias, such as smart.");
        Require(configuration.Behaviour is { Length: > 0 and <= 255 }, "behaviour", "must be the definition id of a workflow, such as react.");
        Range("contextSize", configuration.ContextSize, 1_024, 1_000_000);
        if (configuration.Temperature is { } temperature)
            Require(temperature is >= 0 and <= 2, "temperature", "must be 0 to 2.");
        if (configuration.BehaviourVersion is { } version)
            Range("behaviourVersion", version, 1, int.MaxValue);
        Names("tools", configuration.Tools);
        Names("channels", configuration.Channels);
        Require(configuration.Permissions is { Count: <= MostNames }, "permissions", $"may name at most {MostNames} tools.");
        Require(
            configuration.Rules is { Count: <= MostNames } && configuration.Rules.Values.All(rules => rules is { Count: > 0 and <= 20 } && rules.All(r => r.When.ValueKind == System.Text.Json.JsonValueKind.Object)),
            "rules", "must have, for each tool, 1 to 20 rules with a JSON Schema in 'when'.");
        Require(configuration.MemoryPolicy == "none", "memoryPolicy", "must be 'none'; there is no memory beyond conversations yet.");
        CheckBudget();
        if (configuration.Limits is { } limits)
        {
            Range("limits.maxSteps", limits.MaxSteps, 1, 1_000);
            Range("limits.maxTurnSeconds", limits.MaxTurnSeconds, 1, 86_400);
            Range("limits.maxRepeats", limits.MaxRepeats, 1, 100);
            Range("limits.maxConcurrentTurns", limits.MaxConcurrentTurns, 1, 10_000);
            Require(limits.MaxTurnCost is null or > 0, "limits.maxTurnCost", "must be above 0, or left out.");
        }
        else
            problems["limits"] = ["must be an object, or left out."];
        if (configuration.Health is { } health)
        {
            Range("health.maxConsecutiveFailures", health.MaxConsecutiveFailures, 1, 1_000);
            Range("health.recoverAfterSeconds", health.RecoverAfterSeconds, 1, 604_800);
        }
        else
            problems["health"] = ["must be an object, or left out."];
        return problems;

        void CheckBudget()
        {
            if (configuration.Budget is not { } budget)
                return;
            Require(budget.Money is not null || budget.Tokens is not null, "budget", "must limit money or tokens, or be left out.");
            Require(budget.Money is null or >= 0, "budget.money", "must not be negative.");
            Require(budget.Tokens is null or >= 0, "budget.tokens", "must not be negative.");
            Require(budget.Period is "day" or "month" or "run", "budget.period", "must be 'day', 'month' or 'run'.");
        }

        void Text(string path, string? text, int longest) =>
            Require((text ?? "").Length <= longest && text?.Contains('\0', StringComparison.Ordinal) != true, path, $"may have at most {longest:N0} characters, and no NUL.");

        void Range(string path, int value, int least, int most) => Require(value >= least && value <= most, path, $"must be {least:N0} to {most:N0}; it is {value:N0}.");

        void Names(string path, IReadOnlyList<string>? names) => Require(
            names is { Count: <= MostNames } && names.All(n => n is { Length: > 0 and <= 255 } && !n.Contains('\0', StringComparison.Ordinal)) && names.Distinct(StringComparer.Ordinal).Count() == names.Count,
            path, $"must be a list of at most {MostNames} different names.");

        void Require(bool holds, string path, string problem)
        {
            if (!holds)
                problems[path] = [problem];
        }
    }
}

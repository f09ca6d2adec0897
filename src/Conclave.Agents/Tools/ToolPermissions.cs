using System.Text;
using System.Text.Json;
using Conclave.Workflows.Expressions.Scripting;

namespace Conclave.Agents.Tools;

/// <summary>Decides whether an agent may make a call.</summary>
/// <remarks>
/// <para>Asked, in this order: the state of the tool; whether the agent's configuration names it; permissions in the database, the closest first (agent and tool, agent and
/// <c>*</c>, <c>*</c> and tool, <c>*</c> and <c>*</c>); the configuration's own permissions (the tool, then <c>*</c>); the tool's default.</para>
/// <para>The first that says something counts, but for <see cref="ToolMode.Deny"/>, which counts wherever it is said.</para>
/// </remarks>
public sealed class ToolPermissions(ToolStore store, ToolRegistry registry, ScriptRunnerPool scripts)
{
    /// <summary>Decides.</summary>
    /// <param name="tenant">Whose agent.</param>
    /// <param name="agentId">The agent.</param>
    /// <param name="tool">The tool.</param>
    /// <param name="configuration">What the agent is at present; null reads its row.</param>
    /// <param name="arguments">What it wants to call the tool with.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    public async Task<ToolDecision> DecideAsync(
        string tenant, string agentId, ToolDefinition tool, AgentConfiguration? configuration, JsonElement arguments, CancellationToken cancellationToken)
    {
        if (registry.Find(tenant, tool.Name) is not { } current)
            return new ToolDecision(ToolMode.Deny, $"There is no tool '{tool.Name}'.", null);
        if (current.Problem is { } problem)
            return new ToolDecision(ToolMode.Deny, problem, null);
        if (!ReferenceEquals(current.Definition, tool) && current.Hash != tool.Hash)
            return new ToolDecision(ToolMode.Deny, $"The tool '{tool.Name}' has another definition now than the one that was meant.", null);
        // Both go in one batch.
        var reading = store.ReadPermissionsAsync(tenant, agentId, tool.Name, cancellationToken);
        configuration ??= await store.ReadConfigurationAsync(tenant, agentId, cancellationToken);
        var permissions = await reading;
        if (configuration is not null && !configuration.Tools.Contains(tool.Name) && !configuration.Tools.Contains("*"))
            return new ToolDecision(ToolMode.Deny, $"The tool '{tool.Name}' is not among those of the agent.", "configuration");
        ToolDecision? decided = null;
        foreach (var permission in permissions.OrderBy(p => p.AgentId == "*" ? 2 : 0).ThenBy(p => p.Tool == "*" ? 1 : 0))
        {
            var said = await DecideAsync(permission, arguments, cancellationToken);
            if (said.Mode == ToolMode.Deny)
                return said;
            decided ??= said;
        }

        if (configuration is not null)
        {
            if (configuration.Rules.TryGetValue(tool.Name, out var rules) && await RuleAsync(rules, "the agent's configuration", "configuration", arguments, cancellationToken) is { } ruled)
            {
                if (ruled.Mode == ToolMode.Deny)
                    return ruled;
                decided ??= ruled;
            }

            foreach (var name in (ReadOnlySpan<string>)[tool.Name, "*"])
            {
                if (!configuration.Permissions.TryGetValue(name, out var mode))
                    continue;
                var said = new ToolDecision(mode, Reason(mode, "the agent's configuration"), $"configuration: {name}");
                if (mode == ToolMode.Deny)
                    return said;
                decided ??= said;
                break;
            }
        }

        return decided ?? new ToolDecision(tool.DefaultMode, Reason(tool.DefaultMode, "the tool's default"), null);
    }

    private async Task<ToolDecision> DecideAsync(ToolPermission permission, JsonElement arguments, CancellationToken cancellationToken)
    {
        var name = $"permission {permission.AgentId}/{permission.Tool}";
        return await RuleAsync(permission.Rules, $"the {name}", name, arguments, cancellationToken)
            ?? new ToolDecision(permission.Mode, Reason(permission.Mode, $"the {name}"), name);
    }

    /// <summary>What the first rule says whose schema the arguments fit; null when they fit none.</summary>
    private async Task<ToolDecision?> RuleAsync(IReadOnlyList<ToolRule> rules, string of, string name, JsonElement arguments, CancellationToken cancellationToken)
    {
        foreach (var rule in rules)
        {
            try
            {
                var report = await scripts.ValidateJsonAsync(Encoding.UTF8.GetBytes(rule.When.GetRawText()), Encoding.UTF8.GetBytes(arguments.GetRawText()), cancellationToken);
                if (report.Valid)
                    return new ToolDecision(rule.Mode, Reason(rule.Mode, $"the rule '{rule.Name}' of {of}"), $"{name}: {rule.Name}");
            }
            catch (ScriptException exception) when (exception.Kind == ScriptFailure.Schema)
            {
                return new ToolDecision(ToolMode.Deny, $"The rule '{rule.Name}' of {of} cannot be used: {exception.Message}", $"{name}: {rule.Name}");
            }
        }

        return null;
    }

    private static string Reason(ToolMode mode, string by) => mode switch
    {
        ToolMode.Allow => $"Allowed by {by}.",
        ToolMode.Ask => $"Somebody has to approve it, by {by}.",
        _ => $"Not allowed by {by}.",
    };
}

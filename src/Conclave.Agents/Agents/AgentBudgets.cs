using System.Collections.Concurrent;
using Conclave.Inference;
using Conclave.Inference.Budgets;

namespace Conclave.Agents;

/// <summary>Keeps what agents may spend as budgets of the inference gateway, which is who refuses calls.</summary>
/// <remarks>Looked at when a turn begins, once for each version of an agent: however its configuration was changed, the turn spends by what it says.</remarks>
public sealed class AgentBudgets(BudgetLedger ledger)
{
    private const int MostKnown = 100_000;

    private readonly ConcurrentDictionary<(string Tenant, string AgentId), int> _known = [];

    /// <summary>Name of an agent's budget.</summary>
    public static string NameOf(string agentId) => "agent-" + agentId;

    /// <summary>Makes the budget of an agent what its configuration says.</summary>
    /// <exception cref="AgentException">Somebody has made another budget for the same agent and period.</exception>
    public async Task ApplyAsync(Agent agent, CancellationToken cancellationToken)
    {
        if (_known.TryGetValue((agent.Tenant, agent.Id), out var version) && version == agent.Version)
            return;
        var name = NameOf(agent.Id);
        if (agent.Configuration.Budget is { } budget)
        {
            try
            {
                await ledger.PutAsync(
                    new Budget
                    {
                        Tenant = agent.Tenant,
                        Name = name,
                        Scope = BudgetScope.Agent,
                        Subject = agent.Id,
                        Period = budget.Period switch { "month" => BudgetPeriod.Month, "run" => BudgetPeriod.Run, _ => BudgetPeriod.Day },
                        Money = budget.Money,
                        Tokens = budget.Tokens,
                    },
                    agent.UpdatedBy, cancellationToken);
            }
            catch (InferenceException exception)
            {
                throw new AgentException(AgentFailure.Conflict, "agents.budget_conflict", $"The budget of agent '{agent.Name}' cannot be kept: {exception.Message} Delete the other one, or leave 'budget' out.");
            }
        }
        else if (await ledger.ListAsync(agent.Tenant, name, cancellationToken) is [_])
            await ledger.DeleteAsync(agent.Tenant, name, cancellationToken);
        if (_known.Count > MostKnown)
            _known.Clear();
        _known[(agent.Tenant, agent.Id)] = agent.Version;
    }

    /// <summary>Forgets the budget of an agent that is gone.</summary>
    public async Task RemoveAsync(Agent agent, CancellationToken cancellationToken)
    {
        _known.TryRemove((agent.Tenant, agent.Id), out _);
        await ledger.DeleteAsync(agent.Tenant, NameOf(agent.Id), cancellationToken);
    }
}

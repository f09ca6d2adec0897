using Conclave.Workflows.Runtime.Postgres;
using Npgsql;

namespace Conclave.Agents.Packages;

/// <summary>Tells how agents of packages feel, from what has happened to them lately.</summary>
public sealed class AgentMoods(NpgsqlDataSource database, AgentPackages packages)
{
    /// <summary>So many of an agent's last events count.</summary>
    private const int Memory = 200;

    /// <summary>What an agent's mood adds to its prompt; null when it has no rules, or somebody gave it another mood by hand.</summary>
    public async ValueTask<string?> OfAsync(Agent agent, CancellationToken cancellationToken)
    {
        if (agent.Template is not { } template || packages.Find(agent.Tenant, template)?.Current?.Manifest.Personality?.Mood is not { Rules.Count: > 0 } mood
            || agent.Configuration.Mood is not { } given || !mood.Values.Values.Contains(given))
            return null;
        return mood.Values[mood.After(await EventsAsync(agent, mood.Rules, cancellationToken))];
    }

    private async Task<List<string>> EventsAsync(Agent agent, IReadOnlyList<MoodRule> rules, CancellationToken cancellationToken)
    {
        // Events of the same kinds as those of the rules: they end rows of them.
        var kinds = rules.Select(r => r.On[..(r.On.IndexOf('.', StringComparison.Ordinal) + 1)]).Distinct().ToList();
        await using var command = database.CreateCommand("""
            select case when e.type = 'approval.decided' then 'approval.' || coalesce(e.data ->> 'decision', '') else e.type end
              from conclave.agent_event e
             where e.tenant = $1 and e.agent_id = $2 and exists (select from unnest($3) as kind where starts_with(e.type, kind))
               and e.type not in ('turn.started', 'turn.waiting', 'turn.resumed', 'tool.requested', 'tool.started')
             order by e.id desc limit $4
            """);
        command.Parameters.AddValue(agent.Tenant);
        command.Parameters.AddValue(agent.Id);
        command.Parameters.AddArray(kinds, k => k);
        command.Parameters.AddValue(Memory);
        var events = new List<string>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            events.Add(reader.GetString(0));
        events.Reverse();
        return events;
    }
}

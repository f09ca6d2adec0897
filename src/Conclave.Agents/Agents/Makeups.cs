using System.Collections.Concurrent;
using System.Text.Json;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Postgres;
using Npgsql;

namespace Conclave.Agents;

/// <summary>What agents were made of, by its hash. It never changes, so it is remembered.</summary>
public sealed class Makeups(NpgsqlDataSource database)
{
    private const int MostKnown = 10_000;

    private readonly ConcurrentDictionary<(string Tenant, string Hash), AgentMakeup> _known = [];

    /// <summary>The make-up of a hash, if it was asked for before.</summary>
    public AgentMakeup? Known(string tenant, string? hash) => hash is not null && _known.TryGetValue((tenant, hash), out var known) ? known : null;

    /// <summary>The make-up of a hash.</summary>
    /// <exception cref="WorkflowException"><c>agents.no_makeup</c>: there is none.</exception>
    public async ValueTask<AgentMakeup> GetAsync(string tenant, string hash, CancellationToken cancellationToken)
    {
        if (_known.TryGetValue((tenant, hash), out var known))
            return known;
        await using var command = database.CreateCommand("select body::text from conclave.agent_makeup where tenant = $1 and hash = $2");
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(hash);
        var json = await command.ExecuteScalarAsync(cancellationToken) as string
            ?? throw new WorkflowException("agents.no_makeup", $"What the agent was made of ({hash}) is not stored.") { IsPermanent = true };
        if (_known.Count > MostKnown)
            _known.Clear();
        return _known[(tenant, hash)] = JsonSerializer.Deserialize(json, AgentJson.Default.AgentMakeup)!;
    }
}

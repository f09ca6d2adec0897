using System.Globalization;
using System.Text.Json;
using Conclave.Workflows.Runtime.Postgres;
using Npgsql;

namespace Conclave.Agents;

/// <summary>The agents.</summary>
public sealed class AgentStore(NpgsqlDataSource database, TimeProvider time)
{
    private const string Columns = """
        id, name, template, configuration::text, state, state_reason, state_at, running_turns, consecutive_failures, version,
        created_at, created_by, updated_at, updated_by, last_active_at
        """;

    private const int LongestName = 100;

    /// <summary>Called when somebody made an agent active, with the tenant and its id: its turns go on.</summary>
    public Func<string, string, CancellationToken, Task>? Activated { get; init; }

    /// <summary>Makes an agent.</summary>
    /// <exception cref="AgentException">The name is taken, or something makes no sense.</exception>
    public async Task<Agent> CreateAsync(string tenant, string name, string? template, AgentConfiguration configuration, string actor, CancellationToken cancellationToken)
    {
        Check(name, configuration);
        await using var command = database.CreateCommand($"""
            with added as (
                insert into conclave.agent (tenant, id, name, template, configuration, state_at, created_at, created_by, updated_at, updated_by)
                values ($1, $2, $3, $4, $5::jsonb, $6, $6, $7, $6, $7) returning {Columns}),
            told as (
                select conclave.add_agent_event($1, $2, null, 'agent.created', jsonb_build_object('name', $3, 'actor', $7), $6) from added)
            select {Columns.Replace("::text", "", StringComparison.Ordinal)} from added, told
            """);
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue("a" + Guid.CreateVersion7().ToString("N"));
        command.Parameters.AddValue(name);
        command.Parameters.AddText(template);
        command.Parameters.AddValue(Write(configuration));
        command.Parameters.AddTime(time.GetUtcNow());
        command.Parameters.AddValue(actor);
        return await OneAsync(tenant, name, command, cancellationToken) ?? throw new InvalidOperationException("An agent that was added was not returned.");
    }

    /// <summary>An agent by its id, or by its name; null when there is none.</summary>
    public async Task<Agent?> FindAsync(string tenant, string idOrName, CancellationToken cancellationToken)
    {
        return await SharedBatches.Of(database).QueryAsync(
            $"""
            select {Columns} from conclave.agent where tenant = $1 and id = $2
            union all
            select {Columns} from conclave.agent where tenant = $1 and lower(name) = lower($2) and id <> $2
            limit 1
            """,
            parameters =>
            {
                parameters.AddValue(tenant);
                parameters.AddValue(idOrName);
            },
            async reader => await reader.ReadAsync(CancellationToken.None) ? Read(tenant, reader) : null,
            cancellationToken);
    }

    /// <summary>How an agent stands; null when there is none.</summary>
    public async ValueTask<AgentState?> StateAsync(string tenant, string id, CancellationToken cancellationToken)
    {
        return await SharedBatches.Of(database).QueryAsync(
            "select state from conclave.agent where tenant = $1 and id = $2",
            parameters =>
            {
                parameters.AddValue(tenant);
                parameters.AddValue(id);
            },
            static async reader => await reader.ReadAsync(CancellationToken.None) ? AgentLifecycle.Find(reader.GetString(0)) : null,
            cancellationToken);
    }

    /// <summary>Agents in the order of their names.</summary>
    /// <param name="tenant">Whose.</param>
    /// <param name="state">Only those in this state; null for all.</param>
    /// <param name="after">Only those whose name comes after this one; null for all.</param>
    /// <param name="limit">At most so many.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    public async Task<IReadOnlyList<Agent>> ListAsync(string tenant, AgentState? state, string? after, int limit, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"""
            select {Columns} from conclave.agent
             where tenant = $1 and ($2::text is null or state = $2) and ($3::text is null or lower(name) > lower($3))
             order by lower(name) limit $4
            """);
        command.Parameters.AddValue(tenant);
        command.Parameters.AddText(state is { } given ? AgentLifecycle.Name(given) : null);
        command.Parameters.AddText(after);
        command.Parameters.AddValue(limit);
        var agents = new List<Agent>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            agents.Add(Read(tenant, reader));
        return agents;
    }

    /// <summary>Changes what an agent is. Turns under way keep what they began with.</summary>
    /// <param name="agent">The agent as it was read.</param>
    /// <param name="name">Its name from now on.</param>
    /// <param name="configuration">What it is from now on.</param>
    /// <param name="expectedVersion">The version that was changed; null overwrites whatever there is.</param>
    /// <param name="actor">Who changes it.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <exception cref="AgentException">It was changed meanwhile, the name is taken, or something makes no sense.</exception>
    public async Task<Agent> UpdateAsync(Agent agent, string name, AgentConfiguration configuration, int? expectedVersion, string actor, CancellationToken cancellationToken)
    {
        Check(name, configuration);
        await using var command = database.CreateCommand($"""
            with changed as (
                update conclave.agent set name = $3, configuration = $4::jsonb, version = version + 1, updated_at = $5, updated_by = $6
                 where tenant = $1 and id = $2 and ($7::int is null or version = $7) returning {Columns}),
            told as (
                select conclave.add_agent_event($1, $2, null, 'agent.changed', jsonb_build_object('actor', $6), $5) from changed)
            select {Columns.Replace("::text", "", StringComparison.Ordinal)} from changed, told
            """);
        command.Parameters.AddValue(agent.Tenant);
        command.Parameters.AddValue(agent.Id);
        command.Parameters.AddValue(name);
        command.Parameters.AddValue(Write(configuration));
        command.Parameters.AddTime(time.GetUtcNow());
        command.Parameters.AddValue(actor);
        command.Parameters.AddInteger(expectedVersion);
        return await OneAsync(agent.Tenant, name, command, cancellationToken)
            ?? throw (await FindAsync(agent.Tenant, agent.Id, cancellationToken) is { } now
                ? new AgentException(AgentFailure.Changed, "agents.changed", $"Agent '{now.Name}' was changed by {now.UpdatedBy} meanwhile; it has version {now.Version} now. Read it again, and make your change there.")
                : Missing(agent.Name));
    }

    /// <summary>Deletes an agent. Its conversations and turns are kept.</summary>
    /// <exception cref="AgentException">Turns of it are under way.</exception>
    public async Task DeleteAsync(Agent agent, string actor, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("""
            with gone as (delete from conclave.agent where tenant = $1 and id = $2 and running_turns = 0 returning id)
            select conclave.add_agent_event($1, $2, null, 'agent.deleted', jsonb_build_object('actor', $3::text), $4) from gone
            """);
        command.Parameters.AddValue(agent.Tenant);
        command.Parameters.AddValue(agent.Id);
        command.Parameters.AddValue(actor);
        command.Parameters.AddTime(time.GetUtcNow());
        if (await command.ExecuteScalarAsync(cancellationToken) is null && await FindAsync(agent.Tenant, agent.Id, cancellationToken) is { } now)
            throw new AgentException(AgentFailure.Conflict, "agents.in_use", $"Agent '{now.Name}' has {now.RunningTurns} turns under way. Pause it and wait for them, or cancel them, and delete it then.");
    }

    /// <summary>Takes an agent to another state.</summary>
    /// <param name="tenant">Whose.</param>
    /// <param name="id">Id of the agent.</param>
    /// <param name="to">Where to; <see cref="AgentState.Working"/> comes by itself.</param>
    /// <param name="actor">Who does it.</param>
    /// <param name="reason">Why; null where nobody says.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <exception cref="AgentException">There is no way from its state to that one.</exception>
    public async Task<Agent> TransitionAsync(string tenant, string id, AgentState to, string actor, string? reason, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("select conclave.agent_transition($1, $2, $3, $4, $5, $6, $7)");
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(id);
        command.Parameters.AddArray([.. AgentLifecycle.From(to)], AgentLifecycle.Name);
        command.Parameters.AddValue(AgentLifecycle.Name(to));
        command.Parameters.AddValue(actor);
        command.Parameters.AddText(reason);
        command.Parameters.AddTime(time.GetUtcNow());
        var from = await command.ExecuteScalarAsync(cancellationToken) as string;
        var agent = await FindAsync(tenant, id, cancellationToken) ?? throw Missing(id);
        if (from is not null && to == AgentState.Active && Activated is { } activated)
            await activated(tenant, id, cancellationToken);
        // Going where it is already is no mistake.
        if (from is null && agent.State != to && !(to == AgentState.Active && agent.State == AgentState.Working))
            throw new AgentException(AgentFailure.Conflict, "agents.bad_transition", $"Agent '{agent.Name}' is {AgentLifecycle.Name(agent.State)}; from there it cannot become {AgentLifecycle.Name(to)}.");
        return agent;
    }

    internal static AgentException Missing(string idOrName) =>
        new(AgentFailure.NotFound, "agents.not_found", $"There is no agent '{idOrName}'. GET /api/agents lists them.");

    internal static string Write(AgentConfiguration configuration) => JsonSerializer.Serialize(configuration, AgentJson.Default.AgentConfiguration);

    private static void Check(string name, AgentConfiguration configuration)
    {
        var problems = new Dictionary<string, string[]>(AgentConfigurationCheck.Check(configuration));
        if (string.IsNullOrWhiteSpace(name) || name.Length > LongestName || name.Any(char.IsControl) || name.Contains('/', StringComparison.Ordinal))
            problems["name"] = [$"must have 1 to {LongestName} characters, without '/' and control characters."];
        if (problems.Count > 0)
        {
            var told = string.Join(" ", problems.Select(p => $"'{p.Key}' {p.Value[0]}"));
            throw new AgentException(AgentFailure.BadRequest, "agents.bad_configuration", $"The agent cannot be like this: {told}") { Errors = problems };
        }
    }

    private static async Task<Agent?> OneAsync(string tenant, string name, NpgsqlCommand command, CancellationToken cancellationToken)
    {
        try
        {
            await using var reader = await command.ExecuteReaderAsync(cancellationToken);
            return await reader.ReadAsync(cancellationToken) ? Read(tenant, reader) : null;
        }
        catch (PostgresException exception) when (exception is { SqlState: PostgresErrorCodes.UniqueViolation, ConstraintName: "agent_name_ux" })
        {
            throw new AgentException(AgentFailure.Conflict, "agents.name_taken", string.Create(CultureInfo.InvariantCulture, $"There is an agent of the name '{name}' already."));
        }
    }

    private static Agent Read(string tenant, NpgsqlDataReader reader) => new()
    {
        Tenant = tenant,
        Id = reader.GetString(0),
        Name = reader.GetString(1),
        Template = reader.IsDBNull(2) ? null : reader.GetString(2),
        Configuration = JsonSerializer.Deserialize(reader.GetString(3), AgentJson.Default.AgentConfiguration)!,
        State = AgentLifecycle.Find(reader.GetString(4)) ?? throw new InvalidDataException($"Agent {reader.GetString(0)} has the unknown state '{reader.GetString(4)}'."),
        StateReason = reader.IsDBNull(5) ? null : reader.GetString(5),
        StateAt = reader.GetFieldValue<DateTimeOffset>(6),
        RunningTurns = reader.GetInt32(7),
        ConsecutiveFailures = reader.GetInt32(8),
        Version = reader.GetInt32(9),
        CreatedAt = reader.GetFieldValue<DateTimeOffset>(10),
        CreatedBy = reader.GetString(11),
        UpdatedAt = reader.GetFieldValue<DateTimeOffset>(12),
        UpdatedBy = reader.GetString(13),
        LastActiveAt = reader.IsDBNull(14) ? null : reader.GetFieldValue<DateTimeOffset>(14),
    };
}

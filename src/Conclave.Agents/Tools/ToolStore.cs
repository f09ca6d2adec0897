using System.Text.Json;
using Conclave.Workflows.Runtime.Postgres;
using Npgsql;

namespace Conclave.Agents.Tools;

/// <summary>Definitions of tools, what people decided about them, and what agents may do with them, in the database.</summary>
public sealed class ToolStore(NpgsqlDataSource database, TimeProvider time)
{
    /// <summary>Channel that tells which tenant's tools changed.</summary>
    internal const string Channel = "conclave_tool";

    /// <summary>A stored definition.</summary>
    internal sealed record StoredTool(string Source, JsonElement Definition);

    /// <summary>What was decided about a tool.</summary>
    internal sealed record ToolState(string Name, bool IsEnabled, string ApprovedHash, string ApprovedBy, DateTimeOffset ApprovedAt);

    internal async Task<(IReadOnlyList<StoredTool> Tools, IReadOnlyList<ToolState> States)> LoadAsync(string tenant, CancellationToken cancellationToken)
    {
        await using var batch = database.CreateBatch();
        batch.BatchCommands.Add(new NpgsqlBatchCommand("select source, definition::text from conclave.tool_definition where tenant = $1 order by name"));
        batch.BatchCommands.Add(new NpgsqlBatchCommand("select name, is_enabled, approved_hash, approved_by, approved_at from conclave.tool_state where tenant = $1"));
        foreach (var command in batch.BatchCommands)
            ((NpgsqlBatchCommand)command).Parameters.AddValue(tenant);
        await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
        var tools = new List<StoredTool>();
        while (await reader.ReadAsync(cancellationToken))
            tools.Add(new StoredTool(reader.GetString(0), JsonElement.Parse(reader.GetString(1))));
        await reader.NextResultAsync(cancellationToken);
        var states = new List<ToolState>();
        while (await reader.ReadAsync(cancellationToken))
            states.Add(new ToolState(reader.GetString(0), reader.GetBoolean(1), reader.GetString(2), reader.GetString(3), reader.GetFieldValue<DateTimeOffset>(4)));
        return (tools, states);
    }

    /// <summary>Adds or replaces definitions of one source, and deletes those of the source that are not among them.</summary>
    /// <param name="tenant">Owner.</param>
    /// <param name="source">Where they come from.</param>
    /// <param name="tools">All that it has.</param>
    /// <param name="actor">Who does it.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <returns>Names that another source has: they are left alone.</returns>
    public async Task<IReadOnlyList<string>> ReplaceSourceAsync(string tenant, string source, IReadOnlyList<ToolDefinition> tools, string actor, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"""
            with new as (select * from unnest($3, $4, $5) as n(name, definition, hash)),
            gone as (delete from conclave.tool_definition d where d.tenant = $1 and d.source = $2 and d.name <> all($3) returning d.name),
            stored as (
                insert into conclave.tool_definition as d (tenant, name, source, definition, hash, updated_at, updated_by)
                select $1, name, $2, definition::jsonb, hash, $6, $7 from new
                    on conflict (tenant, name) do update
                       set definition = excluded.definition, hash = excluded.hash, updated_at = excluded.updated_at, updated_by = excluded.updated_by
                     where d.source = $2 and d.hash <> excluded.hash
                returning d.name),
            told as (select pg_notify('{Channel}', $1) where exists (select from gone) or exists (select from stored))
            select array(select n.name from new n join conclave.tool_definition d on d.tenant = $1 and d.name = n.name and d.source <> $2), (select count(*) from told)
            """);
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(source);
        command.Parameters.AddArray(tools, t => t.Name);
        command.Parameters.AddArray(tools, t => t.ToJson().GetRawText());
        command.Parameters.AddArray(tools, t => t.Hash);
        command.Parameters.AddTime(time.GetUtcNow());
        command.Parameters.AddValue(actor);
        return (string[]?)await command.ExecuteScalarAsync(cancellationToken) ?? [];
    }

    /// <summary>Adds or replaces one definition that somebody wrote; who may write it approves it.</summary>
    /// <returns>Whether it is new; null when another source has the name.</returns>
    public async Task<bool?> PutAsync(string tenant, ToolDefinition tool, string source, string actor, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"""
            with stored as (
                insert into conclave.tool_definition as d (tenant, name, source, definition, hash, updated_at, updated_by)
                values ($1, $2, $3, $4::jsonb, $5, $6, $7)
                    on conflict (tenant, name) do update
                       set definition = excluded.definition, hash = excluded.hash, updated_at = excluded.updated_at, updated_by = excluded.updated_by
                     where d.source = excluded.source
                returning xmax = 0 as is_new),
            approved as (
                insert into conclave.tool_state as s (tenant, name, approved_hash, approved_by, approved_at)
                select $1, $2, $5, $7, $6 from stored
                    on conflict (tenant, name) do update set approved_hash = excluded.approved_hash, approved_by = excluded.approved_by, approved_at = excluded.approved_at
                returning 1),
            told as (select pg_notify('{Channel}', $1) from approved)
            select is_new, (select count(*) from told) from stored
            """);
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(tool.Name);
        command.Parameters.AddValue(source);
        command.Parameters.AddValue(tool.ToJson().GetRawText());
        command.Parameters.AddValue(tool.Hash);
        command.Parameters.AddTime(time.GetUtcNow());
        command.Parameters.AddValue(actor);
        return (bool?)await command.ExecuteScalarAsync(cancellationToken);
    }

    /// <summary>Deletes a definition that is stored here, with what was decided about it.</summary>
    /// <returns>Whether it was there.</returns>
    public async Task<bool> DeleteAsync(string tenant, string name, string source, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"""
            with gone as (delete from conclave.tool_definition where tenant = $1 and name = $2 and source = $3 returning name),
            state as (delete from conclave.tool_state s using gone where s.tenant = $1 and s.name = gone.name returning 1)
            select pg_notify('{Channel}', $1), (select count(*) from state) from gone
            """);
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(name);
        command.Parameters.AddValue(source);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken);
    }

    /// <summary>Remembers the definitions of tools that were never seen before: later ones have to be approved.</summary>
    internal async Task PinAsync(string tenant, IReadOnlyList<(string Name, string Hash, string Source)> tools, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("""
            insert into conclave.tool_state (tenant, name, approved_hash, approved_by, approved_at)
            select $1, n.name, n.hash, 'first seen from ' || n.source, $5 from unnest($2, $3, $4) as n(name, hash, source)
                on conflict do nothing
            """);
        command.Parameters.AddValue(tenant);
        command.Parameters.AddArray(tools, t => t.Name);
        command.Parameters.AddArray(tools, t => t.Hash);
        command.Parameters.AddArray(tools, t => t.Source);
        command.Parameters.AddTime(time.GetUtcNow());
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Approves a definition.</summary>
    public async Task ApproveAsync(string tenant, string name, string hash, string actor, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"""
            with stored as (
                insert into conclave.tool_state as s (tenant, name, approved_hash, approved_by, approved_at) values ($1, $2, $3, $4, $5)
                    on conflict (tenant, name) do update set approved_hash = excluded.approved_hash, approved_by = excluded.approved_by, approved_at = excluded.approved_at
                returning 1)
            select pg_notify('{Channel}', $1) from stored
            """);
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(name);
        command.Parameters.AddValue(hash);
        command.Parameters.AddValue(actor);
        command.Parameters.AddTime(time.GetUtcNow());
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Turns a tool on or off.</summary>
    /// <param name="tenant">Owner.</param>
    /// <param name="tool">The tool.</param>
    /// <param name="isEnabled">Whether it may be used.</param>
    /// <param name="actor">Who does it.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    public async Task EnableAsync(string tenant, RegisteredTool tool, bool isEnabled, string actor, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"""
            with stored as (
                insert into conclave.tool_state as s (tenant, name, is_enabled, approved_hash, approved_by, approved_at) values ($1, $2, $3, $4, $5, $6)
                    on conflict (tenant, name) do update set is_enabled = excluded.is_enabled
                returning 1)
            select pg_notify('{Channel}', $1) from stored
            """);
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(tool.Name);
        command.Parameters.AddValue(isEnabled);
        command.Parameters.AddValue(tool.Hash);
        command.Parameters.AddValue(actor);
        command.Parameters.AddTime(time.GetUtcNow());
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Permissions.</summary>
    /// <param name="tenant">Owner.</param>
    /// <param name="agentId">Only those of an agent, or of <c>*</c>; null for all.</param>
    /// <param name="tool">Only those of a tool; null for all.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    public async Task<IReadOnlyList<ToolPermission>> ListPermissionsAsync(string tenant, string? agentId, string? tool, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("""
            select agent_id, tool, mode, rules::text, version, updated_at, updated_by from conclave.tool_permission
             where tenant = $1 and ($2 is null or agent_id = $2) and ($3 is null or tool = $3) order by agent_id, tool
            """);
        command.Parameters.AddValue(tenant);
        command.Parameters.AddText(agentId);
        command.Parameters.AddText(tool);
        var permissions = new List<ToolPermission>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            permissions.Add(ReadPermission(reader));
        return permissions;
    }

    /// <summary>Stores permissions of an agent, all of them together; those that are not named are deleted.</summary>
    public async Task PutPermissionsAsync(string tenant, string agentId, IReadOnlyList<ToolPermission> permissions, string actor, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("""
            with gone as (delete from conclave.tool_permission where tenant = $1 and agent_id = $2 and tool <> all($3) returning 1)
            insert into conclave.tool_permission as p (tenant, agent_id, tool, mode, rules, updated_at, updated_by)
            select $1, $2, n.tool, n.mode, n.rules::jsonb, $6, $7 from unnest($3, $4, $5) as n(tool, mode, rules)
                on conflict (tenant, agent_id, tool) do update
                   set mode = excluded.mode, rules = excluded.rules, version = p.version + 1, updated_at = excluded.updated_at, updated_by = excluded.updated_by
                 where p.mode <> excluded.mode or p.rules <> excluded.rules
            """);
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(agentId);
        command.Parameters.AddArray(permissions, p => p.Tool);
        command.Parameters.AddArray(permissions, p => NameOf(p.Mode));
        command.Parameters.AddArray(permissions, p => JsonSerializer.Serialize(p.Rules, ToolJson.Default.IReadOnlyListToolRule));
        command.Parameters.AddTime(time.GetUtcNow());
        command.Parameters.AddValue(actor);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>The permissions that may decide about a call: those of the agent and of all, for the tool and for all.</summary>
    internal Task<List<ToolPermission>> ReadPermissionsAsync(string tenant, string agentId, string tool, CancellationToken cancellationToken) =>
        SharedBatches.Of(database).QueryAsync(
            """
            select agent_id, tool, mode, rules::text, version, updated_at, updated_by from conclave.tool_permission
             where tenant = $1 and agent_id = any($2) and tool = any($3)
            """,
            parameters =>
            {
                parameters.AddValue(tenant);
                parameters.AddValue<string[]>([agentId, "*"]);
                parameters.AddValue<string[]>([tool, "*"]);
            },
            static async reader =>
            {
                var rows = new List<ToolPermission>();
                while (await reader.ReadAsync(CancellationToken.None))
                    rows.Add(ReadPermission(reader));
                return rows;
            },
            cancellationToken);

    /// <summary>What an agent is at present; null when there is none.</summary>
    internal Task<AgentConfiguration?> ReadConfigurationAsync(string tenant, string agentId, CancellationToken cancellationToken) =>
        SharedBatches.Of(database).QueryAsync(
            "select configuration::text from conclave.agent where tenant = $1 and id = $2",
            parameters =>
            {
                parameters.AddValue(tenant);
                parameters.AddValue(agentId);
            },
            static async reader => await reader.ReadAsync(CancellationToken.None) ? JsonSerializer.Deserialize(reader.GetString(0), AgentRowJson.Default.AgentConfiguration) : null,
            cancellationToken);

    internal static string NameOf(ToolMode mode) => mode switch { ToolMode.Allow => "allow", ToolMode.Ask => "ask", _ => "deny" };

    internal static ToolMode ModeOf(string name) => name switch { "allow" => ToolMode.Allow, "ask" => ToolMode.Ask, _ => ToolMode.Deny };

    private static ToolPermission ReadPermission(NpgsqlDataReader reader) => new(
        reader.GetString(0), reader.GetString(1), ModeOf(reader.GetString(2)),
        JsonSerializer.Deserialize(reader.GetString(3), ToolJson.Default.IReadOnlyListToolRule) ?? [])
    {
        Version = reader.GetInt32(4),
        UpdatedAt = reader.GetFieldValue<DateTimeOffset>(5),
        UpdatedBy = reader.GetString(6),
    };
}

using System.Text.Json;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Runtime.Postgres;
using Npgsql;

namespace Conclave.Workflows.Runtime.Definitions;

/// <content>What published versions start on.</content>
public sealed partial class DefinitionStore
{
    private const string DeleteTriggersSql = "delete from conclave.workflow_trigger where tenant = $1 and definition_id = $2";

    /// <summary>Finds out again what the published version of a workflow starts on.</summary>
    /// <returns>Whether a version is published.</returns>
    public async Task<bool> ReindexAsync(string tenant, string definitionId, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await LockAsync(connection, tenant, definitionId, cancellationToken);
        if (await FindAsync(connection, "is_published", tenant, definitionId, cancellationToken) is not { } published)
            return false;
        await ReplaceTriggersAsync(connection, tenant, published.Definition, cancellationToken);
        await NotifyAsync(connection, tenant, definitionId, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return true;
    }

    /// <summary>Reads what published versions start on, of one workflow or of all.</summary>
    public async Task<List<WorkflowTrigger>> ReadTriggersAsync(string? tenant, string? definitionId, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("""
            select tenant, definition_id, version_id, activity_id, name, hash, payload, route_key
              from conclave.workflow_trigger
             where ($1::text is null or tenant = $1) and ($2::text is null or definition_id = $2)
            """);
        command.Parameters.AddText(tenant);
        command.Parameters.AddText(definitionId);
        var triggers = new List<WorkflowTrigger>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            triggers.Add(new WorkflowTrigger(
                reader.GetString(0),
                reader.GetString(1),
                reader.GetString(2),
                reader.GetString(3),
                reader.GetString(4),
                reader.GetFieldValue<byte[]>(5),
                JsonElement.Parse(reader.GetString(6)),
                reader.IsDBNull(7) ? null : reader.GetString(7)));
        }

        return triggers;
    }

    private async Task ReplaceTriggersAsync(
        NpgsqlConnection connection, string tenant, WorkflowDefinition definition, CancellationToken cancellationToken)
    {
        var triggers = scan is null ? [] : await scan(tenant, definition, cancellationToken);
        await ExecuteAsync(connection, DeleteTriggersSql, tenant, definition.DefinitionId, cancellationToken);
        if (triggers.Count == 0)
            return;
        await using var command = new NpgsqlCommand("""
            insert into conclave.workflow_trigger (tenant, definition_id, version_id, activity_id, name, hash, payload, route_key)
            select * from unnest($1, $2, $3, $4, $5, $6, $7, $8)
                on conflict (tenant, route_key) where route_key is not null do nothing
            """, connection);
        command.Parameters.AddArray(triggers, t => t.Tenant);
        command.Parameters.AddArray(triggers, t => t.DefinitionId);
        command.Parameters.AddArray(triggers, t => t.VersionId);
        command.Parameters.AddArray(triggers, t => t.ActivityId);
        command.Parameters.AddArray(triggers, t => t.Name);
        command.Parameters.AddArray(triggers, t => t.Hash);
        command.Parameters.AddArray(triggers, t => t.Payload.GetRawText());
        command.Parameters.AddArray(triggers, t => t.RouteKey);
        // Not a command that fails: those disturb the prepared statements of their connection (npgsql#6391).
        if (await command.ExecuteNonQueryAsync(cancellationToken) < triggers.Count)
            throw await RouteTakenAsync(tenant, definition.DefinitionId, triggers, cancellationToken);
    }

    private async Task<WorkflowDefinitionException> RouteTakenAsync(
        string tenant, string definitionId, IReadOnlyList<WorkflowTrigger> triggers, CancellationToken cancellationToken)
    {
        var taken = (await ReadTriggersAsync(tenant, null, cancellationToken))
            .Where(t => t.RouteKey is not null && t.DefinitionId != definitionId)
            .ToDictionary(t => t.RouteKey!, t => t.DefinitionId);
        var problems = triggers
            .Where(t => t.RouteKey is not null && taken.ContainsKey(t.RouteKey))
            .Select(t => new DefinitionProblem("http_endpoint.route_taken", $"Workflow '{taken[t.RouteKey!]}' already answers '{t.RouteKey}'. Choose another path or method, or retract that workflow.", t.ActivityId, "path"))
            .ToList();
        if (problems.Count == 0)
            problems.Add(new DefinitionProblem("http_endpoint.route_twice", "Two HTTP endpoints of this workflow listen at the same path for the same method.", triggers.First(t => t.RouteKey is not null).ActivityId, "path"));
        return new WorkflowDefinitionException(problems);
    }
}

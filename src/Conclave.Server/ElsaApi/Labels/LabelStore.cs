using Conclave.Server.Hosting;
using Npgsql;

namespace Conclave.Server.ElsaApi.Labels;

/// <summary>A word that people sort workflows by.</summary>
internal sealed record Label(string Id, string Name, string NormalizedName, string? Description, string? Color);

/// <summary>Labels, and the versions of workflows that have them.</summary>
internal sealed class LabelStore(ServerRuntime server)
{
    private const string Columns = "id, name, normalized_name, description, color";

    public async Task<(List<Label> Items, long Total)> ListAsync(string tenant, PageOf? page, CancellationToken cancellationToken)
    {
        await using var count = server.Database.CreateCommand("select count(*) from conclave.label where tenant = $1");
        Add(count, tenant);
        var total = (long)(await count.ExecuteScalarAsync(cancellationToken))!;
        await using var command = server.Database.CreateCommand($"select {Columns} from conclave.label where tenant = $1 order by normalized_name offset $2 limit $3");
        Add(command, tenant);
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = page?.Offset ?? 0 });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = page?.Size ?? long.MaxValue });
        return (await ReadAsync(command, cancellationToken), total);
    }

    public async Task<Label?> FindAsync(string tenant, string id, CancellationToken cancellationToken)
    {
        await using var command = server.Database.CreateCommand($"select {Columns} from conclave.label where tenant = $1 and id = $2");
        Add(command, tenant, id);
        return (await ReadAsync(command, cancellationToken)).Find(_ => true);
    }

    /// <summary>Stores a label, new or changed.</summary>
    /// <returns>Whether it was stored; false when another one has its name.</returns>
    public async Task<bool> SaveAsync(string tenant, Label label, CancellationToken cancellationToken)
    {
        await using var command = server.Database.CreateCommand("""
            insert into conclave.label (tenant, id, name, normalized_name, description, color) values ($1, $2, $3, $4, nullif($5, ''), nullif($6, ''))
                on conflict (tenant, id) do update
               set name = excluded.name, normalized_name = excluded.normalized_name, description = excluded.description, color = excluded.color
            """);
        Add(command, tenant, label.Id, label.Name, label.NormalizedName, label.Description ?? "", label.Color ?? "");
        try
        {
            await command.ExecuteNonQueryAsync(cancellationToken);
            return true;
        }
        catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.UniqueViolation)
        {
            return false;
        }
    }

    public async Task<bool> DeleteAsync(string tenant, string id, CancellationToken cancellationToken)
    {
        await using var command = server.Database.CreateCommand("""
            with gone as (delete from conclave.workflow_definition_label where tenant = $1 and label_id = $2)
            delete from conclave.label where tenant = $1 and id = $2
            """);
        Add(command, tenant, id);
        return await command.ExecuteNonQueryAsync(cancellationToken) > 0;
    }

    /// <summary>Ids of the labels of a version.</summary>
    public async Task<List<string>> ReadOfVersionAsync(string tenant, string versionId, CancellationToken cancellationToken)
    {
        await using var command = server.Database.CreateCommand(
            "select label_id from conclave.workflow_definition_label where tenant = $1 and version_id = $2 order by label_id");
        Add(command, tenant, versionId);
        var ids = new List<string>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            ids.Add(reader.GetString(0));
        return ids;
    }

    /// <summary>Gives a version these labels and no others; ids that are no labels are left out.</summary>
    public async Task ReplaceOfVersionAsync(string tenant, string versionId, IReadOnlyList<string> labelIds, CancellationToken cancellationToken)
    {
        await using var command = server.Database.CreateCommand("""
            with gone as (
                delete from conclave.workflow_definition_label where tenant = $1 and version_id = $2 and label_id <> all($3))
            insert into conclave.workflow_definition_label (tenant, version_id, label_id)
            select l.tenant, $2, l.id from conclave.label l where l.tenant = $1 and l.id = any($3)
                on conflict do nothing
            """);
        Add(command, tenant, versionId);
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = [.. labelIds] });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    private static void Add(NpgsqlCommand command, params ReadOnlySpan<string> values)
    {
        foreach (var value in values)
            command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = value });
    }

    private static async Task<List<Label>> ReadAsync(NpgsqlCommand command, CancellationToken cancellationToken)
    {
        var labels = new List<Label>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            labels.Add(new Label(
                reader.GetString(0),
                reader.GetString(1),
                reader.GetString(2),
                reader.IsDBNull(3) ? null : reader.GetString(3),
                reader.IsDBNull(4) ? null : reader.GetString(4)));
        }

        return labels;
    }
}

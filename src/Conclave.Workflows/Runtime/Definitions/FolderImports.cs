using Npgsql;

namespace Conclave.Workflows.Runtime.Definitions;

/// <summary>What the folder last brought into a workflow.</summary>
/// <param name="File">Where it was, see <see cref="PackagedDefinition.File"/>.</param>
/// <param name="FileHash">See <see cref="PackagedDefinition.FileHash"/>.</param>
/// <param name="ImportedHash">Hash of the version that it became, see <see cref="StoredDefinition.Hash"/>.</param>
internal sealed record FolderImport(string File, string FileHash, string ImportedHash);

/// <summary>Table <c>conclave.workflow_folder</c>.</summary>
internal sealed class FolderImports(NpgsqlDataSource database, string tenant)
{
    public async Task<FolderImport?> FindAsync(string definitionId, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            "select file, file_hash, imported_hash from conclave.workflow_folder where tenant = $1 and definition_id = $2");
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = tenant });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = definitionId });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken)
            ? new FolderImport(
                reader.GetString(0),
                Convert.ToHexStringLower(reader.GetFieldValue<byte[]>(1)),
                Convert.ToHexStringLower(reader.GetFieldValue<byte[]>(2)))
            : null;
    }

    public async Task SaveAsync(string definitionId, FolderImport import, DateTimeOffset now, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("""
            insert into conclave.workflow_folder (tenant, definition_id, file, file_hash, imported_hash, imported_at)
            values ($1, $2, $3, $4, $5, $6)
            on conflict (tenant, definition_id) do update
               set file = excluded.file, file_hash = excluded.file_hash,
                   imported_hash = excluded.imported_hash, imported_at = excluded.imported_at
            """);
        var parameters = command.Parameters;
        parameters.Add(new NpgsqlParameter<string> { TypedValue = tenant });
        parameters.Add(new NpgsqlParameter<string> { TypedValue = definitionId });
        parameters.Add(new NpgsqlParameter<string> { TypedValue = import.File });
        parameters.Add(new NpgsqlParameter<byte[]> { TypedValue = Convert.FromHexString(import.FileHash) });
        parameters.Add(new NpgsqlParameter<byte[]> { TypedValue = Convert.FromHexString(import.ImportedHash) });
        parameters.Add(new NpgsqlParameter<DateTimeOffset> { TypedValue = now });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Waits until no other process imports a folder of the tenant; disposing the connection ends the turn.</summary>
    public async Task<NpgsqlConnection> TakeTurnAsync(CancellationToken cancellationToken)
    {
        var connection = await database.OpenConnectionAsync(cancellationToken);
        try
        {
            // Held by a transaction, so that it works through a pooler; closing the connection rolls it back.
            await connection.BeginTransactionAsync(cancellationToken);
            await using var command = new NpgsqlCommand(
                "select pg_advisory_xact_lock(hashtextextended('workflow_folder:' || $1, 0))", connection);
            // The other process may have thousands of files: wait as long as the caller does.
            command.CommandTimeout = 0;
            command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = tenant });
            await command.ExecuteNonQueryAsync(cancellationToken);
            return connection;
        }
        catch
        {
            await connection.DisposeAsync();
            throw;
        }
    }
}

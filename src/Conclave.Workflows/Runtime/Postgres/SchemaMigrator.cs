using System.Diagnostics;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Conclave.Workflows.Runtime.Postgres;

/// <summary>Brings the tables of a database to the version that this program needs.</summary>
/// <remarks>
/// Any number of programs may call it at once: they take turns under an advisory lock, so give it a direct connection or a
/// pooler in session mode. Each script and its line in <c>conclave.schema_version</c> are one transaction.
/// </remarks>
public sealed partial class SchemaMigrator
{
    // Any number will do that no other program uses on the same database: "conclave" in ASCII.
    /// <summary>What those who bring the schema up to date lock.</summary>
    internal const long LockKey = 0x636f6e636c617665;
    private const string CreateTableSql = """
        create schema if not exists conclave;
        create table conclave.schema_version (
            version int primary key,
            name text not null,
            checksum text not null,
            applied_at timestamptz not null default now())
        """;

    private readonly NpgsqlDataSource _database;
    private readonly ILogger<SchemaMigrator> _logger;
    private readonly IReadOnlyList<SchemaScript> _scripts;

    public SchemaMigrator(NpgsqlDataSource database, ILogger<SchemaMigrator> logger)
        : this(database, logger, SchemaScript.LoadAll())
    {
    }

    internal SchemaMigrator(
        NpgsqlDataSource database, ILogger<SchemaMigrator> logger, IReadOnlyList<SchemaScript> scripts) =>
        (_database, _logger, _scripts) = (database, logger, scripts);

    /// <summary>Runs the scripts that the database does not have yet, in order.</summary>
    /// <returns>How many scripts ran; 0 when the database was current.</returns>
    /// <exception cref="SchemaMigrationException">
    /// <c>schema.script_changed</c>: the database ran another text of a script; nothing was done.
    /// <c>schema.database_newer</c>: a newer program changed the database; nothing was done.
    /// <c>schema.script_failed</c>: a script failed and left nothing behind; those before it stay.
    /// </exception>
    public async Task<int> MigrateAsync(CancellationToken cancellationToken)
    {
        await using var connection = await _database.OpenConnectionAsync(cancellationToken);
        await LockAsync(connection, cancellationToken);
        try
        {
            var applied = await ReadAppliedAsync(connection, cancellationToken);
            Check(connection, applied);
            foreach (var script in _scripts.Skip(applied.Count))
                await ApplyAsync(connection, script, cancellationToken);
            return _scripts.Count - applied.Count;
        }
        finally
        {
            await UnlockAsync(connection);
        }
    }

    private static async Task LockAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        // Another program may run a long script: wait as long as the caller does.
        await using var command = new NpgsqlCommand("select pg_advisory_lock($1)", connection) { CommandTimeout = 0 };
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = LockKey });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    // A connection that returns to its pool would keep the lock until it is used again.
    private static async Task UnlockAsync(NpgsqlConnection connection)
    {
        if (connection.FullState != System.Data.ConnectionState.Open) return;
        await using var command = new NpgsqlCommand("select pg_advisory_unlock($1)", connection);
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = LockKey });
        await command.ExecuteNonQueryAsync(CancellationToken.None);
    }

    private static async Task<List<AppliedScript>> ReadAppliedAsync(
        NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        var applied = new List<AppliedScript>();
        await using var exists = new NpgsqlCommand("select to_regclass('conclave.schema_version') is not null", connection);
        if (await exists.ExecuteScalarAsync(cancellationToken) is not true) return applied;
        await using var command = new NpgsqlCommand(
            "select version, name, checksum, applied_at from conclave.schema_version order by version", connection);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            applied.Add(new AppliedScript(
                reader.GetInt32(0), reader.GetString(1), reader.GetString(2), reader.GetDateTime(3)));
        }
        return applied;
    }

    private void Check(NpgsqlConnection connection, List<AppliedScript> applied)
    {
        var newest = applied.Count == 0 ? 0 : applied[^1].Version;
        if (newest > _scripts.Count)
        {
            throw new SchemaMigrationException("schema.database_newer",
                $"Database '{connection.Database}' is at version {newest} ('{applied[^1].Name}', {applied[^1].AppliedAt:u}); " +
                $"this program knows versions up to {_scripts.Count}. A newer Conclave has changed it. Nothing was done: start " +
                "that release or a newer one, or connect to another database.");
        }
        foreach (var (script, before) in _scripts.Zip(applied))
        {
            if (script.Version == before.Version && script.Checksum == before.Checksum) continue;
            throw new SchemaMigrationException("schema.script_changed",
                $"Database '{connection.Database}' ran script {before.Version:D4}_{before.Name} on {before.AppliedAt:u} with " +
                $"checksum {before.Checksum}, but this program's {script.Version:D4}_{script.Name} has {script.Checksum}. " +
                "Nothing was done. Released scripts never change: start the release that made this database, or restore " +
                "the script and put the change into a further one. A database without data to keep can be dropped.");
        }
    }

    private async Task ApplyAsync(NpgsqlConnection connection, SchemaScript script, CancellationToken cancellationToken)
    {
        var clock = Stopwatch.StartNew();
        try
        {
            await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
            if (script.Version == 1) await ExecuteAsync(connection, CreateTableSql, cancellationToken);
            await ExecuteAsync(connection, script.Sql, cancellationToken);
            await using var command = new NpgsqlCommand(
                "insert into conclave.schema_version (version, name, checksum) values ($1, $2, $3)", connection);
            command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = script.Version });
            command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = script.Name });
            command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = script.Checksum });
            await command.ExecuteNonQueryAsync(cancellationToken);
            await transaction.CommitAsync(cancellationToken);
        }
        catch (PostgresException exception)
        {
            var line = exception.Position > 0 && exception.InternalQuery is null
                ? $" near character {exception.Position}" : "";
            throw new SchemaMigrationException("schema.script_failed",
                $"Script {script.Version:D4}_{script.Name} failed on database '{connection.Database}'{line}: " +
                $"{exception.MessageText} ({exception.SqlState}). {exception.Detail} It left nothing behind; earlier scripts stay. " +
                "Correct the cause and start again.", exception);
        }
        LogApplied(script.Version, script.Name, connection.Database, clock.Elapsed.TotalSeconds);
    }

    // CA2100: the text is a script of this assembly.
#pragma warning disable CA2100
    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 0 };
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
#pragma warning restore CA2100

    [LoggerMessage(2121, LogLevel.Information,
        "Ran migration script {Version} ({Name}) on database {Database} in {Seconds:F2} s")]
    private partial void LogApplied(int version, string name, string database, double seconds);

    private sealed record AppliedScript(int Version, string Name, string Checksum, DateTime AppliedAt);
}

using System.Text.Json;
using Conclave.Workflows.Runtime.Postgres;
using Npgsql;
using NpgsqlTypes;

namespace Conclave.Inference.Pool;

/// <summary>The servers in the database. Whatever changes them tells all processes.</summary>
internal sealed class ServerStore(NpgsqlDataSource database, TimeProvider time)
{
    /// <summary>Channel on which changes are told; the payload says of what.</summary>
    public const string Channel = "conclave_inference";

    /// <summary>Payload when servers changed.</summary>
    public const string ServersChanged = "servers";

    private const string Columns =
        "id, name, provider, address, only_tenant, slots, is_local, tags, rank, mode, models, timeout, api_key, source, version, updated_at, updated_by";

    private const string Notify = $"pg_notify('{Channel}', '{ServersChanged}')";

    /// <summary>All servers, by name.</summary>
    public async Task<List<StoredServer>> ListAsync(CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"select {Columns} from conclave.inference_server order by name");
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var servers = new List<StoredServer>();
        while (await reader.ReadAsync(cancellationToken))
            servers.Add(Read(reader));
        return servers;
    }

    /// <summary>Adds a server; null when its name is taken.</summary>
    /// <param name="server">The server.</param>
    /// <param name="source">Where it comes from.</param>
    /// <param name="encryptedKey">Its key.</param>
    /// <param name="actor">Who adds it.</param>
    /// <param name="onlyFirst">Whether to add it only if there is no real server yet.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public async Task<StoredServer?> AddAsync(
        ModelServer server, ServerSource source, byte[]? encryptedKey, string actor, bool onlyFirst, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"""
            with added as (
                insert into conclave.inference_server ({Columns})
                select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 1, $15, $16
                 where not ($17 and exists (select from conclave.inference_server where provider <> 'scripted'))
                on conflict do nothing
                returning {Columns}
            )
            select added.*, {Notify} from added
            """);
        AddRow(command.Parameters, server, source, encryptedKey, actor);
        command.Parameters.AddValue(onlyFirst);
        return await ReadOneAsync(command, cancellationToken);
    }

    /// <summary>Changes a server; null when it is gone or has another version.</summary>
    public async Task<StoredServer?> UpdateAsync(
        ModelServer server, ServerSource source, byte[]? encryptedKey, int expectedVersion, string actor, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"""
            with changed as (
                update conclave.inference_server
                   set name = $2, provider = $3, address = $4, only_tenant = $5, slots = $6, is_local = $7, tags = $8, rank = $9, mode = $10,
                       models = $11, timeout = $12, api_key = $13, source = $14, version = version + 1, updated_at = $15, updated_by = $16
                 where id = $1 and version = $17
                returning {Columns}
            )
            select changed.*, {Notify} from changed
            """);
        AddRow(command.Parameters, server, source, encryptedKey, actor);
        command.Parameters.AddValue(expectedVersion);
        return await ReadOneAsync(command, cancellationToken);
    }

    /// <summary>Changes the mode of a server, whatever its version; null when it is gone.</summary>
    public async Task<StoredServer?> SetModeAsync(string id, ServerMode mode, string actor, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"""
            with changed as (
                update conclave.inference_server set mode = $2, version = version + 1, updated_at = $3, updated_by = $4 where id = $1 returning {Columns}
            )
            select changed.*, {Notify} from changed
            """);
        command.Parameters.AddValue(id);
        command.Parameters.AddValue((short)mode);
        command.Parameters.AddValue(time.GetUtcNow().UtcDateTime);
        command.Parameters.AddValue(actor);
        return await ReadOneAsync(command, cancellationToken);
    }

    /// <summary>Deletes a server.</summary>
    public async Task<bool> DeleteAsync(string id, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"""
            with gone as (delete from conclave.inference_server where id = $1 returning 1)
            select {Notify} from gone
            """);
        command.Parameters.AddValue(id);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken);
    }

    private void AddRow(NpgsqlParameterCollection parameters, ModelServer server, ServerSource source, byte[]? encryptedKey, string actor)
    {
        parameters.AddValue(server.Id);
        parameters.AddValue(server.Name);
        parameters.AddValue(server.Provider);
        parameters.AddValue(server.Address.OriginalString);
        parameters.AddText(server.Tenant);
        parameters.AddValue(server.Slots);
        parameters.AddValue(server.IsLocal);
        parameters.AddValue(server.Tags.ToArray());
        parameters.AddValue(server.Rank);
        parameters.AddValue((short)server.Mode);
        parameters.Add(new NpgsqlParameter
        {
            Value = JsonSerializer.Serialize(server.Models, PoolJson.Default.IReadOnlyListServedModel),
            NpgsqlDbType = NpgsqlDbType.Jsonb,
        });
        parameters.AddValue(server.Timeout);
        parameters.AddBytes(encryptedKey);
        parameters.AddValue((short)source);
        parameters.AddValue(time.GetUtcNow().UtcDateTime);
        parameters.AddValue(actor);
    }

    private static async Task<StoredServer?> ReadOneAsync(NpgsqlCommand command, CancellationToken cancellationToken)
    {
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken) ? Read(reader) : null;
    }

    private static StoredServer Read(NpgsqlDataReader row) => new(
        new ModelServer
        {
            Id = row.GetString(0),
            Name = row.GetString(1),
            Provider = row.GetString(2),
            Address = new Uri(row.GetString(3), UriKind.Absolute),
            Tenant = row.IsDBNull(4) ? null : row.GetString(4),
            Slots = row.GetInt32(5),
            IsLocal = row.GetBoolean(6),
            Tags = row.GetFieldValue<string[]>(7),
            Rank = row.GetInt32(8),
            Mode = (ServerMode)row.GetInt16(9),
            Models = JsonSerializer.Deserialize(row.GetString(10), PoolJson.Default.IReadOnlyListServedModel) ?? [],
            Timeout = row.GetTimeSpan(11),
        },
        (ServerSource)row.GetInt16(13),
        row.GetInt32(14),
        row.IsDBNull(12) ? null : row.GetFieldValue<byte[]>(12),
        new DateTimeOffset(row.GetDateTime(15), TimeSpan.Zero),
        row.GetString(16));
}

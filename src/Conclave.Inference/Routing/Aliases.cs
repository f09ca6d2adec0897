using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Text.Json;
using Conclave.Inference.Pool;
using Conclave.Workflows.Runtime.Postgres;
using Npgsql;
using NpgsqlTypes;

namespace Conclave.Inference.Routing;

/// <summary>An alias as it is stored.</summary>
/// <param name="Alias">The alias.</param>
/// <param name="Version">Counts its changes, from 1; 0 for one that nobody has changed and that follows the pool.</param>
/// <param name="CreatedAt">When this version was made; null for version 0.</param>
/// <param name="CreatedBy">By whom.</param>
public sealed record StoredAlias(ModelAlias Alias, int Version, DateTimeOffset? CreatedAt, string? CreatedBy);

/// <summary>The aliases of all tenants: those that people made, every version of them in the database, and <see cref="DefaultAliases"/>.</summary>
public sealed class Aliases
{
    internal const string Topic = "aliases";

    private readonly NpgsqlDataSource _database;
    private readonly ServerPool _pool;
    private readonly TimeProvider _time;
    private readonly ConcurrentDictionary<string, IReadOnlyList<ModelAlias>> _defaults = new(StringComparer.Ordinal);
    private ImmutableDictionary<(string Tenant, string Name), StoredAlias> _stored = ImmutableDictionary<(string, string), StoredAlias>.Empty;

    /// <summary>The aliases for the servers of a pool; what other processes change is followed as the pool follows servers.</summary>
    public Aliases(NpgsqlDataSource database, ServerPool pool, TimeProvider time)
    {
        (_database, _pool, _time) = (database, pool, time);
        pool.Changed += _ => _defaults.Clear();
        pool.Follow(Topic, LoadAsync);
    }

    /// <summary>The alias of a name that somebody made; null when there is none.</summary>
    public StoredAlias? FindStored(string tenant, string name) => Volatile.Read(ref _stored).GetValueOrDefault((tenant, name));

    /// <summary>The default of a name; null when there is none.</summary>
    public StoredAlias? FindDefault(string tenant, string name) =>
        Defaults(tenant).FirstOrDefault(a => a.Name == name) is { } alias ? new StoredAlias(alias, 0, null, null) : null;

    /// <summary>The aliases of a tenant, by name.</summary>
    public IReadOnlyList<StoredAlias> List(string tenant)
    {
        var stored = Volatile.Read(ref _stored).Where(a => a.Key.Tenant == tenant).Select(a => a.Value).ToList();
        var names = stored.Select(a => a.Alias.Name).ToHashSet(StringComparer.Ordinal);
        return [.. stored.Concat(Defaults(tenant).Where(d => !names.Contains(d.Name)).Select(d => new StoredAlias(d, 0, null, null))).OrderBy(a => a.Alias.Name, StringComparer.Ordinal)];
    }

    /// <summary>Makes or changes an alias.</summary>
    /// <param name="tenant">Whose it is.</param>
    /// <param name="alias">The alias.</param>
    /// <param name="expectedVersion">The version that was changed, 0 for a default or a new one; null for whichever it is now.</param>
    /// <param name="actor">Who changes it.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <returns>The alias; null when it has another version.</returns>
    /// <exception cref="PoolException">The alias makes no sense; every problem is named.</exception>
    public Task<StoredAlias?> SaveAsync(string tenant, ModelAlias alias, int? expectedVersion, string actor, CancellationToken cancellationToken)
    {
        if (AliasRules.Problems(alias) is { Count: > 0 } problems)
            throw new PoolException("inference.alias_invalid", string.Join(' ', problems));
        return WriteAsync(tenant, alias.Name, alias, expectedVersion, actor, cancellationToken);
    }

    /// <summary>Takes an alias away; where there is a default of its name, that counts again.</summary>
    /// <returns>False when it has another version.</returns>
    /// <inheritdoc cref="SaveAsync"/>
    public async Task<bool> DeleteAsync(string tenant, string name, int? expectedVersion, string actor, CancellationToken cancellationToken) =>
        await WriteAsync(tenant, name, null, expectedVersion, actor, cancellationToken) is not null;

    /// <summary>The versions of an alias, newest first; one without an alias says that it was taken away.</summary>
    public async Task<IReadOnlyList<(int Version, ModelAlias? Alias, DateTimeOffset CreatedAt, string CreatedBy)>> HistoryAsync(string tenant, string name, CancellationToken cancellationToken)
    {
        await using var command = _database.CreateCommand(
            "select version, document, created_at, created_by from conclave.inference_alias where tenant = $1 and name = $2 order by version desc limit 100");
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(name);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var versions = new List<(int, ModelAlias?, DateTimeOffset, string)>();
        while (await reader.ReadAsync(cancellationToken))
            versions.Add((reader.GetInt32(0), reader.IsDBNull(1) ? null : Read(reader.GetString(1)), new DateTimeOffset(reader.GetDateTime(2), TimeSpan.Zero), reader.GetString(3)));
        return versions;
    }

    /// <summary>Reads the aliases.</summary>
    public async Task LoadAsync(CancellationToken cancellationToken)
    {
        var stored = ImmutableDictionary.CreateBuilder<(string, string), StoredAlias>();
        await using var command = _database.CreateCommand("""
            select distinct on (tenant, name) tenant, name, version, document, created_at, created_by
              from conclave.inference_alias order by tenant, name, version desc
            """);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            if (!reader.IsDBNull(3))
                stored[(reader.GetString(0), reader.GetString(1))] = new StoredAlias(Read(reader.GetString(3)), reader.GetInt32(2), new DateTimeOffset(reader.GetDateTime(4), TimeSpan.Zero), reader.GetString(5));
        }

        Volatile.Write(ref _stored, stored.ToImmutable());
    }

    private async Task<StoredAlias?> WriteAsync(string tenant, string name, ModelAlias? alias, int? expectedVersion, string actor, CancellationToken cancellationToken)
    {
        // A version that was taken away counts as 0 to who expects none, and its number is not used again.
        await using var command = _database.CreateCommand($"""
            with newest as (
                select version, document is null as is_gone from conclave.inference_alias where tenant = $1 and name = $2 order by version desc limit 1
            ), added as (
                insert into conclave.inference_alias (tenant, name, version, document, created_at, created_by)
                select $1, $2, coalesce((select version from newest), 0) + 1, $3, $4, $5
                 where $6 is null or $6 = coalesce((select case when is_gone then 0 else version end from newest), 0)
                on conflict do nothing
                returning version
            )
            select version, pg_notify('{ServerStore.Channel}', '{Topic}') from added
            """);
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(name);
        command.Parameters.Add(new NpgsqlParameter
        {
            Value = alias is null ? DBNull.Value : JsonSerializer.Serialize(alias, RoutingJson.Default.ModelAlias),
            NpgsqlDbType = NpgsqlDbType.Jsonb,
        });
        var now = _time.GetUtcNow();
        command.Parameters.AddValue(now.UtcDateTime);
        command.Parameters.AddValue(actor);
        command.Parameters.Add(new NpgsqlParameter { Value = (object?)expectedVersion ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Integer });
        if (await command.ExecuteScalarAsync(cancellationToken) is not int version)
            return null;
        await LoadAsync(cancellationToken);
        return new StoredAlias(alias ?? new ModelAlias { Name = name }, version, now, actor);
    }

    private static ModelAlias Read(string json) => JsonSerializer.Deserialize(json, RoutingJson.Default.ModelAlias)!;

    private IReadOnlyList<ModelAlias> Defaults(string tenant) => _defaults.GetOrAdd(tenant, static (t, pool) => DefaultAliases.Of(pool.Servers, t), _pool);
}

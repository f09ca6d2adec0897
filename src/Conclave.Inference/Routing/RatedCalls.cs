using System.Collections.Immutable;
using System.Runtime.InteropServices;
using System.Text.Json;
using Conclave.Inference.Pool;
using Conclave.Workflows.Runtime.Postgres;
using Npgsql;

namespace Conclave.Inference.Routing;

/// <summary>A call that somebody rated.</summary>
/// <param name="Model">The model that answered.</param>
/// <param name="Rating">How good the answer was, from 0 to 1.</param>
/// <param name="OutputTokens">How long it was.</param>
/// <param name="Features">What it was about, see <see cref="TextFeatures"/>.</param>
internal sealed record RatedCall(string Model, double Rating, long OutputTokens, sbyte[] Features);

/// <summary>Ratings of calls: kept in the database, the newest of every tenant also here for the router.</summary>
public sealed class RatedCalls
{
    internal const string Topic = "ratings";

    // More would make predictions slower, not better.
    private const int PerTenant = 2_000;

    private readonly NpgsqlDataSource _database;
    private readonly TimeProvider _time;
    private ImmutableDictionary<string, ImmutableArray<RatedCall>> _calls = ImmutableDictionary<string, ImmutableArray<RatedCall>>.Empty;

    /// <summary>Ratings of the pool's calls; other processes' ratings are followed as the pool follows servers.</summary>
    public RatedCalls(NpgsqlDataSource database, ServerPool pool, TimeProvider time)
    {
        (_database, _time) = (database, time);
        pool.Follow(Topic, LoadAsync);
    }

    /// <summary>Rates a call that has ended; a second rating takes the place of the first.</summary>
    /// <param name="tenant">Whose call it was.</param>
    /// <param name="callId">The call.</param>
    /// <param name="rating">From 0 (useless) to 1 (right).</param>
    /// <param name="actor">Who says so.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <returns>False when there is no such call, or no model answered it.</returns>
    public async Task<bool> RateAsync(string tenant, string callId, double rating, string actor, CancellationToken cancellationToken)
    {
        string? model, decision;
        long tokens;
        await using (var find = _database.CreateCommand(
            "select model, output_tokens, decision from conclave.inference_call where tenant = $1 and id = $2 and model is not null order by created_at desc limit 1"))
        {
            find.Parameters.AddValue(tenant);
            find.Parameters.AddValue(callId);
            await using var reader = await find.ExecuteReaderAsync(cancellationToken);
            if (!await reader.ReadAsync(cancellationToken))
                return false;
            (model, tokens, decision) = (reader.GetString(0), reader.GetInt64(1), reader.IsDBNull(2) ? null : reader.GetString(2));
        }

        await StoreAsync(tenant, callId, model, rating, tokens, FeaturesOf(decision), actor, cancellationToken);
        await LoadAsync(cancellationToken);
        return true;
    }

    /// <summary>The ratings of a tenant, newest first.</summary>
    internal ImmutableArray<RatedCall> Of(string tenant) => Volatile.Read(ref _calls).GetValueOrDefault(tenant, []);

    internal async Task StoreAsync(
        string tenant, string callId, string model, double rating, long outputTokens, byte[]? features, string actor, CancellationToken cancellationToken)
    {
        await using var command = _database.CreateCommand($"""
            with rated as (
                insert into conclave.inference_rating (tenant, call_id, model, rating, output_tokens, features, rated_at, rated_by)
                values ($1, $2, $3, $4, $5, $6, $7, $8)
                on conflict (tenant, call_id) do update
                   set model = excluded.model, rating = excluded.rating, output_tokens = excluded.output_tokens, features = excluded.features,
                       rated_at = excluded.rated_at, rated_by = excluded.rated_by
                returning 1
            )
            select pg_notify('{ServerStore.Channel}', '{Topic}') from rated
            """);
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(callId);
        command.Parameters.AddValue(model);
        command.Parameters.AddValue(rating);
        command.Parameters.AddValue(outputTokens);
        command.Parameters.AddBytes(features);
        command.Parameters.AddValue(_time.GetUtcNow().UtcDateTime);
        command.Parameters.AddValue(actor);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Reads the newest ratings of every tenant.</summary>
    public async Task LoadAsync(CancellationToken cancellationToken)
    {
        var calls = new Dictionary<string, ImmutableArray<RatedCall>.Builder>(StringComparer.Ordinal);
        await using var command = _database.CreateCommand($"""
            select r.tenant, r.model, r.rating, r.output_tokens, r.features
              from (select *, row_number() over (partition by tenant order by rated_at desc) as place from conclave.inference_rating where features is not null) r
             where r.place <= {PerTenant}
            """);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            var features = reader.GetFieldValue<byte[]>(4);
            if (features.Length != TextFeatures.Size)
                continue;
            var tenant = reader.GetString(0);
            if (!calls.TryGetValue(tenant, out var ofTenant))
                calls[tenant] = ofTenant = ImmutableArray.CreateBuilder<RatedCall>();
            ofTenant.Add(new RatedCall(reader.GetString(1), reader.GetDouble(2), reader.GetInt64(3), MemoryMarshal.Cast<byte, sbyte>(features).ToArray()));
        }

        Volatile.Write(ref _calls, calls.ToImmutableDictionary(c => c.Key, c => c.Value.ToImmutable(), StringComparer.Ordinal));
    }

    private static byte[]? FeaturesOf(string? decision)
    {
        if (decision is null)
            return null;
        using var json = JsonDocument.Parse(decision);
        return json.RootElement.TryGetProperty("features", out var features) && features.ValueKind == JsonValueKind.String && features.TryGetBytesFromBase64(out var bytes) ? bytes : null;
    }
}

using System.Text.Json.Serialization;
using Conclave.Inference;
using Conclave.Inference.Pool;

namespace Conclave.Server.Inference;

#pragma warning disable CS1573    // most members say what they are by their names

/// <summary>A model server; never its key.</summary>
/// <param name="Models">What operators say about its models.</param>
/// <param name="HasApiKey">Whether a key is stored for it.</param>
/// <param name="Source">operator, configuration or discovery.</param>
/// <param name="Version">Counts its changes; also the ETag.</param>
/// <param name="Accepts">Whether this process sends it new calls.</param>
/// <param name="OwnSlots">This process's share of its slots.</param>
/// <param name="Running">Calls of this process that run there.</param>
/// <param name="Breaker">Circuit breaker for connections: closed, open or half-open.</param>
/// <param name="Served">Its models, with what operators say.</param>
internal sealed record ModelServerShape(
    string Id, string Name, string Provider, string Address, string? Tenant, int Slots, bool IsLocal, IReadOnlyList<string> Tags, int Rank, string Mode, double TimeoutSeconds,
    IReadOnlyList<ServedModelShape> Models, bool HasApiKey, string Source, int Version, DateTimeOffset UpdatedAt, string UpdatedBy,
    ServerHealthShape Health, bool Accepts, int OwnSlots, int Running, string Breaker, IReadOnlyList<ServedModelShape> Served)
{
    public static ModelServerShape Of(PooledServer pooled)
    {
        var (server, stored) = (pooled.Server, pooled.Stored);
        return new ModelServerShape(
            server.Id, server.Name, server.Provider, server.Address.OriginalString, server.Tenant, server.Slots, server.IsLocal, server.Tags, server.Rank, Lower(server.Mode), server.Timeout.TotalSeconds,
            [.. server.Models.Select(m => ServedModelShape.Of(m))], stored.EncryptedKey is not null, Lower(stored.Source), stored.Version, stored.UpdatedAt, stored.UpdatedBy,
            ServerHealthShape.Of(pooled.Health), pooled.Accepts, pooled.Slots, pooled.Running, pooled.Breaker, [.. pooled.Models.Select(m => ServedModelShape.Of(m, pooled.BreakerOf(m.Name)))]);
    }

    internal static string Lower<T>(T value)
        where T : struct, Enum => value.ToString().ToLowerInvariant();
}

/// <summary>How a server is, as this process sees it.</summary>
/// <param name="Status">unknown, healthy or unhealthy.</param>
internal sealed record ServerHealthShape(string Status, string? Message, DateTimeOffset Since, DateTimeOffset? CheckedAt, double? LatencyMs)
{
    public static ServerHealthShape Of(ServerHealth health) =>
        new(ModelServerShape.Lower(health.Status), health.Message, health.Since, health.CheckedAt, health.Latency?.TotalMilliseconds);
}

/// <summary>A model on a server. What is not known is null.</summary>
/// <param name="Capabilities">Of chat, tools, vision, json-schema, embeddings, thinking, continue.</param>
/// <param name="InputPrice">Price of a million tokens read.</param>
/// <param name="OutputPrice">Price of a million tokens written.</param>
/// <param name="Breaker">Circuit breaker of its calls: closed, open or half-open.</param>
internal sealed record ServedModelShape(
    string Name, IReadOnlyList<string>? Capabilities, int? ContextSize, bool? IsLoaded, decimal? InputPrice, decimal? OutputPrice, long? SizeBytes, string? Digest, string? ParameterSize,
    string? Quantization, string? Family, DateTimeOffset? ModifiedAt, string? Breaker)
{
    public static ServedModelShape Of(ServedModel model, string? breaker = null) => new(
        model.Name, model.Capabilities is { } known ? [.. CapabilitiesConverter.NamesOf(known)] : null, model.ContextSize, model.IsLoaded, model.InputPrice, model.OutputPrice, model.SizeBytes,
        model.Digest, model.ParameterSize, model.Quantization, model.Family, model.ModifiedAt, breaker);
}

/// <summary>A model and the servers that have it.</summary>
internal sealed record ServerModelShape(string Server, bool IsLocal, bool Accepts, ServedModelShape Model);

/// <summary>A model on its way to a server.</summary>
internal sealed record ModelPullShape(
    string Id, string Server, string Model, string Status, long? TotalBytes, long? CompletedBytes, string? Error, DateTimeOffset StartedAt, string StartedBy, DateTimeOffset? EndedAt)
{
    public static ModelPullShape Of(ModelPull pull) =>
        new(pull.Id, pull.Server, pull.Model, pull.Status, pull.TotalBytes, pull.CompletedBytes, pull.Error, pull.StartedAt, pull.StartedBy, pull.EndedAt);
}

/// <summary>A new or changed server. Members that are left out have their defaults; apiKey and mode stay as they are.</summary>
/// <param name="Name">A new name; that of the path without it.</param>
/// <param name="ApiKey">Its key; empty for none. It is never shown again.</param>
/// <param name="Mode">active, draining or maintenance.</param>
internal sealed record PutModelServerRequest(
    string? Name, string Provider, string Address, string? ApiKey, string? Tenant, int? Slots, bool? IsLocal, IReadOnlyList<string>? Tags, int? Rank, double? TimeoutSeconds, string? Mode,
    IReadOnlyList<ServedModelShape>? Models);

/// <summary>What operators want of a server: active, draining or maintenance.</summary>
internal sealed record ServerModeRequest(string Mode);

/// <summary>A model; with keepAliveSeconds how long it stays loaded.</summary>
internal sealed record ModelRequest(string Model, double? KeepAliveSeconds);

/// <summary>How good an answer was, from 0 to 1.</summary>
internal sealed record RatingRequest(double Rating);

/// <summary>Where a call would go.</summary>
internal sealed record RouteShape(IReadOnlyList<RouteCandidateShape> Candidates, RouteDecisionShape Decision, IReadOnlyList<ComplexityInputShape>? Complexity);

/// <summary>A model on a server that may answer. Those of one tier are equal but for load.</summary>
internal sealed record RouteCandidateShape(int Tier, string Server, string Model, bool IsLocal, double? MaxWaitSeconds);

/// <summary>Why.</summary>
internal sealed record RouteDecisionShape(string Requested, string? Rule, double? Complexity, IReadOnlyList<string> Reasons);

/// <summary>An input of the complexity: what was seen, the same from 0 to 1, and what it counts.</summary>
internal sealed record ComplexityInputShape(string Name, double Seen, double Value, double Weight);

/// <summary>A version of an alias; version 0 is made from the models that there are.</summary>
/// <param name="Alias">The alias and its rules; null when it was taken away.</param>
internal sealed record AliasShape(string Name, int Version, DateTimeOffset? CreatedAt, string? CreatedBy, System.Text.Json.JsonElement? Alias);

/// <summary>JSON of the operators' API.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(ModelServerShape))]
[JsonSerializable(typeof(ServerModelShape))]
[JsonSerializable(typeof(ModelPullShape))]
[JsonSerializable(typeof(RouteShape))]
[JsonSerializable(typeof(AliasShape))]
internal sealed partial class OperatorJson : JsonSerializerContext;

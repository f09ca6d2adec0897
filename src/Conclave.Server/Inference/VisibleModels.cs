using Conclave.Inference;
using Conclave.Inference.Pool;

namespace Conclave.Server.Inference;

/// <summary>A model as callers see it: one name, on one server or several.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Model">What is known of it; of several servers the one that knows most.</param>
/// <param name="Servers">Where it is.</param>
internal sealed record VisibleModel(string Name, ServedModel Model, IReadOnlyList<PooledServer> Servers)
{
    /// <summary>The models that a tenant may call, by name.</summary>
    public static List<VisibleModel> Of(ServerPool pool, string tenant) =>
    [
        .. pool.Servers
            .Where(server => IsFor(server, tenant))
            .SelectMany(server => server.Models.Select(model => (server, model)))
            .GroupBy(pair => pair.model.Name, StringComparer.OrdinalIgnoreCase)
            .Select(group => new VisibleModel(
                group.Key,
                group.Select(pair => pair.model).OrderByDescending(model => model.Digest is not null).ThenByDescending(model => model.ContextSize is not null).First(),
                [.. group.Select(pair => pair.server)]))
            .OrderBy(model => model.Name, StringComparer.OrdinalIgnoreCase),
    ];

    /// <summary>The model of a name, as Ollama reads names: without a tag it is <c>latest</c>.</summary>
    public static VisibleModel? Find(ServerPool pool, string tenant, string name) =>
        Of(pool, tenant) is var all && all.Find(model => Is(model, name)) is { } exact ? exact
        : name.Contains(':', StringComparison.Ordinal) ? null : all.Find(model => Is(model, $"{name}:latest"));

    /// <summary>Whether a tenant may use a server.</summary>
    public static bool IsFor(PooledServer server, string tenant) => server.Server.Tenant is null || server.Server.Tenant == tenant;

    private static bool Is(VisibleModel model, string name) => model.Name.Equals(name, StringComparison.OrdinalIgnoreCase);
}

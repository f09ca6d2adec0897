using System.Text.Json;
using Conclave.Inference;
using Conclave.Inference.Pool;
using Conclave.Inference.Routing;

namespace Conclave.Server.Inference;

/// <summary>A model as callers see it: one name, on one server or several; or an alias, which stands for some.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Model">What is known of it; of several servers the one that knows most. For an alias the model that it names first.</param>
/// <param name="Servers">Where it is.</param>
internal sealed record VisibleModel(string Name, ServedModel Model, IReadOnlyList<PooledServer> Servers)
{
    /// <summary>Whether it is an alias.</summary>
    public bool IsAlias { get; private init; }

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

    /// <summary>What a tenant may name: its models, then its aliases. An alias that has the name of a model is what that name means.</summary>
    public static List<VisibleModel> AndAliases(InferenceRole role, string tenant)
    {
        var models = Of(role.Pool, tenant);
        var aliases = role.Aliases.List(tenant).Select(stored => OfAlias(stored.Alias, models)).OfType<VisibleModel>().ToList();
        return [.. models.Where(model => !aliases.Exists(alias => Is(alias, model.Name))), .. aliases];
    }

    /// <summary>The model of a name, as Ollama reads names: without a tag it is <c>latest</c>.</summary>
    public static VisibleModel? Find(IReadOnlyList<VisibleModel> all, string name) =>
        all.FirstOrDefault(model => Is(model, name)) is { } exact ? exact
        : name.Contains(':', StringComparison.Ordinal)
            ? all.FirstOrDefault(model => model.IsAlias && name.Equals($"{model.Name}:latest", StringComparison.OrdinalIgnoreCase))
            : all.FirstOrDefault(model => Is(model, $"{name}:latest"));

    /// <summary>Says of an alias that it is one.</summary>
    public void WriteAlias(Utf8JsonWriter writer)
    {
        if (!IsAlias)
            return;
        writer.WriteStartObject("conclave");
        writer.WriteBoolean("alias", true);
        writer.WriteString("stands_for", Model.Name);
        writer.WriteEndObject();
    }

    /// <summary>Whether a tenant may use a server.</summary>
    public static bool IsFor(PooledServer server, string tenant) => server.Server.Tenant is null || server.Server.Tenant == tenant;

    // One that stands for no model that there is would only disappoint.
    private static VisibleModel? OfAlias(ModelAlias alias, List<VisibleModel> models)
    {
        foreach (var pattern in alias.Rules.SelectMany(rule => rule.Targets).SelectMany(target => target.Models))
        {
            if (models.Find(model => MergedModels.Fits(pattern, model.Name)) is { } model)
                return model with { Name = alias.Name, IsAlias = true };
        }

        return null;
    }

    private static bool Is(VisibleModel model, string name) => model.Name.Equals(name, StringComparison.OrdinalIgnoreCase);
}

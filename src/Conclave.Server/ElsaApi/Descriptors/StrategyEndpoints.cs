using System.Text.Json;
using Conclave.Server.Accounts;
using Conclave.Server.Api;
using Conclave.Server.OpenApi;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Instances;

namespace Conclave.Server.ElsaApi.Descriptors;

/// <summary>What authors may choose besides activities. Each list is the engine's own.</summary>
internal static class StrategyEndpoints
{
    public static void Map(RouteGroupBuilder group)
    {
        var lists = group.MapGroup("").RequirePermission(DescriptorEndpoints.ReadActivities);
        lists.MapGet("/descriptors/expression-descriptors", ExpressionsAsync).Describe("ElsaListExpressions", "List the syntaxes of expressions", o => o.Answers<ListShape<ExpressionShape>>());
        lists.MapGet("/descriptors/storage-drivers", StorageDriversAsync).Describe("ElsaListStorageDrivers", "List where variables may be kept", o => o.Answers<ListShape<StorageDriverShape>>());
        lists.MapGet("/descriptors/variables", VariableTypesAsync).Describe("ElsaListVariableTypes", "List types of variables", o => o.Answers<ListShape<VariableTypeShape>>());
        lists.MapGet("/descriptors/workflow-activation-strategies", (HttpContext context) => StrategiesAsync(context, "typeName", Activation.Strategies))
            .Describe("ElsaListActivationStrategies", "List when another instance may start", o => o.Answers<ListShape<StrategyTypeShape>>());
        lists.MapGet("/descriptors/incident-strategies", (HttpContext context) => StrategiesAsync(context, "typeName", WorkflowOptions.IncidentStrategies))
            .Describe("ElsaListIncidentStrategies", "List what a fault does", o => o.Answers<ListShape<StrategyTypeShape>>());
        lists.MapGet("/descriptors/log-persistence-strategies", (HttpContext context) => StrategiesAsync(context, "typeName", LogPersistence.Strategies))
            .Describe("ElsaListLogPersistenceStrategies", "List which values the journal keeps", o => o.Answers<ListShape<StrategyTypeShape>>());
        lists.MapGet("/descriptors/commit-strategies/workflows", (HttpContext context) => StrategiesAsync(context, "name", CommitStrategy.ForWorkflows))
            .Describe("ElsaListWorkflowCommitStrategies", "List when an instance is stored", o => o.Answers<ListShape<StrategyNameShape>>());
        lists.MapGet("/descriptors/commit-strategies/activities", (HttpContext context) => StrategiesAsync(context, "name", CommitStrategy.ForActivities))
            .Describe("ElsaListActivityCommitStrategies", "List when an activity has the instance stored", o => o.Answers<ListShape<StrategyNameShape>>());
        lists.MapGet("/descriptors/output-converters", OutputConvertersAsync).Describe("ElsaListOutputConverters", "List converters of outputs; there is none", o => o
            .Query("sourceType", "Type of the output.").Query("destinationType", "Type that it is to become.").Answers<ListShape<OutputConverterShape>>());
        lists.MapGet("/workflow-contexts/provider-descriptors", (HttpContext context) => WriteItemsAsync(context, Array.Empty<string>(), (_, _) => { }))
            .Describe("ElsaListContextProviders", "List providers of workflow contexts; there is none", o => o.Answers<ListShape<ContextProviderShape>>());
    }

    private static Task ExpressionsAsync(HttpContext context)
    {
        var known = context.Runtime().Catalog.Of(context.Tenant()).Engine.Expressions.Descriptors;
        var allowed = known.Where(d => d.Permission is not { } permission || context.User.Has(permission)).ToList();
        return WriteItemsAsync(context, allowed, (writer, descriptor) =>
        {
            writer.WriteString("type", descriptor.Type);
            writer.WriteString("displayName", descriptor.DisplayName);
            writer.WriteBoolean("isBrowsable", descriptor.IsBrowsable);
            writer.WriteBoolean("isSerializable", true);
            writer.WriteStartObject("properties");
            if (descriptor.MonacoLanguage is { } language)
                writer.WriteString("MonacoLanguage", language);
            writer.WriteEndObject();
        });
    }

    private static Task StorageDriversAsync(HttpContext context) => WriteItemsAsync(context, StorageDriver.All, (writer, driver) =>
    {
        writer.WriteString("typeName", driver.TypeName);
        writer.WriteString("displayName", driver.DisplayName);
        writer.WriteNumber("priority", driver.Priority);
        writer.WriteBoolean("deprecated", driver.IsDeprecated);
    });

    private static Task VariableTypesAsync(HttpContext context) => WriteItemsAsync(context, VariableType.All, (writer, type) =>
    {
        writer.WriteString("typeName", type.TypeName);
        writer.WriteString("displayName", type.DisplayName);
        writer.WriteString("category", type.Category);
        writer.WriteString("description", type.Description);
    });

    /// <summary>None: the engine converts values by their types itself, and nobody can add converters.</summary>
    private static Task OutputConvertersAsync(HttpContext context)
    {
        foreach (var name in (string[])["sourceType", "destinationType"])
        {
            if (context.Query(name) is { } type && !TypeAliases.Resolve(type).IsKnown)
                throw ApiException.Bad($"'{name}' is the type '{type}', which is not known here. /descriptors/variables lists the types.");
        }

        return WriteItemsAsync(context, Array.Empty<string>(), (_, _) => { });
    }

    private static Task StrategiesAsync(HttpContext context, string nameMember, IReadOnlyList<StrategyDescriptor> strategies) =>
        WriteItemsAsync(context, strategies, (writer, strategy) =>
        {
            writer.WriteString(nameMember, strategy.Name);
            writer.WriteString("displayName", strategy.DisplayName);
            writer.WriteString("description", strategy.Description);
        });

    /// <summary>Writes a list in Elsa's shape; <paramref name="write"/> writes the members of one item.</summary>
    internal static Task WriteItemsAsync<T>(HttpContext context, IReadOnlyCollection<T> items, Action<Utf8JsonWriter, T> write) => context.WriteJsonAsync(writer =>
    {
        writer.WriteStartObject();
        writer.WriteStartArray("items");
        foreach (var item in items)
        {
            writer.WriteStartObject();
            write(writer, item);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteNumber("count", items.Count);
        writer.WriteEndObject();
    });
}

using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using Conclave.Workflows.Runtime.Postgres;
using Npgsql;

namespace Conclave.Workflows.Runtime.Definitions;

/// <summary>Which versions a list shows; null asks for nothing.</summary>
public sealed record DefinitionFilter
{
    /// <summary>Which versions of each workflow.</summary>
    public VersionOptions? Versions { get; init; }

    /// <summary>Ids of versions.</summary>
    public IReadOnlyList<string>? Ids { get; init; }

    /// <summary>Ids of workflows.</summary>
    public IReadOnlyList<string>? DefinitionIds { get; init; }

    /// <summary>Text that the name or description holds in any case, or an id as it is.</summary>
    public string? Search { get; init; }

    /// <summary>Ids of labels; any of these.</summary>
    public IReadOnlyList<string>? Labels { get; init; }

    /// <summary>Whether they belong to the platform.</summary>
    public bool? IsSystem { get; init; }
}

/// <summary>What a list is ordered by.</summary>
public enum DefinitionOrder
{
    /// <summary>The name, in any case; versions without one come last.</summary>
    Name,

    /// <summary>When the version was made.</summary>
    Created,

    /// <summary>The number of the version.</summary>
    Version,
}

// Lists: contents are read only where somebody asks for whole definitions.
public sealed partial class DefinitionStore
{
    /// <summary>Lists versions. Contents are not read.</summary>
    /// <param name="tenant">Whose.</param>
    /// <param name="filter">Which.</param>
    /// <param name="order">In which order.</param>
    /// <param name="descending">Whether the order is reversed.</param>
    /// <param name="offset">How many come before the first that is shown.</param>
    /// <param name="limit">Most versions; null for all.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <returns>The versions, and how many there are on all pages.</returns>
    public async Task<(List<DefinitionSummary> Items, long Total)> ListAsync(
        string tenant, DefinitionFilter filter, DefinitionOrder order, bool descending, long offset, int? limit, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand();
        var where = Where(command, tenant, filter);
        // Whoever searches looks at every row, and counts them on the way. Other pages come from an index in their order, which the other collation
        // keeps to lists, and are counted by themselves.
        var countsAll = limit is not null && !string.IsNullOrWhiteSpace(filter.Search);
        var sql = new StringBuilder($"select {SummaryColumns}, {(countsAll ? "count(*) over ()" : "0::bigint")} from conclave.workflow_definition where tenant collate \"C\" = $1 and ").Append(where);
        var direction = descending ? "desc" : "asc";
        sql.Append(order switch
        {
            DefinitionOrder.Created => $" order by created_at {direction}, id",
            DefinitionOrder.Version => $" order by version {direction}, lower(name), id",
            _ => $" order by lower(name) {direction} nulls last, definition_id, version desc",
        });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = offset });
        sql.Append(CultureInfo.InvariantCulture, $" offset ${command.Parameters.Count}");
        if (limit is { } most)
        {
            command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = most });
            sql.Append(CultureInfo.InvariantCulture, $" limit ${command.Parameters.Count}");
        }

        SetText(command, sql.ToString());
        var items = new List<DefinitionSummary>();
        long total = 0;
        await using (var reader = await command.ExecuteReaderAsync(cancellationToken))
        {
            while (await reader.ReadAsync(cancellationToken))
            {
                items.Add(ReadSummary(reader));
                total = reader.GetInt64(10);
            }
        }

        if (items.Count > 0 && (limit is null || items.Count < limit))
            return (items, offset + items.Count);
        // Behind the last page nobody has counted.
        return (items, total > 0 || (items.Count == 0 && offset == 0) ? total : await CountAsync(tenant, filter, cancellationToken));
    }

    /// <summary>Counts versions.</summary>
    public async Task<long> CountAsync(string tenant, DefinitionFilter filter, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand();
        SetText(command, $"select count(*) from conclave.workflow_definition where {Where(command, tenant, filter)}");
        return (long)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    /// <summary>Whether no other workflow has a name, in any case.</summary>
    /// <param name="tenant">Whose.</param>
    /// <param name="name">The name.</param>
    /// <param name="exceptFor">A workflow that may have it; null for none.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    public async Task<bool> IsNameUniqueAsync(string tenant, string name, string? exceptFor, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("""
            select not exists (
                select from conclave.workflow_definition
                 where tenant = $1 and is_latest and lower(name) = lower($2) and definition_id is distinct from $3)
            """);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = tenant });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = name });
        command.Parameters.AddText(exceptFor);
        return (bool)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    /// <summary>Finds the version of a workflow that is meant; the newest when several are.</summary>
    public async Task<StoredDefinition?> FindAsync(string tenant, string definitionId, VersionOptions versions, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand();
        var where = Where(command, tenant, new DefinitionFilter { DefinitionIds = [definitionId], Versions = versions });
        SetText(command, $"select {Columns} from conclave.workflow_definition where {where} order by version desc limit 1");
        return await ReadOneAsync(command, cancellationToken);
    }

    /// <summary>Reads whole versions, by workflow and newest first.</summary>
    public async IAsyncEnumerable<StoredDefinition> ReadAsync(
        string tenant, DefinitionFilter filter, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand();
        SetText(command, $"select {Columns} from conclave.workflow_definition where {Where(command, tenant, filter)} order by definition_id, version desc");
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            yield return ReadDefinition(reader);
    }

    /// <summary>The condition of a filter, with its parameters added.</summary>
    private static string Where(NpgsqlCommand command, string tenant, DefinitionFilter filter)
    {
        var parameters = command.Parameters;
        var sql = new StringBuilder("tenant = $1");
        parameters.Add(new NpgsqlParameter<string> { TypedValue = tenant });
        sql.Append(filter.Versions?.Kind switch
        {
            VersionKind.Latest => " and is_latest",
            VersionKind.Published => " and is_published",
            VersionKind.Draft => " and not is_published",
            VersionKind.LatestOrPublished => " and (is_latest or is_published)",
            VersionKind.LatestAndPublished => " and is_latest and is_published",
            _ => "",
        });
        if (filter.Versions is { Kind: VersionKind.Number, Version: var number })
            Add("version =", new NpgsqlParameter<int> { TypedValue = number });
        if (filter.Ids is { } ids)
            Add("id = any(", new NpgsqlParameter<string[]> { TypedValue = [.. ids] }, ")");
        if (filter.DefinitionIds is { } definitionIds)
            Add("definition_id = any(", new NpgsqlParameter<string[]> { TypedValue = [.. definitionIds] }, ")");
        if (filter.Labels is { } labels)
            Add("id in (select l.version_id from conclave.workflow_definition_label l where l.tenant = $1 and l.label_id = any(", new NpgsqlParameter<string[]> { TypedValue = [.. labels] }, "))");
        if (filter.IsSystem is { } isSystem)
            Add("is_system =", new NpgsqlParameter<bool> { TypedValue = isSystem });
        if (!string.IsNullOrWhiteSpace(filter.Search))
        {
            parameters.Add(new NpgsqlParameter<string> { TypedValue = filter.Search.Trim() });
            var text = string.Create(CultureInfo.InvariantCulture, $"${parameters.Count}");
            sql.Append(CultureInfo.InvariantCulture, $" and (strpos(lower(concat_ws(chr(10), name, description)), lower({text})) > 0 or strpos(definition_id, {text}) > 0 or strpos(id, {text}) > 0)");
        }

        return sql.ToString();

        void Add(string condition, NpgsqlParameter value, string end = "")
        {
            parameters.Add(value);
            sql.Append(CultureInfo.InvariantCulture, $" and {condition} ${parameters.Count}{end}");
        }
    }

    [SuppressMessage("Security", "CA2100", Justification = "Only names of columns and numbers of parameters are put together.")]
    private static void SetText(NpgsqlCommand command, string sql) => command.CommandText = sql;
}

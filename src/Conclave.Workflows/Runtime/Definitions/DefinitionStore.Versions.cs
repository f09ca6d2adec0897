using System.Runtime.CompilerServices;
using System.Text;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Postgres;
using Npgsql;

namespace Conclave.Workflows.Runtime.Definitions;

/// <content>Reading versions.</content>
public sealed partial class DefinitionStore
{
    private const string Columns =
        "id, definition_id, version, is_latest, is_published, content, content_hash, updated_at, updated_by, edit_session";

    private const string SummaryColumns =
        "id, definition_id, version, name, description, is_latest, is_published, created_at, is_readonly, tool_version";

    /// <summary>Finds a version by its id.</summary>
    public async Task<StoredDefinition?> FindAsync(string tenant, string versionId, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"select {Columns} from conclave.workflow_definition where tenant = $1 and id = $2");
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = tenant });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = versionId });
        return await ReadOneAsync(command, cancellationToken);
    }

    /// <summary>Finds a version by its number.</summary>
    public async Task<StoredDefinition?> FindAsync(string tenant, string definitionId, int version, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        return await FindVersionAsync(connection, tenant, definitionId, version, cancellationToken);
    }

    /// <summary>
    /// Uses none of the connections again: a command that failed while it was being prepared leaves its connection out of step (npgsql#6391).
    /// </summary>
    internal void ForgetConnections() => database.Clear();

    /// <summary>Finds the newest version of a workflow.</summary>
    public async Task<StoredDefinition?> FindLatestAsync(string tenant, string definitionId, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        return await FindAsync(connection, "is_latest", tenant, definitionId, cancellationToken);
    }

    /// <summary>Finds the published version of a workflow.</summary>
    public async Task<StoredDefinition?> FindPublishedAsync(string tenant, string definitionId, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        return await FindAsync(connection, "is_published", tenant, definitionId, cancellationToken);
    }

    /// <summary>Lists the versions of a workflow, newest first. Contents are not read.</summary>
    /// <param name="tenant">Owner of the workflow.</param>
    /// <param name="definitionId">The workflow.</param>
    /// <param name="limit">Most versions.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <param name="before">Only versions with a smaller number.</param>
    public async Task<List<DefinitionSummary>> HistoryAsync(
        string tenant, string definitionId, int limit, CancellationToken cancellationToken, int before = int.MaxValue)
    {
        await using var command = database.CreateCommand($"""
            select {SummaryColumns} from conclave.workflow_definition
             where tenant = $1 and definition_id = $2 and version < $4
             order by version desc
             limit $3
            """);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = tenant });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = definitionId });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = limit });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = before });
        return await ReadSummariesAsync(command, cancellationToken);
    }

    /// <summary>Finds the workflows whose newest or published version uses another one as an activity, or starts it.</summary>
    public async Task<List<DefinitionSummary>> FindConsumersAsync(string tenant, string definitionId, CancellationToken cancellationToken)
    {
        // Ids of workflows stand in the JSON as they are; a text that only looks like one costs a look, not a mistake.
        await using var command = database.CreateCommand($$"""
            select {{SummaryColumns}} from conclave.workflow_definition
             where tenant = $1 and definition_id <> $2 and (is_latest or is_published)
               and (strpos(content, '"workflowDefinitionId":' || to_json($2)::text) > 0
                    or strpos(content, '"value":' || to_json($2)::text) > 0 and strpos(content, '"workflowDefinitionId":{') > 0)
             order by definition_id, version desc
            """);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = tenant });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = definitionId });
        return await ReadSummariesAsync(command, cancellationToken);
    }

    /// <summary>Counts the instances of a workflow that have not ended, by how they stand.</summary>
    /// <param name="tenant">Owner of the workflow.</param>
    /// <param name="definitionId">The workflow.</param>
    /// <param name="version">Only those of this version; null for all.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    public async Task<SortedDictionary<WorkflowSubStatus, long>> CountRunningAsync(
        string tenant, string definitionId, int? version, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("""
            select sub_status, count(*) from conclave.workflow_instance
             where tenant collate "C" = $1 and definition_id = $2 and status = 0 and ($3 = 0 or version = $3)
             group by sub_status
            """);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = tenant });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = definitionId });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = version ?? 0 });
        var counts = new SortedDictionary<WorkflowSubStatus, long>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            counts.Add((WorkflowSubStatus)reader.GetInt16(0), reader.GetInt64(1));
        return counts;
    }

    /// <summary>Reads the newest versions of workflows.</summary>
    /// <param name="tenant">Whose.</param>
    /// <param name="definitionIds">Which; null for all.</param>
    /// <param name="cancellationToken">Stops reading.</param>
    public async IAsyncEnumerable<WorkflowDefinition> ReadLatestAsync(
        string tenant, IReadOnlyList<string>? definitionIds, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"""
            select {Columns} from conclave.workflow_definition
             where tenant = $1 and is_latest and ($2 or definition_id = any($3)) order by definition_id
            """);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = tenant });
        command.Parameters.Add(new NpgsqlParameter<bool> { TypedValue = definitionIds is null });
        command.Parameters.AddArray(definitionIds ?? [], id => id);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            yield return ReadDefinition(reader).Definition;
    }

    private static async Task<List<DefinitionSummary>> ReadSummariesAsync(NpgsqlCommand command, CancellationToken cancellationToken)
    {
        var versions = new List<DefinitionSummary>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            versions.Add(ReadSummary(reader));
        }

        return versions;
    }

    private static DefinitionSummary ReadSummary(NpgsqlDataReader reader) => new(
        reader.GetString(0),
        reader.GetString(1),
        reader.GetInt32(2),
        reader.IsDBNull(3) ? null : reader.GetString(3),
        reader.IsDBNull(4) ? null : reader.GetString(4),
        reader.GetBoolean(5),
        reader.GetBoolean(6),
        reader.GetFieldValue<DateTimeOffset>(7))
    {
        IsReadonly = reader.GetBoolean(8),
        ToolVersion = reader.IsDBNull(9) ? null : reader.GetString(9),
    };

    /// <summary>Lists the newest version of each workflow by definition id. Contents are not read.</summary>
    /// <param name="tenant">Whose.</param>
    /// <param name="search">Text that the name, id or description holds; null for all.</param>
    /// <param name="after">The last definition id that was shown; null begins at the first.</param>
    /// <param name="limit">Most workflows.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    public async Task<List<WorkflowSummary>> ListAsync(
        string tenant, string? search, string? after, int limit, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("""
            select d.definition_id, d.id, d.name, d.description, d.version, d.is_published, p.version, d.updated_at
              from conclave.workflow_definition d
              left join conclave.workflow_definition p
                on p.tenant = d.tenant and p.definition_id = d.definition_id and p.is_published
             where d.tenant = $1 and d.is_latest and d.definition_id > $2
               and ($3::text is null or strpos(lower(concat_ws(chr(10), d.name, d.definition_id, d.description)), lower($3)) > 0)
             order by d.definition_id
             limit $4
            """);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = tenant });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = after ?? "" });
        command.Parameters.AddText(search);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = limit });
        var workflows = new List<WorkflowSummary>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            workflows.Add(new WorkflowSummary(
                reader.GetString(0),
                reader.GetString(1),
                reader.IsDBNull(2) ? null : reader.GetString(2),
                reader.IsDBNull(3) ? null : reader.GetString(3),
                reader.GetInt32(4),
                reader.GetBoolean(5),
                reader.IsDBNull(6) ? null : reader.GetInt32(6),
                reader.GetFieldValue<DateTimeOffset>(7)));
        }

        return workflows;
    }

    /// <summary>Reads every published version, of one tenant or of all.</summary>
    public async IAsyncEnumerable<(string Tenant, StoredDefinition Definition)> ReadPublishedAsync(
        string? tenant, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            $"select {Columns}, tenant from conclave.workflow_definition where is_published and ($1::text is null or tenant = $1)");
        command.Parameters.AddText(tenant);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            yield return (reader.GetString(10), ReadDefinition(reader));
    }

    private static async Task<StoredDefinition?> FindAsync(
        NpgsqlConnection connection, string flag, string tenant, string definitionId, CancellationToken cancellationToken)
    {
        var sql = flag == "is_latest"
            ? $"select {Columns} from conclave.workflow_definition where tenant = $1 and definition_id = $2 and is_latest"
            : $"select {Columns} from conclave.workflow_definition where tenant = $1 and definition_id = $2 and is_published";
        await using var command = new NpgsqlCommand(sql, connection);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = tenant });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = definitionId });
        return await ReadOneAsync(command, cancellationToken);
    }

    private static async Task<StoredDefinition?> FindVersionAsync(
        NpgsqlConnection connection, string tenant, string definitionId, int version, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand($"select {Columns} from conclave.workflow_definition where tenant = $1 and definition_id = $2 and version = $3", connection);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = tenant });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = definitionId });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = version });
        return await ReadOneAsync(command, cancellationToken);
    }

    private static async Task<StoredDefinition?> ReadOneAsync(NpgsqlCommand command, CancellationToken cancellationToken)
    {
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken) ? ReadDefinition(reader) : null;
    }

    private static StoredDefinition ReadDefinition(NpgsqlDataReader reader)
    {
        var definition = WorkflowDefinitionReader.Read(Encoding.UTF8.GetBytes(reader.GetString(5))) with
        {
            Id = reader.GetString(0),
            DefinitionId = reader.GetString(1),
            Version = reader.GetInt32(2),
            IsLatest = reader.GetBoolean(3),
            IsPublished = reader.GetBoolean(4),
        };
        return new StoredDefinition(
            definition, Convert.ToHexStringLower(reader.GetFieldValue<byte[]>(6)), reader.GetFieldValue<DateTimeOffset>(7))
        {
            UpdatedBy = reader.IsDBNull(8) ? null : reader.GetString(8),
            EditSession = reader.IsDBNull(9) ? null : reader.GetString(9),
        };
    }
}

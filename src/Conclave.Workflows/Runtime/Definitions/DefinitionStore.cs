using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Postgres;
using Npgsql;

namespace Conclave.Workflows.Runtime.Definitions;

/// <summary>
/// Versions of workflows: a draft is changed in place, a published version never; the next save makes a new one. At most
/// one version is the latest and at most one is published.
/// </summary>
/// <remarks>
/// Every change of a workflow holds a lock on it for its transaction, so that two saves at once come one after the other.
/// Saving what is stored already changes nothing.
/// </remarks>
/// <param name="database">The database.</param>
/// <param name="time">The clock.</param>
/// <param name="scan">
/// Says what a version starts on once it is published, and throws <see cref="WorkflowDefinitionException"/> when it must not be;
/// null publishes everything and starts nothing.
/// </param>
public sealed partial class DefinitionStore(NpgsqlDataSource database, TimeProvider time, TriggerScan? scan = null)
{
    /// <summary>Channel that tells which workflow changed, as <c>tenant:definitionId</c>.</summary>
    public const string Channel = "conclave_definition";

    /// <summary>Expected hash that every version has: the workflow must exist.</summary>
    public const string AnyHash = "*";

    private const string Columns =
        "id, definition_id, version, is_latest, is_published, content, content_hash, updated_at, updated_by, edit_session";

    private const string SummaryColumns =
        "id, definition_id, version, name, description, is_latest, is_published, created_at, is_readonly, tool_version";

    // Serializes changes of one workflow; the hash of two workflows may collide, which only makes one wait.
    private const string LockSql = "select pg_advisory_xact_lock(hashtextextended($1 || ':' || $2, 0))";

    private const string DeleteTriggersSql = "delete from conclave.workflow_trigger where tenant = $1 and definition_id = $2";

    private const string InsertSql = """
        insert into conclave.workflow_definition
            (tenant, id, definition_id, version, name, description, activity_type_name, usable_as_activity,
             is_latest, is_published, is_readonly, is_system, content, content_hash, created_at, updated_at, tool_version, updated_by, edit_session)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $15, $16, $17, $18)
        on conflict (tenant, id) do update
           set name = excluded.name, description = excluded.description,
               activity_type_name = excluded.activity_type_name, usable_as_activity = excluded.usable_as_activity,
               is_latest = excluded.is_latest, is_published = excluded.is_published,
               is_readonly = excluded.is_readonly, is_system = excluded.is_system,
               content = excluded.content, content_hash = excluded.content_hash, updated_at = excluded.updated_at,
               tool_version = excluded.tool_version, updated_by = excluded.updated_by, edit_session = excluded.edit_session
         where workflow_definition.definition_id = excluded.definition_id
        """;

    /// <summary>Saves a workflow: overwrites its draft, or adds a version after a published one.</summary>
    /// <param name="tenant">Owner of the workflow.</param>
    /// <param name="definition">What to save; its version number and flags are ignored.</param>
    /// <param name="publish">Whether the saved version is published at once.</param>
    /// <param name="expectedHash">Hash of the version that was edited, or <see cref="AnyHash"/>; null overwrites whatever is there.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <exception cref="DefinitionConflictException">Somebody else saved in between; nothing was changed.</exception>
    /// <exception cref="WorkflowException">The workflow is read-only.</exception>
    public Task<StoredDefinition> SaveAsync(
        string tenant, WorkflowDefinition definition, bool publish, string? expectedHash, CancellationToken cancellationToken) =>
        SaveEditAsync(tenant, definition, publish, new DefinitionEdit { ExpectedHash = expectedHash }, cancellationToken);

    /// <summary>Saves a workflow: overwrites its draft, or adds a version after a published one.</summary>
    /// <param name="tenant">Owner of the workflow.</param>
    /// <param name="definition">What to save; its version number and flags are ignored.</param>
    /// <param name="publish">Whether the saved version is published at once.</param>
    /// <param name="edit">Who saves, and what they began with.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <exception cref="DefinitionConflictException">Somebody else saved in between; nothing was changed.</exception>
    /// <exception cref="WorkflowException">The workflow is read-only.</exception>
    public async Task<StoredDefinition> SaveEditAsync(
        string tenant, WorkflowDefinition definition, bool publish, DefinitionEdit edit, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await LockAsync(connection, tenant, definition.DefinitionId, cancellationToken);
        var latest = await FindAsync(connection, "is_latest", tenant, definition.DefinitionId, cancellationToken);
        if (latest is { Definition.IsReadonly: true })
            throw new WorkflowException("definition.read_only", $"Workflow '{definition.DefinitionId}' is read-only.");
        var saved = Next(definition, latest?.Definition, publish);
        var content = Content(saved);
        var hash = Hash(saved);
        if (latest is not null && edit.IsRepeated(latest, hash, publish))
            return latest;
        if (edit.ExpectedHash is { } expected && (latest is null || (expected != AnyHash && latest.Hash != expected && !edit.IsOwn(latest))))
            throw new DefinitionConflictException(definition.DefinitionId, expected, latest?.Hash) { ChangedBy = latest?.UpdatedBy, ChangedAt = latest?.UpdatedAt };
        if (latest is not null && latest.Hash == hash && latest.Definition.IsPublished == saved.IsPublished)
            return latest;
        await ClearFlagsAsync(connection, tenant, saved.DefinitionId, publish, cancellationToken);
        var now = time.GetUtcNow();
        if (!await WriteAsync(connection, tenant, saved, content, hash, now, edit, cancellationToken))
        {
            // A copy of a document names the version of the original; it gets one of its own.
            saved = saved with { Id = WorkflowDefinitionReader.NewId() };
            await WriteAsync(connection, tenant, saved, Content(saved), hash, now, edit, cancellationToken);
        }

        if (publish)
            await ReplaceTriggersAsync(connection, tenant, saved, cancellationToken);
        await NotifyAsync(connection, tenant, saved.DefinitionId, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return new StoredDefinition(saved, hash, now) { UpdatedBy = edit.Actor, EditSession = edit.Session };
    }

    /// <summary>Publishes the newest version. Does nothing when it is published already.</summary>
    /// <returns>The version, or null when the workflow does not exist.</returns>
    public async Task<StoredDefinition?> PublishAsync(string tenant, string definitionId, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await LockAsync(connection, tenant, definitionId, cancellationToken);
        if (await FindAsync(connection, "is_latest", tenant, definitionId, cancellationToken) is not { } latest)
            return null;
        if (latest.Definition.IsPublished)
            return latest;
        await ExecuteAsync(connection, "update conclave.workflow_definition set is_published = false where tenant = $1 and definition_id = $2 and is_published", tenant, definitionId, cancellationToken);
        await SetPublishedAsync(connection, tenant, latest.Definition.Id, true, cancellationToken);
        await ReplaceTriggersAsync(connection, tenant, latest.Definition, cancellationToken);
        await NotifyAsync(connection, tenant, definitionId, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return latest with { Definition = latest.Definition with { IsPublished = true } };
    }

    /// <summary>Takes the published version out of use. Instances that run go on.</summary>
    /// <returns>The version, or null when none was published.</returns>
    public async Task<StoredDefinition?> RetractAsync(string tenant, string definitionId, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await LockAsync(connection, tenant, definitionId, cancellationToken);
        if (await FindAsync(connection, "is_published", tenant, definitionId, cancellationToken) is not { } published)
            return null;
        await SetPublishedAsync(connection, tenant, published.Definition.Id, false, cancellationToken);
        await ExecuteAsync(connection, DeleteTriggersSql, tenant, definitionId, cancellationToken);
        await NotifyAsync(connection, tenant, definitionId, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return published with { Definition = published.Definition with { IsPublished = false } };
    }

    /// <summary>Makes an older version the newest draft again, as a copy with the next number.</summary>
    /// <param name="tenant">Owner of the workflow.</param>
    /// <param name="definitionId">The workflow.</param>
    /// <param name="version">Number of the older version.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <param name="actor">Who wants it; null when nobody knows.</param>
    /// <returns>The new draft, or null when that version does not exist.</returns>
    public async Task<StoredDefinition?> RevertAsync(
        string tenant, string definitionId, int version, CancellationToken cancellationToken, string? actor = null)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await LockAsync(connection, tenant, definitionId, cancellationToken);
        if (await FindVersionAsync(connection, tenant, definitionId, version, cancellationToken) is not { } old
            || await FindAsync(connection, "is_latest", tenant, definitionId, cancellationToken) is not { } latest)
            return null;
        var draft = old.Definition with
        {
            Id = WorkflowDefinitionReader.NewId(),
            Version = latest.Definition.Version + 1,
            IsLatest = true,
            IsPublished = false,
        };
        await ClearFlagsAsync(connection, tenant, definitionId, clearPublished: false, cancellationToken);
        var now = time.GetUtcNow();
        var hash = Hash(draft);
        await WriteAsync(connection, tenant, draft, Content(draft), hash, now, new DefinitionEdit { Actor = actor }, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return new StoredDefinition(draft, hash, now) { UpdatedBy = actor };
    }

    /// <summary>Deletes a workflow with all its versions.</summary>
    /// <returns>How many versions were deleted.</returns>
    public async Task<int> DeleteAsync(string tenant, string definitionId, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await LockAsync(connection, tenant, definitionId, cancellationToken);
        var deleted = await ExecuteAsync(connection, "delete from conclave.workflow_definition where tenant = $1 and definition_id = $2", tenant, definitionId, cancellationToken);
        await ExecuteAsync(connection, DeleteTriggersSql, tenant, definitionId, cancellationToken);
        await NotifyAsync(connection, tenant, definitionId, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return deleted;
    }

    /// <summary>Deletes one version that is neither the latest nor published.</summary>
    /// <returns>Whether it existed.</returns>
    /// <exception cref="WorkflowException">It is the latest or the published one.</exception>
    public async Task<bool> DeleteVersionAsync(string tenant, string definitionId, int version, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await LockAsync(connection, tenant, definitionId, cancellationToken);
        if (await FindVersionAsync(connection, tenant, definitionId, version, cancellationToken) is not { } found)
            return false;
        if (found.Definition.IsLatest || found.Definition.IsPublished)
            throw new WorkflowException("definition.version_in_use", $"Version {version} of workflow '{definitionId}' is the {(found.Definition.IsPublished ? "published" : "newest")} one. Delete the workflow, or publish another version first.");
        await ExecuteAsync(connection, "delete from conclave.workflow_definition where tenant = $1 and id = $2", tenant, found.Definition.Id, cancellationToken);
        await NotifyAsync(connection, tenant, definitionId, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return true;
    }

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

    /// <summary>Counts the instances of a workflow that have not ended.</summary>
    /// <param name="tenant">Owner of the workflow.</param>
    /// <param name="definitionId">The workflow.</param>
    /// <param name="version">Only those of this version; null for all.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    public async Task<long> CountRunningAsync(string tenant, string definitionId, int? version, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("""
            select count(*) from conclave.workflow_instance
             where tenant collate "C" = $1 and definition_id = $2 and status = 0 and ($3 = 0 or version = $3)
            """);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = tenant });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = definitionId });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = version ?? 0 });
        return (long)(await command.ExecuteScalarAsync(cancellationToken))!;
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

    /// <summary>Reads what published versions start on, of one workflow or of all.</summary>
    public async Task<List<WorkflowTrigger>> ReadTriggersAsync(string? tenant, string? definitionId, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("""
            select tenant, definition_id, version_id, activity_id, name, hash, payload, route_key
              from conclave.workflow_trigger
             where ($1::text is null or tenant = $1) and ($2::text is null or definition_id = $2)
            """);
        command.Parameters.AddText(tenant);
        command.Parameters.AddText(definitionId);
        var triggers = new List<WorkflowTrigger>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            triggers.Add(new WorkflowTrigger(
                reader.GetString(0),
                reader.GetString(1),
                reader.GetString(2),
                reader.GetString(3),
                reader.GetString(4),
                reader.GetFieldValue<byte[]>(5),
                JsonElement.Parse(reader.GetString(6)),
                reader.IsDBNull(7) ? null : reader.GetString(7)));
        }

        return triggers;
    }

    private async Task ReplaceTriggersAsync(
        NpgsqlConnection connection, string tenant, WorkflowDefinition definition, CancellationToken cancellationToken)
    {
        var triggers = scan is null ? [] : await scan(tenant, definition, cancellationToken);
        await ExecuteAsync(connection, DeleteTriggersSql, tenant, definition.DefinitionId, cancellationToken);
        if (triggers.Count == 0)
            return;
        await using var command = new NpgsqlCommand("""
            insert into conclave.workflow_trigger (tenant, definition_id, version_id, activity_id, name, hash, payload, route_key)
            select * from unnest($1, $2, $3, $4, $5, $6, $7, $8)
                on conflict (tenant, route_key) where route_key is not null do nothing
            """, connection);
        command.Parameters.AddArray(triggers, t => t.Tenant);
        command.Parameters.AddArray(triggers, t => t.DefinitionId);
        command.Parameters.AddArray(triggers, t => t.VersionId);
        command.Parameters.AddArray(triggers, t => t.ActivityId);
        command.Parameters.AddArray(triggers, t => t.Name);
        command.Parameters.AddArray(triggers, t => t.Hash);
        command.Parameters.AddArray(triggers, t => t.Payload.GetRawText());
        command.Parameters.AddArray(triggers, t => t.RouteKey);
        // Not a command that fails: those disturb the prepared statements of their connection (npgsql#6391).
        if (await command.ExecuteNonQueryAsync(cancellationToken) < triggers.Count)
            throw await RouteTakenAsync(tenant, definition.DefinitionId, triggers, cancellationToken);
    }

    private async Task<WorkflowDefinitionException> RouteTakenAsync(
        string tenant, string definitionId, IReadOnlyList<WorkflowTrigger> triggers, CancellationToken cancellationToken)
    {
        var taken = (await ReadTriggersAsync(tenant, null, cancellationToken))
            .Where(t => t.RouteKey is not null && t.DefinitionId != definitionId)
            .ToDictionary(t => t.RouteKey!, t => t.DefinitionId);
        var problems = triggers
            .Where(t => t.RouteKey is not null && taken.ContainsKey(t.RouteKey))
            .Select(t => new DefinitionProblem("http_endpoint.route_taken", $"Workflow '{taken[t.RouteKey!]}' already answers '{t.RouteKey}'. Choose another path or method, or retract that workflow.", t.ActivityId, "path"))
            .ToList();
        if (problems.Count == 0)
            problems.Add(new DefinitionProblem("http_endpoint.route_twice", "Two HTTP endpoints of this workflow listen at the same path for the same method.", triggers.First(t => t.RouteKey is not null).ActivityId, "path"));
        return new WorkflowDefinitionException(problems);
    }

    private static async Task NotifyAsync(NpgsqlConnection connection, string tenant, string definitionId, CancellationToken cancellationToken) =>
        await ExecuteAsync(connection, $"select pg_notify('{Channel}', $1 || ':' || $2)", tenant, definitionId, cancellationToken);

    private WorkflowDefinition Next(WorkflowDefinition definition, WorkflowDefinition? latest, bool publish)
    {
        var overwrites = latest is { IsPublished: false };
        return definition with
        {
            Id = overwrites ? latest!.Id : latest is null ? definition.Id : WorkflowDefinitionReader.NewId(),
            Version = latest is null ? 1 : overwrites ? latest.Version : latest.Version + 1,
            CreatedAt = overwrites ? latest!.CreatedAt : time.GetUtcNow(),
            IsLatest = true,
            IsPublished = publish,
        };
    }

    private static string Content(WorkflowDefinition definition) =>
        Encoding.UTF8.GetString(WorkflowDefinitionWriter.Write(definition, indented: false));

    /// <summary>Hash of what the author wrote; ids, numbers, flags and dates of the version do not count.</summary>
    private static string Hash(WorkflowDefinition definition) => Convert.ToHexStringLower(SHA256.HashData(WorkflowDefinitionWriter.Write(
        definition with { Id = "", Version = 1, CreatedAt = null, IsLatest = false, IsPublished = false }, indented: false)));

    private static Task<int> LockAsync(NpgsqlConnection connection, string tenant, string definitionId, CancellationToken cancellationToken) =>
        ExecuteAsync(connection, LockSql, tenant, definitionId, cancellationToken);

    private static async Task ClearFlagsAsync(
        NpgsqlConnection connection, string tenant, string definitionId, bool clearPublished, CancellationToken cancellationToken)
    {
        await ExecuteAsync(connection, "update conclave.workflow_definition set is_latest = false where tenant = $1 and definition_id = $2 and is_latest", tenant, definitionId, cancellationToken);
        if (clearPublished)
            await ExecuteAsync(connection, "update conclave.workflow_definition set is_published = false where tenant = $1 and definition_id = $2 and is_published", tenant, definitionId, cancellationToken);
    }

    private async Task SetPublishedAsync(
        NpgsqlConnection connection, string tenant, string id, bool isPublished, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("update conclave.workflow_definition set is_published = $3, updated_at = $4 where tenant = $1 and id = $2", connection);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = tenant });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = id });
        command.Parameters.Add(new NpgsqlParameter<bool> { TypedValue = isPublished });
        command.Parameters.Add(new NpgsqlParameter<DateTimeOffset> { TypedValue = time.GetUtcNow() });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <returns>False when the id is that of a version of another workflow: nothing was written.</returns>
    private static async Task<bool> WriteAsync(
        NpgsqlConnection connection,
        string tenant,
        WorkflowDefinition definition,
        string content,
        string hash,
        DateTimeOffset now,
        DefinitionEdit edit,
        CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(InsertSql, connection);
        var parameters = command.Parameters;
        parameters.Add(new NpgsqlParameter<string> { TypedValue = tenant });
        parameters.Add(new NpgsqlParameter<string> { TypedValue = definition.Id });
        parameters.Add(new NpgsqlParameter<string> { TypedValue = definition.DefinitionId });
        parameters.Add(new NpgsqlParameter<int> { TypedValue = definition.Version });
        parameters.Add(new NpgsqlParameter<string?> { TypedValue = definition.Name });
        parameters.Add(new NpgsqlParameter<string?> { TypedValue = definition.Description });
        parameters.Add(new NpgsqlParameter<string> { TypedValue = definition.ActivityTypeName });
        parameters.Add(new NpgsqlParameter<bool> { TypedValue = definition.Options.UsableAsActivity == true });
        parameters.Add(new NpgsqlParameter<bool> { TypedValue = definition.IsLatest });
        parameters.Add(new NpgsqlParameter<bool> { TypedValue = definition.IsPublished });
        parameters.Add(new NpgsqlParameter<bool> { TypedValue = definition.IsReadonly });
        parameters.Add(new NpgsqlParameter<bool> { TypedValue = definition.IsSystem });
        parameters.Add(new NpgsqlParameter<string> { TypedValue = content });
        parameters.Add(new NpgsqlParameter<byte[]> { TypedValue = Convert.FromHexString(hash) });
        parameters.Add(new NpgsqlParameter<DateTimeOffset> { TypedValue = now });
        parameters.AddText(definition.ToolVersion);
        parameters.AddText(edit.Actor);
        parameters.AddText(edit.Session);
        return await command.ExecuteNonQueryAsync(cancellationToken) == 1;
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

    [SuppressMessage("Security", "CA2100", Justification = "Every text that comes here is a constant of this class.")]
    private static async Task<int> ExecuteAsync(
        NpgsqlConnection connection, string sql, string first, string second, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = first });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = second });
        return await command.ExecuteNonQueryAsync(cancellationToken);
    }
}

using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text;
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

    // Serializes changes of one workflow; the hash of two workflows may collide, which only makes one wait.
    private const string LockSql = "select pg_advisory_xact_lock(hashtextextended($1 || ':' || $2, 0))";

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

using System.Collections.Concurrent;
using System.Text;
using Conclave.Workflows.Activities;
using Conclave.Workflows.Definitions;
using Npgsql;

namespace Conclave.Workflows.Runtime.Definitions;

/// <summary>The workflows that are marked usable as an activity, all versions of them, as descriptors.</summary>
/// <remarks>
/// Asks the database each time whether anything has changed, so that the answer is right whichever process changed it; only versions that
/// did are read.
/// </remarks>
public sealed class UsableWorkflows(NpgsqlDataSource database)
{
    // The sum notices a change also when the clock of the process that made it is behind.
    private const string StampSql = """
        select count(*), count(*) filter (where is_published), coalesce(sum(extract(epoch from updated_at)), 0)
          from conclave.workflow_definition where tenant = $1 and usable_as_activity
        """;

    private const string VersionsSql = """
        select id, updated_at, is_published from conclave.workflow_definition where tenant = $1 and usable_as_activity
        """;

    private const string ContentSql = """
        select id, updated_at, is_published, definition_id, version, content from conclave.workflow_definition
         where tenant = $1 and usable_as_activity and id = any($2)
        """;

    private readonly ConcurrentDictionary<string, State> _tenants = new(StringComparer.Ordinal);

    /// <summary>The descriptors; the same list as before when nothing has changed.</summary>
    /// <param name="tenant">Owner of the workflows.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    public async ValueTask<IReadOnlyList<ActivityDescriptor>> ReadAsync(string tenant, CancellationToken cancellationToken)
    {
        var known = _tenants.GetValueOrDefault(tenant, State.Empty);
        // Before the rows: what changes in between is noticed next time.
        var stamp = await ReadStampAsync(tenant, cancellationToken);
        if (stamp == known.Stamp)
            return known.Descriptors;
        var current = await ReadVersionsAsync(tenant, cancellationToken);
        var versions = current.Where(known.Versions.ContainsKey).ToDictionary(v => v, v => known.Versions[v]);
        await foreach (var (key, descriptor) in ReadContentAsync(tenant, [.. current.Where(v => !versions.ContainsKey(v)).Select(v => v.Id)], cancellationToken))
            versions[key] = descriptor;
        var state = new State(stamp, versions, Distinguish(versions.Values));
        _tenants[tenant] = state;
        return state.Descriptors;
    }

    /// <summary>
    /// Gives every workflow a type name of its own. Two that are called alike would be one type to a designer; all but the first get their
    /// definition id behind the name, which runs as well: definitions refer to the workflow by its id.
    /// </summary>
    internal static IReadOnlyList<ActivityDescriptor> Distinguish(IEnumerable<ActivityDescriptor> descriptors)
    {
        var owners = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        var result = new List<ActivityDescriptor>();
        foreach (var descriptor in descriptors.OrderBy(d => d.Workflow!.DefinitionId, StringComparer.Ordinal).ThenBy(d => d.Version))
        {
            var id = descriptor.Workflow!.DefinitionId;
            if (owners.TryAdd(descriptor.TypeName, id) || owners[descriptor.TypeName] == id)
                result.Add(descriptor);
            else
                result.Add(descriptor with { TypeName = $"{descriptor.TypeName}-{id}", Name = $"{descriptor.Name}-{id}", DisplayName = $"{descriptor.DisplayName} ({id})" });
        }

        return [.. result.OrderBy(d => d.TypeName, StringComparer.Ordinal).ThenBy(d => d.Version)];
    }

    private async Task<Stamp> ReadStampAsync(string tenant, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(StampSql);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = tenant });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        return new Stamp(reader.GetInt64(0), reader.GetInt64(1), reader.GetDecimal(2));
    }

    private async Task<List<VersionKey>> ReadVersionsAsync(string tenant, CancellationToken cancellationToken)
    {
        var versions = new List<VersionKey>();
        await using var command = database.CreateCommand(VersionsSql);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = tenant });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            versions.Add(KeyOf(reader));
        return versions;
    }

    private async IAsyncEnumerable<(VersionKey Key, ActivityDescriptor Descriptor)> ReadContentAsync(
        string tenant, string[] ids, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (ids.Length == 0)
            yield break;
        await using var command = database.CreateCommand(ContentSql);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = tenant });
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = ids });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            var key = KeyOf(reader);
            yield return (key, WorkflowActivity.Describe(WorkflowDefinitionReader.Read(Encoding.UTF8.GetBytes(reader.GetString(5))) with
            {
                Id = key.Id,
                DefinitionId = reader.GetString(3),
                Version = reader.GetInt32(4),
                IsPublished = key.IsPublished,
            }));
        }
    }

    private static VersionKey KeyOf(NpgsqlDataReader reader) => new(reader.GetString(0), reader.GetFieldValue<DateTimeOffset>(1), reader.GetBoolean(2));

    private readonly record struct Stamp(long Count, long Published, decimal Changes);

    private readonly record struct VersionKey(string Id, DateTimeOffset UpdatedAt, bool IsPublished);

    private sealed record State(Stamp Stamp, Dictionary<VersionKey, ActivityDescriptor> Versions, IReadOnlyList<ActivityDescriptor> Descriptors)
    {
        public static State Empty { get; } = new(default, [], []);
    }
}

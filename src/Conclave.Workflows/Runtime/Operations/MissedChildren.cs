using Conclave.Workflows.Runtime.Instances;
using Conclave.Workflows.Runtime.Postgres;
using Conclave.Workflows.Runtime.Queue;
using Npgsql;

namespace Conclave.Workflows.Runtime.Operations;

/// <summary>Children that ended while their parent had ended itself: nobody heard of it, and after a retry the parent would wait for ever.</summary>
internal static class MissedChildren
{
    // Telling the parent of one child twice does no harm: its bookmark is gone.
    private const string OneEndedSql = """
        select id, definition_version_id, fence, state from conclave.workflow_instance
         where tenant = $1 and parent_id = $2 and status = 1 and id = $3
        """;

    // A bulk dispatch counts, so that each must be told once. Work that is still queued tells the parent by itself. One statement, so that both counts are of one moment.
    private const string SomeEndedSql = """
        select i.id, i.definition_version_id, i.fence, i.state
          from conclave.workflow_instance i
         where i.tenant = $1 and i.parent_id = $2 and i.status = 1 and starts_with(i.id, $3)
         order by i.finished_at desc, i.id
         limit greatest(0, $4
             - (select count(*) from conclave.workflow_instance r where r.tenant = $1 and r.parent_id = $2 and r.status = 0 and starts_with(r.id, $3))
             - (select count(*) from conclave.work_item w where w.tenant = $1 and w.instance_id = $2 and w.kind = $5))
        """;

    /// <summary>Adds the news of each child that the parent has not heard of.</summary>
    public static async Task AddAsync(DurableBurst parent, InstanceRunner runner, NpgsqlDataSource database, CancellationToken cancellationToken)
    {
        foreach (var bookmark in parent.Instance.Bookmarks)
        {
            List<HeldInstance> ended = [];
            if (bookmark.Payload["ChildInstanceId"] is string child)
                ended = await FindAsync(OneEndedSql, parent, database, child, null, cancellationToken);
            else if (bookmark.Payload.Type == "BulkDispatchWorkflowsStimulus")
                ended = await FindAsync(SomeEndedSql, parent, database, $"{parent.Instance.Id}-{bookmark.Context.Number}-", bookmark.Context.Counter, cancellationToken);
            foreach (var held in ended)
            {
                var (instance, _) = await runner.ReadAsync(held, cancellationToken);
                parent.FollowUp.Add(parent.ChildEnded(instance));
            }
        }
    }

    private static async Task<List<HeldInstance>> FindAsync(
        string sql, DurableBurst parent, NpgsqlDataSource database, string child, int? awaited, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(sql);
        command.Parameters.AddText(parent.Tenant);
        command.Parameters.AddText(parent.Instance.Id);
        command.Parameters.AddText(child);
        if (awaited is { } count)
        {
            command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = count });
            command.Parameters.Add(new NpgsqlParameter<short> { TypedValue = (short)WorkKind.ChildEnded });
        }

        var found = new List<HeldInstance>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            found.Add(new HeldInstance(parent.Tenant, reader.GetString(0), reader.GetString(1), reader.GetInt64(2), reader.GetFieldValue<byte[]>(3)));
        return found;
    }
}

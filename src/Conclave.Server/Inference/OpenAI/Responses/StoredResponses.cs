using System.Text.Json;
using System.Text.Json.Nodes;
using Conclave.Inference;
using Conclave.Server.Accounts;
using Conclave.Server.Hosting;
using Npgsql;

namespace Conclave.Server.Inference.OpenAI.Responses;

/// <summary>Responses that can be fetched and followed. Each belongs to the account that asked, and is kept for <see cref="Lifetime"/>.</summary>
internal sealed class StoredResponses(ServerRuntime server, TimeProvider time)
{
    /// <summary>How long one is kept; source: OpenAI's API reference keeps them for 30 days.</summary>
    public static readonly TimeSpan Lifetime = TimeSpan.FromDays(30);

    /// <summary>The most responses of one conversation, a bound on what a request may read.</summary>
    public const int LongestChain = 500;

    /// <summary>Keeps a response.</summary>
    public async Task AddAsync(string tenant, string owner, ResponseAnswer answer, ResponseRequest request, CancellationToken cancellationToken)
    {
        await using var batch = server.Database.CreateBatch();
        var insert = new NpgsqlBatchCommand("""
            insert into conclave.inference_response (tenant, id, owner, previous_id, input, output, response, expires_at)
            values ($1, $2, $3, $4, $5::jsonb, $6::jsonb, $7::json, $8)
            """);
        insert.Parameters.AddValue(tenant);
        insert.Parameters.AddValue(answer.Id);
        insert.Parameters.AddValue(owner);
        insert.Parameters.AddText(request.PreviousId);
        insert.Parameters.AddValue(new JsonArray([.. request.Items.Select(item => JsonNode.Parse(item.GetRawText()))]).ToJsonString());
        insert.Parameters.AddValue(new JsonArray([.. answer.Output.Select(item => item.DeepClone())]).ToJsonString());
        insert.Parameters.AddValue(answer.Describe().ToJsonString());
        insert.Parameters.AddValue((time.GetUtcNow() + Lifetime).UtcDateTime);
        batch.BatchCommands.Add(insert);
        // Whoever adds takes a few of the old ones away.
        batch.BatchCommands.Add(new NpgsqlBatchCommand("""
            delete from conclave.inference_response where (tenant, id) in (
                select tenant, id from conclave.inference_response where expires_at < now() order by expires_at limit 10 for update skip locked)
            """));
        await batch.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>A response as it was answered; null when there is none of this owner.</summary>
    public async Task<string?> FindAsync(string tenant, string owner, string id, CancellationToken cancellationToken)
    {
        await using var command = server.Database.CreateCommand(
            "select response::text from conclave.inference_response where tenant = $1 and id = $2 and owner = $3 and expires_at > $4");
        AddKey(command, tenant, owner, id);
        return await command.ExecuteScalarAsync(cancellationToken) as string;
    }

    /// <summary>Forgets a response; those that follow it cannot be followed any more.</summary>
    /// <returns>Whether there was one of this owner.</returns>
    public async Task<bool> DeleteAsync(string tenant, string owner, string id, CancellationToken cancellationToken)
    {
        await using var command = server.Database.CreateCommand("delete from conclave.inference_response where tenant = $1 and id = $2 and owner = $3 and expires_at > $4");
        AddKey(command, tenant, owner, id);
        return await command.ExecuteNonQueryAsync(cancellationToken) > 0;
    }

    /// <summary>Everything that was said up to a response, oldest first.</summary>
    /// <exception cref="InferenceException">The response, or one before it, is not there.</exception>
    public async Task<List<JsonElement>> ReadConversationAsync(string tenant, string owner, string id, CancellationToken cancellationToken)
    {
        await using var command = server.Database.CreateCommand($"""
            with recursive chain as (
                select id, previous_id, input, output, 1 as depth
                  from conclave.inference_response where tenant = $1 and id = $2 and owner = $3 and expires_at > $4
                union all
                select r.id, r.previous_id, r.input, r.output, c.depth + 1
                  from chain c join conclave.inference_response r on r.tenant = $1 and r.id = c.previous_id and r.owner = $3
                 where c.depth < {LongestChain})
            select input::text, output::text, previous_id from chain order by depth desc
            """);
        AddKey(command, tenant, owner, id);
        var items = new List<JsonElement>();
        var isWhole = false;
        var isFirst = true;
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            if (isFirst)
                (isFirst, isWhole) = (false, reader.IsDBNull(2));
            items.AddRange(JsonElement.Parse(reader.GetString(0)).EnumerateArray());
            items.AddRange(JsonElement.Parse(reader.GetString(1)).EnumerateArray());
        }

        return isWhole ? items : throw new InferenceException(InferenceFailure.BadRequest, "inference.no_response",
            $"The response '{id}', or one before it, is not there. It was not stored, was deleted, is older than {Lifetime.TotalDays:0} days, or belongs to somebody else.")
        {
            Parameter = "previous_response_id",
        };
    }

    private void AddKey(NpgsqlCommand command, string tenant, string owner, string id)
    {
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(id);
        command.Parameters.AddValue(owner);
        command.Parameters.AddValue(time.GetUtcNow().UtcDateTime);
    }
}

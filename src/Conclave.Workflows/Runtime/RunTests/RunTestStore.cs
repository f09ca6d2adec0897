using System.Text.Json;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Postgres;
using Npgsql;

namespace Conclave.Workflows.Runtime.RunTests;

/// <summary>Runs that were made tests.</summary>
public sealed class RunTestStore(NpgsqlDataSource database)
{
    private const int LargestRecording = 8 << 20;

    /// <summary>Tests without their recordings, newest first.</summary>
    /// <param name="tenant">Whose.</param>
    /// <param name="definitionId">Only of this workflow; null for all.</param>
    /// <param name="subject">Only those that belong to it; null for all.</param>
    /// <param name="before">Only those that were made before this one, by its time and id; null for the newest.</param>
    /// <param name="limit">At most so many.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    public async Task<IReadOnlyList<RunTest>> ListAsync(
        string tenant, string? definitionId, string? subject, (DateTimeOffset CreatedAt, string Id)? before, int limit, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("""
            select id, name, definition_id, version, instance_id, subject, created_at, created_by, result::text from conclave.run_test
             where tenant collate "C" = $1 and ($2::text is null or definition_id = $2) and ($3::text is null or subject = $3)
               and ($4::timestamptz is null or (created_at, id) < ($4, $5))
             order by created_at desc, id desc limit $6
            """);
        command.Parameters.AddValue(tenant);
        command.Parameters.AddText(definitionId);
        command.Parameters.AddText(subject);
        command.Parameters.AddTime(before?.CreatedAt);
        command.Parameters.AddText(before?.Id);
        command.Parameters.AddValue(limit);
        return await ReadAsync(command, cancellationToken);
    }

    /// <summary>A test; null when there is none.</summary>
    public async Task<RunTest?> FindAsync(string tenant, string id, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            "select id, name, definition_id, version, instance_id, subject, created_at, created_by, result::text, recording::text from conclave.run_test where tenant = $1 and id = $2");
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(id);
        return (await ReadAsync(command, cancellationToken)).SingleOrDefault();
    }

    /// <summary>Deletes a test.</summary>
    /// <returns>Whether there was one.</returns>
    public async Task<bool> DeleteAsync(string tenant, string id, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("delete from conclave.run_test where tenant = $1 and id = $2");
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(id);
        return await command.ExecuteNonQueryAsync(cancellationToken) > 0;
    }

    /// <summary>Keeps a test.</summary>
    /// <exception cref="WorkflowException"><c>test.too_large</c>.</exception>
    internal async Task AddAsync(string tenant, RunTest test, CancellationToken cancellationToken)
    {
        var recording = JsonSerializer.Serialize(test.Recording, RunTestJson.Default.RunRecording);
        if (recording.Length > LargestRecording)
            throw new WorkflowException("test.too_large", $"The recording is larger than {LargestRecording >> 20} MiB.");
        await using var command = database.CreateCommand("""
            insert into conclave.run_test (tenant, id, name, definition_id, version, instance_id, subject, recording, created_at, created_by)
            values ($1, $2, $3, $4, $5, $6, $7, $8::json, $9, $10)
            """);
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(test.Id);
        command.Parameters.AddValue(test.Name);
        command.Parameters.AddValue(test.DefinitionId);
        command.Parameters.AddValue(test.Version);
        command.Parameters.AddValue(test.InstanceId);
        command.Parameters.AddText(test.Subject);
        command.Parameters.AddValue(recording);
        command.Parameters.AddTime(test.CreatedAt);
        command.Parameters.AddValue(test.CreatedBy);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    internal async Task SetResultAsync(string tenant, string id, RunTestResult result, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("update conclave.run_test set result = $3::json where tenant = $1 and id = $2");
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(id);
        command.Parameters.AddValue(JsonSerializer.Serialize(result, RunTestJson.Default.RunTestResult));
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    private static async Task<List<RunTest>> ReadAsync(NpgsqlCommand command, CancellationToken cancellationToken)
    {
        var tests = new List<RunTest>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            tests.Add(new RunTest
            {
                Id = reader.GetString(0),
                Name = reader.GetString(1),
                DefinitionId = reader.GetString(2),
                Version = reader.GetInt32(3),
                InstanceId = reader.GetString(4),
                Subject = reader.IsDBNull(5) ? null : reader.GetString(5),
                CreatedAt = reader.GetFieldValue<DateTimeOffset>(6),
                CreatedBy = reader.GetString(7),
                Result = reader.IsDBNull(8) ? null : JsonSerializer.Deserialize(reader.GetString(8), RunTestJson.Default.RunTestResult),
                Recording = reader.FieldCount > 9 ? JsonSerializer.Deserialize(reader.GetString(9), RunTestJson.Default.RunRecording) : null,
            });
        }

        return tests;
    }
}

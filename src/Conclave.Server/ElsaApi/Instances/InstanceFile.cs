using System.Text.Json;
using Conclave.Server.Api;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime;
using Conclave.Workflows.Runtime.Executions;
using Conclave.Workflows.Runtime.Instances;
using Conclave.Workflows.Runtime.Journal;

namespace Conclave.Server.ElsaApi.Instances;

/// <summary>What a file with an instance holds beside its state.</summary>
/// <param name="Bookmarks">Whether its bookmarks are repeated beside the state.</param>
/// <param name="Executions">Whether records of its activities are in it.</param>
/// <param name="Journal">Whether its journal is in it.</param>
internal readonly record struct InstanceFileParts(bool Bookmarks, bool Executions, bool Journal);

/// <summary>
/// Files with an instance. They have what Elsa's have, and the member <c>Conclave</c> with the state and the log as we store them, from which an
/// instance is restored: Elsa's form does not say all that is needed to run on.
/// </summary>
internal static class InstanceFile
{
    private const int MostRecords = 10_000;

    /// <summary>Writes an instance; null when it does not exist.</summary>
    public static async Task<byte[]?> WriteAsync(WorkflowRuntime runtime, string tenant, string id, InstanceFileParts parts, CancellationToken cancellationToken)
    {
        if (await runtime.Instances.ReadAsync(tenant, id, cancellationToken) is not { } held)
            return null;
        var large = await runtime.Instances.ReadBlobsAsync(tenant, id, cancellationToken);
        var graph = await runtime.Catalog.Of(tenant).GetGraphAsync(held.DefinitionVersionId, cancellationToken);
        var instance = InstanceSerializer.Read(id, graph, held.State, runtime.Catalog.Of(tenant).Engine.Time, large);
        var chunks = new List<StoredJournalChunk>();
        await foreach (var chunk in runtime.Journal.ReadChunksAsync(tenant, id, -1, cancellationToken))
            chunks.Add(chunk);
        var starts = await runtime.Executions.FindStartsAsync(tenant, id, instance.Contexts.Select(c => c.Number).ToHashSet(), cancellationToken);
        var executions = parts.Executions ? (await runtime.Executions.FindAsync(tenant, id, new ExecutionFilter { Most = MostRecords }, cancellationToken)).Items : [];
        var journal = parts.Journal ? (await new JournalQuery().ReadAsync(runtime, tenant, id, 0, MostRecords, cancellationToken)).Page : [];
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            writer.WritePropertyName("WorkflowState");
            WorkflowStateJson.Write(writer, instance, starts);
            writer.WriteStartArray("Bookmarks");
            foreach (var bookmark in parts.Bookmarks ? instance.Bookmarks : [])
                WorkflowStateJson.WriteBookmark(writer, bookmark);
            writer.WriteEndArray();
            writer.WriteStartArray("ActivityExecutionRecords");
            foreach (var execution in executions)
                ExecutionJson.Write(writer, execution, isSummary: false);
            writer.WriteEndArray();
            writer.WriteStartArray("WorkflowExecutionLogRecords");
            foreach (var record in journal)
                JournalEndpoints.Write(writer, id, record);
            writer.WriteEndArray();
            WriteSaved(writer, held, large, chunks);
            writer.WriteEndObject();
        }

        return buffer.ToArray();
    }

    /// <summary>Reads an instance from a file.</summary>
    /// <exception cref="ApiException">It is no such file.</exception>
    public static SavedInstance Read(string file, JsonElement json)
    {
        if (!ElsaQuery.TryGet(json, "Conclave", out var saved))
        {
            throw ApiException.Bad(ElsaQuery.TryGet(json, "WorkflowState", out _)
                ? $"'{file}' was exported by another server: it says what the instance looked like, but not all that is needed to go on from there. Only instances that this platform exported can be imported."
                : $"'{file}' is not an exported instance: it has no 'WorkflowState'.");
        }

        try
        {
            return new SavedInstance(
                IdOf(file, saved),
                saved.GetProperty("definitionVersionId").GetString()!,
                saved.GetProperty("state").GetBytesFromBase64(),
                saved.GetProperty("values").EnumerateObject().ToDictionary(v => v.Name, v => v.Value.GetBytesFromBase64()),
                [.. saved.GetProperty("journal").EnumerateArray().Select(c => new StoredJournalChunk(c.GetProperty("sequence").GetInt64(), c.GetProperty("entries").GetBytesFromBase64()))]);
        }
        catch (Exception exception) when (exception is KeyNotFoundException or FormatException or InvalidOperationException)
        {
            throw ApiException.Bad($"'{file}' is damaged: {exception.Message}");
        }
    }

    private static string IdOf(string file, JsonElement saved) =>
        saved.GetProperty("id").GetString() is { Length: > 0 and <= 200 } id && id.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.' or '~')
            ? id
            : throw ApiException.Bad($"'{file}': the id of an instance has 1 to 200 letters, digits and -_.~ characters.");

    /// <summary>Stores what a file holds.</summary>
    /// <exception cref="ApiException">It cannot be stored here.</exception>
    public static async Task RestoreAsync(WorkflowRuntime runtime, string tenant, string file, SavedInstance saved, CancellationToken cancellationToken)
    {
        try
        {
            if (await runtime.Runner.RestoreAsync(tenant, saved, cancellationToken) is var outcome and not CommitOutcome.Stored)
                throw ApiException.Bad(outcome == CommitOutcome.Exists
                    ? $"'{file}': there is an instance with the id '{saved.Id}' already. Delete it first."
                    : $"'{file}': instance '{saved.Id}' could not be stored.");
        }
        catch (InvalidDataException exception)
        {
            throw ApiException.Bad($"'{file}': {exception.Message}");
        }
        catch (Exception exception) when (exception is WorkflowException { Code: "definition.version_missing" } or WorkflowDefinitionException)
        {
            throw ApiException.Bad($"'{file}': {exception.Message}");
        }
    }

    private static void WriteSaved(Utf8JsonWriter writer, HeldInstance held, Dictionary<string, byte[]> large, List<StoredJournalChunk> chunks)
    {
        writer.WriteStartObject("Conclave");
        writer.WriteString("id", held.Id);
        writer.WriteString("definitionVersionId", held.DefinitionVersionId);
        writer.WriteBase64String("state", held.State);
        writer.WriteStartObject("values");
        foreach (var (hash, content) in large)
            writer.WriteBase64String(hash, content);
        writer.WriteEndObject();
        writer.WriteStartArray("journal");
        foreach (var chunk in chunks)
        {
            writer.WriteStartObject();
            writer.WriteNumber("sequence", chunk.FirstSequence);
            writer.WriteBase64String("entries", chunk.Entries);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }
}

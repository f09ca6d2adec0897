using System.IO.Compression;
using Conclave.Server.Accounts;
using Conclave.Server.Api;
using Conclave.Server.OpenApi;
using Conclave.Workflows.Runtime.Instances;

namespace Conclave.Server.ElsaApi.Instances;

/// <summary>Export and import of instances.</summary>
internal static class TransferEndpoints
{
    private const int MostFiles = 1_000;

    /// <summary>Most bytes of one file in an archive.</summary>
    private const long LargestFile = 100 * 1024 * 1024;

    public static void Map(RouteGroupBuilder group)
    {
        group.MapMethods("/workflow-instances/{id}/export", ["GET", "POST"], ExportAsync).RequirePermission(InstanceApi.Read)
            .Describe("ElsaExportInstance", "Download an instance", o => o
                .Query<bool>("includeBookmarks", "Repeats bookmarks beside the state.").Query<bool>("includeActivityExecutionLog", "With what activities did.").Query<bool>("includeWorkflowExecutionLog", "With the journal.")
                .Takes<ExportPartsRequest>(isOptional: true).Answers<InstanceFileShape>());
        group.MapPost("/bulk-actions/export/workflow-instances", ExportManyAsync).RequirePermission(InstanceApi.Read)
            .Describe("ElsaExportInstances", "Download instances", o => o
                .Takes<ExportManyRequest>().Answers<InstanceFileShape>(200, "The file of one, or a zip of several.").Answers(204, "There is none of them."));
        group.MapPost("/bulk-actions/import/workflow-instances", ImportAsync).RequirePermission(InstanceApi.Write).DisableAntiforgery()
            .Describe("ElsaImportInstances", "Import instances that this platform exported", o => o.TakesFiles().Answers<ImportedShape>());
    }

    private static async Task ExportAsync(HttpContext context, string id)
    {
        var body = HttpMethods.IsPost(context.Request.Method) ? await context.ReadObjectAsync() : default;
        var file = await InstanceFile.WriteAsync(context.Runtime(), context.Tenant(), id, ReadParts(context, body), context.RequestAborted)
            ?? throw ApiException.NoInstance(id);
        await SendAsync(context, file, "application/json", FileName(id));
    }

    private static async Task ExportManyAsync(HttpContext context)
    {
        var body = await context.ReadObjectAsync();
        var ids = (ElsaQuery.TextsOf(body, "ids") ?? []).Distinct(StringComparer.Ordinal).ToList();
        if (ids.Count > MostFiles)
            throw ApiException.Bad($"Export at most {MostFiles} instances at once; these are {ids.Count}.");
        var files = new List<(string Id, byte[] Content)>();
        foreach (var id in ids)
        {
            if (await InstanceFile.WriteAsync(context.Runtime(), context.Tenant(), id, ReadParts(context, body), context.RequestAborted) is { } file)
                files.Add((id, file));
        }

        if (files.Count == 0)
            context.Response.StatusCode = StatusCodes.Status204NoContent;
        else if (files.Count == 1)
            await SendAsync(context, files[0].Content, "application/json", FileName(files[0].Id));
        else
            await SendAsync(context, Zip(files), "application/zip", "workflow-instances.zip");
    }

    private static async Task ImportAsync(HttpContext context)
    {
        if (!context.Request.HasFormContentType)
            throw ApiException.Bad("Send the files as multipart/form-data; JSON, or zip archives of JSON.");
        var form = await context.Request.ReadFormAsync(context.RequestAborted);
        // All are read before any is stored: one that is no instance keeps all out.
        var saved = new List<(string File, SavedInstance Instance)>();
        foreach (var file in form.Files)
        {
            await using var content = file.OpenReadStream();
            await foreach (var (name, bytes) in ReadAsync(file.FileName, content, context.RequestAborted))
            {
                if (saved.Count == MostFiles)
                    throw ApiException.Bad($"Import at most {MostFiles} instances at once.");
                saved.Add((name, InstanceFile.Read(name, JsonText.Parse(bytes))));
            }
        }

        if (saved.Count == 0)
            throw ApiException.Bad("There is no file in the request.");
        foreach (var (file, instance) in saved)
            await InstanceFile.RestoreAsync(context.Runtime(), context.Tenant(), file, instance, context.RequestAborted);
        await context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            // Elsa's server says the one, Studio reads the other.
            writer.WriteNumber("imported", saved.Count);
            writer.WriteNumber("count", saved.Count);
            writer.WriteEndObject();
        });
    }

    private static async IAsyncEnumerable<(string Name, byte[] Bytes)> ReadAsync(
        string name, Stream content, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var bytes = await ReadAllAsync(name, content, cancellationToken);
        if (!bytes.AsSpan().StartsWith("PK"u8))
        {
            yield return (name, bytes);
            yield break;
        }

        using var archive = OpenZip(name, bytes);
        foreach (var entry in archive.Entries.Where(e => e.Name.EndsWith(".json", StringComparison.OrdinalIgnoreCase)))
        {
            await using var file = await entry.OpenAsync(cancellationToken);
            yield return (entry.FullName, await ReadAllAsync(entry.FullName, file, cancellationToken));
        }
    }

    private static ZipArchive OpenZip(string name, byte[] bytes)
    {
        try
        {
            return new ZipArchive(new MemoryStream(bytes), ZipArchiveMode.Read);
        }
        catch (InvalidDataException exception)
        {
            throw ApiException.Bad($"'{name}' is not a zip archive: {exception.Message}");
        }
    }

    private static async Task<byte[]> ReadAllAsync(string name, Stream content, CancellationToken cancellationToken)
    {
        using var buffer = new MemoryStream();
        var part = new byte[81_920];
        for (var read = await content.ReadAsync(part, cancellationToken); read > 0; read = await content.ReadAsync(part, cancellationToken))
        {
            if (buffer.Length + read > LargestFile)
                throw ApiException.Bad($"'{name}' is larger than {LargestFile / 1024 / 1024} MB.");
            buffer.Write(part, 0, read);
        }

        return buffer.ToArray();
    }

    private static byte[] Zip(List<(string Id, byte[] Content)> files)
    {
        using var buffer = new MemoryStream();
        using (var archive = new ZipArchive(buffer, ZipArchiveMode.Create, leaveOpen: true))
        {
            foreach (var (id, content) in files)
            {
                using var entry = archive.CreateEntry(FileName(id), CompressionLevel.Fastest).Open();
                entry.Write(content);
            }
        }

        return buffer.ToArray();
    }

    private static InstanceFileParts ReadParts(HttpContext context, System.Text.Json.JsonElement body)
    {
        bool Wants(string name) => context.Flag(name) ?? ElsaQuery.FlagOf(body, name) ?? false;
        return new InstanceFileParts(Wants("includeBookmarks"), Wants("includeActivityExecutionLog"), Wants("includeWorkflowExecutionLog"));
    }

    private static string FileName(string id) => $"workflow-instance-{id}.json";

    private static async Task SendAsync(HttpContext context, byte[] content, string type, string name)
    {
        context.Response.ContentType = type;
        context.Response.ContentLength = content.Length;
        context.Response.Headers.CacheControl = "no-store";
        context.Response.Headers.ContentDisposition = $"attachment; filename=\"{name}\"";
        await context.Response.Body.WriteAsync(content, context.RequestAborted);
    }
}

using System.Security.Cryptography;
using Conclave.Workflows.Definitions;

namespace Conclave.Workflows.Runtime.Definitions;

/// <summary>
/// Reads definitions out of files: a document with one, a list of them (also wrapped in <c>items</c>, <c>_items</c>,
/// <c>$values</c> or <c>workflowDefinitions</c>), a zip archive such as Elsa's bulk export, or a folder. Writes archives.
/// </summary>
/// <remarks>Bad content is never an exception: each bad file is an entry with its problems. Nothing is written to disk.</remarks>
public static partial class DefinitionPackage
{
    /// <summary>Reads an upload: a zip archive, or JSON with one definition or several.</summary>
    /// <param name="file">Its name, for messages.</param>
    /// <param name="content">What to read, to its end; stays open.</param>
    /// <param name="limits">How much it may hold; null takes <see cref="PackageLimits.Default"/>.</param>
    /// <param name="cancellationToken">Stops reading.</param>
    /// <returns>At least one entry, in the order of the upload.</returns>
    public static async Task<IReadOnlyList<PackagedDefinition>> ReadAsync(
        string file, Stream content, PackageLimits? limits, CancellationToken cancellationToken)
    {
        limits ??= PackageLimits.Default;
        var longest = Math.Max(limits.MaxArchiveBytes, limits.MaxFileBytes);
        if (await ReadBytesAsync(content, longest, cancellationToken) is not { } bytes)
            return [TooLarge(file, longest)];
        return IsZip(bytes) ? ReadArchive(file, bytes, limits, cancellationToken) : ReadDocument(file, bytes, limits);
    }

    /// <summary>Reads a JSON document with one definition or several.</summary>
    /// <param name="file">Its name, for messages.</param>
    /// <param name="utf8Json">The document, with or without a byte order mark.</param>
    /// <param name="limits">How much it may hold; null takes <see cref="PackageLimits.Default"/>.</param>
    /// <returns>At least one entry, in the order of the document.</returns>
    public static IReadOnlyList<PackagedDefinition> ReadDocument(
        string file, ReadOnlyMemory<byte> utf8Json, PackageLimits? limits = null)
    {
        limits ??= PackageLimits.Default;
        return utf8Json.Length > limits.MaxFileBytes
            ? [TooLarge(file, limits.MaxFileBytes)]
            : ReadJson(file, utf8Json.Span, limits, skipsOthers: false);
    }

    /// <param name="file">Its name, for messages.</param>
    /// <param name="json">The document.</param>
    /// <param name="limits">How much it may hold.</param>
    /// <param name="skipsOthers">Whether JSON that is something else than a definition is left out in silence.</param>
    private static List<PackagedDefinition> ReadJson(string file, ReadOnlySpan<byte> json, PackageLimits limits, bool skipsOthers)
    {
        if (json.StartsWith("\uFEFF"u8))
            json = json[3..];
        var parts = JsonParts.Split(json, limits);
        if (parts.Items is not { } items)
            return skipsOthers && parts.Kind == JsonParts.Content.Other ? [] : [ReadOne(file, json, parts.Kind, limits)];

        if (items.Count > limits.MaxEntries)
        {
            return [PackagedDefinition.Refused(file, "package.too_many",
                $"'{PackagedDefinition.Printable(file)}' is a list of more than {limits.MaxEntries:N0} entries. Split it into several files.")];
        }

        if (skipsOthers && items.TrueForAll(item => item.Kind == JsonParts.Content.Other))
            return [];
        if (items.Count == 0)
            return [PackagedDefinition.Refused(file, "package.empty", $"'{PackagedDefinition.Printable(file)}' is an empty list. Export at least one workflow.")];
        var read = new List<PackagedDefinition>(items.Count);
        for (var i = 0; i < items.Count; i++)
            read.Add(ReadOne($"{file}[{i}]", json[items[i].Range], items[i].Kind, limits));
        return read;
    }

    private static PackagedDefinition ReadOne(string file, ReadOnlySpan<byte> json, JsonParts.Content kind, PackageLimits limits)
    {
        switch (kind)
        {
            case JsonParts.Content.Other:
                return PackagedDefinition.Refused(file, "package.not_a_definition",
                    $"'{PackagedDefinition.Printable(file)}' is JSON but no workflow definition: it has neither 'root' nor 'definitionId'. " +
                    "Export the workflow as JSON and import that file.");
            case JsonParts.Content.WithoutRoot:
                return PackagedDefinition.Refused(file, "package.without_root",
                    $"'{PackagedDefinition.Printable(file)}' names a workflow but has no 'root' with its activities, as entries of a list of " +
                    "workflows do. Importing it would empty the workflow. Export the workflow as JSON and import that file.");
        }

        try
        {
            var definition = WorkflowDefinitionReader.Read(json, limits.Definition);
            return new PackagedDefinition(PackagedDefinition.Printable(file), definition, [])
            {
                HasDefinitionId = kind == JsonParts.Content.Definition,
                FileHash = Convert.ToHexStringLower(SHA256.HashData(json)),
            };
        }
        catch (WorkflowDefinitionException exception)
        {
            return new PackagedDefinition(PackagedDefinition.Printable(file), null, exception.Problems);
        }
    }

    /// <summary>All bytes of a stream; null when there are more than the limit.</summary>
    private static async Task<ReadOnlyMemory<byte>?> ReadBytesAsync(Stream stream, int limit, CancellationToken cancellationToken)
    {
        var bytes = new MemoryStream();
        var chunk = new byte[64 * 1024];
        int read;
        while ((read = await stream.ReadAsync(chunk, cancellationToken)) > 0)
        {
            if (bytes.Length + read > limit)
                return null;
            bytes.Write(chunk, 0, read);
        }

        return bytes.GetBuffer().AsMemory(0, (int)bytes.Length);
    }

    private static PackagedDefinition TooLarge(string file, long limit) => PackagedDefinition.Refused(file, "package.too_large",
        $"'{PackagedDefinition.Printable(file)}' is larger than {limit:N0} bytes. Split it into several files.");
}

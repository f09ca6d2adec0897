namespace Conclave.Workflows.Runtime.Definitions;

public static partial class DefinitionPackage
{
    /// <summary>Reads the definitions in the <c>.json</c> files of a folder and the folders in it, in the order of their paths.</summary>
    /// <param name="folder">The folder; need not exist.</param>
    /// <param name="limits">How much it may hold; null takes <see cref="PackageLimits.Default"/>.</param>
    /// <param name="cancellationToken">Stops reading.</param>
    /// <returns>
    /// An entry for each definition and each file that cannot be read; none for files that are JSON of another kind, such as
    /// sample inputs. Names with a leading dot are left out, and so are links that lead out of the folder.
    /// </returns>
    public static async Task<IReadOnlyList<PackagedDefinition>> ReadFolderAsync(
        string folder, PackageLimits? limits, CancellationToken cancellationToken)
    {
        limits ??= PackageLimits.Default;
        var read = new List<PackagedDefinition>();
        var total = 0L;
        var files = DefinitionFiles.List(folder);
        if (files.Count > limits.MaxEntries)
            return [PackagedDefinition.Refused(folder, "package.too_many", $"'{PackagedDefinition.Printable(folder)}' holds more than {limits.MaxEntries:N0} .json files. Move some into another folder.")];
        foreach (var file in files)
        {
            if ((total += file.Length) > limits.MaxTotalBytes)
                return [PackagedDefinition.Refused(folder, "package.too_large", $"'{PackagedDefinition.Printable(folder)}' holds more than {limits.MaxTotalBytes:N0} bytes of JSON. Move some files into another folder.")];
            read.AddRange(await ReadFileAsync(file, limits, cancellationToken));
        }

        return read;
    }

    /// <summary>Reads one file of a folder, leaving out JSON of another kind.</summary>
    internal static async Task<List<PackagedDefinition>> ReadFileAsync(
        DefinitionFile file, PackageLimits limits, CancellationToken cancellationToken)
    {
        try
        {
            await using var content = new FileStream(file.Path, new FileStreamOptions
            {
                Share = FileShare.ReadWrite | FileShare.Delete,
                Options = FileOptions.Asynchronous | FileOptions.SequentialScan,
            });
            return await ReadBytesAsync(content, limits.MaxFileBytes, cancellationToken) is { } bytes
                ? ReadJson(file.Name, bytes.Span, limits, skipsOthers: true)
                : [TooLarge(file.Name, limits.MaxFileBytes)];
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return [PackagedDefinition.Refused(file.Name, "package.unreadable", $"'{PackagedDefinition.Printable(file.Name)}' cannot be read: {exception.Message} Let the server read it.")];
        }
    }
}

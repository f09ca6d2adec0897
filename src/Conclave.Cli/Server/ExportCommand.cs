using System.CommandLine;
using System.IO.Compression;
using System.Text.Json.Nodes;

namespace Conclave.Cli.Server;

/// <summary><c>conclave export</c>: definitions into a folder, a zip or standard output.</summary>
internal static class ExportCommand
{
    public static Command Create()
    {
        var ids = new Argument<string[]>("definitionIds") { Description = "The workflows; all without any.", Arity = ArgumentArity.ZeroOrMore };
        var target = new Option<string>("--out", "-o")
        {
            Description = "A folder, a file that ends in .zip, or - for a zip on standard output.",
            Required = true,
        };
        return ServerCommand.Create(
            "export",
            "Write the newest versions of workflows to files.",
            (session, cancellationToken) => ExportAsync(session, session.Get(ids), session.Get(target)!, cancellationToken),
            [ids, target]);
    }

    private static async Task<int> ExportAsync(ServerSession session, string[] ids, string target, CancellationToken cancellationToken)
    {
        if (target == "-" && !Console.IsOutputRedirected)
            throw CommandException.BadInput("A zip is nothing for a terminal: redirect standard output, or name a file or folder in --out.");
        if (ids.FirstOrDefault(i => i.Contains(',', StringComparison.Ordinal)) is { } id)
            throw CommandException.BadInput($"'{id}': workflows with a comma in their id can only be exported with all others.");
        var path = ApiPath.Of("workflows", "export").With("ids", ids.Length > 0 ? string.Join(',', ids) : null);

        // Complete before anything is written where it belongs, so that a broken connection leaves what was there.
        var isZip = target.EndsWith(".zip", StringComparison.OrdinalIgnoreCase);
        var temporary = isZip ? target + ".tmp" : Path.Combine(Path.GetTempPath(), $"conclave-{Guid.NewGuid():N}.zip");
        try
        {
            await using (var file = new FileStream(temporary, FileMode.Create, FileAccess.ReadWrite))
            {
                await session.Client.DownloadAsync(path, file, cancellationToken);
                file.Position = 0;
                if (target == "-")
                {
                    await using var output = Console.OpenStandardOutput();
                    await file.CopyToAsync(output, cancellationToken);
                    return ExitCodes.Finished;
                }

                Show(session.Screen, target, isZip ? await NamesAsync(file) : await ExtractAsync(file, target, cancellationToken));
            }

            if (isZip)
                File.Move(temporary, target, overwrite: true);
            return ExitCodes.Finished;
        }
        catch (InvalidDataException)
        {
            throw new CommandException(ExitCodes.Unexpected, "What the server answered is no zip; nothing was written.");
        }
        finally
        {
            File.Delete(temporary);
        }
    }

    private static async Task<List<string>> NamesAsync(Stream zip)
    {
        await using var archive = await ZipArchive.CreateAsync(zip, ZipArchiveMode.Read, leaveOpen: true, entryNameEncoding: null);
        return [.. archive.Entries.Select(e => e.FullName)];
    }

    private static async Task<List<string>> ExtractAsync(Stream zip, string folder, CancellationToken cancellationToken)
    {
        await using var archive = await ZipArchive.CreateAsync(zip, ZipArchiveMode.Read, leaveOpen: true, entryNameEncoding: null, cancellationToken);
        var root = Path.GetFullPath(folder) + Path.DirectorySeparatorChar;
        var entries = archive.Entries.Where(e => e.Name.Length > 0).Select(e => (Entry: e, File: Path.GetFullPath(Path.Combine(root, e.FullName)))).ToList();
        // All are looked at before the first is written. A backslash is a separator elsewhere.
        foreach (var (entry, file) in entries)
        {
            if (!file.StartsWith(root, StringComparison.Ordinal) || entry.FullName.Contains('\\', StringComparison.Ordinal))
                throw new CommandException(ExitCodes.Unexpected, $"The zip names a file outside of the folder, '{entry.FullName}'; nothing was written.");
        }

        foreach (var (entry, file) in entries)
        {
            Directory.CreateDirectory(Path.GetDirectoryName(file)!);
            await entry.ExtractToFileAsync(file, overwrite: true, cancellationToken);
        }

        return [.. entries.Select(e => e.Entry.FullName)];
    }

    private static void Show(Screen screen, string target, List<string> names)
    {
        if (screen.IsJson)
        {
            Screen.Json(new JsonObject { ["out"] = target, ["files"] = new JsonArray([.. names.Select(n => (JsonNode)n)]) });
            return;
        }

        foreach (var name in names)
            Screen.Line(SafeText.Line(name));
        Screen.Line(names.Count == 0
            ? "The server has no workflows to export; store some with: conclave import <files>"
            : $"{names.Count} {(names.Count == 1 ? "file" : "files")} in {target}.");
    }
}

using System.Collections.Frozen;
using System.Security.Cryptography;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.StaticFiles;

namespace Conclave.Server.Designer;

/// <summary>A file of the designer.</summary>
/// <param name="FullPath">Where it is.</param>
/// <param name="ContentType">Its media type.</param>
/// <param name="ETag">Names its content.</param>
/// <param name="IsImmutable">Whether its name changes with its content.</param>
/// <param name="Encodings">Forms in which it lies beside itself: <c>br</c>, <c>gzip</c>.</param>
internal sealed record DesignerFile(string FullPath, string ContentType, string ETag, bool IsImmutable, IReadOnlyList<string> Encodings);

/// <summary>The files of the page and of Elsa Studio: beside the program when it was published, else where the build found them.</summary>
internal sealed partial class DesignerFiles
{
    private DesignerFiles(string page, FrozenDictionary<string, DesignerFile> byPath)
    {
        ByPath = byPath;
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var file in Directory.EnumerateFiles(page).Order(StringComparer.Ordinal))
            hash.AppendData(File.ReadAllBytes(file));
        Version = Convert.ToHexStringLower(hash.GetHashAndReset().AsSpan(0, 6));
        Page = File.ReadAllText(Path.Combine(page, "index.html")).Replace("VERSION", Version, StringComparison.Ordinal);
    }

    /// <summary>Files by their path under <c>/designer/</c>.</summary>
    public FrozenDictionary<string, DesignerFile> ByPath { get; }

    /// <summary>The page's HTML.</summary>
    public string Page { get; }

    /// <summary>Changes with the page's files.</summary>
    public string Version { get; }

    /// <summary>Finds the files; null when they are not installed.</summary>
    public static DesignerFiles? Find(string programFolder)
    {
        var pathFile = Path.Combine(programFolder, "designer.path");
        var (page, studio) = (Path.Combine(programFolder, "designer", "page"), Path.Combine(programFolder, "designer", "studio"));
        if (!Directory.Exists(page) && File.Exists(pathFile) && File.ReadAllLines(pathFile) is [var pagePath, var studioPath, ..])
            (page, studio) = (pagePath, studioPath);
        if (!Directory.Exists(page) || !Directory.Exists(studio))
            return null;
        var files = new Dictionary<string, DesignerFile>(StringComparer.Ordinal);
        Add(files, studio, "");
        Add(files, page, "page/");
        return new DesignerFiles(page, files.ToFrozenDictionary(StringComparer.Ordinal));
    }

    private static void Add(Dictionary<string, DesignerFile> files, string folder, string prefix)
    {
        var types = new FileExtensionContentTypeProvider();
        var all = new DirectoryInfo(folder).EnumerateFiles("*", SearchOption.AllDirectories).ToDictionary(f => f.FullName, StringComparer.Ordinal);
        foreach (var (path, file) in all)
        {
            var encodings = new List<string>();
            if (all.ContainsKey(path + ".br"))
                encodings.Add("br");
            if (all.ContainsKey(path + ".gz"))
                encodings.Add("gzip");
            // The compressed forms are not files of their own.
            if (file.Extension is ".br" or ".gz")
                continue;
            files[prefix + Path.GetRelativePath(folder, path).Replace('\\', '/')] = new DesignerFile(
                path,
                types.TryGetContentType(path, out var type) ? type : "application/octet-stream",
                $"\"{file.Length:x}-{file.LastWriteTimeUtc.Ticks:x}\"",
                Fingerprint().IsMatch(file.Name),
                encodings);
        }
    }

    /// <summary>Names such as <c>dotnet.native.b6l13xorvf.js</c> come from the content.</summary>
    [GeneratedRegex(@"\.[a-z0-9]{10}\.(bundle\.scp\.css|[a-z]+)$")]
    private static partial Regex Fingerprint();
}

using System.Collections.Frozen;
using System.Security.Cryptography;
using System.Text;
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
    private const string PagePrefix = "page/";

    private DesignerFiles(string page, Dictionary<string, DesignerFile> byPath)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var file in Directory.EnumerateFiles(page).Order(StringComparer.Ordinal))
            hash.AppendData(File.ReadAllBytes(file));
        foreach (var (path, file) in byPath.Where(f => !f.Value.IsImmutable).OrderBy(f => f.Key, StringComparer.Ordinal))
            hash.AppendData(Encoding.UTF8.GetBytes($"{path} {file.ETag}\n"));
        Version = Convert.ToHexStringLower(hash.GetHashAndReset().AsSpan(0, 6));
        // The page's modules name each other relatively: under a folder that changes with the version they can all be kept for good.
        ByPath = byPath.Concat(byPath.Where(f => f.Key.StartsWith(PagePrefix, StringComparison.Ordinal))
            .Select(f => KeyValuePair.Create($"{PagePrefix}{Version}/{f.Key[PagePrefix.Length..]}", f.Value with { IsImmutable = true })).ToList())
            .ToFrozenDictionary(StringComparer.Ordinal);
        Page = File.ReadAllText(Path.Combine(page, "index.html")).Replace("VERSION", Version, StringComparison.Ordinal);
    }

    /// <summary>Files by their path under <c>/designer/</c>.</summary>
    public FrozenDictionary<string, DesignerFile> ByPath { get; }

    /// <summary>The page's HTML.</summary>
    public string Page { get; }

    /// <summary>Changes with the files whose names do not change with them.</summary>
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
        Add(files, page, PagePrefix);
        return new DesignerFiles(page, files);
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

    /// <summary>Names such as <c>dotnet.native.b6l13xorvf.js</c> and Monaco's <c>editor.api-i0YVFWkl.js</c> come from the content.</summary>
    [GeneratedRegex(@"\.[a-z0-9]{10}\.(bundle\.scp\.css|[a-z]+)$|-[A-Za-z0-9_-]{8}\.js$")]
    private static partial Regex Fingerprint();
}

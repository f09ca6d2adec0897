using System.IO.Compression;
using System.Text;

namespace Conclave.Tests.Runtime.Definitions;

/// <summary>Archives and definitions for tests of packages.</summary>
internal static class Zips
{
    public static string Workflow(string? id, string text, bool isPublished = false, string? name = null) => $$"""
        {
          {{(id is null ? "" : $"\"definitionId\": \"{id}\",")}} "name": "{{name ?? id ?? "Nameless"}}", "isPublished": {{(isPublished ? "true" : "false")}},
          "root": { "id": "root", "type": "Elsa.WriteLine", "version": 1, "text": "{{text}}" }
        }
        """;

    public static byte[] Of(params (string Name, string Content)[] files) =>
        OfBytes(Array.ConvertAll(files, f => (f.Name, Encoding.UTF8.GetBytes(f.Content))));

    public static byte[] OfBytes(params (string Name, byte[] Content)[] files)
    {
        var bytes = new MemoryStream();
        using (var zip = new ZipArchive(bytes, ZipArchiveMode.Create, leaveOpen: true))
        {
            foreach (var (name, content) in files)
            {
                using var entry = zip.CreateEntry(name).Open();
                entry.Write(content);
            }
        }

        return bytes.ToArray();
    }

    /// <summary>Changes bytes after each occurrence of a header's mark.</summary>
    public static byte[] Patch(byte[] zip, ReadOnlySpan<byte> mark, int offset, ReadOnlySpan<byte> value)
    {
        var patched = zip.ToArray();
        for (var at = 0; patched.AsSpan(at).IndexOf(mark) is >= 0 and var found; at += found + mark.Length)
            value.CopyTo(patched.AsSpan(at + found + offset));
        return patched;
    }
}

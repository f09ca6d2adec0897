using System.IO.Compression;
using System.Text;
using System.Text.Json;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;
using Conclave.Workflows.Http;

namespace Conclave.Workflows.Activities;

/// <summary>Reads files from workflow values, and packs several into an archive.</summary>
internal static class HttpFiles
{
    /// <summary>Zip cannot say earlier times; a fixed one makes the same files the same archive.</summary>
    private static readonly DateTimeOffset ZipEpoch = new(1980, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>
    /// The files in a value: bytes, a text, a URL to download, an object with <c>content</c> or <c>text</c>, or a list of
    /// those. Any other object is a file of JSON.
    /// </summary>
    public static async ValueTask<List<HttpFileData>> ReadAsync(ActivityContext context, object? content)
    {
        var files = new List<HttpFileData>();
        foreach (var item in IsOne(content) ? [content] : ValueConverter.Enumerate(content))
        {
            if (await ReadOneAsync(context, item) is { } file)
                files.Add(file);
        }

        return files;
    }

    /// <summary>An archive with every file; names that occur twice are numbered.</summary>
    public static byte[] Zip(IReadOnlyList<HttpFileData> files)
    {
        using var buffer = new MemoryStream();
        using (var archive = new ZipArchive(buffer, ZipArchiveMode.Create, leaveOpen: true))
        {
            var names = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
            for (var i = 0; i < files.Count; i++)
            {
                var entry = archive.CreateEntry(UniqueName(names, SafeName(files[i].FileName) is { Length: > 0 } name ? name : $"file{i + 1}.bin"));
                entry.LastWriteTime = ZipEpoch;
                using var stream = entry.Open();
                stream.Write(files[i].Content);
            }
        }

        return buffer.ToArray();
    }

    /// <summary>The last part of a name without folders and control characters; empty when nothing is left.</summary>
    public static string SafeName(string? name)
    {
        if (name is null)
            return "";
        name = name[(name.LastIndexOfAny(['/', '\\']) + 1)..];
        name = string.Concat(name.Where(c => !char.IsControl(c) && c is not ('"' or ':'))).Trim();
        return name is "." or ".." ? "" : name;
    }

    private static bool IsOne(object? content) => content is string or byte[] or Uri or HttpFileData or JsonElement { ValueKind: JsonValueKind.Object };

    private static async ValueTask<HttpFileData?> ReadOneAsync(ActivityContext context, object? item)
    {
        switch (item)
        {
            case null:
                return null;
            case HttpFileData file:
                return file;
            case byte[] bytes:
                return new HttpFileData("", null, null, bytes);
            case Uri url:
                var response = await context.Engine.Http.SendAsync(new OutboundRequest("GET", url), context.CancellationToken);
                if (response.StatusCode != 200)
                    throw new WorkflowException("http.download_failed", $"{context.Node}: {url.Host} answered {response.StatusCode} to the download of {url.AbsolutePath}.");
                return new HttpFileData("", SafeName(Uri.UnescapeDataString(response.Url.Segments[^1])), response.ContentType, response.Body);
            case JsonElement { ValueKind: JsonValueKind.Object } json:
                return HttpFileData.Read(json) ?? new HttpFileData("", null, "application/json", Encoding.UTF8.GetBytes(json.GetRawText()));
            default:
                var (body, contentType) = HttpBody.Write(item, null, isJsonGuessed: false);
                return new HttpFileData("", null, contentType, body);
        }
    }

    private static string UniqueName(HashSet<string> names, string name)
    {
        var unique = name;
        for (var number = 2; !names.Add(unique); number++)
            unique = $"{Path.GetFileNameWithoutExtension(name)}-{number}{Path.GetExtension(name)}";
        return unique;
    }
}

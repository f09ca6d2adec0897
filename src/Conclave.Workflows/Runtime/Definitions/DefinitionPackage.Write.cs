using System.Buffers;
using System.Globalization;
using System.IO.Compression;
using System.Text;
using Conclave.Workflows.Definitions;

namespace Conclave.Workflows.Runtime.Definitions;

public static partial class DefinitionPackage
{
    private const int LongestName = 80;
    private static readonly DateTimeOffset EarliestInZip = new(1980, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private static readonly HashSet<string> ReservedByWindows = new(
        ["con", "prn", "aux", "nul", .. Enumerable.Range(0, 10).SelectMany(i => new[] { $"com{i}", $"lpt{i}" })],
        StringComparer.OrdinalIgnoreCase);

    /// <summary>Writes a zip archive with one indented JSON file for each definition, as they come.</summary>
    /// <param name="definitions">What to write. The same definitions in the same order give the same archive.</param>
    /// <param name="destination">Where to; need not be seekable, is written asynchronously, stays open.</param>
    /// <param name="cancellationToken">Stops writing; what is there then is no archive.</param>
    /// <returns>How many definitions were written.</returns>
    public static async Task<int> WriteZipAsync(
        IAsyncEnumerable<WorkflowDefinition> definitions, Stream destination, CancellationToken cancellationToken)
    {
        var names = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        var staging = new StagingStream();
        using (var archive = new ZipArchive(staging, ZipArchiveMode.Create, leaveOpen: true))
        {
            await foreach (var definition in definitions.WithCancellation(cancellationToken))
            {
                var entry = archive.CreateEntry(FileName(definition, names), CompressionLevel.Optimal);
                entry.LastWriteTime = definition.CreatedAt is { } made && made.UtcDateTime.Year is >= 1980 and <= 2107
                    ? made.ToUniversalTime()
                    : EarliestInZip;
                using (var content = entry.Open())
                    content.Write(WorkflowDefinitionWriter.Write(definition));
                await staging.MoveToAsync(destination, cancellationToken);
            }
        }

        await staging.MoveToAsync(destination, cancellationToken);
        return names.Count;
    }

    /// <summary>A file name for a definition that every system accepts, and that is not taken yet.</summary>
    /// <param name="definition">Its name, else its id, makes the file name.</param>
    /// <param name="taken">Names in use, compared without case; the new one is added.</param>
    internal static string FileName(WorkflowDefinition definition, HashSet<string> taken)
    {
        var id = Slug(definition.DefinitionId);
        var name = Slug(definition.Name);
        if (name.Length == 0)
            name = id.Length == 0 ? "workflow" : id;
        if (ReservedByWindows.Contains(name))
            name = "workflow-" + name;
        if (taken.Add(name + ".json"))
            return name + ".json";
        if (id.Length > 0 && taken.Add($"{name}-{id}.json"))
            return $"{name}-{id}.json";
        for (var i = 2; ; i++)
        {
            var next = string.Create(CultureInfo.InvariantCulture, $"{name}-{i}.json");
            if (taken.Add(next))
                return next;
        }
    }

    /// <summary>Letters and digits in lower case, and a hyphen for everything between them.</summary>
    private static string Slug(string? text)
    {
        var slug = new StringBuilder();
        foreach (var rune in (text ?? "").Composed().EnumerateRunes())
        {
            if (slug.Length >= LongestName)
                break;
            if (Rune.IsLetterOrDigit(rune))
                slug.Append(Rune.ToLowerInvariant(rune).ToString());
            else if (slug.Length > 0 && slug[^1] != '-')
                slug.Append('-');
        }

        return slug.ToString().Trim('-');
    }

    // Text with half a surrogate pair cannot be normalized; its runes come out as replacement characters, which are left out.
    private static string Composed(this string text) =>
        text.All(c => !char.IsSurrogate(c)) ? text.Normalize(NormalizationForm.FormC) : text;

    /// <summary>
    /// Holds one entry until it is written: the archive's asynchronous methods still write some parts synchronously (.NET 10),
    /// which responses refuse. Not seekable, so that the archive never goes back to what is gone.
    /// </summary>
    private sealed class StagingStream : Stream
    {
        private readonly ArrayBufferWriter<byte> _pending = new(16 * 1024);

        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public async Task MoveToAsync(Stream destination, CancellationToken cancellationToken)
        {
            await destination.WriteAsync(_pending.WrittenMemory, cancellationToken);
            _pending.ResetWrittenCount();
        }

        public override void Write(byte[] buffer, int offset, int count) => _pending.Write(buffer.AsSpan(offset, count));

        public override void Write(ReadOnlySpan<byte> buffer) => _pending.Write(buffer);

        public override void WriteByte(byte value) => _pending.Write([value]);

        public override void Flush()
        {
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();
    }
}

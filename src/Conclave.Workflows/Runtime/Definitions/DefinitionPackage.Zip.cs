using System.Buffers;
using System.IO.Compression;
using System.Runtime.InteropServices;
using Conclave.Workflows.Definitions;

namespace Conclave.Workflows.Runtime.Definitions;

public static partial class DefinitionPackage
{
    private const int InflateChunk = 64 * 1024;
    private const int RatioThreshold = 1024 * 1024;

    /// <summary>Reads a zip archive with any number of <c>.json</c> files in any folders; other files are left out.</summary>
    /// <param name="file">Its name, for messages.</param>
    /// <param name="zip">The archive, to its end; need not be seekable, stays open.</param>
    /// <param name="limits">How much it may hold; null takes <see cref="PackageLimits.Default"/>.</param>
    /// <param name="cancellationToken">Stops reading.</param>
    /// <returns>
    /// At least one entry, in the order of the archive. An archive that is broken or beyond a limit of the whole gives a
    /// single entry, so that nothing of it is imported.
    /// </returns>
    public static async Task<IReadOnlyList<PackagedDefinition>> ReadZipAsync(
        string file, Stream zip, PackageLimits? limits, CancellationToken cancellationToken)
    {
        limits ??= PackageLimits.Default;
        return await ReadBytesAsync(zip, limits.MaxArchiveBytes, cancellationToken) is { } bytes
            ? ReadArchive(file, bytes, limits, cancellationToken)
            : [TooLarge(file, limits.MaxArchiveBytes)];
    }

    internal static bool IsZip(ReadOnlyMemory<byte> bytes) =>
        bytes.Span.StartsWith("PK\u0003\u0004"u8) || bytes.Span.StartsWith("PK\u0005\u0006"u8);

    private static List<PackagedDefinition> ReadArchive(
        string file, ReadOnlyMemory<byte> bytes, PackageLimits limits, CancellationToken cancellationToken)
    {
        var shown = PackagedDefinition.Printable(file);
        if (bytes.Length > limits.MaxArchiveBytes)
            return [TooLarge(file, limits.MaxArchiveBytes)];
        if (!IsZip(bytes))
            return [PackagedDefinition.Refused(file, "package.not_a_zip", $"'{shown}' is not a zip archive. Give a .zip with .json files, or one .json file.")];
        // Every entry has such a mark, so that an archive with millions is refused before anything is built for them.
        if (bytes.Span.Count("PK\u0001\u0002"u8) > limits.MaxEntries)
            return [PackagedDefinition.Refused(file, "package.too_many", $"'{shown}' holds more than {limits.MaxEntries:N0} files. Split it into several archives.")];
        try
        {
            using var archive = new ZipArchive(AsStream(bytes), ZipArchiveMode.Read);
            var read = new ArchiveReader(limits, cancellationToken).Read(archive);
            return read.Count > 0
                ? read
                : [PackagedDefinition.Refused(file, "package.empty", $"'{shown}' holds no .json files. Export at least one workflow.")];
        }
        catch (PackageRefusedException refusal)
        {
            return [PackagedDefinition.Refused(file, refusal.Code, $"'{shown}' {refusal.Message}")];
        }
        catch (Exception exception) when (IsCorruption(exception))
        {
            return [PackagedDefinition.Refused(file, "package.corrupt", $"'{shown}' is a damaged zip archive: {exception.Message} Make it again, or send it again.")];
        }
    }

    internal static MemoryStream AsStream(ReadOnlyMemory<byte> bytes) => MemoryMarshal.TryGetArray(bytes, out var array)
        ? new MemoryStream(array.Array!, array.Offset, array.Count, writable: false)
        : new MemoryStream(bytes.ToArray(), writable: false);

    /// <summary>What the framework throws for archives that contradict themselves.</summary>
    internal static bool IsCorruption(Exception exception) => exception
        is InvalidDataException or IOException or NotSupportedException or ArgumentException or OverflowException or InvalidOperationException;

    /// <summary>Reads the entries of one archive, one after the other through the same buffer.</summary>
    private sealed class ArchiveReader(PackageLimits limits, CancellationToken cancellationToken)
    {
        private readonly ArrayBufferWriter<byte> _inflated = new(InflateChunk);
        private readonly byte[] _chunk = new byte[InflateChunk];
        private readonly HashSet<string> _names = new(StringComparer.Ordinal);
        private long _total;

        public List<PackagedDefinition> Read(ZipArchive archive)
        {
            var read = new List<PackagedDefinition>();
            foreach (var entry in archive.Entries)
            {
                cancellationToken.ThrowIfCancellationRequested();
                try
                {
                    ReadEntry(entry, read);
                }
                catch (Exception exception) when (IsCorruption(exception))
                {
                    read.Add(PackagedDefinition.Refused(entry.FullName, "package.corrupt",
                        $"'{PackagedDefinition.Printable(entry.FullName)}' is damaged: {exception.Message} Make the archive again, or send it again."));
                }
            }

            return read;
        }

        private void ReadEntry(ZipArchiveEntry entry, List<PackagedDefinition> read)
        {
            var name = entry.FullName;
            if (Unsafe(name) is { } reason)
            {
                Refuse("package.unsafe_name", $"is a name that {reason}. Files in an archive have names such as 'folder/workflow.json'; make the archive again from a folder.");
                return;
            }

            // Folders, and what a Mac adds beside each file.
            var fileName = name[(name.LastIndexOf('/') + 1)..];
            if (fileName.Length == 0 || fileName.StartsWith("._", StringComparison.Ordinal))
                return;
            if (fileName.EndsWith(".zip", StringComparison.OrdinalIgnoreCase))
            {
                Refuse("package.nested_archive", "is an archive in the archive, which is not opened. Import it by itself.");
                return;
            }

            if (!fileName.EndsWith(".json", StringComparison.OrdinalIgnoreCase))
                return;
            if (!_names.Add(name))
            {
                Refuse("package.duplicate_name", "is in the archive more than once; only the first is read. Give each file its own name.");
                return;
            }

            if (entry.IsEncrypted)
            {
                Refuse("package.encrypted", "is encrypted. Make the archive without a password.");
                return;
            }

            if (Inflate(entry) is { } problem)
                Refuse(problem.Code, problem.Message);
            else
                read.AddRange(ReadJson(name, _inflated.WrittenSpan, limits, skipsOthers: false));

            void Refuse(string code, string message) =>
                read.Add(PackagedDefinition.Refused(name, code, $"'{PackagedDefinition.Printable(name)}' {message}"));
        }

        /// <summary>Fills the buffer; says why not when the entry is beyond a limit or not what the archive says it is.</summary>
        private DefinitionProblem? Inflate(ZipArchiveEntry entry)
        {
            _inflated.ResetWrittenCount();
            using var content = entry.Open();
            var crc = Crc32.Start;
            int count;
            while ((count = content.Read(_chunk)) > 0)
            {
                cancellationToken.ThrowIfCancellationRequested();
                crc = Crc32.Append(crc, _chunk.AsSpan(0, count));
                var length = _inflated.WrittenCount + count;
                if ((_total += count) > limits.MaxTotalBytes)
                {
                    throw new PackageRefusedException("package.too_large",
                        $"holds more than {limits.MaxTotalBytes:N0} bytes of JSON. Split it into several archives.");
                }

                if (length > limits.MaxFileBytes)
                    return new("package.too_large", $"is larger than {limits.MaxFileBytes:N0} bytes. Split it into several files.");
                if (length > RatioThreshold && length / limits.MaxCompressionRatio > entry.CompressedLength)
                    return new("package.too_compressed", $"inflates to more than {limits.MaxCompressionRatio} times its compressed size, as no definition does. Import it as a plain .json file.");
                _inflated.Write(_chunk.AsSpan(0, count));
            }

            return _inflated.WrittenCount != entry.Length || Crc32.End(crc) != entry.Crc32
                ? new("package.corrupt", $"is damaged: its content ({_inflated.WrittenCount:N0} bytes) is not what the archive says ({entry.Length:N0} bytes, or another checksum). Make the archive again, or send it again.")
                : null;
        }

        /// <summary>Nothing is extracted, but such names never come from an honest tool and mislead whoever reads them.</summary>
        private static string? Unsafe(string name)
        {
            if (name.AsSpan().ContainsAnyInRange('\0', '\u001F') || name.Any(char.IsControl))
                return "holds control characters";
            if (name.Contains('\\'))
                return "holds a backslash";
            if (name.StartsWith('/'))
                return "begins at the root of a disk";
            if (name.Length > 1 && name[1] == ':' && char.IsAsciiLetter(name[0]))
                return "names a drive";
            if (name.Length == 0)
                return "is empty";
            return Array.Exists(name.TrimEnd('/').Split('/'), part => part is "" or "." or "..") ? "leads out of its folder" : null;
        }
    }

    /// <summary>The archive as a whole is refused.</summary>
    private sealed class PackageRefusedException(string code, string message) : Exception(message)
    {
        public string Code { get; } = code;
    }

    /// <summary>The checksum of zip archives, which the framework does not compare while it reads.</summary>
    private static class Crc32
    {
        public const uint Start = uint.MaxValue;

        private static readonly uint[] Table = [.. Enumerable.Range(0, 256).Select(i =>
        {
            var value = (uint)i;
            for (var bit = 0; bit < 8; bit++)
                value = (value & 1) != 0 ? (value >> 1) ^ 0xEDB88320u : value >> 1;
            return value;
        })];

        public static uint Append(uint crc, ReadOnlySpan<byte> bytes)
        {
            var table = Table;
            foreach (var b in bytes)
                crc = table[(byte)(crc ^ b)] ^ (crc >> 8);
            return crc;
        }

        public static uint End(uint crc) => ~crc;
    }
}

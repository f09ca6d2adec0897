using System.Buffers;
using System.IO.Compression;
using System.Security.Cryptography;
using System.Text.Json;
using Conclave.Workflows.Activities;

namespace Conclave.Server.ElsaApi.Descriptors;

/// <summary>A list of activity descriptors, ready to be sent.</summary>
internal sealed class DescriptorList
{
    private readonly Dictionary<string, List<ActivityDescriptor>> _byType = new(StringComparer.Ordinal);
    private readonly Lazy<byte[]> _json;
    private readonly Lazy<byte[]> _brotli;
    private readonly Lazy<string> _hash;

    /// <summary>Puts a list together. Of several with one name and version, which Studio does not bear, the first counts.</summary>
    public DescriptorList(IReadOnlyList<ActivityDescriptor> activities, IReadOnlyList<ActivityDescriptor> workflows)
    {
        Workflows = workflows;
        var all = new List<ActivityDescriptor>();
        foreach (var descriptor in activities.Concat(workflows))
        {
            if (!_byType.TryGetValue(descriptor.TypeName, out var versions))
                _byType[descriptor.TypeName] = versions = [];
            if (versions.Exists(v => v.Version == descriptor.Version))
                continue;
            versions.Add(descriptor);
            all.Add(descriptor);
        }

        _json = new(() => WriteJson(all));
        _brotli = new(() => Compress(_json.Value));
        _hash = new(() => Convert.ToHexStringLower(SHA256.HashData(_json.Value))[..32]);
    }

    /// <summary>The workflows in it.</summary>
    public IReadOnlyList<ActivityDescriptor> Workflows { get; }

    /// <summary>The list as JSON.</summary>
    public byte[] Json => _json.Value;

    /// <summary><see cref="Json"/>, compressed.</summary>
    public byte[] Brotli => _brotli.Value;

    /// <summary>Changes with the content.</summary>
    public string Hash => _hash.Value;

    /// <summary>Finds a descriptor; null when there is none.</summary>
    /// <param name="typeName">Full type name.</param>
    /// <param name="version">Version; null for the newest.</param>
    public ActivityDescriptor? Find(string typeName, int? version) => !_byType.TryGetValue(typeName, out var versions) ? null
        : version is null ? versions.MaxBy(v => v.Version)
        : versions.Find(v => v.Version == version);

    private static byte[] WriteJson(List<ActivityDescriptor> descriptors)
    {
        var buffer = new ArrayBufferWriter<byte>(128 * 1024);
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            writer.WriteStartArray("items");
            foreach (var descriptor in descriptors)
                ActivityDescriptorJson.Write(writer, descriptor);
            writer.WriteEndArray();
            writer.WriteNumber("count", descriptors.Count);
            writer.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>Compresses well and in some milliseconds; better qualities take far longer for little.</summary>
    private static byte[] Compress(byte[] json)
    {
        var target = new byte[BrotliEncoder.GetMaxCompressedLength(json.Length)];
        return BrotliEncoder.TryCompress(json, target, out var length, quality: 6, window: 22)
            ? target[..length]
            : throw new InvalidOperationException("A buffer of the largest size was too small for brotli.");
    }
}

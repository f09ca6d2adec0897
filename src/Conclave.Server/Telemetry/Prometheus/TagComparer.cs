using System.Diagnostics.CodeAnalysis;
using Tag = System.Collections.Generic.KeyValuePair<string, object?>;

namespace Conclave.Server.Telemetry.Prometheus;

/// <summary>Compares tags in the order in which they were given, so that a known set is found without a copy of it.</summary>
internal sealed class TagComparer : IEqualityComparer<Tag[]>, IAlternateEqualityComparer<ReadOnlySpan<Tag>, Tag[]>
{
    public static readonly TagComparer Instance = new();

    public bool Equals(Tag[]? x, Tag[]? y) => x is null || y is null ? x == y : Equals((ReadOnlySpan<Tag>)x, y);

    public int GetHashCode([DisallowNull] Tag[] obj) => GetHashCode((ReadOnlySpan<Tag>)obj);

    public Tag[] Create(ReadOnlySpan<Tag> alternate) => alternate.ToArray();

    public bool Equals(ReadOnlySpan<Tag> alternate, Tag[] other)
    {
        if (alternate.Length != other.Length) return false;
        for (var i = 0; i < other.Length; i++)
        {
            if (!string.Equals(alternate[i].Key, other[i].Key, StringComparison.Ordinal)) return false;
            if (!Equals(alternate[i].Value, other[i].Value)) return false;
        }
        return true;
    }

    public int GetHashCode(ReadOnlySpan<Tag> alternate)
    {
        var hash = new HashCode();
        foreach (var (key, value) in alternate)
        {
            hash.Add(key);
            hash.Add(value);
        }
        return hash.ToHashCode();
    }
}

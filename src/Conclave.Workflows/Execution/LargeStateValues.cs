using System.Security.Cryptography;

namespace Conclave.Workflows.Execution;

/// <summary>
/// Values that are kept beside the state of an instance instead of in it, so that they are not written again with every burst.
/// </summary>
public sealed class LargeStateValues
{
    /// <summary>Largest value that stays in the state, in bytes.</summary>
    public const int Limit = 64 * 1024;

    internal const int HashLength = 32;

    private readonly Dictionary<string, byte[]> _values = new(StringComparer.Ordinal);

    /// <summary>The values by the SHA-256 of their bytes, in lower-case hexadecimal.</summary>
    public IReadOnlyDictionary<string, byte[]> Values => _values;

    internal string Add(byte[] content)
    {
        var hash = Convert.ToHexStringLower(SHA256.HashData(content));
        _values[hash] = content;
        return hash;
    }
}

/// <summary>The state refers to large values, which were not given.</summary>
public sealed class LargeValuesNeededException() : Exception("The state refers to values that are stored beside it.");

namespace Conclave.Inference.Pool;

/// <summary>A server as it is in the database.</summary>
/// <param name="Server">The server.</param>
/// <param name="Source">Where it comes from.</param>
/// <param name="Version">Counts its changes, from 1.</param>
/// <param name="EncryptedKey">Its key, encrypted; null for none. Never shown.</param>
/// <param name="UpdatedAt">When it was changed last.</param>
/// <param name="UpdatedBy">By whom.</param>
public sealed record StoredServer(ModelServer Server, ServerSource Source, int Version, byte[]? EncryptedKey, DateTimeOffset UpdatedAt, string UpdatedBy);

/// <summary>Where a server comes from. Numbers are stored and never change.</summary>
public enum ServerSource : short
{
    /// <summary>An operator added it.</summary>
    Operator = 0,

    /// <summary>The configuration names it: only its mode can be changed at run time.</summary>
    Configuration = 1,

    /// <summary>It was found on this machine.</summary>
    Discovery = 2,
}

/// <summary>A change that cannot be made; the message says what to do.</summary>
/// <param name="code">Stable code, listed in <c>docs/errors.md</c>.</param>
/// <param name="message">What is wrong.</param>
public sealed class PoolException(string code, string message) : Exception(message)
{
    /// <summary>Stable code.</summary>
    public string Code { get; } = code;
}

using System.Security.Cryptography;
using System.Text;

namespace Conclave.Server.Accounts.Keys;

/// <summary>Secrets that the server makes: 256 random bits, shown once; only their hash is kept.</summary>
/// <remarks>A plain hash is enough for what nobody can guess; passwords have a slow one.</remarks>
internal static class SecretText
{
    /// <summary>A new secret.</summary>
    /// <param name="prefix">Says what it is to whoever finds it.</param>
    public static string New(string prefix) => prefix + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32));

    /// <summary>What is kept of it.</summary>
    public static byte[] Hash(string secret) => SHA256.HashData(Encoding.UTF8.GetBytes(secret));
}

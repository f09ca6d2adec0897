using System.Security.Cryptography;
using System.Text;

namespace Conclave.Workflows.Runtime;

/// <summary>Encrypts secrets for the database with AES-GCM, under a key that is not in the database.</summary>
public sealed class SecretCipher
{
    private const int NonceSize = 12;
    private const int TagSize = 16;
    private readonly byte[] _key;

    /// <summary>Derives the key of one purpose.</summary>
    /// <param name="secret">What the key is made from; at least 32 random characters.</param>
    /// <param name="purpose">What is encrypted, such as <c>conclave.data-protection</c>: each purpose has a key of its own.</param>
    public SecretCipher(string secret, string purpose) =>
        _key = HKDF.DeriveKey(HashAlgorithmName.SHA256, Encoding.UTF8.GetBytes(secret), 32, info: Encoding.UTF8.GetBytes(purpose));

    /// <summary>Encrypts.</summary>
    /// <param name="plain">The secret.</param>
    /// <param name="boundTo">What it belongs to; the same must be given to decrypt, so that it cannot be moved elsewhere.</param>
    public byte[] Encrypt(ReadOnlySpan<byte> plain, ReadOnlySpan<byte> boundTo = default)
    {
        using var cipher = new AesGcm(_key, TagSize);
        var result = new byte[NonceSize + TagSize + plain.Length];
        var nonce = result.AsSpan(0, NonceSize);
        RandomNumberGenerator.Fill(nonce);
        cipher.Encrypt(nonce, plain, result.AsSpan(NonceSize + TagSize), result.AsSpan(NonceSize, TagSize), boundTo);
        return result;
    }

    /// <summary>Decrypts.</summary>
    /// <param name="encrypted">What <see cref="Encrypt"/> gave.</param>
    /// <param name="boundTo">What it was bound to.</param>
    /// <exception cref="CryptographicException">It was encrypted with another secret, is bound to something else, or was changed.</exception>
    public byte[] Decrypt(ReadOnlySpan<byte> encrypted, ReadOnlySpan<byte> boundTo = default)
    {
        if (encrypted.Length < NonceSize + TagSize)
            throw new CryptographicException("The encrypted secret is cut off.");
        using var cipher = new AesGcm(_key, TagSize);
        var plain = new byte[encrypted.Length - NonceSize - TagSize];
        cipher.Decrypt(encrypted[..NonceSize], encrypted[(NonceSize + TagSize)..], encrypted.Slice(NonceSize, TagSize), plain, boundTo);
        return plain;
    }
}

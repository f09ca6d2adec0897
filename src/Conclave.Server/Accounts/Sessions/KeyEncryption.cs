using System.Security.Cryptography;
using System.Text;
using System.Xml.Linq;
using Conclave.Server.Hosting;
using Microsoft.AspNetCore.DataProtection.XmlEncryption;

namespace Conclave.Server.Accounts.Sessions;

/// <summary>
/// What the data-protection keys are encrypted with in the database: the setting <c>Accounts:KeyEncryptionSecret</c>; without it, when the
/// server has a PostgreSQL of its own, the file <c>key-encryption-secret</c> beside it, so that a dump of the database alone signs nobody in.
/// </summary>
internal sealed class KeyEncryption(ServerOptions options)
{
    private const string FileName = "key-encryption-secret";
    private readonly Lazy<byte[]?> _key = new(() => FindSecret(options) is { } secret
        ? HKDF.DeriveKey(HashAlgorithmName.SHA256, Encoding.UTF8.GetBytes(secret), 32, info: "conclave.data-protection"u8.ToArray())
        : null);

    /// <summary>Whether there is anything to encrypt with.</summary>
    public bool IsPossible => _key.Value is not null;

    /// <summary>Encrypts.</summary>
    public byte[] Encrypt(byte[] plain)
    {
        using var cipher = new AesGcm(Key, AesGcm.TagByteSizes.MaxSize);
        var result = new byte[AesGcm.NonceByteSizes.MaxSize + AesGcm.TagByteSizes.MaxSize + plain.Length];
        var (nonce, tag, text) = Split(result);
        RandomNumberGenerator.Fill(nonce.Span);
        cipher.Encrypt(nonce.Span, plain, text.Span, tag.Span);
        return result;
    }

    /// <summary>Decrypts.</summary>
    /// <exception cref="CryptographicException">It was encrypted with another secret, or changed.</exception>
    public byte[] Decrypt(byte[] encrypted)
    {
        if (encrypted.Length < AesGcm.NonceByteSizes.MaxSize + AesGcm.TagByteSizes.MaxSize)
            throw new CryptographicException("The encrypted key is cut off.");
        using var cipher = new AesGcm(Key, AesGcm.TagByteSizes.MaxSize);
        var (nonce, tag, text) = Split(encrypted);
        var plain = new byte[text.Length];
        cipher.Decrypt(nonce.Span, text.Span, tag.Span, plain);
        return plain;
    }

    private byte[] Key => _key.Value
        ?? throw new CryptographicException("The data-protection keys are encrypted, and Accounts:KeyEncryptionSecret is not set. Set it to what it was.");

    private static (Memory<byte> Nonce, Memory<byte> Tag, Memory<byte> Text) Split(byte[] all)
    {
        var (nonce, tag) = (AesGcm.NonceByteSizes.MaxSize, AesGcm.TagByteSizes.MaxSize);
        return (all.AsMemory(0, nonce), all.AsMemory(nonce, tag), all.AsMemory(nonce + tag));
    }

    private static string? FindSecret(ServerOptions options)
    {
        if (options.KeyEncryptionSecret is { } given)
            return given;
        // Several servers may share a database elsewhere; a file of one of them would lock the others out.
        if (options.ConnectionString is not null)
            return null;
        var path = Path.Combine(options.DataFolder, FileName);
        if (!File.Exists(path))
            PrivateFile.Write(path, Keys.SecretText.New("") + "\n");
        return File.ReadAllText(path).Trim();
    }
}

/// <summary>Encrypts a data-protection key for the database.</summary>
internal sealed class SharedKeyEncryptor(KeyEncryption encryption) : IXmlEncryptor
{
    /// <inheritdoc/>
    public EncryptedXmlInfo Encrypt(XElement plaintextElement) => new(
        new XElement("encryptedKey", new XElement("value", Convert.ToBase64String(encryption.Encrypt(Encoding.UTF8.GetBytes(plaintextElement.ToString(SaveOptions.DisableFormatting)))))),
        typeof(SharedKeyDecryptor));
}

/// <summary>Decrypts a data-protection key; made by ASP.NET Core from the name that is stored with the key.</summary>
internal sealed class SharedKeyDecryptor : IXmlDecryptor
{
    private readonly KeyEncryption _encryption;

    public SharedKeyDecryptor(IServiceProvider services) => _encryption = services.GetRequiredService<KeyEncryption>();

    /// <inheritdoc/>
    public XElement Decrypt(XElement encryptedElement) =>
        XElement.Parse(Encoding.UTF8.GetString(_encryption.Decrypt(Convert.FromBase64String((string)encryptedElement.Element("value")!))));
}

using System.Security.Cryptography;
using System.Text;
using System.Xml.Linq;
using Conclave.Server.Hosting;
using Conclave.Workflows.Runtime;
using Microsoft.AspNetCore.DataProtection.XmlEncryption;

namespace Conclave.Server.Accounts.Sessions;

/// <summary>
/// What the data-protection keys and other secrets are encrypted with in the database: the setting <c>Accounts:KeyEncryptionSecret</c>; without it, when the
/// server has a PostgreSQL of its own, the file <c>key-encryption-secret</c> beside it, so that a dump of the database alone signs nobody in.
/// </summary>
internal sealed class KeyEncryption(ServerOptions options)
{
    private const string FileName = "key-encryption-secret";
    private readonly Lazy<string?> _secret = new(() => FindSecret(options));

    /// <summary>Whether there is anything to encrypt with.</summary>
    public bool IsPossible => _secret.Value is not null;

    /// <summary>Encrypts.</summary>
    public byte[] Encrypt(byte[] plain) => Cipher.Encrypt(plain);

    /// <summary>Decrypts.</summary>
    /// <exception cref="CryptographicException">It was encrypted with another secret, or changed.</exception>
    public byte[] Decrypt(byte[] encrypted) => Cipher.Decrypt(encrypted);

    /// <summary>The cipher of another purpose; null when there is nothing to encrypt with.</summary>
    public SecretCipher? For(string purpose) => _secret.Value is { } secret ? new SecretCipher(secret, purpose) : null;

    private SecretCipher Cipher => For("conclave.data-protection")
        ?? throw new CryptographicException("The data-protection keys are encrypted, and Accounts:KeyEncryptionSecret is not set. Set it to what it was.");

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

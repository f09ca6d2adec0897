using System.Security.Cryptography;
using System.Text;
using Conclave.Server;
using Conclave.Server.Accounts.Keys;
using Conclave.Server.Accounts.Sessions;

namespace Conclave.Tests.Accounts;

public sealed class KeyEncryptionTests
{
    private static readonly ServerOptions Elsewhere = new() { DataFolder = "/nowhere", ConnectionString = "Host=db" };

    [Fact]
    public void Encrypt_ThenDecrypt_GivesTheSame()
    {
        var plain = Encoding.UTF8.GetBytes("<key>secret</key>");
        var encryption = new KeyEncryption(Elsewhere with { KeyEncryptionSecret = new string('a', 32) });
        var encrypted = encryption.Encrypt(plain);

        Assert.Equal(plain, new KeyEncryption(Elsewhere with { KeyEncryptionSecret = new string('a', 32) }).Decrypt(encrypted));
        Assert.DoesNotContain("secret", Encoding.Latin1.GetString(encrypted), StringComparison.Ordinal);
        Assert.NotEqual(encrypted, encryption.Encrypt(plain));
        Assert.Equal([], encryption.Decrypt(encryption.Encrypt([])));
    }

    [Fact]
    public void Decrypt_OtherSecretOrChanged_IsRefused()
    {
        var encryption = new KeyEncryption(Elsewhere with { KeyEncryptionSecret = new string('a', 32) });
        var encrypted = encryption.Encrypt([1, 2, 3]);

        Assert.ThrowsAny<CryptographicException>(() => new KeyEncryption(Elsewhere with { KeyEncryptionSecret = new string('b', 32) }).Decrypt(encrypted));
        Assert.ThrowsAny<CryptographicException>(() => encryption.Decrypt(encrypted[..20]));
        for (var i = 0; i < encrypted.Length; i++)
        {
            var changed = encrypted.ToArray();
            changed[i] ^= 1;
            Assert.ThrowsAny<CryptographicException>(() => encryption.Decrypt(changed));
        }
    }

    [Fact]
    public void Secret_ServerHasItsOwnDatabase_IsAFileForItsOwnerAlone()
    {
        var folder = Directory.CreateTempSubdirectory("conclave-secret-").FullName;
        try
        {
            var encrypted = new KeyEncryption(new ServerOptions { DataFolder = folder }).Encrypt([7]);

            Assert.Equal([7], new KeyEncryption(new ServerOptions { DataFolder = folder }).Decrypt(encrypted));
            Assert.False(new KeyEncryption(Elsewhere).IsPossible);
            if (!OperatingSystem.IsWindows())
                Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Assert.Single(Directory.GetFiles(folder))));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void SecretText_IsLongAndNeverTheSame()
    {
        var secrets = Enumerable.Range(0, 1000).Select(_ => SecretText.New("ck_")).ToHashSet();

        Assert.Equal(1000, secrets.Count);
        Assert.All(secrets, s => Assert.Matches("^ck_[0-9a-f]{64}$", s));
        Assert.Equal(Convert.FromHexString("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"), SecretText.Hash("abc"));    // FIPS 180-2, B.1
    }
}

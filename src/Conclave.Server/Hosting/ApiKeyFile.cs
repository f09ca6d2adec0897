using System.Security.Cryptography;
using System.Text;

namespace Conclave.Server.Hosting;

/// <summary>The key of the server's API: made by the first start, kept in the data folder, readable by its owner alone.</summary>
public sealed class ApiKeyFile
{
    /// <summary>Name of the file in the data folder.</summary>
    public const string FileName = "api-key";

    private const string Prefix = "ck_";

    private readonly byte[] _hash;

    private ApiKeyFile(string key) => _hash = Hash(key);

    /// <summary>Reads the key, or makes one.</summary>
    /// <exception cref="InvalidDataException">The file is there and holds no key.</exception>
    public static ApiKeyFile Open(string dataFolder)
    {
        Directory.CreateDirectory(dataFolder);
        var path = Path.Combine(dataFolder, FileName);
        if (!File.Exists(path))
            PrivateFile.Write(path, Prefix + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32)) + "\n");
        var key = File.ReadAllText(path).Trim();
        if (key.Length < 32)
            throw new InvalidDataException($"The file '{path}' holds no API key of at least 32 characters. Delete it, and the server makes a new one.");
        return new ApiKeyFile(key);
    }

    /// <summary>Whether this is the key. Takes as long for a wrong one as for the right one.</summary>
    public bool Is(string key) => CryptographicOperations.FixedTimeEquals(Hash(key), _hash);

    private static byte[] Hash(string key) => SHA256.HashData(Encoding.UTF8.GetBytes(key));
}

/// <summary>Files that only their owner may read.</summary>
internal static class PrivateFile
{
    /// <summary>Writes a file so that it is never there half-written or readable by others.</summary>
    public static void Write(string path, string content)
    {
        var draft = $"{path}.{Environment.ProcessId}.new";
        var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        using (var stream = new FileStream(draft, options))
            stream.Write(Encoding.UTF8.GetBytes(content));
        File.Move(draft, path, overwrite: true);
    }
}

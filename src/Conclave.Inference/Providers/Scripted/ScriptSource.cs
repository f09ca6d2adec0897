using YamlDotNet.Core;
using YamlDotNet.Serialization;
using YamlDotNet.Serialization.NamingConventions;

namespace Conclave.Inference.Providers.Scripted;

/// <summary>The file of a script; read again when it has changed.</summary>
internal sealed class ScriptSource
{
    private const long MaxBytes = 4 * 1024 * 1024;

    private static readonly IDeserializer Yaml = new DeserializerBuilder()
        .WithNamingConvention(UnderscoredNamingConvention.Instance)
        .WithAttemptingUnquotedStringTypeDeserialization()
        .Build();

    private readonly Lock _lock = new();
    private readonly string _server;
    private readonly string _path;
    private (DateTime WrittenAt, long Length) _version;
    private Script? _script;

    /// <exception cref="ModelServerException">The address is not that of a YAML file.</exception>
    public ScriptSource(ModelServer server)
    {
        _server = server.Name;
        if (!server.Address.IsAbsoluteUri || !server.Address.IsFile || server.Address.IsUnc || Path.GetExtension(server.Address.LocalPath) is not (".yaml" or ".yml"))
            throw new ModelServerException(ModelServerFailure.BadRequest, $"The address of the scripted server '{server.Name}' must be that of a YAML file on this machine, such as file:///etc/conclave/scripted.yaml.");
        _path = server.Address.LocalPath;
    }

    /// <summary>When the file was last changed, as far as it was read.</summary>
    public DateTimeOffset ModifiedAt
    {
        get
        {
            lock (_lock)
                return new DateTimeOffset(_version.WrittenAt, TimeSpan.Zero);
        }
    }

    /// <summary>The script as the file is now.</summary>
    /// <exception cref="ModelServerException">The file is gone, or is no script.</exception>
    public Script Current
    {
        get
        {
            try
            {
                var file = new FileInfo(_path);
                var version = (file.LastWriteTimeUtc, file.Exists ? file.Length : throw new FileNotFoundException($"There is no file '{_path}'."));
                lock (_lock)
                {
                    if (_script is null || version != _version)
                    {
                        _script = Read(version.Item2);
                        _version = version;
                    }

                    return _script;
                }
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                throw new ModelServerException(ModelServerFailure.Unreachable, $"The script of the server '{_server}' cannot be read: {exception.Message}", exception);
            }
        }
    }

    private Script Read(long length)
    {
        if (length > MaxBytes)
            throw Wrong($"it is larger than {MaxBytes:N0} bytes", null);
        try
        {
            var script = Yaml.Deserialize<Script?>(File.ReadAllText(_path)) ?? throw new FormatException("it is empty");
            script.Prepare();
            return script;
        }
        catch (YamlException exception)
        {
            throw Wrong($"line {exception.Start.Line}: {(exception.InnerException ?? exception).Message}", exception);
        }
        catch (FormatException exception)
        {
            throw Wrong(exception.Message, exception);
        }
    }

    private ModelServerException Wrong(string problem, Exception? cause) =>
        new(ModelServerFailure.InvalidAnswer, $"The script '{_path}' of the server '{_server}' is not one: {problem}.", cause);
}

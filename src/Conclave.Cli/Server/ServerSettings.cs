using System.CommandLine;
using Conclave.Workflows.Runtime;

namespace Conclave.Cli.Server;

/// <summary>The options of every command that talks to a server, and what they come to.</summary>
internal sealed class ServerSettings
{
    private const string AddressVariable = "CONCLAVE_SERVER";
    private const string KeyVariable = "CONCLAVE_API_KEY";
    private const string DataVariable = "CONCLAVE_DATA";

    private readonly Option<string?> _server;
    private readonly Option<string?> _keyFile;
    private readonly Option<string?> _data;
    private readonly Option<bool> _json;

    /// <param name="recursive">Whether subcommands have the options too.</param>
    public ServerSettings(bool recursive = false)
    {
        _server = new("--server")
        {
            Description = $"Address of the server; otherwise {AddressVariable}, or the file server-url in the data folder.",
            HelpName = "url",
            Recursive = recursive,
        };
        // The key itself is no option: everyone on the machine can read the arguments of a process.
        _keyFile = new("--api-key-file")
        {
            Description = $"File with the API key; otherwise {KeyVariable}, or the file api-key in the data folder.",
            HelpName = "file",
            Recursive = recursive,
        };
        _data = new("--data")
        {
            Description = $"The server's data folder; otherwise {DataVariable}, or the usual one of this user.",
            HelpName = "folder",
            Recursive = recursive,
        };
        _json = new("--json") { Description = "Print the server's JSON.", Recursive = recursive };
    }

    public void AddTo(Command command)
    {
        command.Options.Add(_server);
        command.Options.Add(_keyFile);
        command.Options.Add(_data);
        command.Options.Add(_json);
    }

    public bool IsJson(ParseResult result) => result.GetValue(_json);

    /// <summary>Where the server is and which key opens it.</summary>
    /// <exception cref="CommandException">No server is known, or a setting cannot be used.</exception>
    public ServerConnection Resolve(ParseResult result)
    {
        var data = Given(result.GetValue(_data)) ?? Variable(DataVariable) ?? DefaultFolder();
        var addressFile = Path.Combine(data, "server-url");
        var ownAddress = Read(addressFile, required: false);
        var (text, source) =
            Given(result.GetValue(_server)) is { } given ? (given, "--server")
            : Variable(AddressVariable) is { } variable ? (variable, AddressVariable)
            : ownAddress is { } own ? (own, $"the file '{addressFile}'")
            : throw new CommandException(
                ExitCodes.NoServer,
                $"No server is known: neither --server nor {AddressVariable} names one, and there is no file '{addressFile}'. {ServerConnection.HowToStart}");
        var address = Address(text, source);
        var (key, keySource) = Key(Given(result.GetValue(_keyFile)), Path.Combine(data, "api-key"), address, ownAddress);
        return new ServerConnection(address, source, key, keySource);
    }

    private static (string? Key, string Source) Key(string? keyFile, string dataFile, Uri address, string? ownAddress)
    {
        if (keyFile is not null)
            return (Usable(Read(keyFile, required: true) ?? "", $"the file '{keyFile}'"), $"the file '{keyFile}' (--api-key-file)");
        if (Variable(KeyVariable) is { } variable)
            return (Usable(variable, KeyVariable), $"the environment variable {KeyVariable}");
        if (!File.Exists(dataFile))
            return (null, $"no key was found: neither --api-key-file nor {KeyVariable} is given, and there is no file '{dataFile}'");
        // The key of the server that owns the folder; another machine must not learn it by being named in --server.
        var isOwn = address.IsLoopback
            || (Uri.TryCreate(ownAddress, UriKind.Absolute, out var own) && own.Authority == address.Authority);
        return isOwn
            ? (Usable(Read(dataFile, required: true) ?? "", $"the file '{dataFile}'"), $"the file '{dataFile}'")
            : (null, $"none was sent: the file '{dataFile}' belongs to the server in this data folder. Name the key of {address} with --api-key-file or {KeyVariable}");
    }

    private static string Usable(string key, string source) =>
        key.Length > 0 && key.All(c => c is > ' ' and <= '~')
            ? key
            : throw CommandException.BadInput($"There is no API key in {source}: it must be one word of plain characters.");

    private static Uri Address(string text, string source)
    {
        if (!Uri.TryCreate(text.TrimEnd('/') + "/", UriKind.Absolute, out var address) || address.Scheme is not ("http" or "https"))
            throw CommandException.BadInput($"'{text}' in {source} is no address of a server; write it as http://localhost:8080.");
        // Its text goes into messages, so a password must not be in it.
        if (address.UserInfo.Length > 0 || address.Query.Length > 0 || address.Fragment.Length > 0)
            throw CommandException.BadInput($"The address in {source} has a user name, query or fragment; give scheme, host, port and path alone.");
        // What a server that listens everywhere calls itself; nobody can connect to that.
        return address.Host is "0.0.0.0" or "[::]"
            ? new UriBuilder(address) { Host = address.Host == "[::]" ? "[::1]" : "127.0.0.1" }.Uri
            : address;
    }

    private static string? Read(string file, bool required)
    {
        try
        {
            return !required && !File.Exists(file) ? null : Given(File.ReadAllText(file).Trim());
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw CommandException.BadInput($"'{file}' cannot be read: {exception.Message}");
        }
    }

    private static string DefaultFolder() => DataFolder.Default()
        ?? throw CommandException.BadInput("This account has no home folder to look for a server's data in. Give --data, or --server and --api-key-file.");

    private static string? Variable(string name) => Given(Environment.GetEnvironmentVariable(name)?.Trim());

    private static string? Given(string? text) => string.IsNullOrWhiteSpace(text) ? null : text;
}

/// <summary>A server and the key for it.</summary>
/// <param name="Address">Its address, with a slash at the end.</param>
/// <param name="AddressSource">Where the address comes from.</param>
/// <param name="Key">The key; null when there is none. Never printed.</param>
/// <param name="KeySource">Where the key comes from, or why there is none.</param>
internal sealed record ServerConnection(Uri Address, string AddressSource, string? Key, string KeySource)
{
    public const string HowToStart = "Start one with 'dotnet run --project src/Conclave.Server', or name one with --server <url>.";

    public override string ToString() => Address.ToString();
}

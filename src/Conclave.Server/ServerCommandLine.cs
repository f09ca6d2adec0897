using System.CommandLine;

namespace Conclave.Server;

/// <summary>What the server was started with.</summary>
public static class ServerCommandLine
{
    private const string EnvironmentPrefix = "CONCLAVE_";

    /// <summary>Reads arguments.</summary>
    /// <param name="args">Arguments.</param>
    /// <param name="settings">Settings that they make; empty when the program is to exit.</param>
    /// <param name="output">Where <c>--help</c> and <c>--version</c> go.</param>
    /// <param name="error">Where complaints go.</param>
    /// <returns>The exit code when there is nothing to start (help was shown, or arguments are wrong); else null.</returns>
    public static int? Parse(
        string[] args, out IReadOnlyDictionary<string, string?> settings, TextWriter? output = null, TextWriter? error = null)
    {
        var roles = new Option<string>("--roles") { Description = "What this process does: web, worker, inference; several with commas (default: all)", HelpName = "ROLES" };
        var data = new Option<string>("--data") { Description = "Folder for the database, the API key and logs (else CONCLAVE_DATA)", HelpName = "FOLDER" };
        var urls = new Option<string>("--urls") { Description = "Addresses to listen on; default http://127.0.0.1:5080", HelpName = "URLS" };
        var set = new Option<string[]>("--set") { Description = "Any other setting, such as Worker:Concurrency=8; may be repeated", HelpName = "NAME=VALUE" };
        set.Validators.Add(result =>
        {
            foreach (var token in result.Tokens)
            {
                if (token.Value.IndexOf('=', StringComparison.Ordinal) <= 0)
                    result.AddError($"--set takes NAME=VALUE; '{token.Value}' has no value.");
            }
        });
        var root = new RootCommand("The Conclave server. docs/configuration.md lists every setting.") { roles, data, urls, set };
        // Hosting tools, tests among them, start a program with these.
        foreach (var name in (string[])["--environment", "--contentRoot", "--applicationName"])
            root.Options.Add(new Option<string>(name) { Hidden = true });

        var found = new Dictionary<string, string?>(StringComparer.OrdinalIgnoreCase);
        settings = found;
        var starts = false;
        root.SetAction(_ => starts = true);
        var parsed = root.Parse(args);
        var code = parsed.Invoke(new InvocationConfiguration { Output = output ?? Console.Out, Error = error ?? Console.Error });
        if (!starts) return code;

        foreach (var pair in parsed.GetValue(set) ?? [])
        {
            var equals = pair.IndexOf('=', StringComparison.Ordinal);
            found[pair[..equals].Trim()] = pair[(equals + 1)..];
        }
        Put("Roles", parsed.GetValue(roles));
        Put("DataFolder", parsed.GetValue(data));
        Put("Urls", parsed.GetValue(urls));
        return null;

        void Put(string key, string? value)
        {
            if (value is not null) found[key] = value;
        }
    }

    /// <summary>
    /// Puts settings from the environment (<c>CONCLAVE_…</c>) and the command line over those of the files, checks all of
    /// them, and tells the web server where to listen.
    /// </summary>
    /// <exception cref="ServerOptionsException">Some are wrong; all of them are named.</exception>
    public static ServerOptions AddServerOptions(
        this WebApplicationBuilder builder, IReadOnlyDictionary<string, string?> settings)
    {
        builder.Configuration.AddConclaveSettings(settings);
        var options = ServerOptions.Read(builder.Configuration);
        builder.Services.AddSingleton(options);
        builder.WebHost.UseUrls(options.Urls.Split(';'));
        return options;
    }

    internal static void AddConclaveSettings(this IConfigurationBuilder configuration, IReadOnlyDictionary<string, string?> settings)
    {
        configuration.AddEnvironmentVariables(EnvironmentPrefix);
        if (Environment.GetEnvironmentVariable(EnvironmentPrefix + "DATA") is { Length: > 0 } folder)
            configuration.AddInMemoryCollection([new("DataFolder", folder)]);
        configuration.AddInMemoryCollection(settings);
    }
}

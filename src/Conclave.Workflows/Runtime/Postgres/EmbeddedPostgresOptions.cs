namespace Conclave.Workflows.Runtime.Postgres;

/// <summary>The PostgreSQL server that Conclave runs for itself. Bound from <c>Postgres</c>.</summary>
public sealed class EmbeddedPostgresOptions
{
    public const string Section = "Postgres";

    /// <summary>The folder that holds the database cluster, its password and its logs.</summary>
    /// <value>
    /// Default null, which means <c>conclave/postgres</c> in the user's local application data, or
    /// <c>/var/lib/conclave/postgres</c> when the program runs as root.
    /// </value>
    public string? DataFolder { get; set; }

    /// <summary>The folder that holds <c>initdb</c>, <c>pg_ctl</c> and <c>postgres</c>, version 18 or newer.</summary>
    /// <value>
    /// Default null, which means the environment variable <c>CONCLAVE_POSTGRES_BIN</c>, else <c>postgres/bin</c> beside
    /// the program, else the folder that the build names in <c>postgres-binaries.path</c>.
    /// </value>
    public string? BinariesFolder { get; set; }

    /// <summary>The system account that PostgreSQL runs under when the program runs as root, which PostgreSQL refuses.</summary>
    /// <value>Default null, which means the first of <c>conclave</c>, <c>postgres</c> and <c>nobody</c> that exists.</value>
    public string? Account { get; set; }

    /// <summary>The TCP port on 127.0.0.1.</summary>
    /// <value>
    /// 1 to 65535, or 0 for any free port. Default null, which means only a Unix socket in the data folder, or any free
    /// port where sockets do not work (Windows, or a path of the data folder longer than the system allows).
    /// </value>
    public int? Port { get; set; }

    /// <summary>The most connections at once.</summary>
    /// <value>10 to 5000; default 200.</value>
    public int MaxConnections { get; set; } = 200;

    /// <summary>Memory that all connections share as a cache, in megabytes.</summary>
    /// <value>16 to 65536; default 256.</value>
    public int SharedBuffersMegabytes { get; set; } = 256;

    /// <summary>How large the write-ahead log may grow between checkpoints, in megabytes.</summary>
    /// <value>64 to 1048576; default 2048.</value>
    public int MaxWalSizeMegabytes { get; set; } = 2048;

    /// <summary>
    /// Whether committed data survives a crash of the machine. Turn it off only for data that may be lost, as tests do:
    /// a crash of the machine can then destroy the whole cluster. A crash of PostgreSQL alone loses nothing either way.
    /// </summary>
    /// <value>Default true.</value>
    public bool DurableWrites { get; set; } = true;

    /// <summary>How long the server may take to accept connections, crash recovery included.</summary>
    /// <value>5 seconds to 24 hours; default 10 minutes.</value>
    public TimeSpan StartTimeout { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>How long the server may take to write everything out and stop. Past it, it stops as in a crash.</summary>
    /// <value>1 second to 1 hour; default 1 minute.</value>
    public TimeSpan StopTimeout { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>Lists every setting that is out of range; empty when all are fine.</summary>
    public IReadOnlyList<string> Validate()
    {
        var problems = new List<string>();
        Check(Port is null or (>= 0 and <= 65_535), nameof(Port), "0 to 65535", Port);
        Check(MaxConnections is >= 10 and <= 5_000, nameof(MaxConnections), "10 to 5000", MaxConnections);
        Check(SharedBuffersMegabytes is >= 16 and <= 65_536,
            nameof(SharedBuffersMegabytes), "16 to 65536", SharedBuffersMegabytes);
        Check(MaxWalSizeMegabytes is >= 64 and <= 1_048_576,
            nameof(MaxWalSizeMegabytes), "64 to 1048576", MaxWalSizeMegabytes);
        Check(StartTimeout >= TimeSpan.FromSeconds(5) && StartTimeout <= TimeSpan.FromHours(24),
            nameof(StartTimeout), "5 seconds to 24 hours", StartTimeout);
        Check(StopTimeout >= TimeSpan.FromSeconds(1) && StopTimeout <= TimeSpan.FromHours(1),
            nameof(StopTimeout), "1 second to 1 hour", StopTimeout);
        return problems;

        void Check(bool valid, string name, string range, object? value)
        {
            if (!valid) problems.Add($"{Section}:{name} must be {range}; it is {value}.");
        }
    }
}

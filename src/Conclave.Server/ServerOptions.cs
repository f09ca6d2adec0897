using Conclave.Workflows.Runtime;

namespace Conclave.Server;

/// <summary>What a server does.</summary>
[Flags]
public enum ServerRoles
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>Answers HTTP: the API, webhooks, the web app.</summary>
    Web = 1,

    /// <summary>Takes work from the queue and runs timers.</summary>
    Worker = 2,

    /// <summary>Everything in one process.</summary>
    All = Web | Worker,
}

/// <summary>Settings of a server, checked. Every one is in <c>docs/configuration.md</c>.</summary>
public sealed record ServerOptions
{
    /// <summary>What this process does.</summary>
    /// <value><c>Roles</c>, <c>--roles</c>: <c>web</c>, <c>worker</c>, with commas; default both.</value>
    public ServerRoles Roles { get; init; } = ServerRoles.All;

    /// <summary>Folder of everything that the server keeps outside the database, as a full path.</summary>
    /// <value>
    /// <c>DataFolder</c>, <c>CONCLAVE_DATA</c>, <c>--data</c>; default <c>conclave</c> in the user's local application data, or
    /// <c>/var/lib/conclave</c> when the program runs as root.
    /// </value>
    public required string DataFolder { get; init; }

    /// <summary>Addresses to listen on, with semicolons in between.</summary>
    /// <value><c>Urls</c>, <c>ASPNETCORE_URLS</c>, <c>--urls</c>; default <c>http://127.0.0.1:5080</c>.</value>
    public string Urls { get; init; } = "http://127.0.0.1:5080";

    /// <summary>A PostgreSQL server to use; password included: do not log it.</summary>
    /// <value><c>ConnectionStrings:Conclave</c>; default null, which means the server's own PostgreSQL in the data folder.</value>
    public string? ConnectionString { get; init; }

    /// <summary>Folder of definitions to import at start-up, as a full path.</summary>
    /// <value><c>Workflows:Folder</c>; default <c>workflows</c> in the working directory if it exists, else null.</value>
    public string? WorkflowsFolder { get; init; }

    /// <summary>The address at which people reach the server, for links that workflows make.</summary>
    /// <value><c>PublicUrl</c>: an absolute http or https address; default null, the first address that the server listens on.</value>
    public string? PublicUrl { get; init; }

    /// <summary>How long running bursts and open requests may take to end once the server stops.</summary>
    /// <value><c>Drain:Timeout</c>: 1 second to 1 hour; default 30 seconds.</value>
    public TimeSpan DrainTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long the server still answers after it stopped being ready, for load balancers to notice.</summary>
    /// <value><c>Drain:Delay</c>: 0 seconds to 10 minutes; default 0 seconds. Behind a load balancer, longer than it polls.</value>
    public TimeSpan DrainDelay { get; init; }

    /// <summary>Bursts that run at the same time.</summary>
    /// <value><c>Worker:Concurrency</c>: 1 to 10,000; default 64 for each processor.</value>
    public int WorkerConcurrency { get; init; } = 64 * Environment.ProcessorCount;

    /// <summary>The most work items of one claim.</summary>
    /// <value><c>Worker:ClaimSize</c>: 1 to 1,000; default 64.</value>
    public int WorkerClaimSize { get; init; } = 64;

    /// <summary>How long claimed work belongs to a worker that says nothing, before another may take it.</summary>
    /// <value><c>Worker:Lease</c>: 2 seconds to 10 minutes; default 10 seconds.</value>
    public TimeSpan WorkerLease { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How often an idle worker looks for work that nobody woke it for.</summary>
    /// <value><c>Worker:PollInterval</c>: 50 milliseconds to 1 minute; default 1 second.</value>
    public TimeSpan WorkerPollInterval { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Attempts at a work item before it becomes a dead letter.</summary>
    /// <value><c>Worker:MaxAttempts</c>: 1 to 1,000; default 10.</value>
    public int WorkerMaxAttempts { get; init; } = 10;

    /// <summary>How long a health check may take.</summary>
    /// <value><c>Health:CheckTimeout</c>: 100 milliseconds to 1 minute; default 2 seconds.</value>
    public TimeSpan HealthCheckTimeout { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>How this process runs instances.</summary>
    public RuntimeOptions Runtime => new()
    {
        Concurrency = WorkerConcurrency,
        ClaimSize = WorkerClaimSize,
        Lease = WorkerLease,
        PollInterval = WorkerPollInterval,
        MaxAttempts = WorkerMaxAttempts,
        DrainTimeout = DrainTimeout,
        JournalRetention = JournalRetention,
        InstanceRetention = InstanceRetention,
    };

    /// <summary>How long the journal is kept; whole months are dropped.</summary>
    /// <value><c>Retention:Journal</c>: 1 day to 10,000 days; default null, which keeps it.</value>
    public TimeSpan? JournalRetention { get; init; }

    /// <summary>How long instances are kept after they ended.</summary>
    /// <value><c>Retention:Instances</c>: 1 day to 10,000 days; default null, which keeps them.</value>
    public TimeSpan? InstanceRetention { get; init; }

    /// <summary>Whether this process answers HTTP beyond health and metrics.</summary>
    public bool IsWeb => Roles.HasFlag(ServerRoles.Web);

    /// <summary>Whether this process takes work.</summary>
    public bool IsWorker => Roles.HasFlag(ServerRoles.Worker);

    /// <summary>Reads and checks the settings.</summary>
    /// <exception cref="ServerOptionsException">Some are wrong; all of them are named.</exception>
    public static ServerOptions Read(IConfiguration configuration) => new SettingsReader(configuration).Read();
}

/// <summary>Settings are wrong; the message names every one and what it may be.</summary>
/// <param name="problems">A sentence for each.</param>
public sealed class ServerOptionsException(IReadOnlyList<string> problems)
    : Exception("The server cannot start with these settings:\n  - " + string.Join("\n  - ", problems))
{
    /// <summary>Stable code; listed in <c>docs/errors.md</c>.</summary>
    public string Code => "server.settings_invalid";

    /// <summary>A sentence for each wrong setting.</summary>
    public IReadOnlyList<string> Problems { get; } = problems;
}

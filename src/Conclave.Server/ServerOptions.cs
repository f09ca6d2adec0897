using System.Net;
using Conclave.Inference.Gateway;
using Conclave.Inference.Pool;
using Conclave.Inference.Scheduling;
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

    /// <summary>Owns the model servers' slots and answers model calls.</summary>
    Inference = 4,

    /// <summary>Everything in one process.</summary>
    All = Web | Worker | Inference,
}

/// <summary>Who may read metrics without the right <c>read:metrics</c>.</summary>
public enum MetricsAccess
{
    /// <summary>Programs on the same machine, as far as no proxy says that it asks for somebody else.</summary>
    Loopback,

    /// <summary>Everyone.</summary>
    Everyone,

    /// <summary>Nobody.</summary>
    Account,
}

/// <summary>Settings of a server, checked. Every one is in <c>docs/configuration.md</c>.</summary>
public sealed record ServerOptions
{
    /// <summary>What this process does.</summary>
    /// <value><c>Roles</c>, <c>--roles</c>: <c>web</c>, <c>worker</c>, <c>inference</c>, with commas; default all.</value>
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

    /// <summary>Origins of pages elsewhere, such as somebody's own Elsa Studio, that may call Elsa's API and its hub.</summary>
    /// <value><c>Cors:AllowedOrigins</c>: such as <c>https://studio.example.com</c>, several with commas, <c>*</c> for any; default none.</value>
    public IReadOnlyList<string> CorsOrigins { get; init; } = [];

    /// <summary>Reverse proxies whose <c>X-Forwarded-For</c>, <c>-Proto</c> and <c>-Host</c> count.</summary>
    /// <value><c>Proxy:Known</c>: addresses and networks such as <c>127.0.0.1, 10.0.0.0/8</c>; default none.</value>
    public IReadOnlyList<IPNetwork> KnownProxies { get; init; } = [];

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
        ApprovalRetention = ApprovalRetention,
    };

    /// <summary>How long the journal is kept; whole months are dropped.</summary>
    /// <value><c>Retention:Journal</c>: 1 day to 10,000 days; default null, which keeps it.</value>
    public TimeSpan? JournalRetention { get; init; }

    /// <summary>How long instances are kept after they ended.</summary>
    /// <value><c>Retention:Instances</c>: 1 day to 10,000 days; default null, which keeps them.</value>
    public TimeSpan? InstanceRetention { get; init; }

    /// <summary>How long approvals and tasks of people are kept after they ended.</summary>
    /// <value><c>Retention:Approvals</c>: 1 day to 10,000 days; default null, which keeps them.</value>
    public TimeSpan? ApprovalRetention { get; init; }

    /// <summary>Passwords and links that one address may try in a minute.</summary>
    /// <value><c>Accounts:AttemptsPerMinute</c>: 1 to 100,000; default 20.</value>
    public int AttemptsPerMinute { get; init; } = 20;

    /// <summary>Wrong passwords in a row that lock an account for a while.</summary>
    /// <value><c>Accounts:LockoutAttempts</c>: 1 to 1,000; default 5.</value>
    public int LockoutAttempts { get; init; } = 5;

    /// <summary>How long such an account is locked.</summary>
    /// <value><c>Accounts:LockoutTime</c>: 1 second to 1 day; default 5 minutes.</value>
    public TimeSpan LockoutTime { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>How often a session is compared with its account, which may have been locked or got another password.</summary>
    /// <value><c>Accounts:SessionCheck</c>: 0 seconds (with every request) to 1 hour; default 1 minute.</value>
    public TimeSpan SessionCheck { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>What the keys of sessions are encrypted with in the database; do not log it.</summary>
    /// <value><c>Accounts:KeyEncryptionSecret</c>: at least 32 characters; default null: a file in the data folder if the server has a PostgreSQL of its own, else nothing.</value>
    public string? KeyEncryptionSecret { get; init; }

    /// <summary>Who may read <c>/metrics</c> without the right to.</summary>
    /// <value><c>Metrics:Access</c>: <c>loopback</c> (default), <c>everyone</c>, <c>account</c>.</value>
    public MetricsAccess MetricsAccess { get; init; }

    /// <summary>How model calls are treated.</summary>
    public InferenceOptions Inference { get; init; } = new();

    /// <summary>How slots of model servers are given out.</summary>
    public SchedulerOptions Scheduling { get; init; } = new();

    /// <summary>How model servers are looked after.</summary>
    public ServerPoolOptions ModelServers { get; init; } = new();

    /// <summary>The gateway in another process that model calls go to when this one does not have the role.</summary>
    /// <value><c>Inference:Url</c>; default null: this process makes no model calls then.</value>
    public Uri? InferenceUrl { get; init; }

    /// <summary>The API key for it; do not log it.</summary>
    /// <value><c>Inference:ApiKey</c>: a key with the rights <c>exec:models</c> and <c>manage:inference</c>.</value>
    public string? InferenceKey { get; init; }

    /// <summary>Whether this process owns the model servers' slots.</summary>
    public bool IsInference => Roles.HasFlag(ServerRoles.Inference);

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

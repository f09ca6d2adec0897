using Conclave.Inference;
using Conclave.Inference.Budgets;
using Conclave.Inference.Gateway;
using Conclave.Inference.Pool;
using Conclave.Inference.Providers;
using Conclave.Inference.Providers.Anthropic;
using Conclave.Inference.Providers.Ollama;
using Conclave.Inference.Providers.OpenAI;
using Conclave.Inference.Providers.Scripted;
using Conclave.Inference.Remote;
using Conclave.Inference.Routing;
using Conclave.Inference.Scheduling;
using Conclave.Inference.Streaming;
using Conclave.Inference.StructuredOutput;
using Conclave.Inference.Syscalls;
using Conclave.Inference.Telemetry;
using Conclave.Server.Accounts.Sessions;
using Conclave.Server.Hosting;
using Conclave.Workflows.Expressions.Scripting;
using Conclave.Workflows.Runtime.Stimuli;
using Npgsql;

namespace Conclave.Server.Inference;

/// <summary>The role <c>inference</c>: owns the model servers' slots and answers calls. Started and stopped by <see cref="Hosting.ServerRuntime"/>.</summary>
internal sealed class InferenceRole(ServerOptions options, IEnumerable<IModelProvider> providers, KeyEncryption encryption, ILoggerFactory loggers, TimeProvider time)
    : IAsyncDisposable
{
    private const string NotStarted = "The role inference has not started.";
    private ServerPool? _pool;
    private SlotScheduler? _scheduler;
    private ModelRouter? _router;
    private Aliases? _aliases;
    private RatedCalls? _rated;
    private ModelPulls? _pulls;
    private CallLog? _log;
    private InferenceGateway? _gateway;
    private ScriptRunnerPool? _scripts;
    private RemoteInference? _remote;
    private SyscallWorker? _syscalls;
    private InferenceMaintenance? _maintenance;
    private IDisposable? _gauges;
    private int _isDisposed;

    /// <summary>Model calls; null when this process cannot make any.</summary>
    public IInference? Inference => (IInference?)_gateway ?? _remote;

    /// <summary>Whether this process owns slots.</summary>
    public bool IsRunning => _gateway is not null;

    /// <summary>The model servers.</summary>
    public ServerPool Pool => _pool ?? throw new InvalidOperationException(NotStarted);

    /// <summary>Who has which slot.</summary>
    public SlotScheduler Scheduler => _scheduler ?? throw new InvalidOperationException(NotStarted);

    /// <summary>Decides where calls go.</summary>
    public ModelRouter Router => _router ?? throw new InvalidOperationException(NotStarted);

    /// <summary>What names other than models mean.</summary>
    public Aliases Aliases => _aliases ?? throw new InvalidOperationException(NotStarted);

    /// <summary>How good answers were.</summary>
    public RatedCalls Rated => _rated ?? throw new InvalidOperationException(NotStarted);

    /// <summary>Models on their way to servers.</summary>
    public ModelPulls Pulls => _pulls ?? throw new InvalidOperationException(NotStarted);

    /// <summary>Records of calls.</summary>
    public CallLog Log => _log ?? throw new InvalidOperationException(NotStarted);

    /// <summary>Asks somebody for JSON and checks it.</summary>
    public StructuredAnswers Structured(IInference inference) => new(inference, _scripts ?? throw new InvalidOperationException(NotStarted));

    /// <summary>Starts what this process is to have.</summary>
    /// <param name="database">The database.</param>
    /// <param name="scripts">Checks JSON.</param>
    /// <param name="budgets">What calls may cost.</param>
    /// <param name="cancellationToken">Ends the start.</param>
    public async Task StartAsync(NpgsqlDataSource database, ScriptRunnerPool scripts, BudgetLedger budgets, CancellationToken cancellationToken)
    {
        if (!options.IsInference)
        {
            if (options.InferenceUrl is { } url)
                _remote = new RemoteInference(url, options.InferenceKey!, time);
            return;
        }

        _pool = new ServerPool(database, providers, encryption.For("conclave.inference"), options.ModelServers, time, loggers.CreateLogger<ServerPool>());
        await _pool.StartAsync(cancellationToken);
        _scheduler = new SlotScheduler(options.Scheduling, time);
        _aliases = new Aliases(database, _pool, time);
        _rated = new RatedCalls(database, _pool, time);
        _pulls = new ModelPulls(database, _pool, time, loggers.CreateLogger<ModelPulls>());
        await _aliases.LoadAsync(cancellationToken);
        await _rated.LoadAsync(cancellationToken);
        _router = new ModelRouter(_pool, _aliases, _rated, new SessionAffinity(time));
        _maintenance = new InferenceMaintenance(database, options.Inference.CallRetention, time, loggers.CreateLogger<InferenceMaintenance>());
        await _maintenance.StartAsync(cancellationToken);
        _log = new CallLog(database, loggers.CreateLogger<CallLog>());
        _gateway = new InferenceGateway(_pool, _router, _scheduler, database, _log, options.Inference, time, loggers.CreateLogger<InferenceGateway>(), budgets);
        _scripts = scripts;
        _gauges = GenAITelemetry.Observe(_scheduler, id => _pool.Find(id)?.Server.Name ?? id, _log, budgets);
    }

    /// <summary>Begins to answer syscalls, once there are tools for them; does nothing in a process that owns no slots.</summary>
    /// <param name="syscalls">Questions to be answered.</param>
    /// <param name="tools">Calls tools.</param>
    /// <param name="stimuli">Tells workflows that wait.</param>
    public void AnswerSyscalls(SyscallStore syscalls, ISyscallTools tools, StimulusDelivery stimuli)
    {
        if (_gateway is not null)
            _syscalls = new SyscallWorker(syscalls, _gateway, _scripts, tools, stimuli, loggers.CreateLogger<SyscallWorker>());
    }

    /// <summary>Stops those that run; they go on elsewhere, or after the next start. Before tools are closed.</summary>
    public async Task StopSyscallsAsync()
    {
        if (_syscalls is not null)
            await _syscalls.DisposeAsync();
        _syscalls = null;
    }

    /// <summary>Lets calls end, and stops. Once more does nothing.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) != 0)
            return;
        await StopSyscallsAsync();
        if (_gateway is not null)
        {
            await _gateway.StopAsync(options.DrainTimeout);
            await _gateway.DisposeAsync();
        }

        _remote?.Dispose();
        _gauges?.Dispose();
        _scheduler?.Dispose();
        if (_log is not null)
            await _log.DisposeAsync();
        if (_maintenance is not null)
            await _maintenance.DisposeAsync();
        if (_pulls is not null)
            await _pulls.DisposeAsync();
        if (_pool is not null)
            await _pool.DisposeAsync();
    }
}

/// <summary>Adds model calls.</summary>
internal static class InferenceServices
{
    /// <summary>Adds <see cref="InferenceRole"/>, and <see cref="IInference"/> for whoever asks after the start.</summary>
    public static IServiceCollection AddInference(this IServiceCollection services) => OpenAIHost.All
        .Aggregate(services, (all, host) => all.AddSingleton<IModelProvider>(provider => new OpenAIProvider(host, provider.GetRequiredService<TimeProvider>())))
        .AddSingleton<InferenceRole>()
        .AddSingleton(provider => new TokenStreams(
            provider.GetRequiredService<ServerRuntime>().Database, provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<TokenStreams>>()))
        .AddSingleton<IModelProvider>(provider => new OllamaProvider(provider.GetRequiredService<TimeProvider>()))
        .AddSingleton<IModelProvider>(provider => new AnthropicProvider(provider.GetRequiredService<TimeProvider>()))
        .AddSingleton<IModelProvider>(provider => new ScriptedProvider(provider.GetRequiredService<TimeProvider>()))
        .AddSingleton(provider => provider.GetRequiredService<InferenceRole>().Inference!);
}

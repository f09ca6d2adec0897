namespace Conclave.Inference.Pool;

/// <summary>How the pool looks after its servers: the settings under <c>Inference</c>.</summary>
public sealed record ServerPoolOptions
{
    /// <summary>How often a server is asked whether it is well, give or take a fifth.</summary>
    /// <value><c>Inference:HealthInterval</c>: 1 second to 1 hour; default 10 seconds.</value>
    public TimeSpan HealthInterval { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long its answer may take.</summary>
    /// <value><c>Inference:HealthTimeout</c>: 100 milliseconds to 1 minute; default 5 seconds.</value>
    public TimeSpan HealthTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Calls within <see cref="BreakerWindow"/> before failures count.</summary>
    /// <value><c>Inference:BreakerCalls</c>: 2 to 1,000; default 4.</value>
    public int BreakerCalls { get; init; } = 4;

    /// <summary>Share of them that must have failed for no more to be sent.</summary>
    /// <value><c>Inference:BreakerFailures</c>: 0.05 to 1; default 0.5.</value>
    public double BreakerFailures { get; init; } = 0.5;

    /// <summary>How far back calls count.</summary>
    /// <value><c>Inference:BreakerWindow</c>: 1 second to 10 minutes; default 30 seconds.</value>
    public TimeSpan BreakerWindow { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long nothing is sent before one call may try; doubled with each try that fails, up to 12 times as long.</summary>
    /// <value><c>Inference:BreakerPause</c>: 1 second to 10 minutes; default 5 seconds.</value>
    public TimeSpan BreakerPause { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How often a process says that it is there; one that has not for five times as long is gone, and others take its slots.</summary>
    /// <value><c>Inference:Heartbeat</c>: 200 milliseconds to 1 minute; default 3 seconds.</value>
    public TimeSpan Heartbeat { get; init; } = TimeSpan.FromSeconds(3);

    /// <summary>Whether an Ollama on its usual port is added by itself while there is no real server.</summary>
    /// <value><c>Inference:DiscoverOllama</c>: default true.</value>
    public bool DiscoverOllama { get; init; } = true;

    /// <summary>Where it is looked for.</summary>
    /// <value>The environment variable <c>OLLAMA_HOST</c>; default <c>http://127.0.0.1:11434</c>.</value>
    public Uri OllamaAddress { get; init; } = new("http://127.0.0.1:11434");

    /// <summary>Servers that the configuration names.</summary>
    /// <value><c>Inference:Servers:0:Name</c> and so on; default none.</value>
    public IReadOnlyList<ConfiguredServer> Servers { get; init; } = [];

    /// <summary>Name of this process, for people.</summary>
    public string NodeName { get; init; } = Environment.MachineName;
}

/// <summary>A server that the configuration names.</summary>
/// <param name="Server">The server; its id is not used.</param>
/// <param name="ApiKey">Its key; stays in the configuration. Null for none.</param>
public sealed record ConfiguredServer(ModelServer Server, string? ApiKey);

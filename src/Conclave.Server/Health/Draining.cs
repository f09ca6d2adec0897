namespace Conclave.Server.Health;

/// <summary>
/// Turns readiness off when the server is told to stop, and keeps connections open for a while, so that load balancers
/// send nothing to a server that is about to close.
/// </summary>
public sealed partial class Draining : IHostedLifecycleService, IDisposable
{
    private readonly TimeSpan _delay;
    private readonly TimeProvider _time;
    private readonly ILogger<Draining> _logger;
    private readonly CancellationTokenRegistration _registration;
    private int _isDraining;

    /// <summary>Watches for the stop.</summary>
    /// <param name="lifetime">Tells of the stop.</param>
    /// <param name="delay">How long connections stay open after it.</param>
    /// <param name="time">Clock.</param>
    /// <param name="logger">Told of the stop.</param>
    public Draining(IHostApplicationLifetime lifetime, TimeSpan delay, TimeProvider time, ILogger<Draining> logger)
    {
        (_delay, _time, _logger) = (delay, time, logger);
        _registration = lifetime.ApplicationStopping.Register(Begin);
    }

    /// <summary>Whether the server is about to stop.</summary>
    public bool IsDraining => Volatile.Read(ref _isDraining) != 0;

    /// <summary>Turns readiness off.</summary>
    public void Begin()
    {
        if (Interlocked.Exchange(ref _isDraining, 1) == 0) LogDraining(_delay.TotalSeconds);
    }

    /// <summary>Comes before the host closes connections and stops services.</summary>
    public async Task StoppingAsync(CancellationToken cancellationToken)
    {
        Begin();
        if (_delay <= TimeSpan.Zero) return;
        // When the host's own time-out ends the wait, the stop goes on.
        await Task.Delay(_delay, _time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    Task IHostedLifecycleService.StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    Task IHostedService.StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    Task IHostedLifecycleService.StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    Task IHostedService.StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    Task IHostedLifecycleService.StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Stops watching.</summary>
    public void Dispose() => _registration.Dispose();

    [LoggerMessage(2331, LogLevel.Information, "The server stops: it is not ready any more and closes connections in {DelaySeconds:F0} s")]
    private partial void LogDraining(double delaySeconds);
}

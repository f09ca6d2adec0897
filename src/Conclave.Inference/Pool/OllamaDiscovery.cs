using Conclave.Inference.Providers;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Conclave.Inference.Pool;

/// <summary>Finds an Ollama on this machine while there is no other real server, and adds it.</summary>
internal sealed partial class OllamaDiscovery(ServerPool pool, ServerPoolOptions options, TimeProvider time, ILogger logger)
{
    private const string Name = "ollama";
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(1);

    /// <summary>Looks once.</summary>
    /// <returns>Whether there is a real server now.</returns>
    public async Task<bool> LookAsync(CancellationToken cancellationToken)
    {
        if (pool.Servers.Any(s => s.Server.Provider != ServerRules.Scripted) || pool.FindByName(Name) is not null)
            return true;
        if (!await AnswersAsync(cancellationToken))
            return false;
        var server = new ModelServer { Id = Guid.CreateVersion7().ToString("N"), Name = Name, Provider = Name, Address = options.OllamaAddress };
        // Another process may have found it too; the database lets one of them add it.
        if (await pool.AddAsync(server, ServerSource.Discovery, null, "discovery", onlyFirst: true, cancellationToken) is not null)
            LogFound(options.OllamaAddress);
        else
            await pool.ReloadAsync(cancellationToken);
        return true;
    }

    /// <summary>Looks until the pool stops: whoever starts Ollama later gets it too.</summary>
    public async Task LookAlwaysAsync(CancellationToken stopping)
    {
        using var timer = new PeriodicTimer(Interval, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stopping))
            {
                try
                {
                    await LookAsync(stopping);
                }
                catch (Exception exception) when (exception is NpgsqlException or TimeoutException or InvalidOperationException or PoolException)
                {
                    LogFailed(exception);
                }
            }
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // The pool stops.
        }
    }

    private async Task<bool> AnswersAsync(CancellationToken cancellationToken)
    {
        if (pool.Provider(Name) is not { } provider)
            return false;
        using var client = provider.Connect(new ModelServer { Id = "", Name = Name, Provider = Name, Address = options.OllamaAddress }, null);
        using var timeout = new CancellationTokenSource(Timeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        try
        {
            await client.ListModelsAsync(either.Token);
            return true;
        }
        catch (ModelServerException)
        {
            return false;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return false;
        }
    }

    [LoggerMessage(4020, LogLevel.Information, "Found an Ollama at {Address} and added it to the pool.")]
    private partial void LogFound(Uri address);

    [LoggerMessage(4021, LogLevel.Warning, "An Ollama that was found could not be added.")]
    private partial void LogFailed(Exception exception);
}

using Conclave.Server.Logging;

namespace Conclave.Server.Health;

/// <summary>What one check said.</summary>
/// <param name="Name">Name of the check.</param>
/// <param name="Healthy">Whether it passed.</param>
/// <param name="Seconds">How long it took.</param>
/// <param name="Problem">What is wrong; null when it passed.</param>
public sealed record HealthResult(string Name, bool Healthy, double Seconds, string? Problem);

/// <summary>Named checks that decide whether the server is ready. All run at once, each with a time-out.</summary>
/// <param name="timeout">How long a check may take.</param>
/// <param name="time">Clock.</param>
/// <param name="logger">Told what went wrong, with details that the answer leaves out.</param>
public sealed partial class HealthChecks(TimeSpan timeout, TimeProvider time, ILogger<HealthChecks> logger)
{
    private readonly Lock _lock = new();
    private Check[] _checks = [];

    /// <summary>Adds a check; one with the same name is replaced.</summary>
    /// <param name="name">What it checks, such as <c>database</c>.</param>
    /// <param name="check">
    /// Answers null when all is well, else what is wrong in words that anyone may read. When it throws, the answer names
    /// the exception's type only, since messages may hold addresses.
    /// </param>
    public void Add(string name, Func<CancellationToken, ValueTask<string?>> check)
    {
        lock (_lock) _checks = [.. _checks.Where(c => c.Name != name), new Check(name, check)];
    }

    /// <summary>Runs all checks.</summary>
    public async Task<IReadOnlyList<HealthResult>> RunAsync(CancellationToken cancellationToken)
    {
        var runs = Array.ConvertAll(Volatile.Read(ref _checks), Run);
        return await Task.WhenAll(runs).WaitAsync(cancellationToken);
    }

    // Callers share a run, so that many of them, or a check that hangs, load what is checked no more than one does.
    private Task<HealthResult> Run(Check check)
    {
        lock (_lock)
        {
            if (check.Answer is null or { IsCompleted: true })
            {
                check.Answer = check.Work is { IsCompleted: false }
                    ? Task.FromResult(new HealthResult(check.Name, false, 0, "The last check has not ended yet."))
                    : RunAsync(check);
            }
            return check.Answer;
        }
    }

    private async Task<HealthResult> RunAsync(Check check)
    {
        var started = time.GetTimestamp();
        using var stop = new CancellationTokenSource(timeout, time);
        string? problem;
        try
        {
            // Off this thread: a check that blocks must not hold up the others.
            var work = check.Work = Task.Run(() => check.Function(stop.Token).AsTask(), CancellationToken.None);
            // It may fail after nobody waits for it any more.
            _ = work.ContinueWith(static w => w.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
            problem = await work.WaitAsync(timeout, time, CancellationToken.None);
            if (problem is not null)
            {
                problem = Redaction.Text(problem);
                LogFailed(check.Name, problem);
            }
        }
        catch (Exception exception) when (exception is TimeoutException || stop.IsCancellationRequested)
        {
            problem = $"No answer within {timeout.TotalSeconds:0.###} s.";
            LogFailed(check.Name, problem);
        }
        catch (Exception exception)
        {
            problem = $"Failed with {exception.GetType().Name}; the log says more.";
            LogThrew(check.Name, exception);
        }
        return new HealthResult(check.Name, problem is null, Math.Round(time.GetElapsedTime(started).TotalSeconds, 4), problem);
    }

    [LoggerMessage(2332, LogLevel.Warning, "The health check {Check} failed: {Problem}")]
    private partial void LogFailed(string check, string problem);

    [LoggerMessage(2333, LogLevel.Warning, "The health check {Check} failed")]
    private partial void LogThrew(string check, Exception exception);

    private sealed class Check(string name, Func<CancellationToken, ValueTask<string?>> function)
    {
        public string Name => name;

        public Func<CancellationToken, ValueTask<string?>> Function => function;

        public Task<string?>? Work { get; set; }

        public Task<HealthResult>? Answer { get; set; }
    }
}

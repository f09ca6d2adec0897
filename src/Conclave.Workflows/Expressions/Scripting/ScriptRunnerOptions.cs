namespace Conclave.Workflows.Expressions.Scripting;

/// <summary>How JavaScript, Liquid and JSON Schema run. Bound from <c>Scripting</c>.</summary>
public sealed class ScriptRunnerOptions
{
    public const string Section = "Scripting";

    /// <summary>How many runner processes may exist. They start when requests need them.</summary>
    /// <value>0 to 64; default 0, which means one per processor.</value>
    public int Runners { get; set; }

    /// <summary>How long one script or template may run, including the time it waits for the host.</summary>
    /// <value>10 milliseconds to 10 minutes; default 30 seconds.</value>
    public TimeSpan TimeLimit { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>How long past <see cref="TimeLimit"/> a runner may stay silent before it is killed.</summary>
    /// <value>100 milliseconds to 1 minute; default 2 seconds.</value>
    public TimeSpan KillGrace { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>How much memory one script may use, in megabytes.</summary>
    /// <value>4 to 1024; default 64.</value>
    public int MemoryLimitMegabytes { get; set; } = 64;

    /// <summary>The largest answer of one request, in bytes of JSON. Larger ones fail.</summary>
    /// <value>1024 to 268435456; default 16777216 (16 MB).</value>
    public int MaxResultBytes { get; set; } = 16 * 1024 * 1024;

    /// <summary>How many requests may wait for a runner. Further ones fail with <c>script.busy</c>.</summary>
    /// <value>1 to 1000000; default 10000.</value>
    public int MaxQueuedRequests { get; set; } = 10_000;

    /// <summary>The Node.js program, version 20 or newer.</summary>
    /// <value>Default null, which means <c>node</c> on the search path.</value>
    public string? NodePath { get; set; }

    /// <summary>The folder that holds <c>runner.mjs</c> and its packages.</summary>
    /// <value>Default null, which means <c>script-runner</c> beside the program.</value>
    public string? RunnerPath { get; set; }

    internal int RunnerCount => Runners > 0 ? Runners : Environment.ProcessorCount;

    internal string RunnerFolder => RunnerPath ?? Path.Combine(AppContext.BaseDirectory, "script-runner");

    /// <summary>Lists every setting that is out of range; empty when all are fine.</summary>
    public IReadOnlyList<string> Validate()
    {
        var problems = new List<string>();
        Check(Runners is >= 0 and <= 64, nameof(Runners), "0 to 64", Runners);
        Check(TimeLimit >= TimeSpan.FromMilliseconds(10) && TimeLimit <= TimeSpan.FromMinutes(10),
            nameof(TimeLimit), "10 milliseconds to 10 minutes", TimeLimit);
        Check(KillGrace >= TimeSpan.FromMilliseconds(100) && KillGrace <= TimeSpan.FromMinutes(1),
            nameof(KillGrace), "100 milliseconds to 1 minute", KillGrace);
        Check(MemoryLimitMegabytes is >= 4 and <= 1024,
            nameof(MemoryLimitMegabytes), "4 to 1024", MemoryLimitMegabytes);
        Check(MaxResultBytes is >= 1024 and <= 256 * 1024 * 1024,
            nameof(MaxResultBytes), "1024 to 268435456", MaxResultBytes);
        Check(MaxQueuedRequests is >= 1 and <= 1_000_000, nameof(MaxQueuedRequests), "1 to 1000000", MaxQueuedRequests);
        return problems;

        void Check(bool valid, string name, string range, object value)
        {
            if (!valid) problems.Add($"{Section}:{name} must be {range}; it is {value}.");
        }
    }
}

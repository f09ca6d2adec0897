namespace Conclave.Workflows.Expressions.Scripting;

/// <summary>A request from the moment it is submitted until it is answered, on whichever runner.</summary>
internal sealed class RunnerRequest(byte kind, IScriptHost? host, string? name, CancellationToken cancellationToken)
{
    private readonly TaskCompletionSource<ReadOnlyMemory<byte>> _answer =
        new(TaskCreationOptions.RunContinuationsAsynchronously);

    public byte Kind { get; } = kind;

    public IScriptHost? Host { get; } = host;

    public string? Name { get; } = name;

    public CancellationToken CancellationToken { get; } = cancellationToken;

    /// <summary>Kept until the answer, since a request moves to another runner when its runner stops.</summary>
    public PooledBuffer Payload { get; } = new();

    public Task<ReadOnlyMemory<byte>> Answer => _answer.Task;

    /// <summary>Where the request is in flight; null while it waits. Guarded by the pool's lock.</summary>
    public InFlight? InFlight { get; set; }

    public RunnerProcess? Runner { get; set; }

    /// <summary>Whether a runner stopped while this may have been what it evaluated: it then runs alone.</summary>
    public bool IsSuspect { get; set; }

    public void Complete(ReadOnlyMemory<byte> payload) => _answer.TrySetResult(payload);

    public void Fail(Exception exception) => _answer.TrySetException(exception);

    public void Cancel() => _answer.TrySetCanceled(CancellationToken);
}

/// <summary>One request's place in a runner's order of answers.</summary>
internal sealed class InFlight(uint id, RunnerRequest request, int bytes)
{
    public uint Id { get; } = id;

    public int Bytes { get; } = bytes;

    /// <summary>Whether the runner is known to evaluate it; most are answered without saying so.</summary>
    public bool HasStarted { get; set; }

    /// <summary>Null once the request was cancelled or moved away: its answer is then ignored.</summary>
    public RunnerRequest? Request { get; set; } = request;
}

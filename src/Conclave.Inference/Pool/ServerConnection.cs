using System.Collections.Concurrent;
using Conclave.Inference.Providers;

namespace Conclave.Inference.Pool;

/// <summary>What one address and key of a server is talked to with, and what was learned by it. Lives until its last call has ended.</summary>
internal sealed class ServerConnection(IModelClient client, ServerPoolOptions options, TimeProvider time)
{
    private readonly ConcurrentDictionary<string, ModelState> _models = new(StringComparer.Ordinal);

    // One for the pool itself; the client goes with the last one.
    private int _users = 1;

    public IModelClient Client => client;

    /// <summary>Counts connections that could not be made.</summary>
    public CircuitBreaker Breaker { get; } = new(options, time);

    /// <summary>Calls that run.</summary>
    public int Running => Math.Max(0, Volatile.Read(ref _users) - 1);

    public ModelState Model(string name) => _models.GetOrAdd(name, static (_, made) => new ModelState(new CircuitBreaker(made.options, made.time)), (options, time));

    public ModelState? FindModel(string name) => _models.GetValueOrDefault(name);

    /// <summary>Keeps the client alive; false when it is gone already.</summary>
    public bool TryUse()
    {
        while (true)
        {
            var users = Volatile.Read(ref _users);
            if (users == 0)
                return false;
            if (Interlocked.CompareExchange(ref _users, users + 1, users) == users)
                return true;
        }
    }

    /// <summary>Ends a use; the last one disposes the client.</summary>
    public void Release()
    {
        if (Interlocked.Decrement(ref _users) == 0)
            client.Dispose();
    }
}

/// <summary>What was learned about a model of a server by calling it.</summary>
internal sealed class ModelState(CircuitBreaker breaker)
{
    private long _restsUntil;
    private long _missingUntil;

    /// <summary>Counts failed calls.</summary>
    public CircuitBreaker Breaker => breaker;

    /// <summary>Until when the server wants no calls of it.</summary>
    public DateTimeOffset RestsUntil
    {
        get => new(Interlocked.Read(ref _restsUntil), TimeSpan.Zero);
        set => Interlocked.Exchange(ref _restsUntil, value.UtcTicks);
    }

    /// <summary>Until when it is not believed that the server has it, whatever its list says.</summary>
    public DateTimeOffset MissingUntil
    {
        get => new(Interlocked.Read(ref _missingUntil), TimeSpan.Zero);
        set => Interlocked.Exchange(ref _missingUntil, value.UtcTicks);
    }
}

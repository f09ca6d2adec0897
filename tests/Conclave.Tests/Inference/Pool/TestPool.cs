using Conclave.Inference;
using Conclave.Inference.Pool;
using Conclave.Tests.Runtime.Postgres;
using Conclave.Workflows.Runtime;
using Microsoft.Extensions.Logging.Abstractions;

namespace Conclave.Tests.Inference.Pool;

/// <summary>A database and pools on it, as several processes would have them.</summary>
internal sealed class TestPool : IAsyncDisposable
{
    private readonly List<ServerPool> _pools = [];

    public required TestDatabase Database { get; init; }

    public TestProvider Provider { get; } = new();

    public static async Task<TestPool> NewAsync() => new() { Database = await PostgresServer.NewDatabaseAsync() };

    public static ServerPoolOptions Options { get; } = new() { DiscoverOllama = false };

    /// <summary>A pool that has started.</summary>
    public async Task<ServerPool> StartAsync(ServerPoolOptions? options = null, TimeProvider? time = null, SecretCipher? cipher = null)
    {
        var pool = New(options, time, cipher);
        await pool.StartAsync(default);
        return pool;
    }

    public ServerPool New(ServerPoolOptions? options = null, TimeProvider? time = null, SecretCipher? cipher = null)
    {
        var pool = new ServerPool(
            Database, [Provider, new TestProvider("openai"), new TestProvider("scripted")], cipher, options ?? Options, time ?? TimeProvider.System, NullLogger<ServerPool>.Instance);
        _pools.Add(pool);
        return pool;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var pool in _pools)
            await pool.DisposeAsync();
        await Database.DisposeAsync();
    }

    public static ModelServer Server(string name, int slots = 4) =>
        new() { Id = Guid.CreateVersion7().ToString("N"), Name = name, Provider = "ollama", Address = new Uri($"http://{name}:11434"), Slots = slots };
}

internal static class PoolExtensions
{
    /// <summary>Waits until something is true of a pool, told by its events.</summary>
    public static async Task UntilAsync(this ServerPool pool, Func<bool> condition)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        void Look(PooledServer server)
        {
            if (condition())
                done.TrySetResult();
        }

        pool.Changed += Look;
        try
        {
            if (!condition())
                await done.Task.WaitAsync(TimeSpan.FromSeconds(30));
        }
        finally
        {
            pool.Changed -= Look;
        }
    }
}

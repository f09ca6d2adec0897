using Conclave.Inference;
using Conclave.Inference.Pool;
using Conclave.Inference.Routing;
using Conclave.Tests.Inference.Pool;
using Microsoft.Extensions.AI;

namespace Conclave.Tests.Inference.Routing;

/// <summary>A router over servers that a test names.</summary>
internal sealed class RouterFixture : IAsyncDisposable
{
    private readonly TestPool _test;

    private RouterFixture(TestPool test, ServerPool pool)
    {
        (_test, Pool) = (test, pool);
        Aliases = new Aliases(test.Database, pool, TimeProvider.System);
        Rated = new RatedCalls(test.Database, pool, TimeProvider.System);
        Affinity = new SessionAffinity(TimeProvider.System);
        Router = new ModelRouter(pool, Aliases, Rated, Affinity);
    }

    public Npgsql.NpgsqlDataSource Database => _test.Database;

    public ServerPool Pool { get; }

    public Aliases Aliases { get; }

    public RatedCalls Rated { get; }

    public SessionAffinity Affinity { get; }

    public ModelRouter Router { get; }

    public TestProvider Provider => _test.Provider;

    /// <summary>Servers are healthy and have the models that they are given.</summary>
    public static async Task<RouterFixture> NewAsync(params ModelServer[] servers)
    {
        var test = await TestPool.NewAsync();
        var pool = await test.StartAsync();
        foreach (var server in servers)
        {
            var added = await pool.AddAsync(server, null, "test", default);
            await pool.UntilAsync(() => added.Accepts);
        }

        return new RouterFixture(test, pool);
    }

    public static ModelServer House(string name, params ServedModel[] models) => TestPool.Server(name) with { Models = models };

    /// <summary>A server elsewhere, whose models cost 1 to read and <paramref name="price"/> to write.</summary>
    public static ModelServer Cloud(string name, decimal price, params string[] models) => TestPool.Server(name) with
    {
        Provider = "openai",
        IsLocal = false,
        Models = [.. models.Select(m => Model(m) with { InputPrice = 1, OutputPrice = price })],
    };

    public static ServedModel Model(string name, ModelCapabilities more = ModelCapabilities.None) =>
        new() { Name = name, Capabilities = ModelCapabilities.Chat | more, ContextSize = 8_000 };

    public static ChatCall Call(string model, string text = "Hello", CallContext? context = null, ChatOptions? options = null) =>
        new(context ?? Context, model, [new ChatMessage(ChatRole.User, text)], options ?? new ChatOptions());

    public static CallContext Context { get; } = new() { Tenant = "default" };

    /// <summary>Where a call goes: <c>tier:server/model</c> for each candidate.</summary>
    public string[] Route(ChatCall call) => Show(Router.Plan(call));

    public static string[] Show(RoutePlan plan) => [.. plan.Candidates.Select(c => $"{c.Tier}:{c.Server.Name}/{c.Model.Name}")];

    public async ValueTask DisposeAsync() => await _test.DisposeAsync();
}

using System.Security.Claims;
using Conclave.Server.Accounts.Keys;
using Conclave.Tests.Inference.Providers;

namespace Conclave.Tests.Accounts;

public sealed class KnownKeysTests
{
    private readonly ManualClock _clock = new();
    private readonly List<string> _asked = [];
    private readonly Dictionary<string, KnownKey> _keys = new() { ["a"] = new KnownKey(new ClaimsIdentity("first"), null) };
    private Func<Task> _meanwhile = () => Task.CompletedTask;

    private KnownKeys Known => field ??= new KnownKeys(
        async (secret, _) =>
        {
            _asked.Add(secret);
            var found = _keys.GetValueOrDefault(secret);
            await _meanwhile();
            return found;
        },
        _clock);

    [Fact]
    public async Task Find_AgainWithinTheLifetime_AsksOnce()
    {
        Assert.Equal("first", await FindAsync("a"));
        _clock.Advance(KnownKeys.Lifetime - TimeSpan.FromMilliseconds(1));
        Assert.Equal("first", await FindAsync("a"));
        Assert.Single(_asked);

        _clock.Advance(TimeSpan.FromMilliseconds(1));
        _keys.Clear();
        Assert.Null(await FindAsync("a"));
        Assert.Equal(2, _asked.Count);
    }

    [Fact]
    public async Task Find_KeyThatIsNotGood_IsNotRemembered()
    {
        Assert.Null(await FindAsync("b"));
        _keys["b"] = new KnownKey(new ClaimsIdentity("second"), null);

        Assert.Equal("second", await FindAsync("b"));
    }

    [Fact]
    public async Task Find_KeyEndsBeforeTheLifetime_IsForgottenThen()
    {
        _keys["a"] = new KnownKey(new ClaimsIdentity("first"), _clock.GetUtcNow().AddSeconds(1));
        await FindAsync("a");
        _keys.Clear();

        Assert.Equal("first", await FindAsync("a"));
        _clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Null(await FindAsync("a"));
    }

    [Fact]
    public async Task Forget_NextOne_AsksAgain()
    {
        await FindAsync("a");
        _keys.Clear();

        Known.Forget();

        Assert.Null(await FindAsync("a"));
    }

    [Fact]
    public async Task Forget_WhileAKeyIsRead_ItIsNotRemembered()
    {
        _meanwhile = () =>
        {
            _keys.Clear();
            Known.Forget();
            return Task.CompletedTask;
        };

        Assert.Equal("first", await FindAsync("a"));
        Assert.Null(await FindAsync("a"));
    }

    private async Task<string?> FindAsync(string secret) => (await Known.FindAsync(secret, default))?.AuthenticationType;
}

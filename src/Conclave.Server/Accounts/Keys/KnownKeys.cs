using System.Collections.Concurrent;
using System.Security.Claims;

namespace Conclave.Server.Accounts.Keys;

/// <summary>Whose a key is, remembered for a moment, so that not every call of a model has to ask the database.</summary>
/// <remarks>
/// Good for <see cref="Lifetime"/>, and never longer than the key. Every change of a key or an account, in whichever process, forgets all of them at once
/// (<see cref="AccountChanges"/>); if its notification is lost, the lifetime is the longest that a revoked key or a locked account still gets in.
/// </remarks>
/// <param name="find">Looks a key up: its identity, and when it ends; null for one that is not good.</param>
/// <param name="time">The clock.</param>
internal sealed class KnownKeys(Func<string, CancellationToken, Task<KnownKey?>> find, TimeProvider time)
{
    /// <summary>How long a key is remembered.</summary>
    public static readonly TimeSpan Lifetime = TimeSpan.FromSeconds(5);

    private const int Most = 10_000;
    private readonly ConcurrentDictionary<string, Entry> _known = new(StringComparer.Ordinal);
    private int _changes;

    /// <summary>Whose a key is; null for one that is not good.</summary>
    public async ValueTask<ClaimsIdentity?> FindAsync(string secret, CancellationToken cancellationToken)
    {
        var hash = Convert.ToHexString(SecretText.Hash(secret));
        var now = time.GetUtcNow();
        if (_known.TryGetValue(hash, out var entry) && now < entry.Until)
            return entry.Identity;
        var changes = Volatile.Read(ref _changes);
        if (await find(secret, cancellationToken) is not { } key)
        {
            _known.TryRemove(hash, out _);
            return null;
        }

        if (_known.Count >= Most)
            _known.Clear();
        // What changed while it was read may not be in it.
        if (changes == Volatile.Read(ref _changes))
            _known[hash] = new Entry(key.Identity, key.EndsAt < now + Lifetime ? key.EndsAt.Value : now + Lifetime);
        return key.Identity;
    }

    /// <summary>Forgets all of them.</summary>
    public void Forget()
    {
        Interlocked.Increment(ref _changes);
        _known.Clear();
    }

    private sealed record Entry(ClaimsIdentity Identity, DateTimeOffset Until);
}

/// <summary>A key that is good.</summary>
/// <param name="Identity">Who shows it.</param>
/// <param name="EndsAt">When it ends; null for never.</param>
internal sealed record KnownKey(ClaimsIdentity Identity, DateTimeOffset? EndsAt);

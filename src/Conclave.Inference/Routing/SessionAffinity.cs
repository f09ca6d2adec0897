namespace Conclave.Inference.Routing;

/// <summary>Remembers which server answered a session last, for it has the conversation in its cache. Bounded, and forgets after a time.</summary>
/// <param name="time">The clock.</param>
/// <param name="capacity">Sessions that are remembered; the one unused for longest goes first.</param>
/// <param name="lifetime">How long a server's cache is believed in; null for 30 minutes.</param>
public sealed class SessionAffinity(TimeProvider time, int capacity = 20_000, TimeSpan? lifetime = null)
{
    private readonly TimeSpan _lifetime = lifetime ?? TimeSpan.FromMinutes(30);
    private readonly Dictionary<(string Tenant, string Session), LinkedListNode<Entry>> _entries = [];
    private readonly LinkedList<Entry> _byUse = new();
    private readonly Lock _lock = new();

    /// <summary>Notes which server answered.</summary>
    /// <param name="context">Whose call it was.</param>
    /// <param name="callId">Id of the call, which later ones may name as their parent.</param>
    /// <param name="serverId">The server.</param>
    /// <param name="model">The model on it.</param>
    public void Remember(CallContext context, string callId, string serverId, string model) =>
        // Without a session nobody comes back but children of the call.
        Put(context.Tenant, context.SessionId ?? callId, serverId, model);

    /// <summary>The server and model that have the session's cache, or that of its parent; null when there is none.</summary>
    public (string ServerId, string Model)? Find(CallContext context) =>
        Get(context.Tenant, context.SessionId) ?? Get(context.Tenant, context.ParentId);

    private void Put(string tenant, string session, string serverId, string model)
    {
        var entry = new Entry((tenant, session), serverId, model, time.GetUtcNow() + _lifetime);
        lock (_lock)
        {
            if (_entries.TryGetValue(entry.Key, out var known))
            {
                known.Value = entry;
                _byUse.Remove(known);
                _byUse.AddLast(known);
                return;
            }

            if (_entries.Count >= capacity && _byUse.First is { } oldest)
            {
                _entries.Remove(oldest.Value.Key);
                _byUse.RemoveFirst();
            }

            _entries[entry.Key] = _byUse.AddLast(entry);
        }
    }

    private (string ServerId, string Model)? Get(string tenant, string? session)
    {
        if (session is null)
            return null;
        lock (_lock)
        {
            if (!_entries.TryGetValue((tenant, session), out var node))
                return null;
            _byUse.Remove(node);
            if (node.Value.Until <= time.GetUtcNow())
            {
                _entries.Remove(node.Value.Key);
                return null;
            }

            _byUse.AddLast(node);
            return (node.Value.ServerId, node.Value.Model);
        }
    }

    private sealed record Entry((string Tenant, string Session) Key, string ServerId, string Model, DateTimeOffset Until);
}

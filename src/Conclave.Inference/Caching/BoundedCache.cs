namespace Conclave.Inference.Caching;

/// <summary>Values in memory, as many bytes as there may be; the one that was not used for longest goes first.</summary>
internal sealed class BoundedCache<T>(long maxBytes, TimeSpan lifetime, TimeProvider time)
    where T : class
{
    private readonly Dictionary<string, LinkedListNode<Entry>> _entries = new(StringComparer.Ordinal);
    private readonly LinkedList<Entry> _byUse = new();
    private readonly Lock _lock = new();
    private long _bytes;

    /// <summary>Bytes that are held.</summary>
    public long Bytes => Volatile.Read(ref _bytes);

    /// <summary>A value; null when it is not there, or too old.</summary>
    public T? Find(string key)
    {
        lock (_lock)
        {
            if (!_entries.TryGetValue(key, out var node))
                return null;
            if (node.Value.Until <= time.GetUtcNow())
            {
                Remove(node);
                return null;
            }

            _byUse.Remove(node);
            _byUse.AddLast(node);
            return node.Value.Value;
        }
    }

    /// <summary>Keeps a value.</summary>
    public void Put(string key, T value, long bytes)
    {
        if (bytes > maxBytes / 4)
            return;
        lock (_lock)
        {
            if (_entries.TryGetValue(key, out var known))
                Remove(known);
            while (_bytes + bytes > maxBytes && _byUse.First is { } oldest)
                Remove(oldest);
            _entries[key] = _byUse.AddLast(new Entry(key, value, bytes, time.GetUtcNow() + lifetime));
            _bytes += bytes;
        }
    }

    private void Remove(LinkedListNode<Entry> node)
    {
        _byUse.Remove(node);
        _entries.Remove(node.Value.Key);
        _bytes -= node.Value.Bytes;
    }

    private sealed record Entry(string Key, T Value, long Bytes, DateTimeOffset Until);
}

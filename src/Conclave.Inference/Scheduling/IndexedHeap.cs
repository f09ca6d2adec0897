namespace Conclave.Inference.Scheduling;

/// <summary>Something that is in one <see cref="IndexedHeap{T}"/> at most.</summary>
internal interface IHeapItem<in T>
{
    /// <summary>Where it is in its heap; −1 while it is in none. Only the heap sets it.</summary>
    int HeapIndex { get; set; }

    /// <summary>Whether it comes before another.</summary>
    bool IsBefore(T other);
}

/// <summary>A binary heap whose items know where they are, so that one whose order changed, or that leaves, costs O(log n).</summary>
internal sealed class IndexedHeap<T>
    where T : class, IHeapItem<T>
{
    private readonly List<T> _items = [];

    public int Count => _items.Count;

    /// <summary>The first one; null when there is none.</summary>
    public T? First => _items.Count > 0 ? _items[0] : null;

    /// <summary>All of them, in no order.</summary>
    public IReadOnlyList<T> Items => _items;

    /// <summary>Adds an item, or puts one that is in it where it now belongs.</summary>
    public void Set(T item)
    {
        if (item.HeapIndex < 0)
        {
            item.HeapIndex = _items.Count;
            _items.Add(item);
            Up(item, item.HeapIndex);
            return;
        }

        Up(item, item.HeapIndex);
        Down(item, item.HeapIndex);
    }

    /// <summary>Takes an item out, if it is in.</summary>
    public void Remove(T item)
    {
        var index = item.HeapIndex;
        if (index < 0) return;
        item.HeapIndex = -1;
        var last = _items[^1];
        _items.RemoveAt(_items.Count - 1);
        if (ReferenceEquals(last, item)) return;
        last.HeapIndex = index;
        _items[index] = last;
        Up(last, index);
        Down(last, last.HeapIndex);
    }

    private void Up(T item, int index)
    {
        while (index > 0)
        {
            var parent = (index - 1) / 2;
            if (!item.IsBefore(_items[parent])) break;
            Place(_items[parent], index);
            index = parent;
        }

        Place(item, index);
    }

    private void Down(T item, int index)
    {
        while (true)
        {
            var child = (2 * index) + 1;
            if (child >= _items.Count) break;
            if (child + 1 < _items.Count && _items[child + 1].IsBefore(_items[child])) child++;
            if (!_items[child].IsBefore(item)) break;
            Place(_items[child], index);
            index = child;
        }

        Place(item, index);
    }

    private void Place(T item, int index)
    {
        _items[index] = item;
        item.HeapIndex = index;
    }
}

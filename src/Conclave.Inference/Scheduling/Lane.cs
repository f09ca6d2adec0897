namespace Conclave.Inference.Scheduling;

/// <summary>The calls that wait for the same set of servers.</summary>
internal sealed class Lane(ServerSlots[] servers)
{
    /// <summary>The servers, by number.</summary>
    public ServerSlots[] Servers { get; } = servers;

    public Dictionary<LineKey, Line> Lines { get; } = [];

    /// <summary>Lanes that have a server in common with this one, itself included.</summary>
    public HashSet<Lane> Overlapping { get; } = [];

    /// <summary>Its waiting calls.</summary>
    public int Count { get; set; }

    /// <summary>Slots of those of its servers that take calls.</summary>
    public int Slots => Servers.Sum(s => s.Accepts ? s.Slots : 0);
}

/// <summary>Whose calls a line has.</summary>
internal readonly record struct LineKey(CallPriority Class, string Tenant, string Flow);

/// <summary>The calls of one flow in one class that wait for the same servers, oldest first.</summary>
internal sealed class Line(Lane lane, LineKey key, FlowShare[] shares, FairQueue[] queues)
{
    public Lane Lane { get; } = lane;

    public LineKey Key { get; } = key;

    public LinkedList<Waiter> Calls { get; } = [];

    /// <summary>The flow's share at each of the lane's servers.</summary>
    public FlowShare[] Shares { get; } = shares;

    /// <summary>The queue of each of the lane's servers in the line's class.</summary>
    public FairQueue[] Queues { get; } = queues;
}

/// <summary>Something that is due at a time.</summary>
internal interface ITimed : IHeapItem<ITimed>
{
    DateTimeOffset Due { get; }
}

/// <summary>A server as the scheduler sees it.</summary>
internal sealed class ServerSlots(string id, int number)
{
    private readonly FairQueue?[] _queues = new FairQueue?[4];

    public string Id { get; } = id;

    /// <summary>Orders servers, so that equal sets are found equal.</summary>
    public int Number { get; } = number;

    public int Slots { get; set; }

    public bool Accepts { get; set; }

    /// <summary>Whether it was set, and not removed since.</summary>
    public bool IsKnown { get; set; }

    public List<SlotGrant> Running { get; } = [];

    /// <summary>Lanes in which it is.</summary>
    public HashSet<Lane> Lanes { get; } = [];

    /// <summary>Mean time that a call keeps a slot, in seconds; null before the first one has ended.</summary>
    public double? Occupancy { get; set; }

    public bool HasRoom => Accepts && Running.Count < Slots;

    public IEnumerable<FairQueue> Queues => _queues.OfType<FairQueue>();

    public FairQueue Queue(CallPriority priority) => _queues[(int)priority] ??= new FairQueue(this);

    /// <summary>The waiting call that is to have the next slot; null when none could use it.</summary>
    public Waiter? Next
    {
        get
        {
            foreach (var queue in _queues)
            {
                if (queue?.Next is { } next) return next;
            }

            return null;
        }
    }
}

/// <summary>A call that waits.</summary>
internal sealed class Waiter(SlotRequest request, DateTimeOffset queuedAt, long number) : ITimed
{
    public SlotRequest Request { get; } = request;

    public DateTimeOffset QueuedAt { get; } = queuedAt;

    /// <summary>Its place in the order of arrival; a call that comes back under FIFO has the time at which it first came.</summary>
    public DateTimeOffset Since { get; init; } = queuedAt;

    public long Number { get; } = number;

    public TaskCompletionSource<SlotGrant> Completion { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public CancellationTokenRegistration Cancellation { get; set; }

    public Action<QueuePlace>? Moved { get; init; }

    public QueuePlace? Told { get; set; }

    /// <summary>How urgent it is by now.</summary>
    public CallPriority Class { get; set; } = request.Priority;

    /// <summary>Waiting that counts for its next rise already.</summary>
    public TimeSpan Credit { get; set; }

    public DateTimeOffset AgesAt { get; set; } = DateTimeOffset.MaxValue;

    /// <summary>Until when it wants its preferred server alone.</summary>
    public DateTimeOffset HoldsOutUntil { get; set; } = DateTimeOffset.MaxValue;

    /// <summary>Where it waits; null while a batch holds it, and when it is done.</summary>
    public Line? Line { get; set; }

    public LinkedListNode<Waiter>? Node { get; set; }

    /// <summary>The running call that was asked to yield for it.</summary>
    public SlotGrant? Victim { get; set; }

    public bool IsDone { get; set; }

    public DateTimeOffset Due
    {
        get
        {
            var due = Request.Deadline ?? DateTimeOffset.MaxValue;
            if (AgesAt < due) due = AgesAt;
            return HoldsOutUntil < due ? HoldsOutUntil : due;
        }
    }

    public int HeapIndex { get; set; } = -1;

    public bool IsOlderThan(Waiter other) => Since != other.Since ? Since < other.Since : Number < other.Number;

    public bool IsBefore(ITimed other) => Due < other.Due;
}

/// <summary>Calls of one model that are held until they are released together.</summary>
internal sealed class Batch(string model, DateTimeOffset due) : ITimed
{
    public string Model { get; } = model;

    public DateTimeOffset Due { get; } = due;

    public List<Waiter> Calls { get; } = [];

    public int HeapIndex { get; set; } = -1;

    public bool IsBefore(ITimed other) => Due < other.Due;
}

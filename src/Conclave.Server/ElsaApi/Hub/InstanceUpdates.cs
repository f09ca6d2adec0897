using System.Collections.Concurrent;
using Conclave.Server.Hosting;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Executions;
using Microsoft.AspNetCore.SignalR;
using Npgsql;

namespace Conclave.Server.ElsaApi.Hub;

/// <summary>Statistics of an activity, as the hub sends them.</summary>
internal sealed record StatsMessage(
    string ActivityId, string ActivityNodeId, long StartedCount, long CompletedCount, long UncompletedCount, bool IsBlocked, bool IsFaulted, int AggregateFaultCount);

/// <summary>Activities that ran.</summary>
internal sealed record ActivityLogMessage(IReadOnlyList<StatsMessage> Stats);

/// <summary>The journal has more entries.</summary>
internal sealed record JournalMessage;

/// <summary>An instance changed.</summary>
internal sealed record InstanceMessage(string WorkflowInstanceId);

/// <summary>Tells the hub's clients what becomes of the instances that they look at, once it can be read.</summary>
/// <remarks>
/// Each instance that somebody looks at has a view, which remembers how far the journal was read: an update reads what is new and counts on. A view
/// sends at most ten times a second.
/// </remarks>
internal sealed partial class InstanceUpdates(ServerRuntime server, IHubContext<WorkflowInstanceHub> hub, IHostApplicationLifetime lifetime, ILogger<InstanceUpdates> logger)
{
    /// <summary>Most instances that one connection looks at.</summary>
    private const int MostInstances = 100;

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    private readonly Lock _lock = new();
    private readonly Dictionary<(string Tenant, string Id), View> _views = [];
    private readonly ConcurrentDictionary<string, HashSet<(string Tenant, string Id)>> _connections = new(StringComparer.Ordinal);
    private bool _listens;

    /// <summary>Tells a connection of an instance from now on, and what it may have missed since it last asked.</summary>
    public async Task ObserveAsync(string connectionId, string tenant, string id, CancellationToken cancellationToken)
    {
        if (await server.Runtime.Instances.FindAsync(tenant, id, cancellationToken) is null)
            throw new HubException($"There is no instance '{id}'.");
        var observed = _connections.GetOrAdd(connectionId, _ => []);
        bool isNew;
        lock (observed)
        {
            if (observed.Count >= MostInstances)
                throw new HubException($"A connection may look at {MostInstances} instances.");
            isNew = observed.Add((tenant, id));
        }

        await hub.Groups.AddToGroupAsync(connectionId, GroupOf(tenant, id), cancellationToken);
        if (isNew)
        {
            Enter((tenant, id));
            await server.Runtime.Watch.WatchAsync(tenant, id, cancellationToken);
        }

        // From here on nothing is missed; what happened between the client's last request and now is told at once.
        await TellOneAsync(connectionId, tenant, id, cancellationToken);
    }

    /// <summary>Forgets a connection.</summary>
    public void Leave(string connectionId)
    {
        if (!_connections.TryRemove(connectionId, out var observed))
            return;
        foreach (var key in observed)
        {
            server.Runtime.Watch.Unwatch(key.Tenant, key.Id);
            lock (_lock)
            {
                if (_views.TryGetValue(key, out var view) && --view.Connections == 0)
                    _views.Remove(key);
            }
        }
    }

    private static string GroupOf(string tenant, string id) => $"{tenant}:{id}";

    private void Enter((string Tenant, string Id) key)
    {
        lock (_lock)
        {
            if (!_views.TryGetValue(key, out var view))
                _views[key] = view = new View(key.Tenant, key.Id);
            view.Connections++;
            if (_listens)
                return;
            _listens = true;
            server.Runtime.Watch.Changed += Changed;
        }
    }

    /// <summary>Called for every change; one view is told of by one task at a time.</summary>
    private void Changed(string tenant, string id)
    {
        lock (_lock)
        {
            if (!_views.TryGetValue((tenant, id), out var view))
                return;
            view.IsDue = true;
            if (view.IsTelling)
                return;
            view.IsTelling = true;
            _ = Task.Run(() => TellAsync(view));
        }
    }

    private async Task TellAsync(View view)
    {
        while (true)
        {
            lock (_lock)
            {
                if (!view.IsDue || lifetime.ApplicationStopping.IsCancellationRequested)
                {
                    view.IsTelling = false;
                    return;
                }

                view.IsDue = false;
            }

            try
            {
                await TellAllAsync(view, lifetime.ApplicationStopping);
                await Task.Delay(Pause, lifetime.ApplicationStopping);
            }
            catch (OperationCanceledException)
            {
                // The server stops.
            }
            catch (Exception exception) when (exception is NpgsqlException or TimeoutException or InvalidOperationException or InvalidDataException)
            {
                LogFailed(view.Id, exception);
            }
        }
    }

    private async Task TellAllAsync(View view, CancellationToken cancellationToken)
    {
        var runtime = server.Runtime;
        var clients = hub.Clients.Group(GroupOf(view.Tenant, view.Id));
        // The state first: what the journal has beyond it has ended since, not the other way round.
        var live = await runtime.Executions.ReadLiveAsync(view.Tenant, view.Id, cancellationToken);
        var last = view.Report.Last;
        await runtime.Executions.ContinueAsync(view.Report, view.Tenant, view.Id, cancellationToken);
        var changed = StatsOf(view.Report, view.Report.TakeChanged(), live);
        if (changed.Count > 0)
            await clients.SendAsync("ActivityExecutionLogUpdatedAsync", new ActivityLogMessage(changed), cancellationToken);
        if (view.Report.Last > last)
            await clients.SendAsync("WorkflowExecutionLogUpdatedAsync", new JournalMessage(), cancellationToken);
        await clients.SendAsync("WorkflowInstanceUpdatedAsync", new InstanceMessage(view.Id), cancellationToken);
    }

    /// <summary>Tells one connection how an instance stands. Of the instance itself only when it has ended: a client that looks again whenever it is told would never rest.</summary>
    private async Task TellOneAsync(string connectionId, string tenant, string id, CancellationToken cancellationToken)
    {
        var client = hub.Clients.Client(connectionId);
        var live = await server.Runtime.Executions.ReadLiveAsync(tenant, id, cancellationToken);
        var report = await server.Runtime.Executions.ReportAsync(tenant, id, cancellationToken);
        await client.SendAsync("ActivityExecutionLogUpdatedAsync", new ActivityLogMessage(StatsOf(report, report.NodeIds, live)), cancellationToken);
        await client.SendAsync("WorkflowExecutionLogUpdatedAsync", new JournalMessage(), cancellationToken);
        if (live.Instance is { Status: WorkflowStatus.Finished })
            await client.SendAsync("WorkflowInstanceUpdatedAsync", new InstanceMessage(id), cancellationToken);
    }

    private static List<StatsMessage> StatsOf(ExecutionReport report, IEnumerable<string> nodeIds, LiveExecutions live) =>
    [
        .. nodeIds.Select(nodeId => report.Find(nodeId, live)).OfType<ActivityStats>().Select(s => new StatsMessage(
            s.ActivityId, s.NodeId, s.Started, s.Completed, s.Started - s.Completed, s.IsBlocked, s.IsFaulted, s.FaultCount)),
    ];

    [LoggerMessage(3301, LogLevel.Warning, "Those who look at instance {InstanceId} could not be told of a change; they are at the next one.")]
    private partial void LogFailed(string instanceId, Exception exception);

    /// <summary>An instance that connections of this process look at.</summary>
    private sealed class View(string tenant, string id)
    {
        public string Tenant { get; } = tenant;

        public string Id { get; } = id;

        public ExecutionReport Report { get; } = new();

        public int Connections { get; set; }

        /// <summary>Whether something changed since the last message.</summary>
        public bool IsDue { get; set; }

        /// <summary>Whether a task sends messages.</summary>
        public bool IsTelling { get; set; }
    }
}

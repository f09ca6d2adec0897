using Conclave.Agents;
using Conclave.Agents.Approvals;
using Conclave.Server.Accounts;
using Microsoft.AspNetCore.Components;

namespace Conclave.Server.Web.Inbox;

/// <summary>What waits for the visitor, and beside it what is asked.</summary>
public sealed partial class InboxPage
{
    private const int PageSize = 50;
    private static readonly View[] Views = [View.Mine, View.Waiting, View.Decided];

    private readonly Dictionary<string, string> _agents = new(StringComparer.Ordinal);
    private List<Approval> _found = [];
    private (DateTimeOffset Time, string Id)? _next;
    private IDisposable? _watching;
    private View _view = View.Mine;
    private int _pages = 1;

    private enum View
    {
        Mine,
        Waiting,
        Decided,
    }

    /// <summary>The approval that is open.</summary>
    [Parameter]
    public string? Id { get; set; }

    [Inject]
    private AgentStore Agents { get; set; } = null!;

    private int Waiting { get; set; }

    private string EmptyText => _view switch
    {
        View.Mine when !May(Permissions.DecideApprovals) => "Your account sees approvals, but does not decide on them.",
        View.Mine => "When an agent or a workflow asks you for something, it appears here by itself.",
        View.Waiting => "No workflow waits for a person.",
        _ => "Approvals and tasks that have ended appear here.",
    };

    /// <inheritdoc/>
    protected override void Begin() => _watching = Watch.Look(Tenant, _ => Refresh());

    /// <inheritdoc/>
    protected override async Task ReadAsync(CancellationToken cancellationToken)
    {
        if (!May(Permissions.ReadApprovals))
            return;
        Waiting = May(Permissions.DecideApprovals) ? await Approvals.CountAsync(Tenant, Me.Id, cancellationToken) : 0;
        var found = new List<Approval>();
        _next = null;
        for (var page = 0; page < _pages; page++)
        {
            var read = await ReadPageAsync(page == 0 ? null : _next, cancellationToken);
            found.AddRange(read);
            _next = read.Count == PageSize ? (read[^1].CreatedAt, read[^1].Id) : null;
            if (_next is null)
                break;
        }

        // What is urgent comes first; of the rest, the newest.
        _found = _view == View.Decided ? [.. found.Where(a => a.Status != ApprovalStatus.Pending)] : [.. found.OrderBy(a => a.Priority)];
        foreach (var agent in _found.Select(a => a.AgentId).OfType<string>().Distinct().Where(a => !_agents.ContainsKey(a)).ToList())
            _agents[agent] = (await Agents.FindAsync(Tenant, agent, cancellationToken))?.Name ?? agent;
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        _watching?.Dispose();
        base.Dispose(disposing);
    }

    private Task<List<Approval>> ReadPageAsync((DateTimeOffset Time, string Id)? after, CancellationToken cancellationToken) => _view switch
    {
        View.Mine when !May(Permissions.DecideApprovals) => Task.FromResult<List<Approval>>([]),
        View.Mine => Approvals.ListAsync(Tenant, new ApprovalFilter { WaitsFor = Me.Id }, after, PageSize, cancellationToken),
        View.Waiting => Approvals.ListAsync(Tenant, new ApprovalFilter { Status = ApprovalStatus.Pending }, after, PageSize, cancellationToken),
        _ => Approvals.ListAsync(Tenant, new ApprovalFilter(), after, PageSize, cancellationToken),
    };

    private string LabelOf(View view) => view switch
    {
        View.Mine => Waiting > 0 ? $"For me ({(Waiting >= 100 ? "99+" : Waiting)})" : "For me",
        View.Waiting => "All waiting",
        _ => "Decided",
    };

    private static string AddressOf(Approval approval) => $"/app/inbox/{Uri.EscapeDataString(approval.Id)}";

    private async Task ShowAsync(View view)
    {
        (_view, _pages) = (view, 1);
        await LoadAsync();
    }

    private async Task MoreAsync()
    {
        _pages++;
        await LoadAsync();
    }
}

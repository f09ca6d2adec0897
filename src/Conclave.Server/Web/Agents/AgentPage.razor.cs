using System.Text;
using Conclave.Agents;
using Conclave.Agents.Approvals;
using Conclave.Agents.Turns;
using Conclave.Inference.Streaming;
using Conclave.Server.Accounts;
using Conclave.Workflows.Runtime;
using Conclave.Workflows.Runtime.Definitions;
using Conclave.Workflows.Runtime.RunTests;
using Microsoft.AspNetCore.Components;

namespace Conclave.Server.Web.Agents;

/// <summary>An agent: how it stands, what it does while it does it, and a conversation with it.</summary>
public sealed partial class AgentPage
{
    private const int MostTurns = 30;
    private const int MostEvents = 500;
    private const int MostTests = 50;
    private const int RestAfterSum = 20;
    private static readonly TimeSpan LookInterval = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan DrawInterval = TimeSpan.FromMilliseconds(80);

    private readonly Dictionary<string, List<TurnStep>> _steps = new(StringComparer.Ordinal);
    private readonly Dictionary<string, long> _lastEvents = new(StringComparer.Ordinal);
    private Agent? _agent;
    private IReadOnlyList<Conversation> _conversations = [];
    private IReadOnlyList<Turn> _turns = [];
    private IReadOnlyList<Turn> _latest = [];
    private IReadOnlyList<Approval> _waiting = [];
    private IReadOnlyList<RunTest> _tests = [];
    private List<AgentEvent> _life = [];
    private AgentPerformance? _performance;
    private string? _summedUp;
    private DateTimeOffset _sumsAgainAt;
    private int _days = 7;
    private CancellationTokenSource? _listening;
    private IDisposable? _watchingApprovals;
    private string? _conversation;
    private bool _isChosen;
    private string? _beginning;
    private string? _streamed;
    private string _stream = "";
    private string _message = "";
    private long _lastLife;
    private string? _watched;
    private string? _shown;

    /// <summary>Id of the agent.</summary>
    [Parameter]
    public string Id { get; set; } = "";

    /// <summary>The conversation to show.</summary>
    [SupplyParameterFromQuery(Name = "conversation")]
    public string? Shown { get; set; }

    [Inject]
    private AgentStore Agents { get; set; } = null!;

    [Inject]
    private TurnStore Turns { get; set; } = null!;

    [Inject]
    private TurnStarter Starter { get; set; } = null!;

    [Inject]
    private TokenStreams Tokens { get; set; } = null!;

    [Inject]
    private ApprovalStore Approvals { get; set; } = null!;

    [Inject]
    private RunTests Tests { get; set; } = null!;

    [Inject]
    private ApprovalWatch ApprovalWatch { get; set; } = null!;

    [Inject]
    private Func<WorkflowRuntime> Runtime { get; set; } = null!;

    [Inject]
    private TimeProvider Clock { get; set; } = null!;

    private bool IsTurnUnderWay => _turns.Any(t => !t.IsEnded);

    /// <summary>States to which somebody may take the agent now.</summary>
    private IEnumerable<AgentState> Ways => new[] { AgentState.Active, AgentState.Paused, AgentState.Maintenance }
        .Where(to => AgentLifecycle.From(to).Contains(_agent!.State) && !(to == AgentState.Active && _agent.State == AgentState.Working));

    /// <inheritdoc/>
    protected override void Begin()
    {
        Runtime().Watch.Changed += Changed;
        _watchingApprovals = ApprovalWatch.Look(Tenant, _ => Refresh());
        // What nobody told of is found by a look now and then.
        Repeat(Clock, LookInterval);
    }

    /// <inheritdoc/>
    protected override async Task ReadAsync(CancellationToken cancellationToken)
    {
        if (!May(Permissions.ReadAgents) || await Agents.FindAsync(Tenant, Id, cancellationToken) is not { } agent)
            return;
        if (_watched is null)
        {
            _watched = TurnCommits.WatchKey(agent.Id);
            await Runtime().Watch.WatchAsync(Tenant, _watched, cancellationToken);
        }

        _conversations = await Turns.ListConversationsAsync(Tenant, agent.Id, 50, cancellationToken);
        // The visitor's own last one, until another one is chosen; for those who only look, the last one.
        if (!_isChosen)
            _conversation = (_conversations.FirstOrDefault(c => c.Owner == Me.Name) ?? (May(Permissions.ExecuteAgents) ? null : _conversations is [var first, ..] ? first : null))?.Id;
        _latest = await Turns.ListAsync(Tenant, agent.Id, null, null, 8, cancellationToken);
        _turns = _conversation is null ? [] : [.. (await Turns.ListAsync(Tenant, agent.Id, _conversation, null, MostTurns, cancellationToken)).Reverse()];
        foreach (var turn in _turns)
            await ReadStepsAsync(agent, turn, cancellationToken);
        _waiting = May(Permissions.ReadApprovals)
            ? await Approvals.ListAsync(Tenant, new ApprovalFilter { AgentId = agent.Id, Status = ApprovalStatus.Pending }, null, 20, cancellationToken)
            : [];
        _tests = May(Permissions.ReadInstances) ? await Tests.Store.ListAsync(Tenant, null, TurnTests.SubjectOf(agent.Id), null, MostTests, cancellationToken) : [];
        await ReadLifeAsync(agent, cancellationToken);
        await SumAsync(agent, cancellationToken);
        _agent = agent;
        await ListenAsync(_beginning ?? _turns.LastOrDefault(t => !t.IsEnded)?.Id);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (_watchingApprovals is not null)
            Runtime().Watch.Changed -= Changed;
        if (_watched is not null)
            Runtime().Watch.Unwatch(Tenant, _watched);
        _watched = null;
        _watchingApprovals?.Dispose();
        _listening?.Cancel();
        _listening?.Dispose();
        _listening = null;
        base.Dispose(disposing);
    }

    /// <inheritdoc/>
    protected override async Task OnParametersSetAsync()
    {
        if (Shown is null || Shown == _shown)
            return;
        (_shown, _isChosen, _conversation) = (Shown, true, Shown);
        if (IsReady)
            await LoadAsync();
    }

    private void Changed(string tenant, string key)
    {
        if (tenant == Tenant && key == _watched)
            Refresh();
    }

    private async Task ReadStepsAsync(Agent agent, Turn turn, CancellationToken cancellationToken)
    {
        var steps = _steps.TryGetValue(turn.Id, out var known) ? known : _steps[turn.Id] = [];
        var events = await Turns.ReadEventsAsync(Tenant, agent.Id, turn.Id, _lastEvents.GetValueOrDefault(turn.Id), MostEvents, cancellationToken);
        foreach (var happened in events)
        {
            _lastEvents[turn.Id] = happened.Id;
            if (TurnStep.Of(happened) is { } step)
                steps.Add(step);
            // What came in pieces is whole now.
            if (happened.Type == "model.completed" && turn.Id == _streamed)
                _stream = "";
        }
    }

    private async Task ReadLifeAsync(Agent agent, CancellationToken cancellationToken)
    {
        var last = await Turns.LastEventAsync(Tenant, agent.Id, cancellationToken);
        if (_lastLife == 0)
            _lastLife = Math.Max(0, last - MostEvents);
        var events = await Turns.ReadEventsAsync(Tenant, agent.Id, null, _lastLife, MostEvents, cancellationToken);
        if (events.Count == 0)
            return;
        _lastLife = events[^1].Id;
        _life = [.. _life.Concat(events.Where(e => e.Type.StartsWith("agent.", StringComparison.Ordinal))).DistinctBy(e => e.Id).OrderByDescending(e => e.Id).Take(12)];
    }

    /// <summary>Sums up again when a turn has begun or ended, or another day has; of an agent that did much, seldom enough to be no load.</summary>
    private async Task SumAsync(Agent agent, CancellationToken cancellationToken)
    {
        var now = Clock.GetUtcNow();
        var latest = $"{_days} {now:yyyy-MM-dd} {agent.RunningTurns} {string.Join(' ', _latest.Select(t => $"{t.Id} {t.Status}"))}";
        if (latest == _summedUp || now < _sumsAgainAt)
            return;
        var began = Clock.GetTimestamp();
        _performance = await Turns.SumAsync(Tenant, agent.Id, _days, now, cancellationToken);
        _summedUp = latest;
        _sumsAgainAt = now + (RestAfterSum * Clock.GetElapsedTime(began));
    }

    private async Task ShowDaysAsync(int days)
    {
        (_days, _sumsAgainAt) = (days, default);
        await LoadAsync();
    }

    /// <summary>Listens to what is said in a turn while it is said; from when this returns, nothing of it is missed.</summary>
    private async Task ListenAsync(string? turnId)
    {
        if (turnId == _streamed)
            return;
        _listening?.Cancel();
        _listening?.Dispose();
        (_listening, _streamed, _stream) = (null, turnId, "");
        if (turnId is null || Leaving.IsCancellationRequested)
            return;
        _listening = CancellationTokenSource.CreateLinkedTokenSource(Leaving);
        var cancellationToken = _listening.Token;
        try
        {
            var subscription = await Tokens.SubscribeAsync(Tenant, turnId, cancellationToken);
            Run(() => HearAsync(turnId, subscription, cancellationToken));
        }
        catch when (_streamed == turnId)
        {
            // The next look at the agent tries again.
            _streamed = null;
            throw;
        }
    }

    private async Task HearAsync(string turnId, TokenSubscription subscription, CancellationToken cancellationToken)
    {
        using var _ = subscription;
        // Who comes in the middle of an answer sees that there was more.
        var text = new StringBuilder("… ");
        while (await subscription.WaitAsync(cancellationToken))
        {
            while (subscription.TryRead(out var piece))
            {
                if (piece.Kind == TokenPieceKind.Begin)
                    text.Clear();
                else if (piece.Kind == TokenPieceKind.Text)
                    text.Append(piece.Text);
            }

            var said = text.ToString();
            await InvokeAsync(() =>
            {
                if (turnId != _streamed)
                    return;
                _stream = said;
                StateHasChanged();
            });
            // As often as an eye can follow.
            await Task.Delay(DrawInterval, Clock, cancellationToken);
        }
    }

    private async Task ChooseAsync(string? conversation)
    {
        (_isChosen, _conversation) = (true, string.IsNullOrEmpty(conversation) ? null : conversation);
        await LoadAsync();
    }

    private Task SendAsync() => DoAsync(Permissions.ExecuteAgents, async () =>
    {
        var message = _message.Replace("\0", "", StringComparison.Ordinal).Trim();
        if (message.Length == 0)
            return;
        // Listened to before it begins: the answer of a quick model is seen from its first word.
        _beginning = TurnStarter.NewId();
        try
        {
            await ListenAsync(_beginning);
            var (_, conversation) = await Starter.StartAsync(Tenant, _agent!.Id, new TurnRequest(message, Me.Name) { TurnId = _beginning, ConversationId = _conversation }, Leaving);
            (_isChosen, _conversation, _message) = (true, conversation, "");
        }
        finally
        {
            _beginning = null;
        }
    });

    private Task CancelAsync(Turn turn) => DoAsync(
        Permissions.ExecuteAgents, () => Runtime().Operations.CancelAsync(Tenant, turn.Id, Me.Name, "The turn was cancelled.", Leaving));

    private Task MakeTestAsync(Turn turn) => DoAsync(
        Permissions.ExecuteTests, () => Tests.CreateAsync(Tenant, turn.Id, turn.Message, TurnTests.SubjectOf(turn.AgentId), Me.Name, Leaving));

    private Task RunTestAsync(RunTest test) => DoAsync(Permissions.ExecuteTests, async () =>
    {
        if (await Tests.Store.FindAsync(Tenant, test.Id, Leaving) is { } whole)
            await Tests.RunAsync(Tenant, whole, VersionOptions.Latest, Leaving);
    });

    private Task DeleteTestAsync(RunTest test) => DoAsync(Permissions.ExecuteTests, () => Tests.Store.DeleteAsync(Tenant, test.Id, Leaving));

    private Task GoAsync(AgentState to) => DoAsync(
        Permissions.WriteAgents, () => Agents.TransitionAsync(Tenant, _agent!.Id, to, Me.Name, null, Leaving));

    private static string LabelOf(AgentState to) => to switch
    {
        AgentState.Active => "Take messages",
        AgentState.Paused => "Pause",
        _ => "Maintenance",
    };

    private static string Describe(AgentEvent happened)
    {
        var data = happened.Data;
        if (happened.Type != "agent.state")
            return $"{happened.Type["agent.".Length..]}{(Text("actor") is { Length: > 0 } who ? $" by {who}" : "")}";
        var reason = Text("reason") is { Length: > 0 } said ? $": {said}" : "";
        return $"{Text("from")} → {Text("to")}{(Text("actor") is { Length: > 0 } actor ? $" by {actor}" : "")}{reason}";

        string? Text(string name) => data.TryGetProperty(name, out var value) && value.ValueKind == System.Text.Json.JsonValueKind.String ? value.GetString() : null;
    }
}

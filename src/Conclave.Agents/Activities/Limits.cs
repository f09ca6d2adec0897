using Conclave.Workflows.Activities;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Instances;
using Conclave.Workflows.Runtime.Stimuli;

namespace Conclave.Agents.Activities;

/// <summary>Ends what takes too long or costs too much.</summary>
[Activity("Conclave.Agents", "Agents", "Ends what takes too many steps, too long or too much money: goes on through Within, or through Exceeded with which limit it is. The agent's own limits hold unless others are given.",
    DisplayName = "Check limits", Icon = AgentIcons.Limits, Color = AgentIcons.Color)]
[FlowNode("Within", "Exceeded")]
public sealed class CheckLimits : Activity
{
    /// <summary>What turns of a paused agent wait for.</summary>
    internal const string PausedPayload = "AgentPausedStimulus";

    /// <summary>Has turns go on that wait since their agent was paused.</summary>
    public static Stimulus GoOn(string tenant, string agentId) => new(tenant, TypeName, BookmarkKey.Of(TypeName, agentId));

    private const string TypeName = "Conclave.Agents.CheckLimits";
    private static readonly TimeSpan LookAgain = TimeSpan.FromMinutes(1);

    /// <summary>Most calls of the model.</summary>
    [Input(Description = "Most calls of the model in a turn; empty for the agent's limit.")]
    public Input<int?> MaxSteps { get; set; } = new();

    /// <summary>Most seconds.</summary>
    [Input(Description = "Most seconds in which models and tools may work for a turn; the time of people does not count. Empty for the agent's limit.")]
    public Input<double?> MaxSeconds { get; set; } = new();

    /// <summary>Most money.</summary>
    [Input(Description = "The most that a turn may cost, in the currency of the prices; empty for the agent's limit.")]
    public Input<decimal?> MaxCost { get; set; } = new();

    /// <summary>Which limit it is.</summary>
    [Output(Description = "Which limit it is, for people and for the model.")]
    public Output<string>? Reason { get; set; }

    /// <inheritdoc/>
    public override async ValueTask ExecuteAsync(ActivityContext context)
    {
        var scope = await TurnScope.OfAsync(context);
        // Somebody may have paused the agent meanwhile: its turns stop before their next step.
        if (await IsPausedAsync(context, scope))
        {
            Wait(context, scope);
            return;
        }

        await CheckAsync(context, scope);
    }

    /// <inheritdoc/>
    public override async ValueTask OnResumedAsync(ActivityContext context, Bookmark bookmark, object? input)
    {
        var scope = await TurnScope.OfAsync(context);
        context.RemoveBookmarks();
        if (await IsPausedAsync(context, scope))
            Wait(context, scope);
        else
            await CheckAsync(context, scope);
    }

    // A test runs while an agent is paused as well.
    private static async ValueTask<bool> IsPausedAsync(ActivityContext context, TurnScope scope) =>
        context.Host.Recorded is null && await context.Engine.Service<AgentStore>("run agents").StateAsync(scope.Tenant, scope.AgentId, context.CancellationToken) == AgentState.Paused;

    /// <summary>Waits until somebody makes the agent active, and looks again now and then for what was missed.</summary>
    private static void Wait(ActivityContext context, TurnScope scope)
    {
        context.CreateBookmark(null, new BookmarkPayload(PausedPayload, ("AgentId", scope.AgentId)));
        context.CreateBookmark(null, new BookmarkPayload("DelayPayload", ("ResumeAt", context.Time.GetUtcNow() + LookAgain)));
    }

    private async ValueTask CheckAsync(ActivityContext context, TurnScope scope)
    {
        var progress = TurnProgress.Of(context);
        var steps = context.Get(MaxSteps) ?? scope.Configuration.Limits.MaxSteps;
        var seconds = context.Get(MaxSeconds) ?? scope.Configuration.Limits.MaxTurnSeconds;
        var cost = context.Get(MaxCost) ?? scope.MaxCost;
        var reason = progress switch
        {
            _ when progress.Steps >= steps => $"The agent has asked its model {progress.Steps} times, which is the limit of a turn.",
            _ when progress.Seconds >= seconds => $"The agent has worked for {progress.Seconds:0} seconds, which is the limit of a turn.",
            _ when cost is { } most && progress.Cost >= most => $"The turn has cost {progress.Cost}, which is its limit.",
            _ when await TurnCosts.LeftAsync(context) is <= 0 => "The turn and those that were begun together with it have cost what they may cost together.",
            _ => null,
        };
        context.Set(Reason, reason ?? "");
        if (reason is not null)
            scope.Tell(context, "limit.exceeded", Json.Object(("reason", reason)));
        context.Complete(reason is null ? "Within" : "Exceeded");
    }
}

/// <summary>Ends what goes in circles.</summary>
[Activity("Conclave.Agents", "Agents", "Ends what goes in circles: goes on through Stuck when the same calls of tools gave the same results again and again, else through Progress.", DisplayName = "Detect no progress",
    Icon = AgentIcons.Progress, Color = AgentIcons.Color)]
[FlowNode("Progress", "Stuck")]
public sealed class DetectNoProgress : Activity
{
    /// <summary>How often.</summary>
    [Input(Description = "How often the same round, or the same two or three rounds, may come one after the other; empty for the agent's limit.")]
    public Input<int?> MaxRepeats { get; set; } = new();

    /// <inheritdoc/>
    public override async ValueTask ExecuteAsync(ActivityContext context)
    {
        var scope = await TurnScope.OfAsync(context);
        var times = Math.Max(2, context.Get(MaxRepeats) ?? scope.Configuration.Limits.MaxRepeats);
        var isStuck = TurnProgress.Of(context).IsCircle(times);
        if (isStuck)
            scope.Tell(context, "progress.stuck", Json.Object(("repeats", times)));
        context.Complete(isStuck ? "Stuck" : "Progress");
    }
}

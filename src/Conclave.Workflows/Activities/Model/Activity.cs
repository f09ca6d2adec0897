using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;

namespace Conclave.Workflows.Activities;

/// <summary>
/// One step of a workflow. An instance belongs to one node of one compiled graph and is shared by every workflow
/// instance that runs it, so it keeps no state: state lives in the <see cref="ActivityContext"/>.
/// </summary>
/// <remarks>
/// An activity is running until it calls <see cref="ActivityContext.Complete()"/>, creates a bookmark and returns, or
/// throws. An exception becomes an incident.
/// </remarks>
public abstract class Activity
{
    /// <summary>The node this activity is compiled into.</summary>
    public ActivityNode Node { get; internal set; } = null!;

    /// <summary>Runs the activity. Inputs are evaluated already, except those that opt out.</summary>
    public abstract ValueTask ExecuteAsync(ActivityContext context);

    /// <summary>Called when a child that this activity scheduled has completed; the default completes this activity.</summary>
    public virtual ValueTask OnChildCompletedAsync(ActivityContext context, ActivityContext child)
    {
        context.Complete();
        return ValueTask.CompletedTask;
    }

    /// <summary>Called when one of the activity's bookmarks is resumed; the default completes the activity.</summary>
    public virtual ValueTask OnResumedAsync(ActivityContext context, Bookmark bookmark, object? input)
    {
        context.Complete();
        return ValueTask.CompletedTask;
    }

    /// <summary>Whether a <c>Break</c> inside this activity ends it.</summary>
    public virtual bool HandlesBreak => false;

    /// <summary>Whether a test that repeats a recorded run answers for this activity instead of running it; by default for those with an effect.</summary>
    public virtual bool IsAnsweredInTests => Node.Descriptor.HasEffect;

    /// <summary>Whether such a test compares what the activity is given with what it was given; default true.</summary>
    public virtual bool IsComparedInTests => true;

    /// <summary>Called when a test has answered for this activity, before it completes; its outputs are set.</summary>
    public virtual void OnAnswered(ActivityContext context)
    {
    }

    /// <summary>What starts a workflow whose trigger this activity is; none for activities that are no triggers. Inputs are evaluated.</summary>
    internal virtual IReadOnlyList<BookmarkPayload> TriggerPayloads(ActivityContext context) => [];

    /// <summary>Reads what no attribute describes from the activity's JSON, and reports what is wrong with it.</summary>
    internal virtual void Configure(ActivityConfiguration configuration)
    {
    }

    /// <summary>Restores <see cref="ActivityContext.State"/> from a persisted instance.</summary>
    internal virtual IActivityState? ReadState(ref StateReader reader) => null;

    /// <summary>Takes over what an execution in another version keeps between callbacks; this activity is that of the version migrated to.</summary>
    /// <param name="from">The execution in the other version; its children are still there.</param>
    /// <param name="to">The execution in this version.</param>
    /// <param name="problems">Receives what cannot be taken over.</param>
    internal virtual void Migrate(ActivityContext from, ActivityContext to, MigrationProblems problems) => to.Counter = from.Counter;

    /// <summary>Translates what this activity noted about a child in another version.</summary>
    /// <param name="from">The activity in the other version.</param>
    /// <param name="child">The child in the other version.</param>
    /// <param name="tag">What was noted.</param>
    /// <param name="problems">Receives what cannot be taken over.</param>
    internal virtual int MigrateTag(Activity from, ActivityNode child, int tag, MigrationProblems problems) => tag;
}

/// <summary>State of a running activity that survives the end of a burst.</summary>
internal interface IActivityState
{
    /// <summary>Writes the state; <see cref="Activity.ReadState"/> reads it back.</summary>
    void Write(ref StateWriter writer);
}

namespace Conclave.Workflows.Execution;

/// <summary>Whether an instance may still run.</summary>
public enum WorkflowStatus
{
    /// <summary>Pending, executing or suspended.</summary>
    Running,

    /// <summary>Finished, cancelled or faulted.</summary>
    Finished,
}

/// <summary>What an instance is doing, or how it ended.</summary>
public enum WorkflowSubStatus
{
    /// <summary>Created and not started.</summary>
    Pending,

    /// <summary>A burst is running.</summary>
    Executing,

    /// <summary>Nothing is left to run until something from outside arrives.</summary>
    Suspended,

    /// <summary>Ran to its end.</summary>
    Finished,

    /// <summary>Was cancelled.</summary>
    Cancelled,

    /// <summary>An activity faulted and the incident strategy ended the workflow.</summary>
    Faulted,
}

/// <summary>State of one execution of an activity.</summary>
public enum ActivityStatus
{
    /// <summary>Not begun.</summary>
    Pending,

    /// <summary>Executing, waiting for children or for a bookmark.</summary>
    Running,

    /// <summary>Done.</summary>
    Completed,

    /// <summary>Stopped from outside.</summary>
    Canceled,

    /// <summary>Threw.</summary>
    Faulted,
}

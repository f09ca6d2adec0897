using System.Text.Json;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Http;

namespace Conclave.Workflows.Execution;

/// <summary>What a burst needs from the process around it. The base class offers nothing and says so.</summary>
public class WorkflowHost
{
    /// <summary>Nesting of workflows that execute each other in process; 0 for a workflow started from outside.</summary>
    public int Depth { get; init; }

    /// <summary>Whose workflow it is; <c>default</c> outside of a server.</summary>
    public virtual string Tenant => "default";

    /// <summary>Where log entries go while a burst runs; null keeps them in the instance.</summary>
    public IExecutionLogSink? LogSink { get; init; }

    /// <summary>Called after each activity of a burst; tests stop the burst there.</summary>
    internal Action? AfterActivity { get; init; }

    /// <summary>Stores the instance between two activities of a burst; null stores nothing before the burst ends.</summary>
    public ICommitPoints? CommitPoints { get; init; }

    /// <summary>Answers for activities as another run had them; null lets all of them run.</summary>
    public RecordedOutcomes? Recorded { get; init; }

    /// <summary>Writes a line to the console.</summary>
    public virtual void WriteLine(string? text) => Console.Out.WriteLine(text);

    /// <summary>Reads a line from the console; null at its end.</summary>
    public virtual async ValueTask<string?> ReadLineAsync(CancellationToken cancellationToken) =>
        await Console.In.ReadLineAsync(cancellationToken);

    /// <summary>Runs another workflow in process until it ends or waits.</summary>
    public virtual ValueTask<ChildWorkflowResult> ExecuteWorkflowAsync(ChildWorkflowRequest request, CancellationToken cancellationToken) =>
        throw Unavailable("run other workflows");

    /// <summary>The HTTP request that the burst answers; null when there is none.</summary>
    public virtual IHttpExchange? HttpExchange => null;

    /// <summary>A secret's value, for scripts.</summary>
    public virtual ValueTask<string?> GetSecretAsync(string name, CancellationToken cancellationToken) => throw Unavailable("read secrets");

    /// <summary>A configuration value that workflows may read; null when there is none or it is not allowed.</summary>
    public virtual string? GetConfiguration(string name) => throw Unavailable("read configuration");

    /// <summary>A URL that publishes an event when it is opened.</summary>
    /// <param name="eventName">Name of the event.</param>
    /// <param name="lifetime">A time span or a date; undefined for no end.</param>
    public virtual string CreateEventTriggerUrl(string eventName, JsonElement lifetime) => throw Unavailable("create event URLs");

    /// <summary>The error of a service that this host does not have.</summary>
    protected internal static WorkflowException Unavailable(string what) => new(
        "host.unavailable", $"This host cannot {what}. Run the workflow on a Conclave server.");
}

/// <summary>Where a burst stores the instance before it has ended.</summary>
public interface ICommitPoints
{
    /// <summary>Whether to store the instance before an activity starts.</summary>
    bool IsBefore(ActivityNode node);

    /// <summary>Whether to store the instance once an activity has run and before the next one starts.</summary>
    /// <param name="node">The activity.</param>
    /// <param name="isOpen">Whether it has only scheduled others so far, and goes on when they have ended.</param>
    bool IsAfter(ActivityNode node, bool isOpen);

    /// <summary>Stores the instance; no activity is running.</summary>
    /// <param name="instance">The instance.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    ValueTask CommitAsync(WorkflowInstance instance, CancellationToken cancellationToken);
}

/// <summary>How a child workflow stands after its burst.</summary>
/// <param name="InstanceId">Id of the instance.</param>
/// <param name="DefinitionVersionId">Version that ran.</param>
/// <param name="CorrelationId">Correlation id.</param>
/// <param name="Status">Whether it may still run.</param>
/// <param name="SubStatus">How it stands.</param>
/// <param name="Output">Outputs by name.</param>
public sealed record ChildWorkflowResult(
    string InstanceId,
    string DefinitionVersionId,
    string? CorrelationId,
    WorkflowStatus Status,
    WorkflowSubStatus SubStatus,
    IReadOnlyDictionary<string, object?> Output)
{
    /// <summary>Whether the child never began, because it may not run beside another instance.</summary>
    public bool IsNotStarted => SubStatus == WorkflowSubStatus.Pending;
}

/// <summary>An HTTP request that started or resumed the burst, and its answer.</summary>
public interface IHttpExchange
{
    /// <summary>A header of the request; null when it is missing.</summary>
    string? RequestHeader(string name) => null;

    /// <summary>Answers with a body.</summary>
    /// <param name="statusCode">HTTP status.</param>
    /// <param name="contentType">Media type; null for none.</param>
    /// <param name="headers">More headers.</param>
    /// <param name="content">Body.</param>
    /// <param name="cancellationToken">Stops writing.</param>
    ValueTask RespondAsync(
        int statusCode,
        string? contentType,
        IReadOnlyDictionary<string, string[]> headers,
        ReadOnlyMemory<byte> content,
        CancellationToken cancellationToken);

    /// <summary>Answers that the endpoint does not take the request. A workflow that the request was to start must not be stored.</summary>
    /// <param name="statusCode">HTTP status.</param>
    /// <param name="code">Stable code; listed in <c>docs/errors.md</c>.</param>
    /// <param name="detail">What is wrong, for the caller.</param>
    /// <param name="headers">More headers.</param>
    /// <param name="cancellationToken">Stops writing.</param>
    ValueTask RefuseAsync(
        int statusCode, string code, string detail, IReadOnlyDictionary<string, string[]> headers, CancellationToken cancellationToken) =>
        RespondAsync(statusCode, HttpProblem.ContentType, headers, HttpProblem.Write(statusCode, code, detail), cancellationToken);
}

using System.Diagnostics;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Span = System.Diagnostics.Activity;
using SpanContext = System.Diagnostics.ActivityContext;

namespace Conclave.Workflows.Runtime.Telemetry;

public static partial class WorkflowTelemetry
{
    private const string DefinitionIdTag = "workflow.definition.id";
    private const string DefinitionVersionTag = "workflow.definition.version";
    private const string DefinitionNameTag = "workflow.definition.name";
    private const string InstanceIdTag = "workflow.instance.id";
    private const string CorrelationIdTag = "workflow.correlation_id";
    private const string IncidentsTag = "workflow.incidents.count";
    private const string ActivityIdTag = "activity.id";
    private const string ActivityTypeTag = "activity.type";
    private const string ActivityNameTag = "activity.name";
    private const string ActivityVersionTag = "activity.version";
    private const string TenantTag = "activity.tenant.id";

    private static readonly ActivitySource ElsaSpans = new(ElsaName);
    private static readonly ActivitySource ConclaveSpans = new(ConclaveName);

    /// <summary>Starts the span of a burst.</summary>
    /// <param name="instance">What runs.</param>
    /// <param name="tenant">Who owns it.</param>
    /// <param name="cause">
    /// W3C <c>traceparent</c> of what enqueued the work, linked to; null for none. The parent is what runs now, if anything.
    /// </param>
    /// <returns>Null when nobody listens. The caller ends it with <see cref="EndBurst"/>.</returns>
    public static Span? StartBurst(WorkflowInstance instance, string tenant, string? cause = null)
    {
        if (!ElsaSpans.HasListeners()) return null;
        var definition = instance.Graph.Definition;
        // A burst may come days after its cause: a link keeps the two traces apart and still connected.
        IEnumerable<ActivityLink>? links = SpanContext.TryParse(cause, null, isRemote: true, out var context) &&
            context.TraceId != Span.Current?.TraceId ? [new ActivityLink(context)] : null;
        var span = ElsaSpans.StartActivity(
            $"execute workflow {definition.Name ?? definition.DefinitionId}", ActivityKind.Internal, default(SpanContext), null, links);
        if (span is not { IsAllDataRequested: true }) return span;
        return span
            .SetTag(DefinitionIdTag, definition.DefinitionId)
            .SetTag(DefinitionVersionTag, definition.Version)
            .SetTag(DefinitionNameTag, definition.Name)
            .SetTag(InstanceIdTag, instance.Id)
            .SetTag(TenantTag, tenant);
    }

    /// <summary>Ends the span of a burst with how it left the instance.</summary>
    public static void EndBurst(Span? span, WorkflowInstance instance)
    {
        if (span is null) return;
        if (span.IsAllDataRequested)
        {
            span.AddEvent(new ActivityEvent(Name(instance.SubStatus)));
            if (instance.CorrelationId is { Length: > 0 } correlationId) span.SetTag(CorrelationIdTag, correlationId);
            if (instance.Incidents.Count > 0) span.SetTag(IncidentsTag, instance.Incidents.Count);
        }
        if (instance.SubStatus is WorkflowSubStatus.Faulted)
            span.SetStatus(ActivityStatusCode.Error, "The workflow faulted; its incidents say why.");
        span.Dispose();
    }

    /// <summary>Tells of one execution of an activity that has ended, as a span within that of its burst.</summary>
    /// <param name="burst">Span of the burst; null when nobody listens.</param>
    /// <param name="instance">What runs.</param>
    /// <param name="node">Which activity.</param>
    /// <param name="tenant">Who owns it.</param>
    /// <param name="started">When it began, in UTC ticks.</param>
    /// <param name="ended">When it ended, in UTC ticks.</param>
    /// <param name="error">What went wrong; null for nothing.</param>
    public static void ActivityExecuted(
        Span? burst, WorkflowInstance instance, ActivityNode node, string tenant, long started, long ended, ExceptionState? error)
    {
        if (burst is null) return;
        var span = ElsaSpans.StartActivity(
            $"execute activity {node.Type}", ActivityKind.Internal, burst.Context, null, null, new DateTimeOffset(started, TimeSpan.Zero));
        if (span is null) return;
        if (span.IsAllDataRequested)
        {
            span.SetTag(ActivityIdTag, node.Id)
                .SetTag(ActivityTypeTag, node.Type)
                .SetTag(ActivityNameTag, node.Name)
                .SetTag(ActivityVersionTag, node.Version)
                .SetTag(TenantTag, tenant)
                .SetTag(InstanceIdTag, instance.Id)
                .SetTag(DefinitionIdTag, instance.Graph.Definition.DefinitionId)
                .SetTag(DefinitionVersionTag, instance.Graph.Definition.Version);
        }

        if (error is not null) span.SetStatus(ActivityStatusCode.Error, error.Message);
        span.SetEndTime(new DateTime(ended, DateTimeKind.Utc));
        span.Dispose();
    }

    /// <summary>Starts a span of the runtime itself, such as <c>claim</c> or <c>commit</c>.</summary>
    /// <param name="name">A constant, without ids.</param>
    /// <param name="kind">Whether it calls, is called, or neither.</param>
    /// <returns>Null when nobody listens, or when it would be a trace of its own: idle polls are not worth one.</returns>
    public static Span? StartStep(string name, ActivityKind kind = ActivityKind.Internal) =>
        Span.Current is not null && ConclaveSpans.HasListeners() ? ConclaveSpans.StartActivity(name, kind) : null;

    /// <summary>W3C <c>traceparent</c> of what runs now, to be stored with the work it asks for; null when nothing is traced.</summary>
    public static string? CurrentTrace() => Span.Current is { IdFormat: ActivityIdFormat.W3C, Recorded: true } span ? span.Id : null;
}

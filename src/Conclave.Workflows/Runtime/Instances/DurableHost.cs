using System.Text.Json;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Watching;

namespace Conclave.Workflows.Runtime.Instances;

/// <summary>What workflows may ask of the process that runs them.</summary>
public sealed record WorkflowServices
{
    /// <summary>Takes the lines that workflows write: tenant, instance and text. The default writes nothing; the journal has them.</summary>
    public Action<string, string, string> WriteLine { get; init; } = static (_, _, _) => { };

    /// <summary>Values of the configuration that workflows may read; null for those they may not.</summary>
    public Func<string, string?> Configuration { get; init; } = static _ => null;

    /// <summary>URLs that publish an event: tenant, name of the event and lifetime; null when the process has no address.</summary>
    public Func<string, string, JsonElement, string>? EventTriggerUrl { get; init; }

    /// <summary>
    /// What features beside the engine write with each commit of an instance: the instance as it is stored, how it stood when its burst began, and whether the burst
    /// goes on. Null for nothing.
    /// </summary>
    public Func<WorkflowInstance, WorkflowSubStatus, bool, IEnumerable<RowEffect>>? RowsOf { get; init; }

    /// <summary>Called after a commit of this process, with the tenant and the instance; what somebody watches beside instances is told through the first.</summary>
    public Action<InstanceWatch, string, WorkflowInstance>? Stored { get; init; }
}

/// <summary>The host of a durable burst.</summary>
internal sealed class DurableHost : WorkflowHost
{
    private readonly InstanceRunner _runner;
    private readonly DurableBurst _burst;

    public DurableHost(InstanceRunner runner, DurableBurst burst)
    {
        _runner = runner;
        _burst = burst;
        Depth = burst.Depth;
        LogSink = burst;
        CommitPoints = burst;
    }

    public override string Tenant => _burst.Tenant;

    public override IHttpExchange? HttpExchange => _burst.Exchange;

    public override void WriteLine(string? text) => _runner.Services.WriteLine(_burst.Tenant, _burst.Instance.Id, text ?? "");

    public override ValueTask<string?> ReadLineAsync(CancellationToken cancellationToken) => throw Unavailable("read from a console");

    public override ValueTask<ChildWorkflowResult> ExecuteWorkflowAsync(ChildWorkflowRequest request, CancellationToken cancellationToken) =>
        _runner.ExecuteChildAsync(_burst, request, cancellationToken);

    public override string? GetConfiguration(string name) => _runner.Services.Configuration(name);

    public override string CreateEventTriggerUrl(string eventName, JsonElement lifetime) =>
        (_runner.Services.EventTriggerUrl ?? throw Unavailable("create event URLs"))(_burst.Tenant, eventName, lifetime);
}

using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace Conclave.Inference.Telemetry;

/// <content>Calls of tools.</content>
public static partial class GenAITelemetry
{
    private const string ToolName = "gen_ai.tool.name";

    private static readonly Histogram<double> ToolDuration = Seconds("gen_ai.execute_tool.duration", "Time a call of a tool took, without waiting.");
    private static readonly Counter<long> ToolCalls = Meter.CreateCounter<long>("conclave.tool.calls", "{call}", "Calls of tools that ended, refused ones too.");

    /// <summary>Begins the span of a call of a tool; null when nobody listens.</summary>
    /// <param name="tool">Name of the tool.</param>
    /// <param name="type">Its kind, as the conventions call it: <c>function</c> for what runs here, <c>extension</c> for what runs elsewhere.</param>
    /// <param name="callId">Id of the call.</param>
    /// <param name="agentId">The agent that calls.</param>
    /// <param name="arguments">The arguments; recorded only where content is.</param>
    public static Activity? BeginTool(string tool, string type, string callId, string agentId, string arguments)
    {
        var span = Source.StartActivity($"execute_tool {tool}", ActivityKind.Internal);
        if (span is not { IsAllDataRequested: true })
            return span;
        span.SetTag(Operation, "execute_tool");
        span.SetTag(ToolName, tool);
        span.SetTag("gen_ai.tool.type", type);
        span.SetTag("gen_ai.tool.call.id", callId);
        span.SetTag("gen_ai.agent.id", agentId);
        if (CapturesContent)
            span.SetTag("gen_ai.tool.call.arguments", arguments);
        return span;
    }

    /// <summary>Ends it, and counts.</summary>
    /// <param name="span">The span.</param>
    /// <param name="tool">Name of the tool.</param>
    /// <param name="status">completed, failed, refused or unknown.</param>
    /// <param name="error">Stable code of what went wrong; null when nothing did.</param>
    /// <param name="result">The result; recorded only where content is.</param>
    /// <param name="duration">How long it ran; null when it did not.</param>
    public static void EndTool(Activity? span, string tool, string status, string? error, string? result, TimeSpan? duration)
    {
        if (span is { IsAllDataRequested: true })
        {
            if (CapturesContent)
                span.SetTag("gen_ai.tool.call.result", result);
            if (error is not null)
            {
                span.SetTag(ErrorType, error);
                span.SetStatus(ActivityStatusCode.Error);
            }
        }

        span?.Dispose();
        ToolCalls.Add(1, new(ToolName, tool), new(OutcomeTag, status));
        if (duration is not { } time)
            return;
        var tags = new TagList { { Operation, "execute_tool" }, { ToolName, tool } };
        if (error is not null)
            tags.Add(ErrorType, error);
        ToolDuration.Record(time.TotalSeconds, tags);
    }
}

using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;
using Conclave.Agents.Sandbox;
using Conclave.Inference;
using Conclave.Inference.Telemetry;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions.Scripting;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Conclave.Agents.Tools;

/// <summary>Makes calls of tools: checks them, waits for their turn, runs them once for each key, and records them.</summary>
/// <remarks>
/// In this order: the schema of the arguments; what no honest call has; permission, and the approval where one is given; a free place; the tool; what its
/// output may hold. Whatever happens has a row in <c>conclave.tool_run</c>, refusals too.
/// </remarks>
public sealed partial class ToolExecutor(
    ToolRegistry registry, ToolPermissions permissions, ToolRuns runs, OutputValidators outputs, ScriptRunnerPool scripts, ILogger<ToolExecutor> logger, TimeProvider time)
{
    private const int LongestKey = 255;
    private const int LargestArguments = 1 << 20;

    private static readonly TimeSpan ShortestPause = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMilliseconds(500);

    // A command is ended by the sandbox, which can tell what it wrote so far.
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(2);

    private readonly ILogger _logger = logger;
    private readonly ConcurrentDictionary<(string Tenant, string Hash), SemaphoreSlim> _places = [];
    private readonly ConcurrentDictionary<Guid, byte> _running = [];

    /// <summary>Takes approvals; null where there are none: what has to be asked for is refused then.</summary>
    public ApprovalGate? Approvals { get; set; }

    /// <summary>Makes a call.</summary>
    /// <param name="call">The call.</param>
    /// <param name="cancellationToken">Ends it. What it did so far is not known then: a tool that is not repeatable does not run again under this key.</param>
    /// <returns>What came of it, refusals too.</returns>
    /// <exception cref="NpgsqlException">The database cannot be reached; the same call may be made again.</exception>
    public async Task<ToolResult> RunAsync(ToolCall call, CancellationToken cancellationToken)
    {
        if (call.Arguments.ValueKind == JsonValueKind.Undefined)
            call = call with { Arguments = ToolDefinition.Empty };
        if (call.IdempotencyKey.Length is 0 or > LongestKey)
            throw new ArgumentException($"The idempotency key must have 1 to {LongestKey} characters.", nameof(call));
        var tool = registry.Find(call.Tenant, call.Tool);
        var id = Guid.CreateVersion7();
        using var span = GenAITelemetry.BeginTool(call.Tool, tool?.Definition.Kind is ToolKinds.Http or ToolKinds.Mcp ? "extension" : "function", id.ToString(), call.AgentId, call.Arguments.GetRawText());
        var result = tool is null
            ? await RefuseAsync(id, call, null, null, "tool.not_found", $"There is no tool '{call.Tool}'.", cancellationToken)
            : await RunAsync(id, call, tool, cancellationToken);
        GenAITelemetry.EndTool(span, call.Tool, ToolRuns.NameOf(result.Status), result.ErrorCode, result.Text, result.Status == ToolRunStatus.Refused || result.IsReplay ? null : result.Duration);
        return result;
    }

    /// <summary>Keeps the leases of what this process runs, until cancelled.</summary>
    internal async Task RenewAsync(CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(ToolRuns.Lease / 3, time);
        try
        {
            while (await timer.WaitForNextTickAsync(cancellationToken))
            {
                if (_running.IsEmpty)
                    continue;
                try
                {
                    await runs.RenewAsync([.. _running.Keys], cancellationToken);
                }
                catch (Exception exception) when (exception is NpgsqlException or TimeoutException)
                {
                    LogLeases(exception);
                }
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The process stops.
        }
    }

    private async Task<ToolResult> RunAsync(Guid id, ToolCall call, RegisteredTool tool, CancellationToken cancellationToken)
    {
        if (await runs.FindByKeyAsync(call.Tenant, call.IdempotencyKey, cancellationToken) is { Status: ToolRunStatus.Completed or ToolRunStatus.Failed } earlier)
            return Repeat(call, tool, earlier);
        if (call.ToolHash is { } meant && meant != tool.Hash)
        {
            return await RefuseAsync(id, call, tool, null, "tool.changed",
                $"The definition of '{call.Tool}' is another one than the call was decided on. Ask for it again, so that it is decided on as it is now.", cancellationToken);
        }

        if (await CheckArgumentsAsync(call, tool, cancellationToken) is { } problem)
            return await RefuseAsync(id, call, tool, null, problem.Code, problem.Message, cancellationToken);
        var decision = await permissions.DecideAsync(call.Tenant, call.AgentId, tool.Definition, null, call.Arguments, cancellationToken);
        if (decision.Mode == ToolMode.Deny)
            return await RefuseAsync(id, call, tool, decision, tool.IsChanged ? "tool.changed" : tool.Problem is null ? "tool.denied" : "tool.unavailable", decision.Reason, cancellationToken);
        if (call.ApprovalId is { } approval)
        {
            var check = Approvals is null
                ? new ApprovalCheck(false, "tool.approval_required", "This process takes no approvals.")
                : await Approvals.ConsumeAsync(call.Tenant, approval, call.Action(tool.Hash), call.IdempotencyKey, cancellationToken);
            if (!check.IsApproved)
                return await RefuseAsync(id, call, tool, decision, check.Code ?? "tool.approval_required", check.Reason ?? "The approval does not hold for this call.", cancellationToken);
        }
        else if (decision.Mode == ToolMode.Ask)
            return await RefuseAsync(id, call, tool, decision, "tool.approval_required", decision.Reason, cancellationToken);

        // What may be made again and by any number at once need not be known before it ends: one row instead of two.
        if (tool.Definition is { Concurrency: 0, IsRepeatable: true })
        {
            var startedAt = time.GetUtcNow();
            var made = await MakeAsync(id, call, tool, decision, cancellationToken);
            if (await runs.RecordAsync(id, call, tool.Definition.Version, tool.Hash, tool.Definition.Limits, decision, startedAt, made, CancellationToken.None))
                return made;
            return await runs.FindByKeyAsync(call.Tenant, call.IdempotencyKey, cancellationToken) is { } other ? Repeat(call, tool, other) : made;
        }

        return await TakePlaceAsync(id, call, tool, decision, cancellationToken);
    }

    /// <summary>Waits until as few run as the tool allows. Within this process in the order of calls; between processes whoever asks first.</summary>
    private async Task<ToolResult> TakePlaceAsync(Guid id, ToolCall call, RegisteredTool tool, ToolDecision decision, CancellationToken cancellationToken)
    {
        var places = tool.Definition.Concurrency == 0 ? null
            : _places.GetOrAdd((call.Tenant, tool.Hash), static (_, most) => new SemaphoreSlim(most), tool.Definition.Concurrency);
        if (places is not null)
            await places.WaitAsync(cancellationToken);
        try
        {
            for (var pause = ShortestPause; ; pause = pause < LongestPause ? pause * 2 : LongestPause)
            {
                var (outcome, row) = await runs.BeginAsync(id, call, tool.Definition, tool.Hash, decision, cancellationToken);
                switch (outcome)
                {
                    case "began":
                        return await MakeRecordedAsync(row ?? id, call, tool, decision, cancellationToken);
                    case "recorded":
                        return Repeat(call, tool, (await runs.FindAsync(call.Tenant, row!.Value, cancellationToken))!);
                    case "reused":
                        return await RefuseAsync(id, call, tool, decision, "tool.key_reused", "The idempotency key was used for another call.", cancellationToken);
                    case "unknown":
                        return new ToolResult(ToolRunStatus.Unknown, default)
                        {
                            RunId = row!.Value,
                            ErrorCode = "tool.outcome_unknown",
                            Error = $"Whether this call of '{call.Tool}' has done its work is not known: the process that made it has died. It is not made again by itself. Look at what it would have changed first.",
                            Decision = decision,
                        };
                    default:
                        // Busy elsewhere, or the same call is being made elsewhere.
                        await Task.Delay(pause, time, cancellationToken);
                        break;
                }
            }
        }
        finally
        {
            places?.Release();
        }
    }

    private async Task<ToolResult> MakeRecordedAsync(Guid id, ToolCall call, RegisteredTool tool, ToolDecision decision, CancellationToken cancellationToken)
    {
        _running[id] = 0;
        try
        {
            ToolResult result;
            try
            {
                result = await MakeAsync(id, call, tool, decision, cancellationToken);
            }
            catch (OperationCanceledException)
            {
                var cut = new ToolResult(ToolRunStatus.Unknown, default) { RunId = id, ErrorCode = "tool.cancelled", Error = "The call was cancelled while it ran." };
                await runs.EndAsync(call.Tenant, id, cut, CancellationToken.None);
                throw;
            }

            // It has happened: that must be stored, whoever does not wait any more.
            await runs.EndAsync(call.Tenant, id, result, CancellationToken.None);
            return result;
        }
        finally
        {
            _running.TryRemove(id, out _);
        }
    }

    private async Task<ToolResult> MakeAsync(Guid id, ToolCall call, RegisteredTool tool, ToolDecision decision, CancellationToken cancellationToken)
    {
        var definition = tool.Definition;
        var kind = registry.FindKind(definition.Kind)!;
        var limit = TimeSpan.FromSeconds(definition.Limits.TimeoutSeconds) + (kind.RunsCommands ? Grace : TimeSpan.Zero);
        using var timer = new CancellationTokenSource(limit, time);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(timer.Token, cancellationToken);
        var started = time.GetTimestamp();
        var found = new SortedSet<string>(StringComparer.Ordinal);
        ToolOutput? output = null;
        (string Code, string Message)? error = null;
        try
        {
            output = await kind.RunAsync(new ToolRun(id, definition, call), linked.Token);
        }
        catch (OperationCanceledException) when (timer.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            error = ("tool.timeout", $"'{call.Tool}' did not end within {definition.Limits.TimeoutSeconds:0.###} s.");
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            throw;
        }
        catch (ToolException exception)
        {
            error = (exception.Code, exception.Message);
            output = new ToolOutput(exception.Output, exception.Usage);
        }
        catch (SandboxException exception)
        {
            error = (exception.Code, exception.Message);
        }
        catch (WorkflowException exception)
        {
            error = (exception.Code, exception.Message);
        }
        catch (ScriptException exception)
        {
            error = (exception.Code, exception.Message);
        }
        catch (InferenceException exception)
        {
            error = (exception.Code, exception.Message);
        }
#pragma warning disable CA1031 // A tool is somebody's code: what it throws must not end the turn, and is in the log.
        catch (Exception exception) when (exception is not NpgsqlException)
#pragma warning restore CA1031
        {
            LogFailed(call.Tool, id, exception);
            error = ("tool.failed", $"'{call.Tool}' failed for a reason of its own. The server's log has it under {id}.");
        }

        var duration = time.GetElapsedTime(started);
        var value = outputs.Clean(output?.Value ?? default, definition.Limits.OutputKilobytes << 10, found);
        var message = error is { } failure ? outputs.Clean(failure.Message, found) : null;
        var usage = output?.Usage ?? new ToolUsage();
        usage.Milliseconds = duration.TotalMilliseconds;
        usage.Masked = found.Count > 0 ? [.. found] : null;
        return new ToolResult(error is null ? ToolRunStatus.Completed : ToolRunStatus.Failed, value)
        {
            RunId = id,
            ErrorCode = error?.Code,
            Error = message,
            Decision = decision,
            Duration = duration,
            Usage = usage,
        };
    }

    private async Task<InputProblem?> CheckArgumentsAsync(ToolCall call, RegisteredTool tool, CancellationToken cancellationToken)
    {
        if (call.Arguments.ValueKind != JsonValueKind.Object)
            return new InputProblem("tool.arguments_invalid", "The arguments must be a JSON object.");
        var text = call.Arguments.GetRawText();
        if (text.Length > LargestArguments)
            return new InputProblem("tool.arguments_invalid", $"The arguments have more than {LargestArguments:N0} characters.");
        var schema = tool.Definition.Parameters;
        try
        {
            // What has no canonical form, such as half a character, could be read as something else by whoever runs it.
            Actions.CanonicalJson.Write(call.Arguments);
            var report = await scripts.ValidateJsonAsync(Encoding.UTF8.GetBytes(schema.GetRawText()), Encoding.UTF8.GetBytes(text), cancellationToken);
            if (!report.Valid)
                return new InputProblem("tool.arguments_invalid", $"The arguments do not fit the tool: {string.Join("; ", report.Errors.Take(10).Select(e => $"{(e.Path.Length > 0 ? e.Path : "they")} {e.Message}"))}.");
            var kind = registry.FindKind(tool.Definition.Kind);
            return InputValidators.Check(schema, call.Arguments, kind?.RunsCommands == true);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return new InputProblem("tool.arguments_invalid", $"The arguments cannot be read: {exception.Message}");
        }
        catch (ScriptException exception) when (exception.Kind == ScriptFailure.Schema)
        {
            return new InputProblem("tool.definition_invalid", $"The schema of '{call.Tool}' cannot be used: {exception.Message}");
        }
    }

    private static ToolResult Repeat(ToolCall call, RegisteredTool tool, ToolRunRecord earlier) => earlier.ActionHash == call.Action(earlier.ToolHash).Hash && earlier.Tool == tool.Name
        ? earlier.ToResult()
        : new ToolResult(ToolRunStatus.Refused, default) { RunId = earlier.Id, ErrorCode = "tool.key_reused", Error = "The idempotency key was used for another call." };

    private async Task<ToolResult> RefuseAsync(
        Guid id, ToolCall call, RegisteredTool? tool, ToolDecision? decision, string code, string reason, CancellationToken cancellationToken)
    {
        var result = new ToolResult(ToolRunStatus.Refused, default) { RunId = id, ErrorCode = code, Error = reason, Decision = decision };
        await runs.RecordAsync(id, call, tool?.Definition.Version ?? "", tool?.Hash ?? "", null, decision, null, result, cancellationToken);
        LogRefused(call.Tool, call.AgentId, code, id);
        return result;
    }

    [LoggerMessage(4403, LogLevel.Error, "The tool {Tool} failed; its run is {RunId}.")]
    private partial void LogFailed(string tool, Guid runId, Exception exception);

    [LoggerMessage(4404, LogLevel.Information, "A call of the tool {Tool} by {AgentId} was refused: {Code}; its run is {RunId}.")]
    private partial void LogRefused(string tool, string agentId, string code, Guid runId);

    [LoggerMessage(4405, LogLevel.Warning, "The leases of running tools could not be renewed; it is tried again.")]
    private partial void LogLeases(Exception exception);
}

using System.Buffers.Binary;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.Extensions.Logging;

namespace Conclave.Workflows.Expressions.Scripting;

/// <summary>Runs JavaScript, Liquid and JSON Schema in child processes that can reach nothing else.</summary>
/// <remarks>
/// Processes start with the first request and stop with the pool. Each request sees only what it carries: nothing
/// that a script does is visible to the next one. When a process fails, the request that it was evaluating fails and
/// the others move to another process. Where it is open which one it was evaluating, each runs again alone.
/// </remarks>
public sealed partial class ScriptRunnerPool : IAsyncDisposable
{
    private static readonly JsonWriterOptions WriterOptions = new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        SkipValidation = true,
        MaxDepth = ScriptTypes.MaxDepth,
    };

    [ThreadStatic] private static Utf8JsonWriter? Writer;

    /// <summary>Checks the options; starts nothing yet.</summary>
    /// <exception cref="ArgumentException">An option is out of range.</exception>
    public ScriptRunnerPool(ScriptRunnerOptions options, ILogger<ScriptRunnerPool> logger, TimeProvider timeProvider)
    {
        var problems = options.Validate();
        if (problems.Count > 0) throw new ArgumentException(string.Join(" ", problems), nameof(options));
        _options = options;
        _logger = logger;
        _time = timeProvider;
        _overdue = options.TimeLimit + options.KillGrace;
    }

    /// <summary>Evaluates a script and waits for its promises.</summary>
    /// <exception cref="ScriptException">The script gave no result, or there is no runner for it.</exception>
    public async ValueTask<JavaScriptResult> EvaluateAsync(
        JavaScriptRequest request, CancellationToken cancellationToken)
    {
        if (request.Script.Contains('\0'))
        {
            throw new ScriptException(
                ScriptFailure.Syntax, "The script contains the character U+0000, which is not allowed.")
            { ScriptName = request.Name };
        }

        var pending = new RunnerRequest(FrameKind.Script, request.Host, request.Name, cancellationToken);
        WriteScript(pending.Payload, request);
        var answer = await SubmitAsync(pending);
        try
        {
            return RunnerAnswers.ReadResult(answer);
        }
        catch (JsonException exception)
        {
            throw new ScriptException(ScriptFailure.ResultTooLarge,
                $"The result nests deeper than {ScriptTypes.MaxDepth} levels.", exception)
            { ScriptName = request.Name };
        }
    }

    /// <summary>Renders a Liquid template; a template that does not parse renders its error text.</summary>
    /// <exception cref="ScriptException">The rendering failed, or there is no runner for it.</exception>
    public async ValueTask<string> RenderLiquidAsync(LiquidRequest request, CancellationToken cancellationToken)
    {
        var pending = new RunnerRequest(FrameKind.Liquid, host: null, request.Name, cancellationToken);
        WriteLiquid(pending.Payload, request);
        return System.Text.Encoding.UTF8.GetString((await SubmitAsync(pending)).Span);
    }

    /// <summary>Checks a value against a JSON Schema: draft 2020-12, or draft 7 where <c>$schema</c> says so.</summary>
    /// <param name="schema">The schema as JSON in UTF-8; references to other documents are refused.</param>
    /// <param name="value">The value as JSON in UTF-8.</param>
    /// <param name="cancellationToken">Cancels the wait.</param>
    /// <exception cref="ScriptException">The schema cannot be used, or there is no runner for it.</exception>
    public async ValueTask<SchemaReport> ValidateJsonAsync(
        ReadOnlyMemory<byte> schema, ReadOnlyMemory<byte> value, CancellationToken cancellationToken)
    {
        var pending = new RunnerRequest(FrameKind.Schema, host: null, name: null, cancellationToken);
        BinaryPrimitives.WriteInt32LittleEndian(pending.Payload.GetSpan(sizeof(int)), schema.Length);
        pending.Payload.Advance(sizeof(int));
        pending.Payload.Append(schema.Span);
        pending.Payload.Append(value.Span);
        return RunnerAnswers.ReadReport(await SubmitAsync(pending));
    }

    /// <summary>Reads a script and names what code from others must not do; runs nothing of it.</summary>
    /// <param name="script">The script in UTF-8, at most 256 KB.</param>
    /// <param name="cancellationToken">Cancels the wait.</param>
    /// <returns>At most 50 findings in the order of the script; empty when there are none.</returns>
    /// <exception cref="ScriptException">There is no runner for it, or the script nests too deep to be read.</exception>
    public async ValueTask<IReadOnlyList<ScriptFinding>> AnalyseScriptAsync(ReadOnlyMemory<byte> script, CancellationToken cancellationToken)
    {
        var pending = new RunnerRequest(FrameKind.Analysis, host: null, name: null, cancellationToken);
        pending.Payload.Append(script.Span);
        return RunnerAnswers.ReadFindings(await SubmitAsync(pending));
    }

    private static void WriteScript(PooledBuffer target, JavaScriptRequest request)
    {
        var writer = RentWriter(target);
        writer.WriteStartObject();
        writer.WriteString("script"u8, request.Script);
        if (request.Host is not null) writer.WriteBoolean("lazy"u8, true);
        if (request.AllowOutcomes) writer.WriteBoolean("outcomes"u8, true);
        if (request.IsTool) writer.WriteBoolean("tool"u8, true);
        request.Scope?.Write(writer);
        writer.WriteEndObject();
        ReturnWriter(writer);
    }

    private static void WriteLiquid(PooledBuffer target, LiquidRequest request)
    {
        var writer = RentWriter(target);
        writer.WriteStartObject();
        writer.WriteString("template"u8, request.Template);
        request.Scope?.Write(writer);
        writer.WriteEndObject();
        ReturnWriter(writer);
    }

    // Taken out of the field while in use, so that a scope may itself evaluate something.
    private static Utf8JsonWriter RentWriter(PooledBuffer target)
    {
        var writer = Writer ?? new Utf8JsonWriter(target, WriterOptions);
        Writer = null;
        writer.Reset(target);
        return writer;
    }

    private static void ReturnWriter(Utf8JsonWriter writer)
    {
        writer.Flush();
        Writer = writer;
    }
}

using System.Globalization;
using Conclave.Inference;

namespace Conclave.Server.Inference;

/// <summary>Says in an answer's headers how a call went: <c>x-conclave-*</c>, as far as it is known when the answer begins.</summary>
internal static class CallHeaders
{
    /// <summary>Writes them; does nothing once the answer has begun.</summary>
    public static void Write(HttpResponse response, CallReport report, QueueWatch place)
    {
        if (response.HasStarted)
            return;
        var headers = response.Headers;
        headers["x-conclave-call-id"] = report.CallId;
        headers["x-conclave-overhead-ms"] = Milliseconds(report.Overhead);
        headers["x-conclave-queue-ms"] = Milliseconds(report.Waited);
        headers["x-conclave-cache"] = report.Cache switch { CacheOutcome.Hit => "hit", CacheOutcome.Replay => "replay", _ => "miss" };
        if (report.Server is { } server)
            headers["x-conclave-backend"] = server;
        if (report.Model is { } model)
            headers["x-conclave-model"] = OneLine(model);
        headers["x-conclave-local"] = report.IsLocal ? "true" : "false";
        if (place.FirstPosition is { } position)
            headers["x-conclave-queue-position"] = position.ToString(CultureInfo.InvariantCulture);
        if (place.FirstExpectedWait is { } wait)
            headers["x-conclave-expected-wait-ms"] = Milliseconds(wait);
    }

    private static string Milliseconds(TimeSpan time) => time.TotalMilliseconds.ToString("0.###", CultureInfo.InvariantCulture);

    // Names of models come from servers, and a header takes no line breaks and nothing beyond ASCII.
    private static string OneLine(string text) => string.Concat(text.Select(c => c is >= ' ' and <= '~' ? c : '?'));
}

/// <summary>Remembers where in the queue a call began to wait, and tells who wants to hear of every change.</summary>
internal sealed class QueueWatch
{
    /// <summary>Calls that were before it when it was queued; null if it never waited.</summary>
    public int? FirstPosition { get; private set; }

    /// <summary>How long it was expected to wait then; null where that was not known.</summary>
    public TimeSpan? FirstExpectedWait { get; private set; }

    /// <summary>Told of changes while the call waits; null when nobody wants to know.</summary>
    public Action<CallReport>? Moved { get; set; }

    /// <summary>Takes a change of a call.</summary>
    public void Take(CallReport report)
    {
        if (report.Phase != CallPhase.Queued)
            return;
        if (FirstPosition is null)
        {
            FirstPosition = report.QueuePosition;
            FirstExpectedWait = report.ExpectedWait;
        }

        Moved?.Invoke(report);
    }
}

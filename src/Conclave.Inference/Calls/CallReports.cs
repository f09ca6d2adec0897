namespace Conclave.Inference;

/// <summary>Changes of reports.</summary>
internal static class CallReports
{
    /// <summary>Says how far the call is.</summary>
    public static void Tell(this CallReport report, CallPhase phase)
    {
        if (report.Phase == phase)
            return;
        report.Phase = phase;
        report.Changed?.Invoke(report);
    }
}

using Conclave.Workflows.Activities;

namespace Conclave.Inference.Activities;

/// <summary>The activities of this assembly.</summary>
public static class InferenceActivities
{
    /// <summary>Every activity that there is.</summary>
    public static ActivityCatalog Catalog { get; } = ActivityCatalog.BuiltIn.WithAssembly(typeof(InferenceActivities).Assembly);
}

/// <summary>Icons of activities that ask models.</summary>
internal static class AIIcons
{
    public const string Color = "#6d28d9";
    public const string Chat = Start + "M4 5h16v11H9l-5 4zM8 9h8M8 12h5" + End;
    public const string Embed = Start + "M5 19V5M5 19h14M9 15l3-4 3 2 4-6" + End;
    public const string Extract = Start + "M6 3h8l4 4v6M6 3v18h6M14 3v4h4M15 18h6M18 15l3 3-3 3" + End;
    public const string Classify = Start + "M3 4h8l10 9-8 8L3 12zM7 8h.01" + End;
    private const string Start = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"><path d=""" + "\"";
    private const string End = "\"/></svg>";
}

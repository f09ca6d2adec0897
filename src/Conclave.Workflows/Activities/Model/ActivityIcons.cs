namespace Conclave.Workflows.Activities;

/// <summary>Icons of activities that designers have none for: SVG of 24 by 24 units, drawn in the colour of the text around.</summary>
public static class ActivityIcons
{
    private const string Start = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"><path d=""" + "\"";
    private const string End = "\"/></svg>";

    /// <summary>Braces around a tick.</summary>
    public const string CheckedJson = Start + "M8 4H7a2 2 0 0 0-2 2v4l-2 2 2 2v4a2 2 0 0 0 2 2h1M16 4h1a2 2 0 0 1 2 2v4l2 2-2 2v4a2 2 0 0 1-2 2h-1M9 12l2 2 4-4" + End;

    /// <summary>A sharp sign.</summary>
    public const string CSharp = Start + "M13 7.5A5.5 5.5 0 1 0 13 16.5M17 9v7M20 9v7M15.5 11h6M15.5 14h6" + End;

    /// <summary>A prompt.</summary>
    public const string Script = Start + "M4 17l6-5-6-5M12 19h8" + End;

    /// <summary>Two states and the way from one to the other.</summary>
    public const string States = Start + "M6 9a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM18 21a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM9 6h6a3 3 0 0 1 3 3v3M15 10l3 3 3-3" + End;

    /// <summary>A box with steps inside: a workflow as one step of another.</summary>
    public const string Workflow = Start + "M4 4h16v16H4zM8 9h3v3H8zM13 13h3v3h-3zM11 10.5h3.5V13" + End;
}

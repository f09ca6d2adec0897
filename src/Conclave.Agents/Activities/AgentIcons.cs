namespace Conclave.Agents.Activities;

/// <summary>Icons of activities that behaviours are drawn with.</summary>
internal static class AgentIcons
{
    public const string Color = "#0f766e";
    public const string Agent = Start + "M12 3v3M6 8h12v9H6zM9 12h.01M15 12h.01M9 17v3M15 17v3M3 11v3M21 11v3" + End;
    public const string Prompt = Start + "M4 4h16v12H8l-4 4zM8 8h8M8 12h5" + End;
    public const string Chat = Start + "M4 5h16v11H9l-5 4zM8 9h8M8 12h5" + End;
    public const string Tools = Start + "M14 7a4 4 0 0 0 5 5l-8 8-4-4 8-8M5 5l4 4" + End;
    public const string Permission = Start + "M12 3l8 3v6c0 5-4 8-8 9-4-1-8-4-8-9V6zM9 12l2 2 4-4" + End;
    public const string Observe = Start + "M2 12s4-7 10-7 10 7 10 7-4 7-10 7S2 12 2 12zM12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6" + End;
    public const string Limits = Start + "M12 3a9 9 0 1 0 9 9M12 7v5l3 2M17 3l4 4M21 3l-4 4" + End;
    public const string Progress = Start + "M4 12a8 8 0 0 1 14-5l2 2M20 4v5h-5M20 12a8 8 0 0 1-14 5l-2-2M4 20v-5h5" + End;
    public const string Reply = Start + "M9 7l-5 5 5 5M4 12h10a6 6 0 0 1 6 6v1" + End;
    public const string HandOff = Start + "M4 12h13M12 7l5 5-5 5M20 5v14" + End;
    private const string Start = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"><path d=""" + "\"";
    private const string End = "\"/></svg>";
}

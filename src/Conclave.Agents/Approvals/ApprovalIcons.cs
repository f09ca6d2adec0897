namespace Conclave.Agents.Approvals;

/// <summary>Icons of activities that ask people.</summary>
internal static class ApprovalIcons
{
    public const string Color = "#b45309";
    public const string Approval = Start + "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4 20a8 8 0 0 1 9-6M15 18l2 2 4-5" + End;
    public const string Task = Start + "M9 4h6v3H9zM9 5H6v16h12V5h-3M9 13l2 2 4-4" + End;
    private const string Start = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"><path d=""" + "\"";
    private const string End = "\"/></svg>";
}

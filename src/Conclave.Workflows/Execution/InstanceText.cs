namespace Conclave.Workflows.Execution;

/// <summary>Texts by which instances are found: indexes and lists hold them, so that they have limits wherever they come from.</summary>
public static class InstanceText
{
    /// <summary>Most characters of a name or correlation id.</summary>
    public const int Longest = 500;

    /// <summary>Checks a text that a workflow made.</summary>
    /// <exception cref="WorkflowException">It is too long or has control characters.</exception>
    internal static string? Check(string code, string what, string? text)
    {
        if (text is null)
            return null;
        if (text.Length > Longest)
            throw new WorkflowException(code, $"The {what} has {text.Length:N0} characters; at most {Longest} are possible. It begins with '{text[..40]}'.");
        return text.Any(char.IsControl) ? throw new WorkflowException(code, $"The {what} has control characters, such as a line break; leave them out.") : text;
    }
}

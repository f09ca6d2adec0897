namespace Conclave.Workflows.Definitions;

/// <summary>One thing that is wrong with a workflow definition, and where.</summary>
/// <param name="Code">Stable code, for example <c>definition.unknown_activity_type</c>; listed in <c>docs/errors.md</c>.</param>
/// <param name="Message">What is wrong and what to do about it.</param>
/// <param name="ActivityId">Id of the activity the problem is in; null when it concerns the whole definition.</param>
/// <param name="Property">Name of the JSON property the problem is in, or a JSON path such as <c>$.root.activities[2]</c>.</param>
/// <param name="Severity">Whether the problem stops the workflow from being published or run.</param>
public sealed record DefinitionProblem(
    string Code,
    string Message,
    string? ActivityId = null,
    string? Property = null,
    ProblemSeverity Severity = ProblemSeverity.Error)
{
    /// <summary>The problem as one line: place, message and code.</summary>
    public override string ToString()
    {
        var place = (ActivityId, Property) switch
        {
            (null, null) => "definition",
            (null, _) => Property,
            (_, null) => $"activity '{ActivityId}'",
            _ => $"activity '{ActivityId}', property '{Property}'",
        };
        return $"{place}: {Message} ({Code})";
    }
}

/// <summary>How much a <see cref="DefinitionProblem"/> matters.</summary>
public enum ProblemSeverity
{
    /// <summary>The workflow can be published and run; something in it will probably not do what the author wants.</summary>
    Warning,

    /// <summary>The workflow must not be published.</summary>
    Error,
}

/// <summary>A definition could not be read or compiled; carries every problem found, not only the first.</summary>
public sealed class WorkflowDefinitionException : Exception
{
    /// <summary>Creates the exception for at least one problem.</summary>
    public WorkflowDefinitionException(IReadOnlyList<DefinitionProblem> problems)
        : base(string.Join(Environment.NewLine, problems)) => Problems = problems;

    /// <summary>Creates the exception for a single problem.</summary>
    public WorkflowDefinitionException(DefinitionProblem problem) : this([problem])
    {
    }

    /// <summary>Every problem that was found, in document order.</summary>
    public IReadOnlyList<DefinitionProblem> Problems { get; }

    /// <summary>
    /// What could be read in spite of the problems, so that compiling it finds the others too; null when there is no
    /// root activity to look at. Never to be stored or run.
    /// </summary>
    public WorkflowDefinition? Readable { get; init; }
}

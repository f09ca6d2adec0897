using Conclave.Workflows.Definitions;

namespace Conclave.Workflows.Execution;

/// <summary>Something that a migration to another version cannot take over, or takes over differently than one might expect.</summary>
/// <param name="Code">Stable code.</param>
/// <param name="Message">What it is and what follows from it.</param>
/// <param name="ActivityId">The activity; null for the workflow.</param>
/// <param name="Severity">Errors forbid the migration.</param>
public sealed record MigrationProblem(string Code, string Message, string? ActivityId, ProblemSeverity Severity);

/// <summary>Collects the problems of a migration.</summary>
internal sealed class MigrationProblems
{
    public List<MigrationProblem> All { get; } = [];

    public bool HasErrors => All.Exists(p => p.Severity == ProblemSeverity.Error);

    /// <summary>The activity is in the middle of something that the other version does not have in the same form.</summary>
    public void PositionLost(ActivityNode node, string message) =>
        All.Add(new MigrationProblem("migrate.position_lost", $"{node}: {message}", node.Id, ProblemSeverity.Error));

    /// <summary>Steps of the other version that this instance does not run, because it is past them.</summary>
    public void Skipped(ActivityNode node, string message) => Warn("migrate.skipped", node, message);

    public void Error(string code, ActivityNode node, string message) =>
        All.Add(new MigrationProblem(code, $"{node}: {message}", node.Id, ProblemSeverity.Error));

    public void Warn(string code, ActivityNode node, string message) =>
        All.Add(new MigrationProblem(code, $"{node}: {message}", node.Id, ProblemSeverity.Warning));
}

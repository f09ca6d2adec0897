using Conclave.Workflows.Definitions;

namespace Conclave.Workflows.Runtime.Definitions;

/// <summary>Whether an import publishes what it saves.</summary>
public enum PublishChoice
{
    /// <summary>As the definition's <c>isPublished</c> says.</summary>
    AsFile,

    /// <summary>Every workflow is published.</summary>
    Always,

    /// <summary>Every workflow becomes a draft; what is published stays so.</summary>
    Never,
}

/// <summary>What became of a packaged definition.</summary>
public enum ImportOutcome
{
    /// <summary>The workflow is new.</summary>
    Created,

    /// <summary>The workflow has a new version, a changed draft, or its draft was published.</summary>
    Updated,

    /// <summary>The newest version is what the file says already; nothing was changed.</summary>
    Unchanged,

    /// <summary>Nothing was changed, for the problems given.</summary>
    Refused,

    /// <summary>Nothing was changed, because somebody edited the workflow after the file was last imported from its folder.</summary>
    Kept,
}

/// <summary>Result of importing one packaged definition.</summary>
/// <param name="File">Where it was in the package, see <see cref="PackagedDefinition.File"/>.</param>
/// <param name="DefinitionId">Id of the workflow; null when the file could not be read.</param>
/// <param name="Outcome">What became of it.</param>
/// <param name="Stored">The newest version now; null when there is none or it was not looked at.</param>
/// <param name="Problems">Errors and warnings; a draft is saved in spite of errors in its activities.</param>
public sealed record ImportedDefinition(
    string File, string? DefinitionId, ImportOutcome Outcome, StoredDefinition? Stored, IReadOnlyList<DefinitionProblem> Problems)
{
    /// <summary>Number of the newest version now; null when there is none or it was not looked at.</summary>
    public int? Version => Stored?.Definition.Version;
}

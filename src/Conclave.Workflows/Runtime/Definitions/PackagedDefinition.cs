using Conclave.Workflows.Definitions;

namespace Conclave.Workflows.Runtime.Definitions;

/// <summary>What a package holds at one place: a definition, or why there is none.</summary>
/// <param name="File">
/// Path of the file in the package, with <c>/</c>; of a document with several definitions followed by the place of this
/// one, such as <c>all.json[2]</c>. Characters that would harm a log are replaced.
/// </param>
/// <param name="Definition">The definition; null when it could not be read.</param>
/// <param name="Problems">Why it could not be read; empty when it could.</param>
public sealed record PackagedDefinition(string File, WorkflowDefinition? Definition, IReadOnlyList<DefinitionProblem> Problems)
{
    /// <summary>Whether the document named its definition id; without one, every reading makes up another.</summary>
    public bool HasDefinitionId { get; init; } = true;

    /// <summary>SHA-256 of the definition's bytes in the file, 64 lower-case hex digits; null when it could not be read.</summary>
    public string? FileHash { get; init; }

    internal static PackagedDefinition Refused(string file, string code, string message) =>
        new(Printable(file), null, [new DefinitionProblem(code, message)]);

    /// <summary>A name from outside as it may be shown: without control characters, and not endless.</summary>
    internal static string Printable(string name)
    {
        var text = name.Length > 200 ? string.Concat(name.AsSpan(0, 200), "…") : name;
        return string.Create(text.Length, text, (characters, from) =>
        {
            for (var i = 0; i < characters.Length; i++)
                characters[i] = char.IsControl(from[i]) || char.IsSurrogate(from[i]) || from[i] is >= '\u202A' and <= '\u202E' ? '\uFFFD' : from[i];
        });
    }
}

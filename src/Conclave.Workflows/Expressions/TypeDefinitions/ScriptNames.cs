using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Conclave.Workflows.Expressions;

/// <summary>Names that scripts see, by the rules of the script runner's <c>prelude/scope.js</c>.</summary>
internal static partial class ScriptNames
{
    /// <summary>Whether a name can stand in a script as it is.</summary>
    public static bool IsIdentifier(string name)
    {
        var isFirst = true;
        foreach (var rune in name.EnumerateRunes())
        {
            if (!(isFirst ? MayStart(rune) : MayContinue(rune)))
                return false;
            isFirst = false;
        }

        return !isFirst;
    }

    /// <summary>The name as accessors have it: <c>order_total</c> gives <c>OrderTotal</c>; null for a name that is no identifier.</summary>
    public static string? Accessor(string name)
    {
        if (!IsIdentifier(name))
            return null;
        var upper = char.ToUpperInvariant(name[0]) + name[1..];
        return name.Contains('_', StringComparison.Ordinal) ? WordStart().Replace(upper, match => match.Groups[1].Value.ToUpperInvariant()) : upper;
    }

    /// <summary>The name of an argument, as <c>args</c> has it.</summary>
    public static string Camel(string name) => char.ToLowerInvariant(name[0]) + name[1..];

    private static bool MayStart(Rune rune) => rune.Value is '$' or '_' || Rune.IsLetter(rune) || Rune.GetUnicodeCategory(rune) == UnicodeCategory.LetterNumber;

    private static bool MayContinue(Rune rune) => MayStart(rune) || Rune.GetUnicodeCategory(rune)
        is UnicodeCategory.DecimalDigitNumber or UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.ConnectorPunctuation;

    [GeneratedRegex("(?:_+|^)([a-zA-Z])")]
    private static partial Regex WordStart();
}

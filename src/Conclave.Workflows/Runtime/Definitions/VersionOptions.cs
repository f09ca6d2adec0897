using System.Globalization;

namespace Conclave.Workflows.Runtime.Definitions;

/// <summary>Which versions of workflows are meant, in Elsa's notation: <c>Latest</c>, <c>Published</c>, …, or a number.</summary>
/// <param name="Kind">Which.</param>
/// <param name="Version">The number, for <see cref="VersionKind.Number"/>.</param>
public readonly record struct VersionOptions(VersionKind Kind, int Version = 0)
{
    /// <summary>The newest version.</summary>
    public static VersionOptions Latest => new(VersionKind.Latest);

    /// <summary>The published version.</summary>
    public static VersionOptions Published => new(VersionKind.Published);

    /// <summary>All versions.</summary>
    public static VersionOptions All => new(VersionKind.AllVersions);

    /// <summary>Reads the notation. Names keep their case; numbers begin at 1.</summary>
    public static bool TryParse(string text, out VersionOptions options)
    {
        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0)
        {
            options = new VersionOptions(VersionKind.Number, number);
            return true;
        }

        var isName = Enum.TryParse<VersionKind>(text, out var kind) && kind != VersionKind.Number && Enum.IsDefined(kind) && !char.IsAsciiDigit(text[0]) && text[0] is not ('-' or '+');
        options = isName ? new VersionOptions(kind) : default;
        return isName;
    }
}

/// <summary>Which versions of workflows are meant.</summary>
public enum VersionKind
{
    /// <summary>The newest of each workflow.</summary>
    Latest,

    /// <summary>Those that triggers start.</summary>
    Published,

    /// <summary>Those that are not published.</summary>
    Draft,

    /// <summary>The newest, and the published.</summary>
    LatestOrPublished,

    /// <summary>The newest if it is published.</summary>
    LatestAndPublished,

    /// <summary>All.</summary>
    AllVersions,

    /// <summary>The one with a number.</summary>
    Number,
}

using System.Globalization;

namespace Conclave.Agents.Tools;

/// <summary>Something that a tool needs, such as <c>git &gt;= 2.30</c>.</summary>
/// <param name="Name">Name of the program or tool.</param>
/// <param name="AtLeast">The oldest version that will do; null for any.</param>
public sealed record Requirement(string Name, ToolVersion? AtLeast)
{
    /// <summary>Reads a requirement.</summary>
    public static bool TryParse(string? text, out Requirement requirement)
    {
        requirement = null!;
        var parts = (text ?? "").Split(">=", StringSplitOptions.TrimEntries);
        if (parts.Length > 2 || parts[0].Length is 0 or > 64 || parts[0].AsSpan().ContainsAny(" /\\\0"))
            return false;
        if (parts.Length == 1)
        {
            requirement = new Requirement(parts[0], null);
            return true;
        }

        if (!ToolVersion.TryParse(parts[1], out var version))
            return false;
        requirement = new Requirement(parts[0], version);
        return true;
    }
}

/// <summary>A version: numbers with dots, of which missing ones are 0.</summary>
public readonly record struct ToolVersion(int Major, int Minor, int Patch) : IComparable<ToolVersion>
{
    /// <summary>Reads a version of one to three numbers.</summary>
    public static bool TryParse(string? text, out ToolVersion version)
    {
        version = default;
        var parts = (text ?? "").Split('.');
        if (parts.Length is 0 or > 3)
            return false;
        Span<int> numbers = [0, 0, 0];
        for (var i = 0; i < parts.Length; i++)
        {
            if (!int.TryParse(parts[i], NumberStyles.None, CultureInfo.InvariantCulture, out numbers[i]))
                return false;
        }

        version = new ToolVersion(numbers[0], numbers[1], numbers[2]);
        return true;
    }

    /// <summary>The first version that a text names, such as what <c>git --version</c> answers; null for none.</summary>
    public static ToolVersion? FindIn(string text)
    {
        for (var i = 0; i < text.Length; i++)
        {
            if (!char.IsAsciiDigit(text[i]) || (i > 0 && (char.IsAsciiDigit(text[i - 1]) || text[i - 1] == '.')))
                continue;
            var end = i;
            while (end < text.Length && (char.IsAsciiDigit(text[end]) || (text[end] == '.' && end + 1 < text.Length && char.IsAsciiDigit(text[end + 1]))))
                end++;
            var parts = text[i..end].Split('.');
            if (parts.Length > 1 && TryParse(string.Join('.', parts.Take(3)), out var version))
                return version;
        }

        return null;
    }

    /// <inheritdoc/>
    public int CompareTo(ToolVersion other) => (Major, Minor, Patch).CompareTo((other.Major, other.Minor, other.Patch));

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Major}.{Minor}.{Patch}");

    public static bool operator <(ToolVersion left, ToolVersion right) => left.CompareTo(right) < 0;

    public static bool operator >(ToolVersion left, ToolVersion right) => left.CompareTo(right) > 0;

    public static bool operator <=(ToolVersion left, ToolVersion right) => left.CompareTo(right) <= 0;

    public static bool operator >=(ToolVersion left, ToolVersion right) => left.CompareTo(right) >= 0;
}

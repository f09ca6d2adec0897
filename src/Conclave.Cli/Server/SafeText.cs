using System.Globalization;
using System.Text;

namespace Conclave.Cli.Server;

/// <summary>
/// Text from a server, as a terminal may see it. Workflow names, inputs and messages come from anyone who can start a
/// workflow; their control characters could rewrite the screen or hide what a line says.
/// </summary>
internal static class SafeText
{
    /// <summary>One line: line breaks and tabs become spaces, other control characters visible escapes.</summary>
    public static string Line(string? text) => Clean(text ?? "", keepLines: false);

    /// <summary>As <see cref="Line"/>, but lines stay lines.</summary>
    public static string Block(string? text) => Clean(text ?? "", keepLines: true);

    /// <summary>
    /// JSON that means the same, without raw control characters. JSON has those only inside strings, where an escape
    /// stands for them; its own line breaks stay.
    /// </summary>
    public static string Json(string json) => Clean(json, keepLines: true);

    /// <summary>A line of at most so many characters; what is cut off shows as an ellipsis.</summary>
    public static string Short(string? text, int length)
    {
        var line = Line(text);
        if (line.Length <= length)
            return line;
        var end = char.IsHighSurrogate(line[length - 2]) ? length - 2 : length - 1;
        return $"{line[..end]}…";
    }

    private static string Clean(string text, bool keepLines)
    {
        if (!text.AsSpan().ContainsAnyExceptInRange(' ', '~'))
            return text;
        var clean = new StringBuilder(text.Length + 16);
        for (var i = 0; i < text.Length; i++)
        {
            var c = text[i];
            if (c is '\n' or '\t' or '\r')
                clean.Append(keepLines ? c == '\r' ? "" : c.ToString() : " ");
            else if (char.IsSurrogatePair(text, i))
            {
                i++;
                var isHidden = Rune.GetUnicodeCategory(new Rune(c, text[i])) is UnicodeCategory.Format;
                clean.Append(isHidden ? Escape(c) + Escape(text[i]) : text.Substring(i - 1, 2));
            }
            else if (IsHarmful(c))
                clean.Append(Escape(c));
            else
                clean.Append(c);
        }

        return clean.ToString();
    }

    // Format characters turn text around or hide it; a lone surrogate is no character at all.
    private static bool IsHarmful(char c) => char.GetUnicodeCategory(c)
        is UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.Surrogate
        or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator;

    private static string Escape(char c) => string.Create(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}");
}

using System.Globalization;

namespace Conclave.Server.Inference.Ollama;

/// <summary>Durations as Go writes them: <c>1h30m</c>, <c>5m</c>, <c>250ms</c>. Source: Go's <c>time.ParseDuration</c>.</summary>
internal static class GoDuration
{
    private static readonly (string Unit, double Seconds)[] Units = [("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("h", 3600), ("m", 60), ("s", 1)];

    /// <summary>Reads a duration; a plain number is seconds, and a negative one is for ever.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out TimeSpan duration)
    {
        duration = default;
        text = text.Trim();
        if (text.IsEmpty)
            return false;
        if (text[0] == '-')
        {
            duration = TimeSpan.MaxValue;
            return TryParse(text[1..], out _);
        }

        if (double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var plain))
            return TryMake(plain, out duration);
        var seconds = 0d;
        while (!text.IsEmpty)
        {
            var digits = 0;
            while (digits < text.Length && (char.IsAsciiDigit(text[digits]) || text[digits] == '.'))
                digits++;
            if (!double.TryParse(text[..digits], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number))
                return false;
            text = text[digits..];
            var found = false;
            foreach (var (unit, worth) in Units)
            {
                if (!text.StartsWith(unit, StringComparison.Ordinal))
                    continue;
                seconds += number * worth;
                text = text[unit.Length..];
                found = true;
                break;
            }

            if (!found)
                return false;
        }

        return TryMake(seconds, out duration);
    }

    private static bool TryMake(double seconds, out TimeSpan duration)
    {
        duration = seconds < 1e9 ? TimeSpan.FromSeconds(seconds) : TimeSpan.MaxValue;
        return true;
    }
}

using System.Text;

namespace Conclave.Server.Telemetry.Prometheus;

/// <summary>Turns OpenTelemetry's names and units into those of Prometheus.</summary>
internal static class PrometheusNames
{
    /// <summary>The name of a metric without <c>_total</c>: snake case, ending in its unit.</summary>
    /// <param name="name">Name of the instrument, such as <c>elsa.activity.duration</c>.</param>
    /// <param name="unit">Unit in UCUM, such as <c>s</c>, <c>By</c> or <c>{item}</c>.</param>
    /// <param name="isGauge">Gauges of unit 1 are ratios.</param>
    /// <remarks>Source: OpenTelemetry specification, "Prometheus and OpenMetrics Compatibility".</remarks>
    public static string Metric(string name, string? unit, bool isGauge)
    {
        var plain = Plain(name, colon: true);
        if (plain.EndsWith("_total", StringComparison.Ordinal)) plain = plain[..^"_total".Length];
        var suffix = Unit(unit, isGauge);
        return suffix is null || plain.EndsWith('_' + suffix, StringComparison.Ordinal) || plain == suffix
            ? plain
            : $"{plain}_{suffix}";
    }

    /// <summary>The name of a label. Names that Prometheus keeps for itself get another.</summary>
    public static string Label(string name)
    {
        var plain = Plain(name, colon: false);
        if (plain.StartsWith("__", StringComparison.Ordinal)) plain = "_" + plain.TrimStart('_');
        return plain is "le" or "quantile" ? plain + "_" : plain;
    }

    /// <summary>The unit as words; null for none.</summary>
    public static string? Unit(string? unit, bool isGauge)
    {
        if (string.IsNullOrEmpty(unit) || unit.StartsWith('{')) return null;
        if (unit.IndexOf('/', StringComparison.Ordinal) is > 0 and var slash)
        {
            var (amount, per) = (Unit(unit[..slash], isGauge), Single(unit[(slash + 1)..]));
            return amount is null || per is null ? null : $"{amount}_per_{per}";
        }
        return unit switch
        {
            "1" => isGauge ? "ratio" : null,
            "s" => "seconds",
            "ms" => "milliseconds",
            "us" => "microseconds",
            "ns" => "nanoseconds",
            "min" => "minutes",
            "h" => "hours",
            "d" => "days",
            "By" => "bytes",
            "KiBy" => "kibibytes",
            "MiBy" => "mebibytes",
            "GiBy" => "gibibytes",
            "Cel" => "celsius",
            "%" => "percent",
            _ => Plain(unit, colon: false).Trim('_') is { Length: > 0 } word ? word : null,
        };
    }

    private static string? Single(string unit) => unit switch
    {
        "s" => "second",
        "min" or "m" => "minute",
        "h" => "hour",
        "d" => "day",
        _ => null,
    };

    private static string Plain(string name, bool colon)
    {
        var text = new StringBuilder(name.Length + 1);
        foreach (var character in name)
        {
            if (char.IsAsciiLetter(character) || (char.IsAsciiDigit(character) && text.Length > 0)) text.Append(character);
            else if (char.IsAsciiDigit(character)) text.Append('_').Append(character);
            else if (colon && character == ':') text.Append(character);
            else if (!(colon && text.Length > 0 && text[^1] == '_')) text.Append('_');
        }
        return text.Length == 0 ? "_" : text.ToString();
    }
}

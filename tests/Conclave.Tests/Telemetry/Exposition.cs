using System.Globalization;
using System.Text.RegularExpressions;

namespace Conclave.Tests.Telemetry;

/// <summary>One sample of a metric.</summary>
internal sealed record Sample(string Name, IReadOnlyDictionary<string, string> Labels, double Value);

/// <summary>A metric with its samples.</summary>
internal sealed record Family(string Name, string Help, string Type, List<Sample> Samples)
{
    public double Value(string suffix, params (string Name, string Value)[] labels) => Assert.Single(Samples, s =>
        s.Name == Name + suffix && s.Labels.Count == labels.Length && labels.All(l => s.Labels.GetValueOrDefault(l.Name) == l.Value)).Value;
}

/// <summary>Reads exposition text and refuses what a strict reader would refuse.</summary>
internal static partial class Exposition
{
    public static Dictionary<string, Family> Parse(string text, bool openMetrics)
    {
        Assert.EndsWith(openMetrics ? "# EOF\n" : "\n", text, StringComparison.Ordinal);
        Assert.DoesNotContain('\r', text);
        var families = new Dictionary<string, Family>(StringComparer.Ordinal);
        Family? family = null;
        var seen = new HashSet<string>(StringComparer.Ordinal);
        string? help = null;
        foreach (var line in text.TrimEnd('\n').Split('\n'))
        {
            if (line == "# EOF")
            {
                Assert.True(openMetrics);
                continue;
            }
            if (line.StartsWith("# HELP ", StringComparison.Ordinal))
            {
                help = line["# HELP ".Length..];
            }
            else if (line.StartsWith("# TYPE ", StringComparison.Ordinal))
            {
                var parts = line.Split(' ');
                Assert.Equal(4, parts.Length);
                Assert.Contains(parts[3], (string[])["counter", "gauge", "histogram"]);
                Assert.StartsWith(parts[2] + " ", help, StringComparison.Ordinal);
                var name = parts[2];
                if (parts[3] == "counter" && !openMetrics)
                {
                    Assert.EndsWith("_total", name, StringComparison.Ordinal);
                    name = name[..^6];
                }
                family = new Family(name, Unescape(help![(parts[2].Length + 1)..], quotes: openMetrics), parts[3], []);
                Assert.True(families.TryAdd(family.Name, family), $"{family.Name} appears twice");
            }
            else if (line.StartsWith("# UNIT ", StringComparison.Ordinal))
            {
                var parts = line.Split(' ');
                Assert.True(openMetrics);
                Assert.Equal(family!.Name, parts[2]);
                Assert.EndsWith("_" + parts[3], parts[2], StringComparison.Ordinal);
            }
            else
            {
                var match = SampleLine().Match(line);
                Assert.True(match.Success, $"Not a sample: {line}");
                Assert.NotNull(family);
                var name = match.Groups["name"].Value;
                Assert.Contains(name, family.Type switch
                {
                    "counter" => (string[])[family.Name + "_total"],
                    "gauge" => [family.Name],
                    _ => [family.Name + "_bucket", family.Name + "_sum", family.Name + "_count"],
                });
                Assert.True(seen.Add(match.Groups["series"].Value), $"Twice: {line}");
                var labels = new Dictionary<string, string>(StringComparer.Ordinal);
                foreach (Match label in Label().Matches(match.Groups["labels"].Value))
                    labels.Add(label.Groups[1].Value, Unescape(label.Groups[2].Value, quotes: true));
                family.Samples.Add(new Sample(name, labels, Number(match.Groups["value"].Value)));
            }
        }
        foreach (var histogram in families.Values.Where(f => f.Type == "histogram"))
            CheckHistogram(histogram);
        return families;
    }

    private static void CheckHistogram(Family family)
    {
        foreach (var series in family.Samples.GroupBy(s => string.Join(',', s.Labels.Where(l => l.Key != "le").Select(l => $"{l.Key}={l.Value}"))))
        {
            var buckets = series.Where(s => s.Name.EndsWith("_bucket", StringComparison.Ordinal)).ToList();
            var bounds = buckets.ConvertAll(b => Number(b.Labels["le"]));
            Assert.Equal(bounds.Order().Distinct(), bounds);
            Assert.Equal(double.PositiveInfinity, bounds[^1]);
            Assert.Equal(buckets.Select(b => b.Value).Order(), buckets.Select(b => b.Value));
            Assert.Equal(buckets[^1].Value, Assert.Single(series, s => s.Name.EndsWith("_count", StringComparison.Ordinal)).Value);
            Assert.Single(series, s => s.Name.EndsWith("_sum", StringComparison.Ordinal));
        }
    }

    private static double Number(string text) => text switch
    {
        "+Inf" => double.PositiveInfinity,
        "-Inf" => double.NegativeInfinity,
        _ => double.Parse(text, NumberStyles.Float, CultureInfo.InvariantCulture),
    };

    private static string Unescape(string text, bool quotes) => Escape().Replace(text, match => match.Value switch
    {
        "\\n" => "\n",
        "\\\\" => "\\",
        "\\\"" when quotes => "\"",
        _ => throw new FormatException($"Bad escape {match.Value}"),
    });

    [GeneratedRegex("""^(?<series>(?<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?<labels>[a-zA-Z_][a-zA-Z0-9_]*="([^"\\]|\\.)*"(,[a-zA-Z_][a-zA-Z0-9_]*="([^"\\]|\\.)*")*)\})?) (?<value>[+-]?Inf|NaN|[-+0-9.eE]+)$""")]
    private static partial Regex SampleLine();

    [GeneratedRegex("""([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"(?:,|$)""")]
    private static partial Regex Label();

    [GeneratedRegex("""\\.""")]
    private static partial Regex Escape();
}

using System.Globalization;
using System.Text.Json;

namespace Conclave.Benchmarks;

/// <summary>One measured figure.</summary>
/// <param name="Bench">Name.</param>
/// <param name="PerSecond">Units per second, median of the rounds.</param>
/// <param name="MicrosecondsPerUnit">Time of one unit.</param>
/// <param name="BytesPerUnit">Bytes allocated for one unit.</param>
public sealed record Figure(string Bench, double PerSecond, double MicrosecondsPerUnit, double BytesPerUnit)
{
    /// <summary>More that belongs to the figure, such as the size of a state.</summary>
    public IReadOnlyDictionary<string, double>? More { get; init; }
}

/// <summary>Prints figures: as JSON, one line each, or as a table.</summary>
public sealed class Report(bool json)
{
    /// <summary>Prints one figure.</summary>
    public void Add(Figure figure)
    {
        if (json)
        {
            using var output = new MemoryStream();
            using (var writer = new Utf8JsonWriter(output))
            {
                writer.WriteStartObject();
                writer.WriteString("bench", figure.Bench);
                writer.WriteNumber("perSecond", Math.Round(figure.PerSecond));
                writer.WriteNumber("microsecondsPerUnit", Math.Round(figure.MicrosecondsPerUnit, 3));
                writer.WriteNumber("bytesPerUnit", Math.Round(figure.BytesPerUnit, 1));
                foreach (var (name, value) in figure.More ?? new Dictionary<string, double>())
                    writer.WriteNumber(name, Math.Round(value, 1));
                writer.WriteEndObject();
            }

            Console.WriteLine(System.Text.Encoding.UTF8.GetString(output.ToArray()));
            return;
        }

        var more = string.Join(", ", (figure.More ?? new Dictionary<string, double>()).Select(m => string.Create(CultureInfo.InvariantCulture, $"{m.Key} {m.Value:N0}")));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{figure.Bench,-28} {figure.PerSecond,14:N0}/s {figure.MicrosecondsPerUnit,10:N3} µs {figure.BytesPerUnit,10:N1} B  {more}"));
    }
}

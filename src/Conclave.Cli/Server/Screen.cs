using System.Text.Json;
using System.Text.Json.Nodes;
using Spectre.Console;

namespace Conclave.Cli.Server;

/// <summary>Where a command's answer goes: as JSON for programs, or as text that is safe for terminals.</summary>
internal sealed class Screen(bool isJson)
{
    private readonly IAnsiConsole _console = Console(System.Console.IsOutputRedirected);

    public bool IsJson { get; } = isJson;

    public When When { get; } = When.Now();

    public static void Error(string message) => System.Console.Error.WriteLine(SafeText.Block(message));

    public static void Json(JsonElement json) => System.Console.Out.WriteLine(SafeText.Json(json.GetRawText()));

    public static void Json(JsonNode json) => System.Console.Out.WriteLine(SafeText.Json(json.ToJsonString()));

    /// <summary>Prints an answer as JSON if that was asked for.</summary>
    /// <returns>Whether it did, so that there is no more to print.</returns>
    public bool DidJson(JsonElement answer)
    {
        if (IsJson)
            System.Console.Out.WriteLine(answer.ValueKind == JsonValueKind.Undefined ? "{}" : SafeText.Json(answer.GetRawText()));
        return IsJson;
    }

    public static void Line(string text) => System.Console.Out.WriteLine(SafeText.Block(text));

    public void Table(IEnumerable<JsonElement> rows, params Column[] columns) => Write(_console, rows, columns);

    /// <summary>Writes a table; columns without a value in any row are left out.</summary>
    internal static void Write(IAnsiConsole console, IEnumerable<JsonElement> rows, params Column[] columns)
    {
        var cells = rows.Select(r => columns.Select(c => SafeText.Line(c.Value(r))).ToArray()).ToList();
        var shown = Enumerable.Range(0, columns.Length).Where(i => columns[i].IsKept || cells.Any(r => r[i].Length > 0)).ToArray();
        var table = new Table { Border = console.Profile.Capabilities.Ansi ? TableBorder.Simple : TableBorder.None };
        foreach (var i in shown)
        {
            var column = new TableColumn(new Text(columns[i].Header)) { NoWrap = columns[i].IsKept };
            table.AddColumn(columns[i].IsNumber ? column.RightAligned() : column);
        }

        foreach (var row in cells)
            table.AddRow(shown.Select(i => new Text(row[i], columns[i].IsStatus ? StyleOf(row[i]) : Style.Plain)));
        console.Write(table);
    }

    private static IAnsiConsole Console(bool isRedirected)
    {
        // Wide, so that a row stays a line for grep and the like.
        if (isRedirected)
            AnsiConsole.Profile.Width = 2000;
        return AnsiConsole.Console;
    }

    private static Style StyleOf(string status) => status switch
    {
        "Finished" or "created" or "updated" => new Style(Color.Green),
        "Faulted" or "refused" => new Style(Color.Red),
        "Suspended" or "Pending" => new Style(Color.Yellow),
        "Cancelled" or "unchanged" => new Style(Color.Grey),
        _ => Style.Plain,
    };
}

/// <summary>A column of a table.</summary>
/// <param name="Header">What stands above it.</param>
/// <param name="Value">The text for a row; made safe by the table.</param>
internal sealed record Column(string Header, Func<JsonElement, string> Value)
{
    /// <summary>Whether it is never broken and never left out, as ids that are copied from it.</summary>
    public bool IsKept { get; init; }

    public bool IsNumber { get; init; }

    /// <summary>Whether its text is a status, which has a colour.</summary>
    public bool IsStatus { get; init; }

    public Column(string header, string member) : this(header, r => r.Text(member))
    {
    }
}

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

    /// <summary>
    /// Writes a table with a line for each row. Columns without a value in any row are left out; on a narrow terminal times
    /// are relative alone, then optional columns go, then what is too long is cut, but never an id.
    /// </summary>
    internal static void Write(IAnsiConsole console, IEnumerable<JsonElement> rows, params Column[] columns)
    {
        var items = rows.ToList();
        var shown = columns.Select(c => new Shown(c, [.. items.Select(i => SafeText.Line(c.Value(i)))])).ToList();
        shown.RemoveAll(c => !c.Column.IsKept && c.Cells.All(t => t.Length == 0));
        var gap = Fit(shown, items, console.Profile.Width);
        var table = new Table { Border = TableBorder.None };
        foreach (var (column, _) in shown)
        {
            var header = new TableColumn(new Text(column.Header, new Style(decoration: Decoration.Bold))) { Padding = new Padding(0, 0, gap, 0), NoWrap = true };
            table.AddColumn(column.IsNumber ? header.RightAligned() : header);
        }

        for (var row = 0; row < items.Count; row++)
            table.AddRow(shown.Select(c => new Text(c.Cells[row], c.Column.IsStatus ? StyleOf(c.Cells[row]) : Style.Plain)));
        console.Write(table);
    }

    private static int Fit(List<Shown> shown, List<JsonElement> items, int width)
    {
        const int gap = 2;
        if (Excess(gap) <= 0)
            return gap;
        for (var i = 0; i < shown.Count; i++)
        {
            if (shown[i].Column.Narrow is { } narrow)
                shown[i] = shown[i] with { Cells = [.. items.Select(item => SafeText.Line(narrow(item)))] };
        }

        while (Excess(gap) > 0 && shown.FindLastIndex(c => c.Column.IsOptional) is >= 0 and var optional)
            shown.RemoveAt(optional);
        while (Excess(1) > 0 && shown.Where(c => c.Column is { IsKept: false, Narrow: null } && c.Width > Math.Max(8, c.Column.Header.Length)).MaxBy(c => c.Width) is { } longest)
        {
            var length = Math.Max(Math.Max(8, longest.Column.Header.Length), longest.Width - Excess(1));
            shown[shown.IndexOf(longest)] = longest with { Cells = [.. longest.Cells.Select(t => SafeText.Short(t, length))] };
        }

        return Excess(gap) <= 0 ? gap : 1;

        int Excess(int between) => shown.Sum(c => c.Width + between) - width;
    }

    private static IAnsiConsole Console(bool isRedirected)
    {
        // Wide, so that a row stays a line for grep and the like.
        if (isRedirected)
            AnsiConsole.Profile.Width = 2000;
        return AnsiConsole.Console;
    }

    private sealed record Shown(Column Column, List<string> Cells)
    {
        public int Width => Math.Max(Column.Header.Length, Cells.Count > 0 ? Cells.Max(c => c.Length) : 0);
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

    /// <summary>Whether it goes when the terminal is too narrow for all.</summary>
    public bool IsOptional { get; init; }

    /// <summary>A shorter text for narrow terminals.</summary>
    public Func<JsonElement, string>? Narrow { get; init; }

    /// <summary>Whether its text is a status, which has a colour.</summary>
    public bool IsStatus { get; init; }

    public Column(string header, string member) : this(header, r => r.Text(member))
    {
    }

    /// <summary>A column of times.</summary>
    public static Column Time(string header, When when, params string[] members) =>
        new(header, r => when.Text(r.Member(members))) { Narrow = r => when.Ago(r.Member(members)) };
}

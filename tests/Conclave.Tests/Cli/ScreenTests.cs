using System.Text.Json;
using Conclave.Cli.Server;
using Spectre.Console;

namespace Conclave.Tests.Cli;

/// <summary>What people see: safe text, times, and tables that fit.</summary>
public sealed class ScreenTests
{
    private static readonly DateTimeOffset Now = new(2026, 3, 10, 12, 0, 0, TimeSpan.Zero);

    [Theory]
    [InlineData("plain", "plain")]
    [InlineData("Grüße 你好 👋🏽", "Grüße 你好 👋🏽")]
    [InlineData("a\u001b[31mb", "a\\u001b[31mb")]
    [InlineData("a\u009b31mb\u007f", "a\\u009b31mb\\u007f")]
    [InlineData("a\u202eb\u200bc\u2028d", "a\\u202eb\\u200bc\\u2028d")]
    [InlineData("a\r\nb\tc", "a  b c")]
    [InlineData("\U000e0041hidden", "\\udb40\\udc41hidden")]
    public void Line_IsSafe(string text, string expected) => Assert.Equal(expected, SafeText.Line(text));

    [Fact]
    public void Line_HalfACharacter_IsEscaped()
    {
        Assert.Equal("a\\ud800", SafeText.Line("a\ud800"));
        Assert.Equal("\\udc00b", SafeText.Line("\udc00b"));
    }

    [Fact]
    public void Block_KeepsLinesAndNoCarriageReturns() => Assert.Equal("a\nb", SafeText.Block("a\r\nb"));

    [Fact]
    public void Short_DoesNotCutACharacterInHalf()
    {
        Assert.Equal("abc", SafeText.Short("abc", 3));
        Assert.Equal("ab…", SafeText.Short("abcd", 3));
        Assert.Equal("a…", SafeText.Short("a👋bc", 3));
    }

    [Fact]
    public void Json_MeansTheSame()
    {
        var safe = SafeText.Json("{\"a\u009b\":\n \"b\u202e\"}");

        Assert.Equal("b\u202e", JsonElement.Parse(safe).GetProperty("a\u009b").GetString());
        Assert.DoesNotContain('\u202e', safe);
    }

    [Theory]
    [InlineData("2026-03-10T11:55:00Z", "12:55, 5 min ago")]
    [InlineData("2026-03-10T12:00:00Z", "13:00, now")]
    [InlineData("2026-03-10T14:00:00Z", "15:00, in 2 h")]
    [InlineData("2026-03-09T10:00:00Z", "Mar 9 11:00, 1 d ago")]
    [InlineData("2020-01-02T03:04:05Z", "2020-01-02, 6 y ago")]
    [InlineData("soon\u001b", "soon\\u001b")]
    public void When_IsLocalAndRelative(string time, string expected)
    {
        var when = new When(Now, TimeZoneInfo.CreateCustomTimeZone("test", TimeSpan.FromHours(1), "test", "test"));

        Assert.Equal(expected, when.Text(JsonElement.Parse(JsonSerializer.Serialize(time))));
    }

    [Fact]
    public void When_NoTime_IsEmpty() => Assert.Empty(new When(Now, TimeZoneInfo.Utc).Text(default));

    [Theory]
    [InlineData(AnsiSupport.Yes)]
    [InlineData(AnsiSupport.No)]
    public void Table_LongTexts_FitsIn80ColumnsAndKeepsIdsWhole(AnsiSupport ansi)
    {
        const string id = "0197f3c4-5d7e-7a31-9f0e-2b7c1d5e8f90";
        var row = JsonElement.Parse($$"""{"id":"{{id}}","w":"[red]a workflow with a long id[/]","s":"Suspended","n":"\u001b[31m{{new string('x', 60)}}","t":"13:55, 5 min ago"}""");
        using var writer = new StringWriter();
        var console = AnsiConsole.Create(new AnsiConsoleSettings { Ansi = ansi, ColorSystem = ColorSystemSupport.NoColors, Out = new AnsiConsoleOutput(writer) });
        console.Profile.Width = 80;

        Screen.Write(
            console,
            [row],
            new Column("Id", "id") { IsKept = true },
            new Column("Workflow", "w"),
            new Column("Status", "s") { IsStatus = true },
            new Column("Empty", "none"),
            new Column("Name", "n"),
            new Column("Optional", "n") { IsOptional = true },
            new Column("Changed", "t") { Narrow = _ => "5 min ago" });

        var lines = writer.ToString().Replace("\u001b[1m", "", StringComparison.Ordinal).Replace("\u001b[0m", "", StringComparison.Ordinal).Split('\n');
        Assert.All(lines, l => Assert.True(l.TrimEnd('\r').Length <= 80, l));
        Assert.Contains(lines, l => l.Contains(id, StringComparison.Ordinal));
        Assert.Equal(2, lines.Count(l => l.Trim().Length > 0));
        Assert.Contains("Suspended", lines[1], StringComparison.Ordinal);
        Assert.DoesNotContain("Optional", writer.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("Empty", writer.ToString(), StringComparison.Ordinal);
        Assert.Contains("[red]", writer.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("\u001b[31m", writer.ToString(), StringComparison.Ordinal);
    }
}

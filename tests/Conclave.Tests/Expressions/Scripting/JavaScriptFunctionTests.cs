namespace Conclave.Tests.Expressions.Scripting;

/// <summary>Helper functions, .NET types and typed values.</summary>
[Collection(ScriptTests.Name)]
public sealed class JavaScriptFunctionTests(ScriptPool scripts)
{
    [Theory]
    [InlineData("[isNullOrWhiteSpace(null), isNullOrWhiteSpace(' '), isNullOrWhiteSpace('a')]", "[true,true,false]")]
    [InlineData("[isNullOrEmpty(undefined), isNullOrEmpty(''), isNullOrEmpty(' ')]", "[true,true,false]")]
    [InlineData("toJson({ a: [1] })", "\"{\\\"a\\\":[1]}\"")]
    [InlineData("bytesToString(bytesFromString('grün €😀'))", "\"grün €😀\"")]
    [InlineData("bytesToString(new Uint8Array([0x61, 0xff, 0x62, 0xe2, 0x82]))", "\"a\ufffdb\ufffd\ufffd\"")]
    [InlineData("bytesToBase64(bytesFromString('hi'))", "\"aGk=\"")]
    [InlineData("bytesFromBase64('aGk=').length", "2")]
    [InlineData("stringToBase64('hällo')", "\"aMOkbGxv\"")]
    [InlineData("stringFromBase64('aMOkbGxv')", "\"hällo\"")]
    [InlineData("streamToBytes('aGk=')[0]", "104")]
    [InlineData("streamToBase64(new Uint8Array([1, 2, 3, 4]))", "\"AQIDBA==\"")]
    [InlineData("parseGuid('{0E8BC4A2-7C41-4C4E-9D69-3C2E1B6E2F10}').toString()", "\"0e8bc4a2-7c41-4c4e-9d69-3c2e1b6e2f10\"")]
    [InlineData("/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(newGuidString())", "true")]
    [InlineData("newGuid() instanceof Guid && getGuidString().length === 36", "true")]
    [InlineData("/^[A-Za-z0-9]{15,22}$/.test(newShortGuid()) && getShortGuid() !== getShortGuid()", "true")]
    [InlineData("Guid.Empty.ToString('N')", "\"00000000000000000000000000000000\"")]
    [InlineData("Guid.Parse(Guid.Empty.ToString('B')).Equals(Guid.Empty)", "true")]
    public async Task Helper_Called_GivesResult(string script, string expected) =>
        Assert.Equal(expected, await scripts.Pool.ValueAsync(script));

    [Theory]
    [InlineData("new DateTime(2026, 1, 31).AddMonths(1).ToString('yyyy-MM-dd')", "\"2026-02-28\"")]
    [InlineData("new DateTime(2026, 1, 31, 13, 5, 9).ToString()", "\"01/31/2026 13:05:09\"")]
    [InlineData("new DateTime(2026, 1, 5).ToString('ddd, d MMMM yy h:mm tt')", "\"Mon, 5 January 26 12:00 AM\"")]
    [InlineData("DateTime.Parse('2026-01-31T12:00:00Z').AddDays(1.5).toJSON()", "\"2026-02-02T00:00:00Z\"")]
    [InlineData("DateTime.Parse('2026-03-01').Subtract(DateTime.Parse('2026-02-27')).TotalDays", "2")]
    [InlineData("const d = new DateTime(2024, 2, 29); [d.Year, d.Month, d.Day, d.DayOfWeek, d.DayOfYear, d.Kind]",
        "[2024,2,29,\"Thursday\",60,\"Unspecified\"]")]
    [InlineData("DateTime.UtcNow.Kind + DateTime.Now.Kind + DateTime.IsLeapYear(2000)", "\"UtcLocaltrue\"")]
    [InlineData("DateTime.DaysInMonth(2024, 2)", "29")]
    [InlineData("new DateTime(99, 12, 31).Year", "99")]
    [InlineData("new DateTime(2026, 1, 1).Ticks === 639028224000000000", "true")]
    [InlineData("DateTimeOffset.Parse('2026-01-31T12:00:00+02:00').ToUniversalTime().Hour", "10")]
    [InlineData("DateTimeOffset.Parse('2026-01-31T12:00:00+02:00').ToString()", "\"01/31/2026 12:00:00 +02:00\"")]
    [InlineData("DateTimeOffset.FromUnixTimeSeconds(0).ToUnixTimeMilliseconds()", "0")]
    [InlineData("new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.FromHours(1)).UtcDateTime.Hour", "23")]
    [InlineData("DateTimeOffset.Now > DateTimeOffset.UtcNow.AddHours(-1)", "true")]
    [InlineData("TimeSpan.FromSeconds(90).ToString()", "\"00:01:30\"")]
    [InlineData("TimeSpan.Parse('1.02:03:04.5').TotalSeconds", "93784.5")]
    [InlineData("TimeSpan.FromDays(-1.5).toString()", "\"-1.12:00:00\"")]
    [InlineData("new TimeSpan(1, 2, 3, 4).Add(TimeSpan.FromMilliseconds(5)).toString()", "\"1.02:03:04.0050000\"")]
    [InlineData("const t = TimeSpan.FromHours(25); [t.Days, t.Hours, t.TotalMinutes]", "[1,1,1500]")]
    [InlineData("const r = new Random(7).Next(1, 3); r >= 1 && r < 3 && new Random(7).Next() === new Random(7).Next()", "true")]
    [InlineData("LogPersistenceMode.Exclude", "\"Exclude\"")]
    [InlineData("new HttpHeaders({ 'Content-Type': 'text/plain', A: ['1', 2] })", "{\"Content-Type\":[\"text/plain\"],\"A\":[\"1\",\"2\"]}")]
    [InlineData("new Downloadable(new Uint8Array([1]), 'a.bin', 'application/x')",
        "{\"Content\":\"AQ==\",\"Filename\":\"a.bin\",\"ContentType\":\"application/x\",\"ETag\":null}")]
    [InlineData("new HttpResilienceStrategy({ id: 'x' })", "{\"id\":\"x\"}")]
    public async Task DotNetType_Used_BehavesLikeDotNet(string script, string expected) =>
        Assert.Equal(expected, await scripts.Pool.ValueAsync(script));

    [Theory]
    [InlineData("DateTime", "\"2026-01-31T12:00:00.1234567Z\"", "getX()", "\"2026-01-31T12:00:00.1234567Z\"", "DateTime")]
    [InlineData("DateTime", "\"2026-01-31T12:00:00\"", "getX().AddTicks(1)", "\"2026-01-31T12:00:00.0000001\"", "DateTime")]
    [InlineData("DateTimeOffset", "\"2026-01-31T12:00:00.5+02:00\"", "getX()", "\"2026-01-31T12:00:00.5+02:00\"", "DateTimeOffset")]
    [InlineData("TimeSpan", "\"1.02:03:04.0000001\"", "getX()", "\"1.02:03:04.0000001\"", "TimeSpan")]
    [InlineData("Guid", "\"0e8bc4a2-7c41-4c4e-9d69-3c2e1b6e2f10\"", "getX()", "\"0e8bc4a2-7c41-4c4e-9d69-3c2e1b6e2f10\"", "Guid")]
    [InlineData("Bytes", "\"AQID\"", "getX()", "\"AQID\"", "Bytes")]
    [InlineData("Bytes", "\"AQID\"", "getX().length", "3", null)]
    [InlineData("Decimal", "\"1.50\"", "getX() + 1", "2.5", null)]
    [InlineData("Int64", "\"9007199254740993\"", "getX()", "9007199254740993", "Int64")]
    [InlineData("Int64", "\"12\"", "getX() + 1", "13", null)]
    [InlineData("DateTime", "\"2026-01-31T12:00:00Z\"", "({ at: getX(), n: 1n })", "{\"at\":\"2026-01-31T12:00:00Z\",\"n\":1}", null)]
    [InlineData("DateTime", "null", "getX()", "null", null)]
    [InlineData("DateTime", "\"2026-01-31T12:00:00Z\"", "new Date(getX())", "\"2026-01-31T12:00:00.000Z\"", "DateTime")]
    public async Task TypedValue_ThroughAScript_KeepsTypeAndPrecision(
        string type, string json, string script, string expected, string? expectedType)
    {
        var scope = "{\"variables\":{\"x\":{\"v\":" + json + ",\"t\":\"" + type + "\"}}}";

        var result = await scripts.Pool.EvaluateAsync(script, scope);

        Assert.Equal(expected, result.Value.Text());
        Assert.Equal(expectedType, result.Value.Type);
        Assert.Null(result.Variables);
    }

    [Fact]
    public async Task TypedVariable_Changed_IsWrittenBackWithItsType()
    {
        var result = await scripts.Pool.EvaluateAsync(
            "variables.bytes[0] = 9; variables.due = TimeSpan.FromMinutes(1)",
            """{ "variables": { "bytes": { "v": "AQID", "t": "Bytes" } } }""");

        Assert.Equal(("\"CQID\"", "Bytes"), (result.Variables!["bytes"].Text(), result.Variables["bytes"].Type));
        Assert.Equal(("\"00:01:00\"", "TimeSpan"), (result.Variables["due"].Text(), result.Variables["due"].Type));
    }
}

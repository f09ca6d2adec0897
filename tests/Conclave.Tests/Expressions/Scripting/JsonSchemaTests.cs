using System.Text;
using Conclave.Workflows.Expressions.Scripting;

namespace Conclave.Tests.Expressions.Scripting;

[Collection(ScriptTests.Name)]
public sealed class JsonSchemaTests(ScriptPool scripts)
{
    private const string Person = """
        { "type": "object", "required": ["name"], "additionalProperties": false,
          "properties": { "name": { "type": "string", "minLength": 1 }, "mail": { "format": "email" },
                          "at": { "type": "string", "format": "date-time" }, "kind": { "enum": ["a", "b"] } } }
        """;

    [Theory]
    [InlineData(Person, """{ "name": "Ann", "mail": "a@example.org", "at": "2026-01-31T12:00:00Z" }""")]
    [InlineData("true", "1")]
    [InlineData("""{ "$schema": "https://json-schema.org/draft/2020-12/schema", "prefixItems": [{ "type": "number" }] }""", "[1, \"x\"]")]
    [InlineData("""{ "$schema": "http://json-schema.org/draft-07/schema#", "items": [{ "type": "number" }] }""", "[1, \"x\"]")]
    [InlineData("""{ "$defs": { "n": { "properties": { "c": { "$ref": "#/$defs/n" } }, "type": "object" } }, "$ref": "#/$defs/n" }""", """{ "c": { "c": {} } }""")]
    public async Task Value_Fits_IsValid(string schema, string value)
    {
        var report = await ValidateAsync(schema, value);

        Assert.True(report.Valid);
        Assert.Empty(report.Errors);
    }

    [Theory]
    [InlineData(Person, "{}", "", "required", "must have required property 'name'")]
    [InlineData(Person, """{ "name": 1 }""", "/name", "type", "must be string")]
    [InlineData(Person, """{ "name": "a", "mail": "no" }""", "/mail", "format", "must match format \"email\"")]
    [InlineData(Person, """{ "name": "a", "more": 1 }""", "", "additionalProperties", "must NOT have additional properties: 'more'")]
    [InlineData(Person, """{ "name": "a", "kind": "c" }""", "/kind", "enum", "must be equal to one of the allowed values: [\"a\",\"b\"]")]
    [InlineData("false", "1", "", "false schema", "boolean schema is false")]
    public async Task Value_DoesNotFit_ReportSaysWhereAndWhy(
        string schema, string value, string path, string keyword, string message)
    {
        var report = await ValidateAsync(schema, value);

        Assert.False(report.Valid);
        Assert.Equal(new SchemaError(path, keyword, message), Assert.Single(report.Errors));
    }

    [Theory]
    [InlineData("""{ "$ref": "https://example.org/other.json" }""", "another document")]
    [InlineData("""{ "type": "nope" }""", "type")]
    [InlineData("{ not json", "JSON")]
    [InlineData("""{ "pattern": "(" }""", "regular expression")]
    public async Task Schema_CannotBeUsed_FailsWithReason(string schema, string expected)
    {
        var error = await Assert.ThrowsAsync<ScriptException>(() => ValidateAsync(schema, "1"));

        Assert.Equal(ScriptFailure.Schema, error.Kind);
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Schemas_SameId_DoNotMix()
    {
        Assert.True((await ValidateAsync("""{ "$id": "https://example.org/a", "type": "number" }""", "1")).Valid);
        Assert.False((await ValidateAsync("""{ "$id": "https://example.org/a", "type": "string" }""", "1")).Valid);
    }

    [Fact]
    public async Task Schema_CatastrophicPattern_CostsOneRunnerOnly()
    {
        await using var pool = ScriptPool.Create(new ScriptRunnerOptions
        {
            Runners = 1,
            TimeLimit = TimeSpan.FromMilliseconds(300),
            KillGrace = TimeSpan.FromMilliseconds(200),
        });
        var schema = """{ "pattern": "^(a+)+$" }"""u8.ToArray();
        var value = Encoding.UTF8.GetBytes($"\"{new string('a', 60)}!\"");

        var error = await Assert.ThrowsAsync<ScriptException>(
            async () => await pool.ValidateJsonAsync(schema, value, CancellationToken.None));

        Assert.Equal(ScriptFailure.Timeout, error.Kind);
        Assert.Equal("2", await pool.ValueAsync("1 + 1"));
    }

    private Task<SchemaReport> ValidateAsync(string schema, string value) => scripts.Pool.ValidateJsonAsync(
        Encoding.UTF8.GetBytes(schema), Encoding.UTF8.GetBytes(value), CancellationToken.None).AsTask();
}

using Conclave.Workflows.Expressions.Scripting;

namespace Conclave.Tests.Expressions.Scripting;

/// <summary>What a script's result is, and how errors point at the author's text.</summary>
[Collection(ScriptTests.Name)]
public sealed class JavaScriptValueTests(ScriptPool scripts)
{
    [Theory]
    [InlineData("1 + 1", "2")]
    [InlineData("const x = 1; x + 1", "2")]
    [InlineData("if (true) { 1 } else { 2 }", "1")]
    [InlineData("return 5", "5")]
    [InlineData("if (1 > 2) { return 'a' }\nreturn 'b' // last", "\"b\"")]
    [InlineData("const f = () => { return 3 }; f()", "3")]
    [InlineData("[1, 2].map(x => { return x * 2 })", "[2,4]")]
    [InlineData("'return'", "\"return\"")]
    [InlineData("({ a: 1, b: [true, null] })", "{\"a\":1,\"b\":[true,null]}")]
    [InlineData("({ a: undefined, f() {} })", "{}")]
    [InlineData("undefined", "null")]
    [InlineData("NaN", "null")]
    [InlineData("1 / 0", "null")]
    [InlineData("Symbol('x')", "null")]
    [InlineData("() => 1", "null")]
    [InlineData("", "null")]
    [InlineData("-0", "0")]
    [InlineData("1e21", "1e+21")]
    [InlineData("'a\\u2028b\\ud83d\\ude00'", "\"a\u2028b\ud83d\ude00\"")]
    [InlineData("'\\ud83d'", "\"\\ud83d\"")]
    [InlineData("let a = { b: null }; a?.b ?? (a.c ||= 5)", "5")]
    [InlineData("class A { #x = 1; static y = 2; get x() { return this.#x } }; new A().x + A.y", "3")]
    [InlineData("Object.groupBy([1, 2, 3], x => x % 2 ? 'odd' : 'even')", "{\"odd\":[1,3],\"even\":[2]}")]
    [InlineData("[...new Map([['a', 1]]).entries()]", "[[\"a\",1]]")]
    [InlineData("/(?<year>\\d{4})/.exec('in 2026').groups.year", "\"2026\"")]
    [InlineData("new Date(0).toISOString()", "\"1970-01-01T00:00:00.000Z\"")]
    [InlineData("JSON.parse('{\"__proto__\": {\"x\": 1}}')", "{\"__proto__\":{\"x\":1}}")]
    public async Task Script_AnyStyle_GivesItsValue(string script, string expected) =>
        Assert.Equal(expected, await scripts.Pool.ValueAsync(script));

    [Theory]
    [InlineData("Promise.resolve(1)", "1")]
    [InlineData("(async () => 7)()", "7")]
    [InlineData("await Promise.resolve(2)", "2")]
    [InlineData("const v = await Promise.resolve(3); v + 1", "4")]
    [InlineData("const v = await Promise.resolve(3); return v + 2", "5")]
    [InlineData("const f = async () => { return await 6 }; f()", "6")]
    [InlineData("({ then(resolve) { resolve(8) } })", "8")]
    [InlineData("Promise.all([1, Promise.resolve(2)])", "[1,2]")]
    [InlineData("let s = 0; for await (const x of (async function* () { yield 1; yield 2 })()) s += x; s", "3")]
    public async Task Script_WithPromises_WaitsForThem(string script, string expected) =>
        Assert.Equal(expected, await scripts.Pool.ValueAsync(script));

    [Fact]
    public async Task Script_WorkBehindUnusedPromise_StillHappens()
    {
        var result = await scripts.Pool.EvaluateAsync("Promise.resolve(4).then(v => setVariable('late', v)); 'done'");

        Assert.Equal("\"done\"", result.Value.Text());
        Assert.Equal("4", result.Variables!["late"].Text());
    }

    [Fact]
    public async Task Script_PromiseThatNothingSettles_Fails()
    {
        var error = await scripts.Pool.FailsAsync("new Promise(() => {})");

        Assert.Equal(ScriptFailure.Error, error.Kind);
        Assert.Contains("nothing settles", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("throw new TypeError('boo')", "TypeError", "boo", 1, "throw new TypeError('boo')")]
    [InlineData("\n\nmissing(1)", "ReferenceError", "'missing' is not defined", 3, "missing(1)")]
    [InlineData("function f() {\n  null.x\n}\nf()", "TypeError", "cannot read property 'x' of null", 2, "  null.x")]
    [InlineData("if (true) {\n  return missing\n}", "ReferenceError", "'missing' is not defined", 2, "  return missing")]
    [InlineData("await 1\nthrow new RangeError('r')", "RangeError", "r", 2, "throw new RangeError('r')")]
    [InlineData("await 1\nif (true)\n  return missing", "ReferenceError", "'missing' is not defined", 3, "  return missing")]
    [InlineData("\nPromise.reject(new Error('p'))", "Error", "p", 2, "Promise.reject(new Error('p'))")]
    [InlineData("JSON.parse('{')", "SyntaxError", "expecting property name", 1, "JSON.parse('{')")]
    public async Task Script_Throws_ErrorPointsAtTheLine(
        string script, string name, string message, int line, string sourceLine)
    {
        var error = await scripts.Pool.FailsAsync(script);

        Assert.Equal(ScriptFailure.Error, error.Kind);
        Assert.Equal("script.error", error.Code);
        Assert.Equal(name, error.ErrorName);
        Assert.Equal(message, error.ErrorMessage);
        Assert.Equal(line, error.Line);
        Assert.True(error.Column >= 1);
        Assert.Equal(sourceLine, error.SourceLine);
        Assert.Contains($"line {line}", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("let x = ;", 1, 9)]
    [InlineData("const a = 1\nconst b = (\n", 3, 1)]
    [InlineData("\n return 2 +;", 2, 12)]
    [InlineData("if (await 1) {\n return 1 1\n}", 2, 11)]
    [InlineData("import fs from 'fs'", 1, 8)]
    public async Task Script_DoesNotParse_SyntaxErrorHasPosition(string script, int line, int column)
    {
        var error = await scripts.Pool.FailsAsync(script);

        Assert.Equal(ScriptFailure.Syntax, error.Kind);
        Assert.Equal("script.syntax", error.Code);
        Assert.Equal((line, column), (error.Line, error.Column));
    }

    [Theory]
    [InlineData("throw 'text'", "text")]
    [InlineData("throw { message: 'own' }", "own")]
    [InlineData("throw null", "null")]
    [InlineData("throw { code: 4 }", "{\"code\":4}")]
    [InlineData("throw { get message() { throw 1 } }", "{\"message\":")]
    public async Task Script_ThrowsSomethingElse_ErrorStillHasText(string script, string expected)
    {
        var error = await scripts.Pool.FailsAsync(script);

        Assert.Equal(ScriptFailure.Error, error.Kind);
        if (!script.Contains("get message", StringComparison.Ordinal)) Assert.Equal(expected, error.ErrorMessage);
        else Assert.NotEmpty(error.ErrorMessage!);
    }

    [Fact]
    public async Task Script_CircularResult_ErrorSaysSo()
    {
        var error = await scripts.Pool.FailsAsync("const a = {}; a.a = a; a");

        Assert.Contains("circular", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Script_NamedAndFailing_MessageNamesIt()
    {
        var request = new JavaScriptRequest { Script = "x", Name = "Set total" };

        var error = await Assert.ThrowsAsync<ScriptException>(
            async () => await scripts.Pool.EvaluateAsync(request, CancellationToken.None));

        Assert.Equal("Set total", error.ScriptName);
        Assert.Contains("'Set total', line 1", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Script_RunsOnce_EvenWhenItNeedsAFunctionAroundIt()
    {
        var result = await scripts.Pool.EvaluateAsync(
            "setVariable('n', (getVariable('n') ?? 0) + 1); return getVariable('n')");

        Assert.Equal("1", result.Value.Text());
    }

    [Fact]
    public async Task Console_ManyLines_KeepsTheFirstHundred()
    {
        var result = await scripts.Pool.EvaluateAsync("for (let i = 0; i < 200; i++) console.log('line', i, { i })");

        Assert.Equal(100, result.Log!.Count);
        Assert.Equal("line 99 {\"i\":99}", result.Log[99]);
    }

    [Fact]
    public async Task Random_TwoEvaluations_Differ()
    {
        const string script = "[Math.random(), newGuidString(), new Random().Next(1, 1000000000)].join()";

        Assert.NotEqual(await scripts.Pool.ValueAsync(script), await scripts.Pool.ValueAsync(script));
    }

    [Fact]
    public async Task Script_WithNulCharacter_IsRefused()
    {
        var error = await scripts.Pool.FailsAsync("1; /* \0 */ 2");

        Assert.Equal(ScriptFailure.Syntax, error.Kind);
    }
}

using System.Text;
using Conclave.Tests.Expressions.Scripting;

namespace Conclave.Tests.Agents.Packages;

/// <summary>What <c>logic.js</c> must not do is found by reading it, and named with its line.</summary>
[Collection(ScriptTests.Name)]
public sealed class LogicAnalysisTests(ScriptPool scripts)
{
    [Theory]
    [InlineData("eval('1')", "eval")]
    [InlineData("(0, eval)('1')", "eval")]
    [InlineData("const e = eval; e('1')", "eval")]
    [InlineData(@"ev\u0061l('1')", "eval")]
    [InlineData("x['eval']('1')", "eval")]
    [InlineData("this.eval('1')", "eval")]
    [InlineData("new Function('return 1')()", "function-constructor")]
    [InlineData("Function('return 1')()", "function-constructor")]
    [InlineData("const { f = Function } = {}", "function-constructor")]
    [InlineData("[].filter.constructor('return 1')()", "constructor")]
    [InlineData("[].filter['constructor']('return 1')()", "constructor")]
    [InlineData("[].filter['con' + 'structor']('return 1')()", "constructor")]
    [InlineData("[].filter[`con${'struct'}or`]('return 1')()", "constructor")]
    [InlineData("const key = 'constructor'; [].filter[key]('return 1')()", "constructor")]
    [InlineData("let key; key = 'con' + 'structor'; [].filter[key]('return 1')()", "constructor")]
    [InlineData("[].filter[['constructor']]('return 1')()", "constructor")]
    [InlineData("const { constructor: C } = () => 1; C('return 1')()", "constructor")]
    [InlineData("const f = ({ constructor }) => constructor", "constructor")]
    [InlineData("(async () => 1)?.constructor('return 1')", "constructor")]
    [InlineData("import fs from 'fs'", "import")]
    [InlineData("export const tools = []", "import")]
    [InlineData("const run = () => import('fs')", "import")]
    [InlineData("const fs = require('fs')", "import")]
    [InlineData("module.require('fs')", "import")]
    [InlineData("process.exit(1)", "host")]
    [InlineData("const { env } = process", "host")]
    [InlineData("const o = { process }", "host")]
    [InlineData("globalThis.x = 1", "host")]
    [InlineData("const g = globalThis", "host")]
    [InlineData("global.x = 1", "host")]
    [InlineData("window.x = 1", "host")]
    [InlineData("self.x = 1", "host")]
    [InlineData("Deno.env", "host")]
    [InlineData("Buffer.from('x')", "host")]
    [InlineData("getSecret('key')", "host")]
    [InlineData("new SharedArrayBuffer(8)", "host")]
    [InlineData("Object.prototype.x = 1", "prototype")]
    [InlineData("Array['proto' + 'type'].map = null", "prototype")]
    [InlineData("({}).__proto__.x = 1", "prototype")]
    [InlineData("const o = { __proto__: null }", "prototype")]
    [InlineData("const o = { '__proto__': null }", "prototype")]
    [InlineData("const o = {}; o['__pro' + 'to__'].x = 1", "prototype")]
    [InlineData("Object.setPrototypeOf([], null)", "prototype")]
    [InlineData("Object.getPrototypeOf([]).x = 1", "prototype")]
    [InlineData("Reflect.ownKeys({})", "prototype")]
    [InlineData("new Proxy({}, {})", "prototype")]
    [InlineData("({}).__defineGetter__('x', () => 1)", "prototype")]
    [InlineData("JSON.parse = () => 1", "built-in")]
    [InlineData("Math = null", "built-in")]
    [InlineData("delete Object.keys", "built-in")]
    [InlineData("Object.assign(Math, { floor: 1 })", "built-in")]
    [InlineData("Object.defineProperty(JSON, 'parse', { value: 1 })", "built-in")]
    [InlineData("Object.freeze(Array)", "built-in")]
    [InlineData("new WebAssembly.Module(new Uint8Array(8))", "web-assembly")]
    [InlineData("fetch('http://169.254.169.254/')", "network")]
    [InlineData("new WebSocket('ws://x')", "network")]
    [InlineData("new XMLHttpRequest()", "network")]
    [InlineData("setTimeout(() => 1, 1)", "timer")]
    [InlineData("function f() { return arguments.callee; }", "caller")]
    [InlineData("function f() { return f.caller; }", "caller")]
    [InlineData("debugger", "debugger")]
    [InlineData("while (true) {}", "endless-loop")]
    [InlineData("for (;;) {}", "endless-loop")]
    [InlineData("do {} while (1)", "endless-loop")]
    [InlineData("while (!0) { for (const x of [1]) { break; } }", "endless-loop")]
    [InlineData("(() => { for (;;) {} })()", "endless-loop")]
    [InlineData("with ({}) { x; }", "syntax")]
    [InlineData("const a = 010", "syntax")]
    [InlineData("await 1", "syntax")]
    [InlineData("return 1", "syntax")]
    [InlineData("})(); (() => {", "syntax")]
    [InlineData("/* never closed", "syntax")]
    [InlineData("let x = 1; <!-- eval('1')", "syntax")]
    [InlineData("const text = '\u202e'", "hidden-characters")]
    public async Task Forbidden_IsNamedWithItsLine(string code, string rule)
    {
        var findings = await AnalyseAsync($"const first = 1;\n\n{code}\n;");

        Assert.Contains(findings, f => f.Rule == rule);
        Assert.All(findings, f => Assert.True(f.Line >= 3 && f.Column >= 1 && f.Message.Length > 10, f.ToString()));
        Assert.Contains(findings, f => f.Rule == rule && f.Line is 3 or 4);
    }

    [Theory]
    [InlineData("const process_ = 1; const o = { process: 1, eval: 2, global: 3 }; o.process; o.window; o.self")]
    [InlineData("class A { constructor() { this.x = 1; } static process() {} }; new A()")]
    [InlineData("const map = {}; const key = String(1); map[key] = 1; map['name'] = 2; [1, 2][0]")]
    [InlineData("exports.tools = [{ name: 'a', run: async (args, ctx) => { await null; while (true) { if (args.x) break; args.x = 1; } return 1; } }]")]
    [InlineData("while (true) { break; } for (let i = 0; ; i++) { if (i > 3) break; }")]
    [InlineData("outer: for (;;) { for (;;) { break outer; } }")]
    [InlineData("const text = 'eval(process.env) constructor'; /* eval */ // require\n `${text} Function`")]
    [InlineData("const s = new Set([1]); s.add(2); Object.assign({}, { a: 1 }); Object.freeze({}); Object.entries({})")]
    public async Task Harmless_HasNoFindings(string code) => Assert.Empty(await AnalyseAsync(code));

    [Fact]
    public async Task Findings_AreInTheirOrderWithTheirPlace()
    {
        var findings = await AnalyseAsync("process; eval('1');\n  x = new Function();\n// eval\nrequire('fs');");

        Assert.Equal(["host 1:1", "eval 1:10", "function-constructor 2:11", "import 4:1"], findings.Select(f => $"{f.Rule} {f.Line}:{f.Column}"));
    }

    [Fact]
    public async Task TooMuch_IsCutShort()
    {
        Assert.Equal(50, (await AnalyseAsync(string.Concat(Enumerable.Repeat("eval;", 500)))).Count);
        Assert.Equal(["size"], (await AnalyseAsync(new string(' ', 257 * 1024))).Select(f => f.Rule));
        Assert.Equal(["syntax"], (await scripts.Pool.AnalyseScriptAsync(new byte[] { 0x61, 0xff }, default)).Select(f => f.Rule));
    }

    private async Task<IReadOnlyList<Conclave.Workflows.Expressions.Scripting.ScriptFinding>> AnalyseAsync(string script) =>
        await scripts.Pool.AnalyseScriptAsync(Encoding.UTF8.GetBytes(script), default);
}

using Conclave.Workflows.Expressions.Scripting;

namespace Conclave.Tests.Expressions.Scripting;

/// <summary>Scripts that try to break out, to stay, or to use up what there is.</summary>
public sealed class HostileScriptTests(HostileScriptTests.ShortLivedPool scripts) : IClassFixture<HostileScriptTests.ShortLivedPool>
{
    // Everything here must look the same whatever the previous script did.
    private const string Probe = """
        [typeof polluted, typeof process, typeof require, ({}).polluted, [1, 2].map(x => x * 2).join(), JSON.stringify({ a: 1 }),
         getName(), String(Promise.prototype.then), Object.getOwnPropertyNames(globalThis).length, typeof Array.prototype[Symbol.iterator],
         new Error('x').message, Math.max(1, 2), String(getVariable), Object.keys(Object.prototype).length].join('|')
        """;

    private const string Scope = """{ "variables": { "name": { "v": "Ann" } } }""";

    // Once the runner has been killed a native loop costs the time limit and the grace; hence one class, one pool.
    public sealed class ShortLivedPool : IAsyncLifetime
    {
        public ScriptRunnerPool Pool { get; } = ScriptPool.Create(new ScriptRunnerOptions
        {
            Runners = 1,
            TimeLimit = TimeSpan.FromMilliseconds(500),
            KillGrace = TimeSpan.FromMilliseconds(300),
            MemoryLimitMegabytes = 32,
            MaxResultBytes = 1024 * 1024,
        });

        public string Pristine { get; private set; } = "";

        public async Task InitializeAsync() => Pristine = await Pool.ValueAsync(Probe, Scope);

        public async Task DisposeAsync() => await Pool.DisposeAsync();
    }

    [Theory]
    [InlineData("while (true) {}")]
    [InlineData("for (;;) { try { while (true) {} } catch {} finally { continue } }")]
    [InlineData("Promise.resolve().then(() => { while (true) {} })")]
    [InlineData("await 1; while (true) {}")]
    [InlineData("function flood() { Promise.resolve().then(flood); Promise.resolve().then(() => {}) } flood(); new Promise(() => {})")]
    [InlineData("(async () => { for (;;) await null })()")]
    [InlineData("function* g() { for (;;) yield 1 } for (const x of g()) {}")]
    [InlineData("/(a+)+$/.test('a'.repeat(40) + 'b')")]
    [InlineData("'x'.repeat(100000).replace(/(.*)*y/, '')")]
    [InlineData("new Array(2 ** 32 - 1).indexOf(5)")]
    [InlineData("({ toJSON() { while (true) {} } })")]
    [InlineData("({ get a() { while (true) {} } })")]
    [InlineData("new Proxy({}, { ownKeys() { while (true) {} } })")]
    [InlineData("throw { get message() { while (true) {} } }")]
    [InlineData("({ get then() { while (true) {} } })")]
    [InlineData("({ then() { while (true) {} } })")]
    [InlineData("setVariable('x', { toJSON() { while (true) {} } })")]
    [InlineData("console.log({ toJSON() { while (true) {} } })")]
    [InlineData("[3, 1, 2].sort(() => { while (true) {} })")]
    public async Task Script_NeverEnds_TimesOut(string script) => await AssertContainedAsync(script, ScriptFailure.Timeout);

    [Theory]
    [InlineData("const a = []; for (;;) a.push(new Array(100000).fill(1))")]
    [InlineData("new Uint8Array(1e9)")]
    [InlineData("const a = []; for (;;) a.push(new ArrayBuffer(1000000))")]
    [InlineData("'x'.repeat(2 ** 29)")]
    [InlineData("[...'x'.repeat(1e7)]")]
    [InlineData("let o = {}; for (let i = 0; ; i++) o['key' + i] = i")]
    [InlineData("const m = new Map(); for (let i = 0; ; i++) m.set({}, i)")]
    [InlineData("let s = 'ab'; const a = []; for (;;) { s = s.split('').reverse().join('') + 'c'; a.push(s.repeat(1000)) }")]
    [InlineData("[].fill.call({ length: 2 ** 53 - 1 }, 1)")]
    public async Task Script_WantsTooMuchMemory_RunsOut(string script) =>
        await AssertContainedAsync(script, ScriptFailure.Memory, ScriptFailure.Error, ScriptFailure.Timeout);

    [Theory]
    [InlineData("(function f() { f() })()")]
    [InlineData("const o = { get a() { return o.a } }; o.a")]
    [InlineData("let d = {}; for (let i = 0; i < 50000; i++) d = { d }; d")]
    [InlineData("JSON.parse('['.repeat(1000000))")]
    [InlineData("eval('('.repeat(100000))")]
    [InlineData("new RegExp('('.repeat(100000) + ')'.repeat(100000))")]
    [InlineData("[1].flatMap(function h() { return [1].flatMap(h) })")]
    [InlineData("let p = {}; for (let i = 0; i < 50000; i++) p = new Proxy(p, {}); p.x")]
    public async Task Script_RecursesTooDeep_Fails(string script) =>
        await AssertContainedAsync(script, ScriptFailure.Error, ScriptFailure.Timeout, ScriptFailure.Syntax, ScriptFailure.Memory);

    [Theory]
    [InlineData("this.constructor.constructor('return process')()")]
    [InlineData("(() => {}).constructor('return require')()")]
    [InlineData("import('node:fs')")]
    [InlineData("await import('./runner.mjs')")]
    [InlineData("import fs from 'node:fs'")]
    [InlineData("require('fs')")]
    [InlineData("process.exit(1)")]
    [InlineData("new WebAssembly.Memory({ initial: 1 })")]
    [InlineData("new SharedArrayBuffer(8)")]
    [InlineData("Atomics.wait(new Int32Array(4), 0, 0)")]
    [InlineData("fetch('http://127.0.0.1')")]
    [InlineData("setTimeout(() => {}, 1)")]
    [InlineData("std.open('/etc/passwd', 'r')")]
    [InlineData("new Worker('x')")]
    [InlineData("native('random', '')")]
    [InlineData("request.script")]
    [InlineData("getSecret.caller.arguments")]
    public async Task Script_ReachesForTheHost_FindsNothing(string script) =>
        await AssertContainedAsync(script, ScriptFailure.Error, ScriptFailure.Syntax);

    [Theory]
    [InlineData("Object.prototype.polluted = 1; globalThis.polluted = 2; var polluted = 3; 'done'")]
    [InlineData("JSON.stringify = () => '{\"v\":\"forged\"}'; JSON.parse = () => ({}); 'done'")]
    [InlineData("globalThis.Promise = null; globalThis.Object = null; globalThis.JSON = null; 'done'")]
    [InlineData("Array.prototype.map = Array.prototype.push = Array.prototype.join = () => 'forged'; 'done'")]
    [InlineData("Promise.prototype.then = () => { throw 1 }; 'done'")]
    [InlineData("Object.defineProperty(Array.prototype, '0', { set() { throw 1 }, get() { return 'forged' } }); 'done'")]
    [InlineData("Object.prototype.toJSON = () => 'forged'; String.prototype.toJSON = () => 'forged'; 'done'")]
    [InlineData("Object.prototype.get = () => 1; Object.prototype.set = 5; Object.prototype.t = 'Guid'; 'done'")]
    [InlineData("Array.prototype[Symbol.iterator] = null; Symbol.prototype.x = 1; 'done'")]
    [InlineData("Function.prototype.call = Function.prototype.apply = null; 'done'")]
    [InlineData("RegExp.prototype.exec = () => null; String.prototype.slice = () => ''; 'done'")]
    [InlineData("Error.prepareStackTrace = () => 'forged'; Error.prototype.name = 'Forged'; 'done'")]
    [InlineData("for (const k of Object.getOwnPropertyNames(globalThis)) { try { delete globalThis[k] } catch {} } 'done'")]
    [InlineData("for (const k of Reflect.ownKeys(globalThis)) { try { Object.freeze(globalThis[k]) } catch {} } 'done'")]
    [InlineData("Object.setPrototypeOf(globalThis, null); 'done'")]
    [InlineData("Math.random = Math.max = () => 42; Date.now = () => 0; 'done'")]
    [InlineData("getVariable = () => 'forged'; globalThis.variables = null; 'done'")]
    [InlineData("globalThis.leak = []; for (let i = 0; i < 1000; i++) leak.push(new Uint8Array(10000)); 'done'")]
    public async Task Script_TampersWithGlobals_LeavesNoTrace(string script)
    {
        var result = await scripts.Pool.EvaluateAsync(script, Scope);

        Assert.Null(result.Variables);
        Assert.Equal(scripts.Pristine, await scripts.Pool.ValueAsync(Probe, Scope));
    }

    [Theory]
    [InlineData("const e = new Error('x'); e.stack = 'at script.js:999999:1'; throw e")]
    [InlineData("const e = new Error('x'); Object.defineProperty(e, 'stack', { get() { throw 1 } }); throw e")]
    [InlineData("throw new Proxy(new Error('x'), { get() { throw new Error('y') } })")]
    [InlineData("throw { name: 'InternalError', message: 'out of memory' }")]
    [InlineData("throw { message: { toString() { throw 1 } }, toJSON() { throw 2 } }")]
    [InlineData("throw Symbol('x')")]
    [InlineData("new Proxy({}, { get() { throw new Error('trap') } })")]
    [InlineData("({ toJSON() { throw new Error('toJSON') } })")]
    [InlineData("Object.prototype.then = function (resolve) { throw new Error('then') }; ({})")]
    public async Task Script_BoobyTrapsItsResult_Fails(string script) =>
        await AssertContainedAsync(script, ScriptFailure.Error, ScriptFailure.Memory);

    [Fact]
    public async Task Script_HugeResult_IsRefused() =>
        await AssertContainedAsync("'x'.repeat(2000000)", ScriptFailure.ResultTooLarge);

    [Fact]
    public async Task Script_VeryDeepResult_IsRefused() => await AssertContainedAsync(
        "let d = 1; for (let i = 0; i < 1500; i++) d = [d]; d", ScriptFailure.ResultTooLarge, ScriptFailure.Error);

    [Fact]
    public async Task Script_CatchesOutOfMemory_MayGoOn()
    {
        Assert.Equal("\"caught\"", await scripts.Pool.ValueAsync("try { new Uint8Array(1e9) } catch { 'caught' }"));
        Assert.Equal(scripts.Pristine, await scripts.Pool.ValueAsync(Probe, Scope));
    }

    private async Task AssertContainedAsync(string script, params ScriptFailure[] expected)
    {
        var error = await scripts.Pool.FailsAsync(script, Scope);

        Assert.Contains(error.Kind, expected);
        Assert.Equal(scripts.Pristine, await scripts.Pool.ValueAsync(Probe, Scope));
    }
}

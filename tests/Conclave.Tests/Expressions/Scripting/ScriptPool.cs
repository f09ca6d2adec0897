using System.Text;
using System.Text.Json;
using Conclave.Workflows.Expressions.Scripting;
using Microsoft.Extensions.Logging.Abstractions;

namespace Conclave.Tests.Expressions.Scripting;

/// <summary>One pool of real runners for all tests that do not disturb it.</summary>
public sealed class ScriptPool : IAsyncLifetime
{
    public ScriptRunnerPool Pool { get; } = Create(new ScriptRunnerOptions { Runners = 2 });

    public static ScriptRunnerPool Create(ScriptRunnerOptions options) =>
        new(options, NullLogger<ScriptRunnerPool>.Instance, TimeProvider.System);

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync() => await Pool.DisposeAsync();
}

[CollectionDefinition(Name)]
public sealed class ScriptTests : ICollectionFixture<ScriptPool>
{
    public const string Name = "Scripts";
}

/// <summary>A scope written as the JSON that goes to the runner.</summary>
internal sealed class JsonScope(string json) : IScriptScope
{
    private readonly JsonElement _members = JsonElement.Parse(json);

    public void Write(Utf8JsonWriter writer)
    {
        foreach (var member in _members.EnumerateObject()) member.WriteTo(writer);
    }
}

/// <summary>A host that answers with a function of the call, written <c>function {arguments}</c>.</summary>
internal sealed class TestHost(Func<string, ScriptValue> answer) : IScriptHost
{
    public List<string> Calls { get; } = [];

    public async ValueTask<ScriptValue> CallAsync(
        string function, JsonElement arguments, CancellationToken cancellationToken)
    {
        await Task.Yield();
        var call = $"{function} {arguments.GetRawText()}";
        lock (Calls) Calls.Add(call);
        return answer(call);
    }
}

internal static class ScriptPoolExtensions
{
    public static Task<JavaScriptResult> EvaluateAsync(
        this ScriptRunnerPool pool, string script, string scope = "{}", IScriptHost? host = null, bool outcomes = false) =>
        pool.EvaluateAsync(
            new JavaScriptRequest { Script = script, Scope = new JsonScope(scope), Host = host, AllowOutcomes = outcomes },
            CancellationToken.None).AsTask();

    public static async Task<string> ValueAsync(
        this ScriptRunnerPool pool, string script, string scope = "{}", IScriptHost? host = null) =>
        (await pool.EvaluateAsync(script, scope, host)).Value.Text();

    public static Task<ScriptException> FailsAsync(this ScriptRunnerPool pool, string script, string scope = "{}") =>
        Assert.ThrowsAsync<ScriptException>(() => pool.EvaluateAsync(script, scope));

    public static Task<string> RenderAsync(this ScriptRunnerPool pool, string template, string scope = "{}") =>
        pool.RenderLiquidAsync(
            new LiquidRequest { Template = template, Scope = new JsonScope(scope) }, CancellationToken.None).AsTask();

    public static string Text(this ScriptValue value) => Encoding.UTF8.GetString(value.Json.Span);
}

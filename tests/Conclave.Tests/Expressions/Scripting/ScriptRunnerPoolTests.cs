using System.Diagnostics;
using System.Text;
using System.Text.Json;
using Conclave.Workflows.Expressions.Scripting;

namespace Conclave.Tests.Expressions.Scripting;

/// <summary>Many requests, runners that stop, cancellation and set-up problems.</summary>
public sealed class ScriptRunnerPoolTests
{
    [Fact]
    public async Task Evaluate_ThousandAtOnce_EachGetsItsOwnAnswer()
    {
        await using var pool = ScriptPool.Create(new ScriptRunnerOptions { Runners = 2 });

        var results = await Task.WhenAll(Enumerable.Range(0, 1_000).Select(i => Task.Run(() => pool.EvaluateAsync(
            "const n = getN(); setVariable('square', n * n); globalThis.seen = (globalThis.seen ?? 0) + 1; [n, seen]",
            $$"""{ "variables": { "n": { "v": {{i}} }, "padding": { "v": "{{new string('x', i)}}" } } }"""))));

        Assert.Equal(Enumerable.Range(0, 1_000).Select(i => $"[{i},1]"), results.Select(r => r.Value.Text()));
        Assert.Equal(Enumerable.Range(0, 1_000).Select(i => $"{i * i}"), results.Select(r => r.Variables!["square"].Text()));
    }

    [Fact]
    public async Task Evaluate_LargeValues_ArriveWhole()
    {
        await using var pool = ScriptPool.Create(new ScriptRunnerOptions { Runners = 1 });
        var text = new string('y', 3_000_000);

        var results = await Task.WhenAll(Enumerable.Range(0, 4).Select(
            _ => pool.ValueAsync("getText() + '!'", $$"""{ "variables": { "text": { "v": "{{text}}" } } }""")));

        Assert.All(results, result => Assert.True(result == $"\"{text}!\""));
    }

    [Fact]
    public async Task Runner_KilledInTheMiddle_OnlyItsScriptFails()
    {
        await using var pool = ScriptPool.Create(new ScriptRunnerOptions { Runners = 1 });
        var host = new BlockingHost();
        var culprit = pool.EvaluateAsync("await getSecret('x')", host: host);
        await host.Called;
        var others = Enumerable.Range(0, 20).Select(i => pool.ValueAsync($"{i} + 1")).ToList();

        Process.GetProcessById(Assert.Single(pool.ProcessIds)).Kill();

        var error = await Assert.ThrowsAsync<ScriptException>(() => culprit);
        Assert.Equal(ScriptFailure.Crashed, error.Kind);
        Assert.Equal("script.crashed", error.Code);
        Assert.Equal(Enumerable.Range(1, 20).Select(i => $"{i}"), await Task.WhenAll(others));
    }

    [Fact]
    public async Task Runner_TrapsInWebAssembly_OthersMoveToANewOne()
    {
        await using var pool = ScriptPool.Create(new ScriptRunnerOptions { Runners = 1 });
        await pool.ValueAsync("1");

        var culprit = pool.EvaluateAsync("eval('('.repeat(100000))");
        var others = Enumerable.Range(0, 20).Select(i => pool.ValueAsync($"{i} + 1")).ToList();

        Assert.Contains("stack overflow", (await Assert.ThrowsAsync<ScriptException>(() => culprit)).Message, StringComparison.Ordinal);
        Assert.Equal(Enumerable.Range(1, 20).Select(i => $"{i}"), await Task.WhenAll(others));
    }

    [Fact]
    public async Task Runner_StuckInNativeLoop_OnlyItsScriptTimesOut()
    {
        await using var pool = ScriptPool.Create(new ScriptRunnerOptions
        {
            Runners = 1,
            TimeLimit = TimeSpan.FromMilliseconds(300),
            KillGrace = TimeSpan.FromMilliseconds(200),
        });
        await pool.ValueAsync("1");
        var before = Enumerable.Range(0, 5).Select(i => pool.ValueAsync($"{i}")).ToList();
        var culprit = pool.EvaluateAsync("new Array(2 ** 32 - 1).indexOf(5)");
        var after = Enumerable.Range(0, 10).Select(i => pool.ValueAsync($"{i}")).ToList();

        Assert.Equal(ScriptFailure.Timeout, (await Assert.ThrowsAsync<ScriptException>(() => culprit)).Kind);
        Assert.Equal(["0", "1", "2", "3", "4"], await Task.WhenAll(before));
        Assert.Equal(Enumerable.Range(0, 10).Select(i => $"{i}"), await Task.WhenAll(after));
    }

    [Fact]
    public async Task Requests_BehindASlowScript_MoveToAFreeRunner()
    {
        await using var pool = ScriptPool.Create(new ScriptRunnerOptions { Runners = 2 });
        var host = new BlockingHost();
        var slow = pool.EvaluateAsync("await getSecret('x')", host: host);
        await host.Called;
        var others = Enumerable.Range(0, 30).Select(i => pool.ValueAsync($"{i}")).ToList();

        Assert.Equal(Enumerable.Range(0, 30).Select(i => $"{i}"), await Task.WhenAll(others));
        Assert.False(slow.IsCompleted);
        host.Release();
        Assert.Equal("\"s\"", (await slow).Value.Text());
    }

    [Fact]
    public async Task Request_CancelledWhileQueued_IsCancelledAndOthersGoOn()
    {
        await using var pool = ScriptPool.Create(new ScriptRunnerOptions { Runners = 1 });
        var host = new BlockingHost();
        var running = pool.EvaluateAsync("await getSecret('x')", host: host);
        await host.Called;
        using var cancellation = new CancellationTokenSource();
        var cancelled = pool.EvaluateAsync(new JavaScriptRequest { Script = "1" }, cancellation.Token).AsTask();
        var next = pool.ValueAsync("2");

        await cancellation.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled);
        host.Release();
        Assert.Equal("\"s\"", (await running).Value.Text());
        Assert.Equal("2", await next);
    }

    [Fact]
    public async Task Request_CancelledWhileRunning_HostCallIsCancelledToo()
    {
        await using var pool = ScriptPool.Create(new ScriptRunnerOptions { Runners = 1 });
        var host = new BlockingHost();
        using var cancellation = new CancellationTokenSource();
        var running = pool.EvaluateAsync(
            new JavaScriptRequest { Script = "await getSecret('x')", Host = host }, cancellation.Token).AsTask();
        await host.Called;

        await cancellation.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
        Assert.Equal("2", await pool.ValueAsync("2"));
    }

    [Fact]
    public async Task Host_NeverAnswers_ScriptTimesOut()
    {
        await using var pool = ScriptPool.Create(new ScriptRunnerOptions
        {
            Runners = 1,
            TimeLimit = TimeSpan.FromMilliseconds(200),
            KillGrace = TimeSpan.FromMilliseconds(200),
        });

        var error = await Assert.ThrowsAsync<ScriptException>(
            () => pool.EvaluateAsync("await getSecret('x')", host: new BlockingHost()));

        Assert.Equal(ScriptFailure.Timeout, error.Kind);
        Assert.Equal("2", await pool.ValueAsync("2"));
    }

    [Fact]
    public async Task Queue_Full_FurtherRequestsAreRefused()
    {
        await using var pool = ScriptPool.Create(new ScriptRunnerOptions { Runners = 1, MaxQueuedRequests = 2 });
        var accepted = new[] { pool.ValueAsync("1"), pool.ValueAsync("2") };

        var error = await pool.FailsAsync("3");

        Assert.Equal(ScriptFailure.Busy, error.Kind);
        Assert.Equal(["1", "2"], await Task.WhenAll(accepted));
    }

    [Fact]
    public async Task Node_Missing_ErrorSaysWhatToInstall()
    {
        await using var pool = ScriptPool.Create(new ScriptRunnerOptions { NodePath = "/nowhere/node" });

        var error = await pool.FailsAsync("1");

        Assert.Equal(ScriptFailure.Unavailable, error.Kind);
        Assert.Contains("Node.js 20 or newer", error.Message, StringComparison.Ordinal);
        Assert.Contains("Scripting:NodePath", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task RunnerFolder_Missing_ErrorNamesIt()
    {
        await using var pool = ScriptPool.Create(new ScriptRunnerOptions { RunnerPath = "/nowhere" });

        var error = await pool.FailsAsync("1");

        Assert.Equal(ScriptFailure.Unavailable, error.Kind);
        Assert.Contains("/nowhere", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Options_OutOfRange_AllProblemsAreListed()
    {
        var error = Assert.Throws<ArgumentException>(
            () => ScriptPool.Create(new ScriptRunnerOptions { Runners = -1, MemoryLimitMegabytes = 1 }));

        Assert.Contains("Scripting:Runners", error.Message, StringComparison.Ordinal);
        Assert.Contains("Scripting:MemoryLimitMegabytes", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Pool_Disposed_RunnersEndAndRequestsFail()
    {
        var pool = ScriptPool.Create(new ScriptRunnerOptions { Runners = 1 });
        var host = new BlockingHost();
        var running = pool.EvaluateAsync("await getSecret('x')", host: host);
        await host.Called;
        using var process = Process.GetProcessById(Assert.Single(pool.ProcessIds));

        await pool.DisposeAsync();

        await Assert.ThrowsAsync<ObjectDisposedException>(() => running);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => pool.EvaluateAsync("1"));
        await process.WaitForExitAsync();
    }

    [Fact]
    public async Task Runner_Environment_IsEmptyApartFromPath()
    {
        Environment.SetEnvironmentVariable("CONCLAVE_TEST_SECRET", "hidden");
        await using var pool = ScriptPool.Create(new ScriptRunnerOptions { Runners = 1 });
        await pool.ValueAsync("1");

        if (!OperatingSystem.IsLinux()) return;
        var names = (await File.ReadAllTextAsync($"/proc/{pool.ProcessIds[0]}/environ"))
            .Split('\0', StringSplitOptions.RemoveEmptyEntries).Select(entry => entry.Split('=')[0]);
        Assert.Empty(names.Except(["PATH", "TZ"]));
    }

    /// <summary>Answers <c>"s"</c> once it is released.</summary>
    private sealed class BlockingHost : IScriptHost
    {
        private readonly TaskCompletionSource _called = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource _released = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Called => _called.Task;

        public void Release() => _released.TrySetResult();

        public async ValueTask<ScriptValue> CallAsync(
            string function, JsonElement arguments, CancellationToken cancellationToken)
        {
            _called.TrySetResult();
            await _released.Task.WaitAsync(cancellationToken);
            return new ScriptValue(Encoding.UTF8.GetBytes("\"s\""));
        }
    }
}

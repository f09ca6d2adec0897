using System.Text.Json.Nodes;
using Conclave.Workflows.Activities;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;

namespace Conclave.Tests.Execution;

public sealed class BurstTests
{
    [Fact]
    public async Task Run_StoppedInsideAnActivity_RunsItAgainInTheNextBurst()
    {
        var engine = TestRun.Engine(types: ActivityType.From<Interrupted>());
        var graph = engine.Compile(Json.Workflow(Json.Sequence("s", Json.Write("a"), Json.Activity("x", "i").With(("type", "Test.Interrupted")), Json.Write("b"))).Read());
        var instance = engine.CreateInstance(graph);
        using var stop = new CancellationTokenSource();
        var host = new Lines { OnInterrupt = stop.Cancel };

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => engine.RunAsync(instance, host, stop.Token).AsTask());
        instance = TestRun.Restore(instance);
        await engine.RunAsync(instance, host, CancellationToken.None);

        Assert.Equal(WorkflowSubStatus.Finished, instance.SubStatus);
        Assert.Equal(["a", "b"], host.Written);
        Assert.Equal(2, instance.Bursts);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(40)]
    public async Task Run_StoppedInsideAnActivity_TakesItBackAndRepeatsItUnderItsKey(int steps)
    {
        var engine = TestRun.Engine(types: ActivityType.From<Asking>());
        var before = Enumerable.Range(0, steps).Select(i => Json.Write($"{i}"));
        var graph = engine.Compile(Json.Workflow(
            Json.Sequence("s", [.. before, Json.Activity("x", "asking").With(("type", "Test.Asking"), ("child", Json.Write("inside"))), Json.Write("end")]),
            Json.Variable("n", "Int32", 0)).Read());
        var stopped = engine.CreateInstance(graph);
        stopped.Log.KeepsNotes = true;
        using var stop = new CancellationTokenSource();
        var host = new Lines { OnInterrupt = stop.Cancel };

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => engine.RunAsync(stopped, host, stop.Token).AsTask());

        Assert.DoesNotContain("asking", stopped.Log.Entries.Select(e => graph.Nodes[e.NodeIndex].Id));
        Assert.Equal(stopped.Log.Count, stopped.Log.Sequence);
        Assert.Empty(stopped.Effects);
        Assert.Empty(stopped.Bookmarks);
        // The state has the variable's value, so the journal must tell of it.
        Assert.Equal([LogNoteKind.Variable], stopped.Log.TakeNotes().Select(n => n.Kind));
        var resumed = TestRun.Restore(stopped);
        await engine.RunAsync(resumed, host, CancellationToken.None);
        var direct = engine.CreateInstance(graph);
        await engine.RunAsync(direct, new Lines { OnInterrupt = () => { } }, CancellationToken.None);
        Assert.Equal(2, host.Keys.Count);
        Assert.Single(host.Keys.Distinct());
        Assert.Equal(Trace(direct), Trace(resumed));
        Assert.Equal(direct.Effects, resumed.Effects);
        Assert.Single(direct.Bookmarks);
        Assert.Equal(direct.Bookmarks.Select(b => (b.Number, b.Context.Number)), resumed.Bookmarks.Select(b => (b.Number, b.Context.Number)));
    }

    [Fact]
    public async Task Run_StoppedInsideTheTrigger_KeepsWhatItBrought()
    {
        var engine = TestRun.Engine(types: ActivityType.From<Asking>());
        var instance = engine.CreateInstance(
            engine.Compile(Json.Workflow(Json.Activity("x", "asking").With(("type", "Test.Asking"))).Read()),
            new WorkflowStart { TriggerActivityId = "asking", TriggerInput = "brought" });
        using var stop = new CancellationTokenSource();
        var host = new Lines { OnInterrupt = stop.Cancel };

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => engine.RunAsync(instance, host, stop.Token).AsTask());
        await engine.RunAsync(TestRun.Restore(instance), host, CancellationToken.None);

        Assert.Equal(["brought", "brought"], host.Triggers);
    }

    [Fact]
    public async Task Run_RepeatedFromOneState_GivesTheSameNumbers()
    {
        var engine = TestRun.Engine(types: ActivityType.From<Asking>());
        var loop = Json.Activity("For", "for", ("start", 1), ("end", 3), ("body", Json.Sequence("round", Json.Write("w"), Json.Activity("x", "asking").With(("type", "Test.Asking")))));
        var graph = engine.Compile(Json.Workflow(Json.Sequence("s", Json.Activity("Event", "go", ("eventName", "Go")), Json.Activity("Parallel", "p", ("activities", new JsonArray(loop, Json.Write("beside")))))).Read());
        var instance = engine.CreateInstance(graph);
        await engine.RunAsync(instance, new Lines(), CancellationToken.None);
        var state = TestRun.Store(instance);

        var runs = new List<WorkflowInstance>();
        for (var i = 0; i < 2; i++)
        {
            var run = InstanceSerializer.Read(instance.Id, graph, state, instance.Time);
            await engine.ResumeAsync(run, run.Bookmarks[0], null, new Lines(), CancellationToken.None);
            runs.Add(run);
        }

        Assert.True(runs[0].Log.Count > 10);
        Assert.Equal(Trace(runs[0]), Trace(runs[1]));
        Assert.Equal(runs[0].Effects, runs[1].Effects);
    }

    [Fact]
    public async Task Run_StoppedBeforeItBegins_RunsEverythingLater()
    {
        var engine = TestRun.Engine();
        var instance = engine.CreateInstance(engine.Compile(Json.Workflow(Json.Write("a")).Read()));
        var host = new Lines();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => engine.RunAsync(instance, host, new CancellationToken(canceled: true)).AsTask());
        await engine.RunAsync(TestRun.Restore(instance), host, CancellationToken.None);

        Assert.Equal(["a"], host.Written);
    }

    [Theory]
    [InlineData("While")]
    [InlineData("Switch")]
    public async Task Run_StoppedWhileAConditionIsEvaluated_GoesOnInTheNextBurst(string where)
    {
        var stopping = new StoppingSyntax();
        var engine = new WorkflowEngine(expressions: ExpressionSyntaxes.BuiltIn.With(stopping, new TestSyntax()));
        JsonNode root = where == "While"
            ? Json.Activity("While", "w", ("condition", Json.Expression("Stop", "++n<3")), ("body", Json.Write("round")))
            : Json.Sequence("s", Json.Activity("Switch", "sw", ("cases", new JsonArray(Json.Case("A", "true").With(("condition", new JsonObject { ["type"] = "Stop", ["value"] = "" }))))), Json.Write("round"));
        var instance = engine.CreateInstance(engine.Compile(Json.Workflow(root, Json.Variable("n", "Int32", 0)).Read()));
        var host = new Lines();

        for (var bursts = 0; instance.Status == WorkflowStatus.Running && bursts < 10; bursts++)
        {
            using var stop = new CancellationTokenSource();
            stopping.Stop = stop;
            try
            {
                await engine.RunAsync(instance, host, stop.Token);
            }
            catch (OperationCanceledException)
            {
                instance = TestRun.Restore(instance);
            }
        }

        Assert.Equal(WorkflowSubStatus.Finished, instance.SubStatus);
        Assert.Equal(where == "While" ? ["round", "round"] : ["round"], host.Written);
    }

    [Fact]
    public async Task Resume_StoppedInTheCallback_DoesNotLoseTheBookmark()
    {
        var engine = TestRun.Engine(types: ActivityType.From<Interrupted>());
        var instance = engine.CreateInstance(engine.Compile(Json.Workflow(Json.Sequence("s", Json.Activity("x", "i").With(("type", "Test.Interrupted"), ("waits", true)), Json.Write("b"))).Read()));
        using var stop = new CancellationTokenSource();
        var host = new Lines { OnInterrupt = stop.Cancel };
        await engine.RunAsync(instance, host, CancellationToken.None);

        try
        {
            await engine.ResumeAsync(instance, instance.Bookmarks[0], null, host, stop.Token);
        }
        catch (OperationCanceledException)
        {
            instance = TestRun.Restore(instance);
            host = new Lines();
            if (instance.Bookmarks.Count > 0)
                await engine.ResumeAsync(instance, instance.Bookmarks[0], null, host, CancellationToken.None);
            else
                await engine.RunAsync(instance, host, CancellationToken.None);
        }

        Assert.Equal((WorkflowSubStatus.Finished, "b"), (instance.SubStatus, Assert.Single(host.Written)));
    }

    [Fact]
    public async Task Run_CancelledByTheActivityItself_IsAFaultAndNotAStop()
    {
        var run = await TestRun.RunAsync(Json.Write("w", Json.Test("throw The operation was canceled.")));

        run.Faulted("The operation was canceled.");
    }

    [Fact]
    public async Task Run_LogSink_GetsEveryEntryOnceInOrder()
    {
        var engine = TestRun.Engine();
        var graph = engine.Compile(Json.Workflow(Json.Activity("For", "for", ("start", 1), ("end", 5_000), ("body", Json.Activity("Start", "a")))).Read());
        var instance = engine.CreateInstance(graph);
        var sink = new Sink();

        await engine.RunAsync(instance, new WorkflowHost { LogSink = sink }, CancellationToken.None);
        Assert.True(sink.Entries.Count > 8_000, "The log is drained while the burst runs.");
        instance.Log.Drain(instance, sink);

        Assert.Equal(instance.Log.Sequence, sink.Entries.Count);
        Assert.Equal(5_000, sink.Entries.Count(e => e.Event == ExecutionEvent.Completed && graph.Nodes[e.NodeIndex].Id == "a"));
        Assert.Equal(0, instance.Log.Count);
    }

    [Theory]
    [InlineData("TokenBased", FlowchartMode.Token)]
    [InlineData("CounterBased", FlowchartMode.Counter)]
    [InlineData("nonsense", FlowchartMode.Counter)]
    public void CreateInstance_ModeOfTheWorkflow_IsUsed(string mode, FlowchartMode expected)
    {
        var engine = TestRun.Engine();
        var workflow = Json.Workflow(Json.Flowchart("f", [])).With(("customProperties", new JsonObject { ["Flowchart:ExecutionMode"] = mode }));

        Assert.Equal(expected, engine.CreateInstance(engine.Compile(workflow.Read())).FlowchartMode);
    }

    private static IEnumerable<(string Activity, int Number, ExecutionEvent Event, int Parent)> Trace(WorkflowInstance instance) =>
        instance.Log.Entries.Select(e => (instance.Graph.Nodes[e.NodeIndex].Id, e.ActivityInstance, e.Event, e.ParentInstance));

    private sealed class Lines : WorkflowHost
    {
        public List<string?> Written { get; } = [];

        public List<string> Keys { get; } = [];

        public List<object?> Triggers { get; } = [];

        public Action? OnInterrupt { get; init; }

        public override void WriteLine(string? text) => Written.Add(text);
    }

    private sealed class Sink : IExecutionLogSink
    {
        public List<LogEntry> Entries { get; } = [];

        public void Write(WorkflowInstance instance, ReadOnlySpan<LogEntry> entries) => Entries.AddRange(entries);
    }

    /// <summary>Has the burst stopped while it runs, the first time.</summary>
    [Activity("Test", "Test", "Stops the burst.")]
    public sealed class Interrupted : Activity
    {
        [Input]
        public bool Waits { get; set; }

        public override ValueTask ExecuteAsync(ActivityContext context)
        {
            if (!Waits)
                return InterruptAsync(context);
            context.CreateBookmark(null, new BookmarkPayload("Test"));
            return ValueTask.CompletedTask;
        }

        public override ValueTask OnResumedAsync(ActivityContext context, Bookmark bookmark, object? input) => InterruptAsync(context);

        private static ValueTask InterruptAsync(ActivityContext context)
        {
            ((Lines)context.Host).OnInterrupt?.Invoke();
            context.CancellationToken.ThrowIfCancellationRequested();
            context.Complete();
            return ValueTask.CompletedTask;
        }
    }

    /// <summary>Does everything that an activity can leave behind, and then has the burst stopped while it runs.</summary>
    [Activity("Test", "Test", "Leaves much behind and stops the burst.")]
    public sealed class Asking : Activity
    {
        [Port]
        public ActivityNode? Child { get; set; }

        public override ValueTask ExecuteAsync(ActivityContext context)
        {
            var host = (Lines)context.Host;
            host.Keys.Add(context.IdempotencyKey);
            if (context.TryTakeTrigger(out var input))
                host.Triggers.Add(input);
            context.CreateBookmark(null, new BookmarkPayload("Test"));
            context.Request(new EventPublished(context.Number, "Asked", null, null, null));
            if (Child is not null)
            {
                context.SetVariable("n", 1);
                context.Schedule(Child);
            }

            host.OnInterrupt?.Invoke();
            context.CancellationToken.ThrowIfCancellationRequested();
            if (Child is null)
                context.Complete();
            return ValueTask.CompletedTask;
        }

        public override ValueTask OnChildCompletedAsync(ActivityContext context, ActivityContext child) => ValueTask.CompletedTask;
    }

    /// <summary>Asks for the burst to stop and obeys the token that it is given, like a script that runs long.</summary>
    private sealed class StoppingSyntax : IExpressionSyntax
    {
        private bool _hasStopped;

        public CancellationTokenSource? Stop { get; set; }

        public string Type => "Stop";

        public CompiledExpression Compile(ExpressionSource source) => new StoppingExpression(this, source.Value.GetString()!);

        private sealed class StoppingExpression(StoppingSyntax syntax, string text) : Expression
        {
            public override ValueTask<object?> EvaluateAsync(ActivityContext context)
            {
                var rounds = ValueConverter.Convert<int>(context.GetVariable("n"));
                if (!syntax._hasStopped && (text.Length == 0 || rounds == 1))
                {
                    syntax._hasStopped = true;
                    syntax.Stop!.Cancel();
                    context.CancellationToken.ThrowIfCancellationRequested();
                }

                if (text.Length > 0)
                    context.SetVariable("n", rounds + 1);
                return new(text.Length == 0 || rounds < 2);
            }
        }
    }
}

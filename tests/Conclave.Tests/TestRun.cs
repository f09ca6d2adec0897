using System.Buffers;
using System.Text.Json.Nodes;
using Conclave.Workflows.Activities;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;

namespace Conclave.Tests;

/// <summary>Runs definitions in memory for tests.</summary>
internal static class TestRun
{
    public static WorkflowEngine Engine(
        WorkflowEngineOptions? options = null, TimeProvider? time = null, WorkflowLibrary? library = null, params ActivityType[] types) =>
        new(options, ActivityCatalog.BuiltIn.With(types), ExpressionSyntaxes.BuiltIn.With(new TestSyntax()), library, time: time);

    /// <summary>An engine that knows other workflows.</summary>
    public static WorkflowEngine Knowing(params JsonNode[] workflows)
    {
        var library = new WorkflowLibrary();
        foreach (var workflow in workflows)
            library.Add(workflow.Read());
        return Engine(library: library);
    }

    /// <summary>Runs a workflow until it ends or waits.</summary>
    public static async Task<LocalRun> RunAsync(this WorkflowEngine engine, JsonNode workflow, WorkflowStart? start = null)
    {
        var run = new LocalRun(engine);
        await run.StartAsync(engine.Compile(workflow.Read()), start ?? WorkflowStart.Default, CancellationToken.None);
        return run;
    }

    /// <summary>Runs an activity as the root of a workflow until it ends or waits.</summary>
    public static Task<LocalRun> RunAsync(JsonNode root, params JsonObject[] variables) =>
        Engine().RunAsync(Json.Workflow(root, variables));

    /// <summary>Resumes what waits in an activity.</summary>
    public static Task ResumeAsync(this LocalRun run, string activityId, object? input = null) => run.ResumeAsync(
        run.Instance.Bookmarks.First(b => b.Context.Node.Id == activityId), input, CancellationToken.None);

    /// <summary>Ids of the activities in which the run waits.</summary>
    public static IEnumerable<string> Waiting(this LocalRun run) => run.Instance.Bookmarks.Select(b => b.Context.Node.Id);

    public static object? Variable(this LocalRun run, string id) => run.Instance.GetVariable(run.Instance.Graph.Root.FindVariable(id)!);

    /// <summary>The activities that had an event, in order.</summary>
    public static IEnumerable<string> Ids(this WorkflowInstance instance, ExecutionEvent executionEvent) =>
        instance.Log.Entries.Where(e => e.Event == executionEvent).Select(e => instance.Graph.Nodes[e.NodeIndex].Id);

    public static void Finished(this LocalRun run, params string[] lines)
    {
        Assert.Empty(run.Instance.Incidents);
        Assert.Equal(WorkflowSubStatus.Finished, run.Instance.SubStatus);
        Assert.Equal(lines, run.Lines);
    }

    /// <summary>The only incident of a run that faulted with a code.</summary>
    public static Incident Faulted(this LocalRun run, string message)
    {
        Assert.Equal(WorkflowSubStatus.Faulted, run.Instance.SubStatus);
        var incident = Assert.Single(run.Instance.Incidents);
        Assert.Contains(message, incident.Message, StringComparison.Ordinal);
        return incident;
    }

    public static byte[] Store(WorkflowInstance instance)
    {
        var buffer = new ArrayBufferWriter<byte>();
        InstanceSerializer.Write(instance, buffer);
        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>Stores an instance and reads it back; the log and the effects, which are no state, move over.</summary>
    public static WorkflowInstance Restore(WorkflowInstance instance)
    {
        var state = Store(instance);
        var restored = InstanceSerializer.Read(instance.Id, instance.Graph, state, instance.Time);
        Assert.Equal(state, Store(restored));
        var sequence = restored.Log.Sequence;
        foreach (var entry in instance.Log.Entries)
            restored.Log.Add(entry.Timestamp, entry.NodeIndex, entry.ActivityInstance, entry.Event, entry.Details, entry.ParentInstance);
        restored.Log.Sequence = sequence;
        restored.EffectList.AddRange(instance.TakeEffects());
        return restored;
    }
}

/// <summary>A clock that tests move.</summary>
internal sealed class ManualTime(DateTimeOffset? now = null) : TimeProvider
{
    private DateTimeOffset _now = now ?? new DateTimeOffset(2026, 1, 15, 9, 0, 0, TimeSpan.Zero);

    public override DateTimeOffset GetUtcNow() => _now;

    public void Advance(TimeSpan span) => _now += span;
}

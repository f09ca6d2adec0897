using System.Text.Json;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;
using Conclave.Workflows.Runtime.Definitions;

namespace Conclave.Workflows.Runtime.RunTests;

/// <summary>Makes tests of runs, and repeats them in memory: nothing happens outside, and nothing is stored but what came of it.</summary>
/// <param name="runtime">Where runs are read from, and workflows.</param>
/// <param name="store">Where tests are kept.</param>
/// <param name="time">The clock.</param>
public sealed class RunTests(WorkflowRuntime runtime, RunTestStore store, TimeProvider time)
{
    private const int LongestName = 200;
    private const int MostBursts = 10_000;
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(1);

    private readonly RunRecorder _recorder = new(runtime.Runner, runtime.Executions);

    /// <summary>With what a recorded run would begin now, by tenant and recording; null for the workflow that it ran on, with the same inputs.</summary>
    public Func<string, RunRecording, CancellationToken, ValueTask<PresentRun?>> Present { get; init; } = static (_, _, _) => ValueTask.FromResult<PresentRun?>(null);

    /// <summary>What features beside the engine count as outputs, from what a run asked for, oldest first.</summary>
    public Func<IReadOnlyList<WorkflowEffect>, IEnumerable<KeyValuePair<string, object?>>> Told { get; init; } = static _ => [];

    /// <summary>Where tests are kept.</summary>
    public RunTestStore Store => store;

    /// <summary>Makes a test of a run. It is repeated at once: what is another then is another each time, and will not be compared.</summary>
    /// <param name="tenant">Whose.</param>
    /// <param name="instanceId">The run.</param>
    /// <param name="name">Name of the test; null names it after the run.</param>
    /// <param name="subject">What it belongs to beside the workflow; null for nothing.</param>
    /// <param name="actor">Who makes it.</param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    /// <exception cref="WorkflowException">The run cannot become a test; the message says why.</exception>
    public async Task<RunTest> CreateAsync(string tenant, string instanceId, string? name, string? subject, string actor, CancellationToken cancellationToken)
    {
        var recording = await _recorder.RecordAsync(tenant, instanceId, cancellationToken);
        var graph = await runtime.Catalog.Of(tenant).GetGraphAsync(recording.VersionId, cancellationToken);
        var (differences, output) = await RepeatAsync(tenant, recording, graph, WorkflowInstance.EmptyValues, cancellationToken);
        if (differences.FirstOrDefault(d => d.Kind is not ("input" or "output")) is { } other)
            throw new WorkflowException("test.not_repeatable", $"The run goes another way when it is repeated with the same answers: {other.Message} It depends on something that is not recorded, such as the time or chance.");
        recording = recording with
        {
            // What features tell is not stored with the instance.
            Output = recording.Output.Concat(output.Where(o => !recording.Output.ContainsKey(o.Key))).ToDictionary(),
            Varying = [.. differences.Select(d => d.Kind == "input" ? RecordedOutcomes.NameOf(d.NodeId!, d.Name!) : d.Name!).Distinct()],
        };
        var title = string.IsNullOrWhiteSpace(name) ? $"{graph.Definition.Name ?? recording.DefinitionId}, {time.GetUtcNow():yyyy-MM-dd HH:mm}" : name.Trim();
        var test = new RunTest
        {
            Id = Guid.CreateVersion7().ToString("N"),
            Name = title.Length > LongestName ? title[..LongestName] : title,
            DefinitionId = recording.DefinitionId,
            Version = recording.Version,
            InstanceId = recording.InstanceId,
            Subject = subject,
            Recording = recording,
            CreatedAt = time.GetUtcNow(),
            CreatedBy = actor,
        };
        await store.AddAsync(tenant, test, cancellationToken);
        return test;
    }

    /// <summary>Repeats a run on the workflow as it is now, and keeps what came of it.</summary>
    /// <param name="tenant">Whose.</param>
    /// <param name="test">The test, with its recording.</param>
    /// <param name="versions">Which version: the newest, drafts too, or the published one.</param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    public async Task<RunTestResult> RunAsync(string tenant, RunTest test, VersionOptions versions, CancellationToken cancellationToken)
    {
        var result = await RunAsync(tenant, test.Recording ?? throw new ArgumentException("The test has no recording.", nameof(test)), versions, cancellationToken);
        await store.SetResultAsync(tenant, test.Id, result, cancellationToken);
        return result;
    }

    private async Task<RunTestResult> RunAsync(string tenant, RunRecording recording, VersionOptions versions, CancellationToken cancellationToken)
    {
        var version = 0;
        try
        {
            var present = await Present(tenant, recording, cancellationToken) ?? new PresentRun(recording.DefinitionId, null, WorkflowInstance.EmptyValues);
            var definition = (present.Version is { } pinned
                ? await runtime.Catalog.Store.FindAsync(tenant, present.DefinitionId, pinned, cancellationToken)
                : await runtime.Catalog.Store.FindAsync(tenant, present.DefinitionId, versions, cancellationToken))?.Definition
                ?? throw new WorkflowException("definition.not_found", $"There is no {(versions == VersionOptions.Published ? "published " : "")}version of the workflow '{present.DefinitionId}' any more.");
            version = definition.Version;
            var graph = await runtime.Catalog.Of(tenant).CompileAsync(definition, cancellationToken);
            var (differences, _) = await RepeatAsync(tenant, recording, graph, present.Input, cancellationToken);
            return new RunTestResult(differences.Count == 0, version, time.GetUtcNow(), differences);
        }
        catch (Exception exception) when (exception is WorkflowException or WorkflowDefinitionException)
        {
            return new RunTestResult(false, version, time.GetUtcNow(), [new RunDifference("workflow", exception.Message)]);
        }
    }

    private async Task<(IReadOnlyList<RunDifference> Differences, Dictionary<string, JsonElement> Output)> RepeatAsync(
        string tenant, RunRecording recording, WorkflowGraph graph, IReadOnlyDictionary<string, object?> given, CancellationToken cancellationToken)
    {
        var varying = recording.Varying.ToHashSet(StringComparer.Ordinal);
        var host = new RunTestHost(tenant, runtime.Runner.Services) { Recorded = new RecordedOutcomes(recording.Executions, varying) };
        var engine = runtime.Catalog.Of(tenant).Engine;
        var input = recording.Input.ToDictionary(i => i.Key, i => ValueConverter.FromJson(i.Value));
        foreach (var (name, value) in given)
            input[name] = value;
        var instance = engine.CreateInstance(graph, new WorkflowStart
        {
            // The same ids, so that what is made of them is the same.
            InstanceId = recording.InstanceId,
            CorrelationId = recording.CorrelationId,
            TriggerActivityId = recording.TriggerActivityId,
            Input = input,
        });
        using var late = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        late.CancelAfter(Longest);
        var differences = new List<RunDifference>();
        try
        {
            await engine.RunAsync(instance, host, late.Token);
            for (var bursts = 0; bursts < MostBursts && NextDue(instance) is { } due; bursts++)
                await engine.ResumeAsync(instance, due, null, host, late.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            differences.Add(new RunDifference("workflow", $"It has not ended after {Longest.TotalSeconds:0} seconds."));
        }

        differences.AddRange(host.Recorded.Differences);
        var output = RunRecorder.ToJson(instance.Output);
        foreach (var (name, value) in Told(instance.Effects))
            output[name] = ValueConverter.ToJson(value);
        // What follows from another way is not said once more.
        if (differences.All(d => d.Kind is "input"))
            differences.AddRange(CompareEnds(recording, instance, host.Recorded, output, varying));
        return (differences, output);
    }

    /// <summary>Time passes at once, for what waits for nothing else.</summary>
    private static Bookmark? NextDue(WorkflowInstance instance) =>
        instance.Bookmarks.GroupBy(b => b.Context).Where(g => g.All(b => b.DueAt is not null)).SelectMany(g => g).MinBy(b => b.DueAt);

    private static IEnumerable<RunDifference> CompareEnds(
        RunRecording recording, WorkflowInstance instance, RecordedOutcomes recorded, Dictionary<string, JsonElement> output, HashSet<string> varying)
    {
        foreach (var node in instance.Bookmarks.Select(b => b.Context.Node).Distinct())
            yield return new RunDifference("waiting", $"{node} waits, and did not in the recorded run.", node.NodeId);
        foreach (var missing in recorded.Left.GroupBy(e => e.NodeId, StringComparer.Ordinal))
        {
            var name = instance.Graph.FindNode(missing.Key)?.ToString() ?? $"'{missing.Key[(missing.Key.LastIndexOf(':') + 1)..]}'";
            yield return new RunDifference("missing", $"{name} is executed {missing.Count()} {(missing.Count() == 1 ? "time" : "times")} fewer than in the recorded run.", missing.Key);
        }

        if (instance.Bookmarks.Count == 0 && instance.SubStatus != recording.SubStatus)
        {
            var why = instance.Incidents.Count > 0 ? $" {instance.Incidents[^1].ActivityId}: {instance.Incidents[^1].Message}" : "";
            yield return new RunDifference("status", $"It ends as {instance.SubStatus}, and ended as {recording.SubStatus}.{why}");
        }

        foreach (var (name, expected) in recording.Output)
        {
            JsonElement? actual = output.TryGetValue(name, out var value) ? value : null;
            if (!varying.Contains(name) && (actual is null || !JsonElement.DeepEquals(expected, actual.Value)))
                yield return new RunDifference("output", $"It gives another {name}.", null, name, expected, actual);
        }
    }

    /// <summary>What workflows may ask while a run is repeated: what they may read, and nothing that does something.</summary>
    private sealed class RunTestHost(string tenant, Instances.WorkflowServices services) : WorkflowHost
    {
        public override string Tenant => tenant;

        public override void WriteLine(string? text)
        {
        }

        public override string? GetConfiguration(string name) => services.Configuration(name);

        public override string CreateEventTriggerUrl(string eventName, JsonElement lifetime) =>
            (services.EventTriggerUrl ?? throw Unavailable("create event URLs"))(tenant, eventName, lifetime);
    }
}

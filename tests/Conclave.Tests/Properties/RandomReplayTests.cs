using System.Text;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;
using Conclave.Workflows.Runtime.Journal;
using Conclave.Workflows.Runtime.Replay;

namespace Conclave.Tests.Properties;

/// <summary>Whatever a workflow does: its journal alone tells how the instance stood after each of its bursts.</summary>
public sealed class RandomReplayTests
{
    private const int MaxBursts = 40;

    [Theory]
    [InlineData(1, FlowchartMode.Counter)]
    [InlineData(1, FlowchartMode.Token)]
    [InlineData(5_000, FlowchartMode.Counter)]
    [InlineData(5_000, FlowchartMode.Token)]
    [InlineData(0, FlowchartMode.Counter)]
    public async Task Replay_AnyWorkflow_StandsAsTheInstanceDid(int seed, FlowchartMode mode)
    {
        var first = seed == 0 ? Random.Shared.Next(10_000, int.MaxValue - 200) : seed;
        var compared = 0;
        foreach (var each in Enumerable.Range(first, 100))
        {
            var graph = Trial.Engine.Compile(new RandomWorkflow(each).Anything().Read());
            var run = new RecordedRun(graph);
            await run.RunAsync(mode);
            foreach (var (position, expected) in run.Stood)
            {
                var actual = await run.ReplayAsync(new ReplayPoint.AtPosition(position));
                if (expected != actual)
                    Assert.Fail($"seed {each}, {mode}, position {position}: expected\n{expected}\nreplayed\n{actual}\n{new RandomWorkflow(each).Anything()}");
                compared++;
            }
        }

        Assert.True(compared > 150, $"Only {compared} points were compared.");
    }

    /// <summary>Runs an instance and keeps its journal as the runtime does, and how it stood after each burst.</summary>
    private sealed class RecordedRun(WorkflowGraph graph) : IExecutionLogSink
    {
        private readonly List<StoredJournalChunk> _chunks = [];
        private WorkflowInstance _instance = null!;
        private long _next;

        public List<(long Position, string State)> Stood { get; } = [];

        public async Task RunAsync(FlowchartMode mode)
        {
            _instance = Trial.Engine.CreateInstance(graph, new WorkflowStart { InstanceId = "i", FlowchartMode = mode });
            await BurstAsync(host => Trial.Engine.RunAsync(_instance, host, default));
            for (var bursts = 0; bursts < MaxBursts && _instance.Bookmarks.Count > 0 && _instance.Status == WorkflowStatus.Running; bursts++)
            {
                _instance = TestRun.Restore(_instance);
                await BurstAsync(async host => await Trial.Engine.ResumeAsync(_instance, _instance.Bookmarks[bursts % _instance.Bookmarks.Count], "input", host, default));
            }

            if (_instance.Status == WorkflowStatus.Finished)
                return;
            await BurstAsync(_ =>
            {
                WorkflowEngine.Cancel(_instance);
                return ValueTask.CompletedTask;
            });
        }

        public async Task<string> ReplayAsync(ReplayPoint point)
        {
            var state = new ReplayState();
            var steps = InstanceReplay.WalkAsync(state, _chunks.ToAsyncEnumerable(), [], _ => ValueTask.FromResult<WorkflowGraph?>(graph), point);
            await foreach (var step in steps)
                Assert.Same(state, step.State);
            return Tell(
                state.SubStatus,
                state.Open.Select(e => (e.Number, e.Status.ToString())),
                state.Scopes.SelectMany(s => s.Variables.Select(v => (s.Number, v.Key, v.Value.Value))),
                state.Output.Select(o => (o.Key, o.Value.Value)));
        }

        void IExecutionLogSink.Write(WorkflowInstance instance, ReadOnlySpan<LogEntry> entries)
        {
            _chunks.Add(new StoredJournalChunk(_next, JournalChunk.Write(graph, _next, entries, instance.Log.TakeNotes(_next + entries.Length))));
            _next += entries.Length;
        }

        private async Task BurstAsync(Func<WorkflowHost, ValueTask> run)
        {
            _instance.Log.KeepsNotes = true;
            await run(new WorkflowHost { LogSink = this });
            _instance.Log.Drain(_instance, this);
            Stood.Add((_next - 1, Tell()));
        }

        private string Tell()
        {
            // What a Finish left behind stays in the instance.
            var open = _instance.Contexts
                .Where(c => c.Status is (ActivityStatus.Running or ActivityStatus.Faulted) && _instance.SubStatus != WorkflowSubStatus.Finished).ToList();
            var scopes = _instance.RootContext is { } root ? open.Prepend(root).Distinct() : open;
            return Tell(
                _instance.SubStatus,
                open.Select(c => (c.Number, c.Status == ActivityStatus.Faulted ? "Faulted" : c.HasBookmarks ? "Waiting" : "Running")),
                scopes.SelectMany(Variables),
                _instance.Output.Select(o => (o.Key, o.Value)));
        }

        private static IEnumerable<(int, string, object?)> Variables(ActivityContext context) => context.Node.Variables
            .Where(v => context.Parent is not null || !v.IsInput)
            .Select(v => (context.Number, v.Definition.Name, context.Variables?[v.Slot]))
            .Concat((context.Dynamic ?? []).Select(d => (context.Number, d.Name, d.Value)));

        private static string Tell(
            WorkflowSubStatus subStatus, IEnumerable<(int Number, string Status)> open, IEnumerable<(int, string, object?)> variables, IEnumerable<(string, object?)> outputs)
        {
            var story = new StringBuilder();
            story.Append(subStatus).AppendLine();
            foreach (var (number, status) in open.Order())
                story.AppendLine($"{number} {status}");
            foreach (var line in variables.Select(v => $"{v.Item1}.{v.Item2} = {ValueConverter.ToText(v.Item3)}").Order(StringComparer.Ordinal))
                story.AppendLine(line);
            foreach (var line in outputs.Select(o => $"{o.Item1} = {ValueConverter.ToText(o.Item2)}").Order(StringComparer.Ordinal))
                story.AppendLine(line);
            return story.ToString();
        }
    }
}

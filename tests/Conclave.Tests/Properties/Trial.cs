using System.Text;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;

namespace Conclave.Tests.Properties;

/// <summary>Runs one graph to its end, resuming whatever waits, and tells everything that happened.</summary>
internal sealed class Trial(WorkflowEngine engine, WorkflowGraph graph)
{
    private const int MaxBursts = 200;

    private readonly StringBuilder _story = new();
    private WorkflowInstance _instance = null!;

    /// <summary>Number of times that state was stored and read back.</summary>
    public int Restores { get; private set; }

    public static WorkflowEngine Engine { get; } = TestRun.Engine(
        new WorkflowEngineOptions { MaxActivitiesPerBurst = 3_000 }, new ManualTime());

    /// <summary>The events, lines and results of a run, in one text so that differences show.</summary>
    /// <param name="restores">Whether to store the instance and read it back after every activity.</param>
    public async Task<string> RunAsync(FlowchartMode mode, bool restores)
    {
        _instance = engine.CreateInstance(graph, new WorkflowStart { InstanceId = "i", FlowchartMode = mode });
        await BurstAsync((host, token) => engine.RunAsync(_instance, host, token), restores);
        for (var bursts = 0; _instance.Bookmarks.Count > 0 && _instance.Status == WorkflowStatus.Running; bursts++)
        {
            if (bursts == MaxBursts)
                return _story.Append("goes on and on").ToString();
            var bookmark = _instance.Bookmarks.OrderBy(b => b.DueAt).ThenBy(b => b.Context.Node.NodeId, StringComparer.Ordinal).ThenBy(b => b.Number).First();
            _story.AppendLine($"resume {bookmark.Id} {bookmark.Payload}");
            await BurstAsync(async (host, token) => await engine.ResumeAsync(_instance, bookmark, "input", host, token), restores);
        }

        return Tell();
    }

    private async Task BurstAsync(Func<WorkflowHost, CancellationToken, ValueTask> begin, bool restores)
    {
        while (true)
        {
            using var stop = new CancellationTokenSource();
            var host = new Host(_story) { AfterActivity = restores ? stop.Cancel : null };
            try
            {
                await begin(host, stop.Token);
                return;
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                Restores++;
                _instance = TestRun.Restore(_instance);
                begin = (next, token) => engine.RunAsync(_instance, next, token);
            }
        }
    }

    private string Tell()
    {
        foreach (var entry in _instance.Log.Entries)
        {
            var outcomes = (entry.Details as ActivityDetails)?.Outcomes;
            _story.AppendLine($"{entry.ActivityInstance} {graph.Nodes[entry.NodeIndex].NodeId} {entry.Event} {(outcomes is null ? "" : string.Join(',', outcomes))}");
        }

        foreach (var incident in _instance.Incidents)
            _story.AppendLine($"incident {incident.ActivityNodeId} {incident.ActivityInstance} {incident.Message}");
        foreach (var (name, value) in _instance.Output)
            _story.AppendLine($"output {name} = {ValueConverter.ToText(value)}");
        foreach (var variable in graph.Root.Variables)
            _story.AppendLine($"variable {variable.Definition.Name} = {ValueConverter.ToText(_instance.GetVariable(variable))}");
        return _story.Append(_instance.SubStatus).ToString();
    }

    private sealed class Host(StringBuilder story) : WorkflowHost
    {
        public override void WriteLine(string? text) => story.AppendLine($"line {text}");
    }
}

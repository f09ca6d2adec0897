using System.Text.Json;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Expressions;

namespace Conclave.Workflows.Execution;

/// <summary>What an activity was given in a run, and what it made of it.</summary>
/// <param name="NodeId">The activity.</param>
/// <param name="Inputs">Inputs by descriptor name, without those that the journal does not keep.</param>
/// <param name="Outputs">Outputs by descriptor name.</param>
/// <param name="Outcomes">Outcomes that it completed with; empty when it faulted.</param>
/// <param name="Error">Why it faulted; null when it did not.</param>
public sealed record RecordedExecution(
    string NodeId, IReadOnlyDictionary<string, JsonElement> Inputs, IReadOnlyDictionary<string, JsonElement> Outputs, IReadOnlyList<string> Outcomes, string? Error);

/// <summary>Something in which a run differs from the one that was recorded.</summary>
/// <param name="Kind">input, extra, missing, waiting, status, output or workflow.</param>
/// <param name="Message">What differs, for people.</param>
/// <param name="NodeId">The activity; null for the workflow as a whole.</param>
/// <param name="Name">The input or output; null when it is neither.</param>
/// <param name="Expected">As it was recorded; null where there is no value.</param>
/// <param name="Actual">As it is now; null where there is no value.</param>
public sealed record RunDifference(string Kind, string Message, string? NodeId = null, string? Name = null, JsonElement? Expected = null, JsonElement? Actual = null);

/// <summary>Answers for activities as a recorded run had them, so that a run does nothing outside and gets what the other one got.</summary>
/// <remarks>
/// Recorded are activities with an effect and those that waited. Whatever else there is runs. One run at a time.
/// </remarks>
public sealed class RecordedOutcomes
{
    private readonly Dictionary<string, List<RecordedExecution>> _left;
    private readonly List<RunDifference> _differences = [];
    private readonly IReadOnlySet<string> _varying;

    /// <summary>Takes what was recorded.</summary>
    /// <param name="executions">The executions, oldest first.</param>
    /// <param name="varying">Inputs that are another each time, and not compared: <see cref="NameOf"/>.</param>
    public RecordedOutcomes(IEnumerable<RecordedExecution> executions, IReadOnlySet<string> varying)
    {
        _left = executions.GroupBy(e => e.NodeId, StringComparer.Ordinal).ToDictionary(g => g.Key, g => g.ToList(), StringComparer.Ordinal);
        _varying = varying;
    }

    /// <summary>What differed so far.</summary>
    public IReadOnlyList<RunDifference> Differences => _differences;

    /// <summary>Recorded executions that did not come yet.</summary>
    public IEnumerable<RecordedExecution> Left => _left.Values.SelectMany(e => e);

    /// <summary>The name under which an input of an activity is left out of comparisons.</summary>
    public static string NameOf(string nodeId, string input) => $"{nodeId}.{input}";

    /// <summary>Completes an activity as it was recorded.</summary>
    /// <returns>Whether it did; false for one that is to run.</returns>
    /// <exception cref="WorkflowException"><c>test.extra</c>: it would do something outside that the recorded run did not do. Or the recorded fault.</exception>
    internal bool TryAnswer(ActivityContext context)
    {
        var node = context.Node;
        if (!_left.TryGetValue(node.NodeId, out var left) || left.Count == 0)
        {
            if (!node.Activity.IsAnsweredInTests)
                return false;
            var message = left is null ? $"{node} is executed, and was not in the recorded run." : $"{node} is executed more often than in the recorded run.";
            _differences.Add(new RunDifference("extra", message, node.NodeId));
            throw new WorkflowException("test.extra", message) { IsPermanent = true };
        }

        var inputs = InputsOf(context);
        // Branches that run side by side may come in another order.
        var answer = left.Find(e => IsEqual(node, e, inputs)) ?? left[0];
        left.Remove(answer);
        Compare(node, answer, inputs);
        if (answer.Error is { } error)
            throw new WorkflowException("test.recorded_fault", error) { IsPermanent = true };
        foreach (var output in node.Outputs)
        {
            if (answer.Outputs.TryGetValue(output.Name, out var value))
                context.SetOutput(output, output is Activities.Output<JsonElement> ? value : ValueConverter.FromJson(value));
        }

        node.Activity.OnAnswered(context);
        context.CompleteWith(answer.Outcomes);
        return true;
    }

    /// <summary>The inputs that an activity has now, as JSON. One that it evaluates itself while it runs has no value yet.</summary>
    private static Dictionary<string, JsonElement> InputsOf(ActivityContext context)
    {
        var values = JournalValues.Inputs(context.Node, new ActivityDetails(context.Inputs, null, null));
        foreach (var input in context.Node.EvaluatedInputs)
        {
            if (!input.BeforeRun)
                values.Remove(input.Name);
        }

        return values.ToDictionary(v => v.Key, v => ValueConverter.ToJson(v.Value));
    }

    private bool IsEqual(ActivityNode node, RecordedExecution recorded, Dictionary<string, JsonElement> inputs) => !Differing(node, recorded, inputs).Any();

    private void Compare(ActivityNode node, RecordedExecution recorded, Dictionary<string, JsonElement> inputs)
    {
        foreach (var name in Differing(node, recorded, inputs))
        {
            JsonElement? expected = recorded.Inputs.TryGetValue(name, out var value) ? value : null;
            _differences.Add(new RunDifference("input", $"{node} is given another {name}.", node.NodeId, name, expected, inputs[name]));
        }
    }

    private IEnumerable<string> Differing(ActivityNode node, RecordedExecution recorded, Dictionary<string, JsonElement> inputs) =>
        !node.Activity.IsComparedInTests ? [] : inputs
            .Where(i => !_varying.Contains(NameOf(node.NodeId, i.Key)) && !JsonElement.DeepEquals(i.Value, recorded.Inputs.GetValueOrDefault(i.Key, JsonNull)))
            .Select(i => i.Key);

    private static readonly JsonElement JsonNull = JsonElement.Parse("null");
}

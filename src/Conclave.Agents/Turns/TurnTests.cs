using System.Text.Json;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.RunTests;

namespace Conclave.Agents.Turns;

/// <summary>Turns that became tests: they are repeated with the agent as it is now, and its answer counts as an output.</summary>
public static class TurnTests
{
    private const string Answer = "answer";

    /// <summary>What tests of an agent's turns belong to.</summary>
    public static string SubjectOf(string agentId) => "agent:" + agentId;

    /// <summary>With what a recorded turn would begin now; null for a run that is no turn.</summary>
    /// <exception cref="WorkflowException">There is no such agent any more, or its behaviour cannot run.</exception>
    public static async ValueTask<PresentRun?> PresentAsync(AgentStore agents, TurnStarter starter, string tenant, RunRecording recording, CancellationToken cancellationToken)
    {
        if (!recording.Input.TryGetValue(TurnInputs.AgentId, out var id) || id.ValueKind != JsonValueKind.String)
            return null;
        try
        {
            var agent = await agents.FindAsync(tenant, id.GetString()!, cancellationToken) ?? throw AgentStore.Missing(id.GetString()!);
            var makeup = await starter.MakeupHashAsync(agent, cancellationToken);
            return new PresentRun(agent.Configuration.Behaviour, agent.Configuration.BehaviourVersion, new Dictionary<string, object?> { [TurnInputs.Makeup] = makeup });
        }
        catch (AgentException exception)
        {
            throw new WorkflowException(exception.Code, exception.Message, exception) { IsPermanent = true };
        }
    }

    /// <summary>The answer that a run gave; nothing for one that is no turn.</summary>
    public static IEnumerable<KeyValuePair<string, object?>> Told(IReadOnlyList<WorkflowEffect> effects) =>
        effects.OfType<TurnAnswered>().LastOrDefault() is { } answered ? [KeyValuePair.Create(Answer, (object?)answered.Answer)] : [];
}

using System.Text.Json;
using Conclave.Workflows.Activities;
using Conclave.Workflows.Execution;

namespace Conclave.Agents.Activities;

/// <summary>Says what the model is to read.</summary>
[Activity("Conclave.Agents", "Agents", "Says what the model is to read: who the agent is, more instructions, and how much of the conversation. The text itself stays where it is stored.", DisplayName = "Build prompt",
    Icon = AgentIcons.Prompt, Color = AgentIcons.Color)]
public sealed class BuildPrompt : Activity
{
    /// <summary>More to keep to.</summary>
    [Input(Description = "What the model should keep to in this step, after what the agent's own prompt says.", UIHint = InputUIHints.MultiLine)]
    public Input<string> Instructions { get; set; } = new();

    /// <summary>What is asked, beside the conversation.</summary>
    [Input(Description = "A question of this step, after the conversation; it is not added to it. Empty for none.", UIHint = InputUIHints.MultiLine)]
    public Input<string> Question { get; set; } = new();

    /// <summary>Whether the conversation is read.</summary>
    [Input(Description = "Whether the model reads the conversation so far.")]
    public Input<bool> IncludeHistory { get; set; } = new(true);

    /// <summary>Most tokens.</summary>
    [Input(Description = "Most tokens of the prompt, estimated; the oldest messages are left out. Empty for the agent's context size.")]
    public Input<int?> ContextSize { get; set; } = new();

    /// <summary>The prompt.</summary>
    [Output(Description = "The prompt, for Chat: a small reference.")]
    public Output<JsonElement>? Prompt { get; set; }

    /// <inheritdoc/>
    public override ValueTask ExecuteAsync(ActivityContext context)
    {
        context.Set(Prompt, Json.Object(
            ("instructions", context.Get(Instructions) is { Length: > 0 } instructions ? instructions : null),
            ("question", context.Get(Question) is { Length: > 0 } question ? question : null),
            ("history", context.Get(IncludeHistory)),
            ("contextSize", context.Get(ContextSize))));
        context.Complete();
        return ValueTask.CompletedTask;
    }
}

using Conclave.Agents.Turns;
using Conclave.Workflows.Activities;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;

namespace Conclave.Agents.Activities;

/// <summary>Tells the model what came of a call.</summary>
[Activity("Conclave.Agents", "Agents", "Tells the model what came of a call: the tool's result, or why it was not run. Each call needs an answer before the model is asked again.", Icon = AgentIcons.Observe, Color = AgentIcons.Color)]
public sealed class Observe : Activity
{
    /// <summary>The call.</summary>
    [Input(Description = "The call, one of those that Chat gives. Empty for the item of the loop around.")]
    public Input<object> Call { get; set; } = new();

    /// <summary>What came of it.</summary>
    [Input(Description = "What came of it: the result of Run tool, or a text such as why it was not allowed.")]
    public Input<object> Result { get; set; } = new();

    /// <summary>Before it.</summary>
    [Input(Description = "A text before the result, such as: This was not allowed.")]
    public Input<string> Prefix { get; set; } = new();

    /// <summary>Most characters.</summary>
    [Input(Description = "Most characters that the model is told; the middle of what is longer is left out.")]
    public Input<int> MaxCharacters { get; set; } = new(20_000);

    /// <inheritdoc/>
    public override ValueTask ExecuteAsync(ActivityContext context)
    {
        var call = RequestedCall.Of(context, Call);
        var text = ValueConverter.ToText(context.Get(Result)) ?? "";
        if (context.Get(Prefix) is { Length: > 0 } prefix)
            text = text.Length > 0 ? $"{prefix} {text}" : prefix;
        text = Shorten(text, Math.Clamp(context.Get(MaxCharacters), 100, 1_000_000));
        TurnScope.Say(context, TurnMessage.Tool(call.Id, text));
        TurnProgress.Of(context).Called(call.Tool, call.Arguments.GetRawText(), text).Store(context);
        context.Complete();
        return ValueTask.CompletedTask;
    }

    /// <summary>The beginning and the end of a text that is too long: errors tend to stand at the end.</summary>
    private static string Shorten(string text, int most)
    {
        if (text.Length <= most)
            return text;
        var half = (most / 2) - 20;
        return $"{text[..half]}\n… {text.Length - (2 * half):N0} characters left out …\n{text[^half..]}";
    }
}

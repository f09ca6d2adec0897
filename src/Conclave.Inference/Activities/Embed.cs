using System.Text.Json;
using Conclave.Workflows.Activities;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;

namespace Conclave.Inference.Activities;

/// <summary>Turns texts into vectors.</summary>
[Activity("Conclave", "AI", "Turns texts into vectors, to compare what they mean.", DisplayName = "Embed", Kind = ActivityKind.Task, IsResilient = true, HasEffect = true, IsRecorded = true,
    Icon = AIIcons.Embed, Color = AIIcons.Color)]
public sealed class Embed : ModelActivity
{
    /// <summary>The texts.</summary>
    [Input(Description = "The texts, or one text.", UIHint = InputUIHints.MultiText)]
    public Input<object> Texts { get; set; } = new();

    /// <summary>Length of the vectors.</summary>
    [Input(Description = "The length of the vectors, for models that offer several; empty for the model's own.", Category = "Model")]
    public Input<int?> Dimensions { get; set; } = new();

    /// <summary>The vectors.</summary>
    [Output(Description = "A vector for each text, in their order.")]
    public Output<JsonElement>? Result { get; set; }

    /// <inheritdoc/>
    public override async ValueTask ExecuteAsync(ActivityContext context)
    {
        var given = context.Get(Texts);
        string[] texts = given is string or JsonElement { ValueKind: JsonValueKind.String } ? [ValueConverter.ToText(given)!] : [.. ValueConverter.Enumerate(given).Select(t => ValueConverter.ToText(t) ?? "")];
        if (texts.Length == 0)
            throw new WorkflowException("ai.bad_messages", $"{Node}: there is no text to embed.") { IsPermanent = true };
        var vectors = await EmbedAsync(context, texts, context.Get(Dimensions));
        context.Set(Result, JsonSerializer.SerializeToElement([.. vectors.Select(v => v.Vector.ToArray())], Caching.CachingJson.Default.SingleArrayArray));
        context.Complete();
    }
}

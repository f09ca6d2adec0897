using System.Text.Json;
using Conclave.Workflows.Activities;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;

namespace Conclave.Agents.Activities;

/// <summary>A call of a tool, as the model asked for it.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Tool">Name of the tool.</param>
/// <param name="Arguments">Arguments; an empty object when the model gave none.</param>
internal sealed record RequestedCall(string Id, string Tool, JsonElement Arguments)
{
    private static readonly JsonElement None = JsonElement.Parse("{}");

    /// <summary>Reads what an author gave: <c>{id, name, arguments}</c>; nothing means the item of the loop around.</summary>
    /// <exception cref="WorkflowException"><c>agents.bad_call</c>.</exception>
    public static RequestedCall Of(ActivityContext context, Input<object> input)
    {
        var given = context.Get(input);
        if (given is null or "")
            context.TryGetVariable("CurrentValue", out given);
        var json = given is null ? default : ValueConverter.ToJson(given);
        if (json.ValueKind != JsonValueKind.Object || !json.TryGetProperty("name", out var name) || name.GetString() is not { Length: > 0 } tool)
            throw new WorkflowException("agents.bad_call", $"{context.Node}: a call must be {{id, name, arguments}}, as Chat gives them in Tool calls.") { IsPermanent = true };
        var id = json.TryGetProperty("id", out var given2) && given2.ValueKind == JsonValueKind.String ? given2.GetString()! : "";
        return new RequestedCall(id, tool, json.TryGetProperty("arguments", out var arguments) && arguments.ValueKind == JsonValueKind.Object ? arguments : None);
    }
}

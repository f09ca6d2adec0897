using System.Runtime.CompilerServices;
using Conclave.Inference;
using Conclave.Inference.StructuredOutput;
using Conclave.Server.Agents;
using Microsoft.Extensions.AI;

namespace Conclave.Server.Inference;

/// <summary>What the surfaces need of a request.</summary>
internal static class InferenceCaller
{
    private const string SchemaHeader = "x-conclave-schema";

    /// <summary>Where calls go: to models, or to agents that are asked for like models.</summary>
    public static IInference Inference(this HttpContext context) => AgentInference.Of(context);

    /// <summary>The whole answer. One that is to be JSON has been checked, and repaired if it had to be.</summary>
    /// <exception cref="InferenceException">Such as <see cref="InferenceFailure.SchemaMismatch"/>.</exception>
    public static Task<ChatResponse> AnswerAsync(this HttpContext context, ChatCall call, CallReport report, CancellationToken cancellationToken) =>
        call.Options.ResponseFormat is ChatResponseFormatJson && SchemaUse(context) != "off"
            ? Structured(context).AnswerAsync(call, report, cancellationToken)
            : context.Inference().ChatAsync(call, report, cancellationToken);

    /// <summary>The answer as it comes. One that is to be JSON is checked at its end; with <c>x-conclave-schema: repair</c> it is checked and repaired first, and then comes in one piece.</summary>
    /// <exception cref="InferenceException">Such as <see cref="InferenceFailure.SchemaMismatch"/>, in place of the end.</exception>
    public static IAsyncEnumerable<ChatResponseUpdate> StreamAsync(this HttpContext context, ChatCall call, CallReport report, CancellationToken cancellationToken) =>
        call.Options.ResponseFormat is not ChatResponseFormatJson ? context.Inference().StreamAsync(call, report, cancellationToken) : SchemaUse(context) switch
        {
            "off" => context.Inference().StreamAsync(call, report, cancellationToken),
            "repair" => RepairedAsync(context, call, report, cancellationToken),
            _ => Structured(context).StreamAsync(call, report, cancellationToken),
        };

    private static async IAsyncEnumerable<ChatResponseUpdate> RepairedAsync(
        HttpContext context, ChatCall call, CallReport report, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        foreach (var update in (await Structured(context).AnswerAsync(call, report, cancellationToken)).ToChatResponseUpdates())
            yield return update;
    }

    private static StructuredAnswers Structured(HttpContext context) => context.RequestServices.GetRequiredService<InferenceRole>().Structured(context.Inference());

    private static string SchemaUse(HttpContext context) => context.Request.Headers[SchemaHeader].ToString() switch
    {
        "" => "check",
        "off" => "off",
        "check" => "check",
        "repair" => "repair",
        _ => throw new InferenceException(InferenceFailure.BadRequest, "inference.bad_request", $"The header {SchemaHeader} must be check, repair or off.") { Parameter = SchemaHeader },
    };

    /// <summary>The clock.</summary>
    public static TimeProvider Clock(this HttpContext context) => context.RequestServices.GetRequiredService<TimeProvider>();
}

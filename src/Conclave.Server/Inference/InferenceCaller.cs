using Conclave.Inference;
using Conclave.Server.Agents;
using Microsoft.Extensions.AI;

namespace Conclave.Server.Inference;

/// <summary>What the surfaces need of a request.</summary>
internal static class InferenceCaller
{
    /// <summary>Where calls go: to models, or to agents that are asked for like models.</summary>
    public static IInference Inference(this HttpContext context) => AgentInference.Of(context);

    /// <summary>The whole answer. One that is to be JSON has been checked, and repaired if it had to be.</summary>
    /// <exception cref="InferenceException">Such as <see cref="InferenceFailure.SchemaMismatch"/>.</exception>
    public static Task<ChatResponse> AnswerAsync(this HttpContext context, ChatCall call, CallReport report, CancellationToken cancellationToken) =>
        call.Options.ResponseFormat is ChatResponseFormatJson
            ? context.RequestServices.GetRequiredService<InferenceRole>().Structured(context.Inference()).AnswerAsync(call, report, cancellationToken)
            : context.Inference().ChatAsync(call, report, cancellationToken);

    /// <summary>The clock.</summary>
    public static TimeProvider Clock(this HttpContext context) => context.RequestServices.GetRequiredService<TimeProvider>();
}

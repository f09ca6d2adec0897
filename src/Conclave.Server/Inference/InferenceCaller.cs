using Conclave.Inference;

namespace Conclave.Server.Inference;

/// <summary>What the surfaces need of a request.</summary>
internal static class InferenceCaller
{
    /// <summary>Where calls go.</summary>
    public static IInference Inference(this HttpContext context) => context.RequestServices.GetRequiredService<IInference>();

    /// <summary>The clock.</summary>
    public static TimeProvider Clock(this HttpContext context) => context.RequestServices.GetRequiredService<TimeProvider>();
}

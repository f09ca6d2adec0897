using Conclave.Agents;
using Conclave.Server.Api;

namespace Conclave.Server.Agents;

/// <summary>Says as problems what agents refuse.</summary>
internal static class AgentProblems
{
    /// <summary>An endpoint filter.</summary>
    public static async ValueTask<object?> HandleAsync(EndpointFilterInvocationContext invocation, EndpointFilterDelegate next)
    {
        try
        {
            return await next(invocation);
        }
        catch (AgentException exception) when (!invocation.HttpContext.Response.HasStarted)
        {
            throw Of(exception);
        }
    }

    /// <summary>The problem of a refusal.</summary>
    public static ApiException Of(AgentException exception) => new(StatusOf(exception.Failure), exception.Code, exception.Message)
    {
        RetryAfter = exception.RetryAfter is { } wait ? Math.Ceiling(wait.TotalSeconds).ToString(System.Globalization.CultureInfo.InvariantCulture) : null,
    };

    private static int StatusOf(AgentFailure failure) => failure switch
    {
        AgentFailure.NotFound => 404,
        AgentFailure.Conflict => 409,
        AgentFailure.Changed => 412,
        AgentFailure.Busy => 429,
        _ => 400,
    };
}

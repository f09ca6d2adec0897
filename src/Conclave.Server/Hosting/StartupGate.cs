using Conclave.Server.Api;
using Conclave.Server.Health;

namespace Conclave.Server.Hosting;

/// <summary>Answers 503 until the server has started.</summary>
internal sealed class StartupGate(RequestDelegate next, StartupState startup)
{
    public Task InvokeAsync(HttpContext context)
    {
        if (startup.IsFinished || context.Request.Path.StartsWithSegments("/health", StringComparison.Ordinal) || context.Request.Path == "/metrics")
            return next(context);
        return Problems.WriteAsync(context, 503, "server.starting", $"The server is starting (step: {startup.Step}). Try again in a moment.", retryAfter: "1");
    }
}

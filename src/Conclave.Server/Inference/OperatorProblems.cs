using Conclave.Inference.Pool;
using Conclave.Server.Api;

namespace Conclave.Server.Inference;

/// <summary>Says as problems what went wrong on the operators' API.</summary>
internal static class OperatorProblems
{
    /// <summary>An endpoint filter.</summary>
    public static async ValueTask<object?> HandleAsync(EndpointFilterInvocationContext invocation, EndpointFilterDelegate next)
    {
        try
        {
            return await next(invocation);
        }
        catch (PoolException exception)
        {
            throw new ApiException(StatusOf(exception.Code), exception.Code, exception.Message);
        }
        catch (Conclave.Inference.Providers.ModelServerException exception)
        {
            throw new ApiException(
                exception.Failure == Conclave.Inference.Providers.ModelServerFailure.ModelNotFound ? 404 : 502, "inference.server_failed", $"The model server said: {exception.Message}");
        }
    }

    /// <summary>The role of this process.</summary>
    /// <exception cref="ApiException">It has no such role.</exception>
    public static InferenceRole Role(HttpContext context)
    {
        var role = context.RequestServices.GetRequiredService<InferenceRole>();
        return role.Inference is not null ? role : throw new ApiException(503, "inference.elsewhere", "This process does not have the role inference. Ask one that has.");
    }

    /// <summary>The server of a name, or of an id.</summary>
    /// <exception cref="ApiException">There is none that the tenant may use.</exception>
    public static PooledServer Server(HttpContext context, string name)
    {
        var pool = Role(context).Pool;
        return (pool.FindByName(name) ?? pool.Find(name)) is { } server && IsSeen(context, server) ? server
            : throw new ApiException(404, "inference.server_not_found", $"There is no server '{name}'. It may have been deleted.");
    }

    /// <summary>Whether a tenant may know of a server.</summary>
    public static bool IsSeen(HttpContext context, PooledServer server) => server.Server.Tenant is null || server.Server.Tenant == context.Tenant();

    /// <summary>The version in <c>If-Match</c>; null when there is none, or it says any.</summary>
    public static int? ExpectedVersion(HttpContext context) => context.Request.Headers.IfMatch.ToString().Trim() switch
    {
        "" or "*" => null,
        var tag when int.TryParse(tag.Trim('"'), out var version) => version,
        _ => -1,
    };

    private static int StatusOf(string code) => code switch
    {
        "inference.server_not_found" => 404,
        "inference.server_changed" => 412,
        "inference.server_exists" or "inference.server_configured" or "inference.not_managed" or "inference.pull_ended" => 409,
        _ => 400,
    };
}

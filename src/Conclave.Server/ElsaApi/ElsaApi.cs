using Conclave.Server.Api;
using Conclave.Server.ElsaApi.Definitions;

namespace Conclave.Server.ElsaApi;

/// <summary>Elsa's REST API, so that the unmodified Elsa Studio and scripts written for Elsa work against this server.</summary>
public static class ElsaApi
{
    /// <summary>Path that every endpoint begins with.</summary>
    public const string Prefix = "/elsa/api";

    /// <summary>Maps the API.</summary>
    public static void MapElsaApi(this WebApplication app)
    {
        app.UseWhen(context => context.Request.Path.StartsWithSegments(Prefix, StringComparison.OrdinalIgnoreCase), api =>
        {
            api.Use(ElsaProblems.HandleAsync);
            api.Use(ApiEndpoints.CheckTextAsync);
        });
        var group = app.MapGroup(Prefix).RequireAuthorization();
        DefinitionEndpoints.Map(group);
        group.MapFallback("{**path}", (HttpContext context) => context.Response.StatusCode = StatusCodes.Status404NotFound);
    }
}

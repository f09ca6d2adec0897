using Conclave.Server.ElsaApi.Hub;
using Conclave.Server.ElsaApi.Instances;
using Conclave.Server.ElsaApi.Labels;

namespace Conclave.Server.ElsaApi;

/// <summary>Elsa's REST API, so that the unmodified Elsa Studio and scripts written for Elsa work against this server.</summary>
public static class ElsaApi
{
    /// <summary>Path that every endpoint begins with.</summary>
    public const string Prefix = "/elsa/api";

    /// <summary>Adds what the API needs.</summary>
    public static IServiceCollection AddElsaApi(this IServiceCollection services)
    {
        services.AddInstanceApi();
        services.AddSingleton<LabelStore>();
        HubEndpoints.Add(services);
        return services;
    }

    /// <summary>Maps the API.</summary>
    public static void MapElsaApi(this WebApplication app)
    {
        app.UseWhen(context => context.Request.Path.StartsWithSegments(Prefix, StringComparison.OrdinalIgnoreCase), api => api.Use(ElsaProblems.HandleAsync));
        var group = app.MapGroup(Prefix).RequireAuthorization();
        InstanceApi.Map(group);
        LabelEndpoints.Map(group);
        HubEndpoints.Map(app);
        group.MapFallback("{**path}", (HttpContext context) => context.Response.StatusCode = StatusCodes.Status404NotFound);
    }
}

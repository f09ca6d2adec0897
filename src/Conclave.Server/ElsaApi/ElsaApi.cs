using Conclave.Server.Accounts;
using Conclave.Server.Api;
using Conclave.Server.ElsaApi.Definitions;
using Conclave.Server.ElsaApi.Descriptors;
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
        services.AddCors();
        services.AddInstanceApi();
        services.AddSingleton<LabelStore>();
        HubEndpoints.Add(services);
        return services;
    }

    /// <summary>Maps the API.</summary>
    public static void MapElsaApi(this WebApplication app)
    {
        app.UseWhen(context => context.Request.Path.StartsWithSegments(Prefix, StringComparison.OrdinalIgnoreCase), api =>
        {
            api.Use(ElsaProblems.HandleAsync);
            api.Use(ApiEndpoints.CheckTextAsync);
        });
        var group = app.MapGroup(Prefix).RequireAuthorization();
        ElsaIdentity.Map(group.MapGroup("").WithTags("Elsa: identity"));
        DefinitionEndpoints.Map(group.MapGroup("").WithTags("Elsa: workflows"));
        DescriptorEndpoints.Map(group.MapGroup("").WithTags("Elsa: design"));
        InstanceApi.Map(group);
        LabelEndpoints.Map(group.MapGroup("").WithTags("Elsa: workflows"));
        HubEndpoints.Map(app);
        group.MapFallback("{**path}", (HttpContext context) => context.Response.StatusCode = StatusCodes.Status404NotFound);
    }
}

using System.Text.Json.Serialization;
using Conclave.Server.Accounts;
using Conclave.Server.ElsaApi.Instances;

namespace Conclave.Server.ElsaApi.Hub;

/// <summary>The hub that tells Studio's viewer what becomes of an instance while it runs.</summary>
internal static class HubEndpoints
{
    /// <summary>Where Studio looks for it: beside the API, or below it if the API's address was given with a slash at its end.</summary>
    private static readonly string[] Paths = ["/elsa/hubs/workflow-instance", $"{ElsaApi.Prefix}/hubs/workflow-instance"];

    /// <summary>Adds what the hub needs.</summary>
    public static void Add(IServiceCollection services)
    {
        services.AddSignalR(options => options.MaximumReceiveMessageSize = 16 * 1024)
            .AddJsonProtocol(json => json.PayloadSerializerOptions.DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull);
        services.AddSingleton<InstanceUpdates>();
    }

    /// <summary>Maps the hub.</summary>
    public static void Map(IEndpointRouteBuilder app)
    {
        foreach (var path in Paths)
            app.MapHub<WorkflowInstanceHub>(path).RequireHubPermission(InstanceApi.Read, "read:*");
    }
}

using Microsoft.AspNetCore.DataProtection;

namespace Conclave.Server.ElsaApi.Instances;

/// <summary>What Elsa's API around instances needs.</summary>
internal static class InstanceServices
{
    /// <summary>Adds it.</summary>
    public static IServiceCollection AddInstanceApi(this IServiceCollection services)
    {
        if (!services.Any(s => s.ServiceType == typeof(IDataProtectionProvider)))
            services.AddDataProtection().SetApplicationName("conclave");
        return services.AddSingleton<SignedLinks>();
    }
}

using System.Text.Json;
using Conclave.Server.Accounts;
using Conclave.Server.Api;
using Conclave.Server.OpenApi;

namespace Conclave.Server.ElsaApi.Descriptors;

/// <summary>Features that change what Elsa Studio shows. One is installed when this server answers what Studio then asks for.</summary>
internal static class FeatureEndpoints
{
    private static readonly Feature[] Known =
    [
        new("RealTimeWorkflowUpdates", "Real-time workflow updates", "The instance viewer shows activities as they run, without asking again and again.", "/hubs/workflow-instance/negotiate"),
        new("Resilience", "Resilience", "Activities that call others may be given a strategy for retries; the retries they needed are shown.", "/resilience/strategies"),
    ];

    public static void Map(RouteGroupBuilder group)
    {
        var endpoints = ((IEndpointRouteBuilder)group).ServiceProvider.GetRequiredService<EndpointDataSource>();
        // Everything is mapped by the time that somebody asks.
        var installed = new Lazy<Feature[]>(() => [.. Known.Where(f => IsMapped(endpoints, f.Path))]);
        group.MapGet("/features/installed", (HttpContext context) => StrategyEndpoints.WriteItemsAsync(context, installed.Value, WriteMembers))
            .RequirePermission("read:installed-features")
            .Describe("ElsaListFeatures", "List what changes what Studio shows", o => o.Answers<ListShape<FeatureShape>>());
        group.MapGet("/features/installed/{fullName}", (HttpContext context, string fullName) => GetAsync(context, installed.Value, fullName))
            .RequirePermission("read:installed-features")
            .Describe("ElsaGetFeature", "See whether a feature is there", o => o.Answers<FeatureShape>());
    }

    private static Task GetAsync(HttpContext context, Feature[] installed, string fullName)
    {
        if (Array.Find(installed, f => f.FullName == fullName) is { } feature)
        {
            return context.WriteJsonAsync(writer =>
            {
                writer.WriteStartObject();
                WriteMembers(writer, feature);
                writer.WriteEndObject();
            });
        }

        context.Response.StatusCode = StatusCodes.Status404NotFound;
        return Task.CompletedTask;
    }

    private static void WriteMembers(Utf8JsonWriter writer, Feature feature)
    {
        writer.WriteString("name", feature.Name);
        writer.WriteString("namespace", Feature.Namespace);
        writer.WriteString("fullName", feature.FullName);
        writer.WriteString("displayName", feature.DisplayName);
        writer.WriteString("description", feature.Description);
    }

    private static bool IsMapped(EndpointDataSource endpoints, string path) => endpoints.Endpoints.OfType<RouteEndpoint>().Any(e =>
        e.RoutePattern.RawText is { } pattern && pattern.TrimEnd('/').EndsWith(path, StringComparison.OrdinalIgnoreCase));

    private sealed record Feature(string Name, string DisplayName, string Description, string Path)
    {
        public const string Namespace = "Elsa";

        public string FullName => $"{Namespace}.{Name}";
    }
}

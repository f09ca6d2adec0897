using System.Globalization;
using System.Text.Json;
using Conclave.Server.Accounts;
using Conclave.Server.Api;
using Conclave.Server.Hosting;
using Conclave.Server.OpenApi;
using Conclave.Server.Webhooks;
using Microsoft.Extensions.Options;
using Microsoft.Net.Http.Headers;

namespace Conclave.Server.ElsaApi.Descriptors;

/// <summary>What a designer has to know of this server: activities, features, syntaxes, types and strategies.</summary>
internal static class DescriptorEndpoints
{
    /// <summary>Right to see what may be put into workflows.</summary>
    internal const string ReadActivities = "read:activity-descriptors";

    public static void Map(RouteGroupBuilder group)
    {
        var activities = new ActivityDescriptors(((IEndpointRouteBuilder)group).ServiceProvider.GetRequiredService<ServerRuntime>());
        group.MapGet("/descriptors/activities", (HttpContext context) => ListAsync(context, activities)).RequirePermission(ReadActivities)
            .Describe("ElsaListActivityDescriptors", "List the activities that authors may use", o => o
                .Query<bool>("refresh", "Has no meaning: the list is never old.").Answers<ListShape<ActivityDescriptorShape>>().Answers(304, "It is still what If-None-Match names."));
        group.MapGet("/descriptors/activities/{typeName}", (HttpContext context, string typeName) => GetAsync(context, activities, typeName)).RequirePermission(ReadActivities)
            .Describe("ElsaGetActivityDescriptor", "Get one of them", o => o.Query<int>("version", "The newest without it.").Answers<ActivityDescriptorShape>());
        group.MapPost("/descriptors/activities/{typeName}/options/{inputName}", (HttpContext context, string typeName, string inputName) =>
            OptionsAsync(context, activities, typeName, inputName)).RequirePermission(ReadActivities)
            .Describe("ElsaGetInputOptions", "Get settings of an input's editor", o => o.Takes<InputOptionsRequest>(isOptional: true).Answers<InputOptionsShape>());
        StrategyEndpoints.Map(group);
        FeatureEndpoints.Map(group);
        TypeDefinitionEndpoints.Map(group);
        ActivityTestEndpoints.Map(group);
    }

    /// <summary>The whole list. Studio's <c>Refresh</c> needs no answer of its own: the list is never older than the database.</summary>
    private static async Task ListAsync(HttpContext context, ActivityDescriptors activities)
    {
        var list = await activities.ReadAsync(context.Tenant(), context.RequestAborted);
        var response = context.Response;
        var isCompressed = AcceptsBrotli(context.Request);
        // Two encodings are two representations, so a strong tag has to tell them apart.
        var tag = new EntityTagHeaderValue(isCompressed ? $"\"{list.Hash}-br\"" : $"\"{list.Hash}\"");
        response.Headers.ETag = tag.ToString();
        // Kept by the browser, and asked about each time.
        response.Headers.CacheControl = "private, no-cache";
        response.Headers.Vary = "Accept-Encoding, Authorization, Cookie";
        if (context.Request.GetTypedHeaders().IfNoneMatch is { Count: > 0 } known && known.Any(k => k == EntityTagHeaderValue.Any || k.Compare(tag, useStrongComparison: false)))
        {
            response.StatusCode = StatusCodes.Status304NotModified;
            return;
        }

        var bytes = isCompressed ? list.Brotli : list.Json;
        response.ContentType = "application/json; charset=utf-8";
        response.ContentLength = bytes.Length;
        if (isCompressed)
            response.Headers.ContentEncoding = "br";
        await response.Body.WriteAsync(bytes, context.RequestAborted);
    }

    private static async Task GetAsync(HttpContext context, ActivityDescriptors activities, string typeName)
    {
        var version = context.Query("version") switch
        {
            null => (int?)null,
            var text when int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) => number,
            var text => throw ApiException.Bad($"'version' must be a whole number; it is '{text}'."),
        };
        if ((await activities.ReadAsync(context.Tenant(), context.RequestAborted)).Find(typeName, version) is { } found)
            await context.WriteJsonAsync(writer => ActivityDescriptorJson.Write(writer, found));
        else
            context.Response.StatusCode = StatusCodes.Status404NotFound;
    }

    private static async Task OptionsAsync(HttpContext context, ActivityDescriptors activities, string typeName, string inputName)
    {
        var body = await context.ReadObjectAsync();
        int? version = body.Member("version") is { ValueKind: not (JsonValueKind.Null or JsonValueKind.Undefined) } given
            ? given.ValueKind == JsonValueKind.Number && given.TryGetInt32(out var number) ? number : throw ApiException.Bad("'version' must be a whole number.")
            : null;
        var descriptor = (await activities.ReadAsync(context.Tenant(), context.RequestAborted)).Find(typeName, version);
        if (descriptor?.Inputs.FirstOrDefault(i => i.Name.Equals(inputName, StringComparison.OrdinalIgnoreCase)) is not { } input)
        {
            context.Response.StatusCode = StatusCodes.Status404NotFound;
            return;
        }

        await context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            writer.WritePropertyName("items");
            InputEditors.Write(writer, input, EndpointsAddress(context));
            writer.WriteEndObject();
        });
    }

    /// <summary>Address of HTTP endpoints, as the caller reaches this server.</summary>
    private static string EndpointsAddress(HttpContext context)
    {
        var request = context.Request;
        var basePath = context.RequestServices.GetRequiredService<IOptions<WebhookOptions>>().Value.BasePath;
        return $"{request.Scheme}://{request.Host.ToUriComponent()}{request.PathBase.ToUriComponent()}{basePath}/";
    }

    private static bool AcceptsBrotli(HttpRequest request) =>
        request.GetTypedHeaders().AcceptEncoding.Any(e => e.Value.Equals("br", StringComparison.OrdinalIgnoreCase) && e.Quality is not 0);
}

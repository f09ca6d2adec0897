using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Mvc.ApiExplorer;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.OpenApi;

namespace Conclave.Server.OpenApi;

/// <summary>The OpenAPI 3.1 document of all of the HTTP API.</summary>
public static class OpenApiEndpoints
{
    /// <summary>Where the document is.</summary>
    public const string Path = "/openapi/v1.json";

    private const string Document = "v1";

    /// <summary>Adds what the document is made with.</summary>
    public static IServiceCollection AddOpenApiDocument(this IServiceCollection services)
    {
        services.AddOpenApi(Document, options =>
        {
            options.OpenApiVersion = OpenApiSpecVersion.OpenApi3_1;
            options.CreateSchemaReferenceId = Shapes.NameOf;
            options.AddOperationTransformer(DescribedOperations.TransformAsync);
            options.AddDocumentTransformer(DescribedOperations.TransformAsync);
        });
        services.AddSingleton<IApiDescriptionProvider, DescribedEndpoints>();
        services.AddSingleton<DocumentFile>();
        services.ConfigureHttpJsonOptions(json =>
        {
            json.SerializerOptions.Converters.Add(new JsonStringEnumConverter());
            json.SerializerOptions.NumberHandling = JsonNumberHandling.Strict;
        });
        return services;
    }

    /// <summary>Maps the document. It is made when somebody first asks for it, and kept.</summary>
    public static void MapOpenApiDocument(this WebApplication app)
    {
        var file = app.Services.GetRequiredService<DocumentFile>();
        app.MapGet(Path, async (HttpContext context) => await SendAsync(context, await file.ReadAsync(context.RequestAborted))).RequireAuthorization().Describe("GetOpenApiDocument", "This document", o => o
            .Answers<JsonObject>().Answers(304, "It is still what If-None-Match names."));
    }

    /// <summary>Makes the document.</summary>
    internal static async Task<byte[]> WriteAsync(IServiceProvider services, CancellationToken cancellationToken)
    {
        var document = await services.GetRequiredKeyedService<IOpenApiDocumentProvider>(Document).GetOpenApiDocumentAsync(cancellationToken);
        using var buffer = new MemoryStream();
        await document.SerializeAsJsonAsync(buffer, OpenApiSpecVersion.OpenApi3_1, cancellationToken);
        return buffer.ToArray();
    }

    private static async Task SendAsync(HttpContext context, MadeDocument document)
    {
        var (request, response) = (context.Request, context.Response);
        var isCompressed = request.GetTypedHeaders().AcceptEncoding.Any(e => e.Value.Equals("br", StringComparison.OrdinalIgnoreCase) && e.Quality is not 0);
        var tag = isCompressed ? $"\"{document.Hash}-br\"" : $"\"{document.Hash}\"";
        response.Headers.ETag = tag;
        response.Headers.CacheControl = "private, no-cache";
        response.Headers.Vary = "Accept-Encoding";
        if (request.Headers.IfNoneMatch.Contains(tag))
        {
            response.StatusCode = StatusCodes.Status304NotModified;
            return;
        }

        var bytes = isCompressed ? document.Brotli : document.Json;
        if (isCompressed)
            response.Headers.ContentEncoding = "br";
        response.ContentType = "application/json; charset=utf-8";
        response.ContentLength = bytes.Length;
        await response.Body.WriteAsync(bytes, context.RequestAborted);
    }
}

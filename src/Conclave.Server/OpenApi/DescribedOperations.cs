using Conclave.Server.Accounts;
using Microsoft.AspNetCore.Mvc.ApiExplorer;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.OpenApi;

namespace Conclave.Server.OpenApi;

/// <summary>Adds to the generated document what the generator does not know: names, rights, files, headers, and how people sign in.</summary>
internal static class DescribedOperations
{
    private const string Bearer = "bearer";
    private const string Key = "apiKey";
    private const string Cookie = "cookie";

    /// <summary>Says what the whole document is about.</summary>
    public static Task TransformAsync(OpenApiDocument document, OpenApiDocumentTransformerContext context, CancellationToken cancellationToken)
    {
        document.Info = new OpenApiInfo
        {
            Title = "Conclave",
            Version = "1.0",
            Description = "The server's own API under /api, which /api/v1 names with its version, and Elsa 3.8's under /elsa/api. Paths below /workflows are those of the workflows themselves; "
                + "the hub /elsa/hubs/workflow-instance speaks SignalR.",
        };
        document.Servers = [];
        document.AddComponent(Bearer, new OpenApiSecurityScheme { Type = SecuritySchemeType.Http, Scheme = "bearer", Description = "A key made at /account, the machine's key, or a token of /elsa/api/identity/login." });
        document.AddComponent(Key, new OpenApiSecurityScheme { Type = SecuritySchemeType.ApiKey, In = ParameterLocation.Header, Name = "Authorization", Description = "The word ApiKey, a space and a key, as Elsa's clients send it." });
        document.AddComponent(Cookie, new OpenApiSecurityScheme { Type = SecuritySchemeType.ApiKey, In = ParameterLocation.Cookie, Name = "conclave.session", Description = "The session of a browser that signed in at /sign-in." });
        foreach (var (name, schema) in document.Components!.Schemas!)
            Shapes.Complete(name, (OpenApiSchema)schema);
        return Task.CompletedTask;
    }

    /// <summary>Completes one operation.</summary>
    public static Task TransformAsync(OpenApiOperation operation, OpenApiOperationTransformerContext context, CancellationToken cancellationToken)
    {
        var (descriptor, described, endpoint) = (
            context.Description.GetProperty<ApiDescriptor>()!, context.Description.GetProperty<ApiOperation>()!, context.Description.GetProperty<RouteEndpoint>()!);
        var methods = endpoint.Metadata.GetMetadata<IHttpMethodMetadata>()!.HttpMethods;
        var method = context.Description.HttpMethod!;
        operation.OperationId = methods.Count > 1 && method != methods[0] ? $"{descriptor.Name}By{method[0]}{method[1..].ToLowerInvariant()}" : descriptor.Name;
        operation.Summary = descriptor.Summary;
        DescribeRights(operation, endpoint, described, context.Document!);
        foreach (var parameter in operation.Parameters?.OfType<OpenApiParameter>() ?? [])
            parameter.Description = described.Parameters.Find(p => p.Name == parameter.Name)?.Description ?? parameter.Description;
        if (endpoint.RoutePattern.RawText!.StartsWith("/api/", StringComparison.Ordinal) && method == HttpMethods.Post)
        {
            (operation.Parameters ??= []).Add(new OpenApiParameter
            {
                Name = "Idempotency-Key",
                In = ParameterLocation.Header,
                Description = "Repeating the request with the same key within 24 hours gives the same answer, and does nothing twice.",
                Schema = new OpenApiSchema { Type = JsonSchemaType.String },
            });
        }

        if (endpoint.RoutePattern.RawText!.StartsWith($"{ElsaApi.ElsaApi.Prefix}/", StringComparison.Ordinal))
            AddBindingError((OpenApiResponse)operation.Responses!["400"]);
        if (described.TakesForm && method != HttpMethods.Get)
            operation.RequestBody = Files(described.BodyTypes);
        if (described.IsAnsweredByWorkflows)
            ((OpenApiResponse)operation.Responses!["default"]).Description = "Whatever the workflow itself answers.";
        foreach (var answer in described.Results)
            Complete((OpenApiResponse)operation.Responses![Status(answer.Status)], answer);
        return Task.CompletedTask;
    }

    private static void DescribeRights(OpenApiOperation operation, RouteEndpoint endpoint, ApiOperation described, OpenApiDocument document)
    {
        operation.Security = [];
        operation.Description = described.Notes;
        if (!DescribedEndpoints.IsForAccounts(endpoint))
            return;
        var rights = endpoint.Metadata.GetMetadata<NeededPermission>()?.AnyOf ?? [];
        if (rights.Count > 0)
            operation.Description = $"{described.Notes}{(described.Notes is null ? "" : " ")}Needs the right {string.Join(" or ", rights.Select(r => $"`{r}`"))}.";
        foreach (var scheme in (string[])[Bearer, Key, Cookie])
        {
            // Rights stand where OAuth has scopes. One of several is enough, so each is a way of its own.
            foreach (var right in rights.DefaultIfEmpty())
                operation.Security.Add(new OpenApiSecurityRequirement { [new OpenApiSecuritySchemeReference(scheme, document)] = right is null ? [] : [right] });
        }
    }

    private static OpenApiRequestBody Files(IReadOnlyList<string> orAs)
    {
        var body = new OpenApiRequestBody { Required = true, Content = new Dictionary<string, OpenApiMediaType>() };
        body.Content["multipart/form-data"] = new OpenApiMediaType
        {
            Schema = new OpenApiSchema
            {
                Type = JsonSchemaType.Object,
                Required = new HashSet<string> { "files" },
                Properties = new Dictionary<string, IOpenApiSchema> { ["files"] = new OpenApiSchema { Type = JsonSchemaType.Array, Items = Binary() } },
            },
        };
        foreach (var type in orAs)
            body.Content[type] = new OpenApiMediaType { Schema = type == "application/zip" ? Binary() : new OpenApiSchema() };
        return body;
    }

    private static void Complete(OpenApiResponse response, ApiAnswer answer)
    {
        if (answer.Description is { } description)
            response.Description = description;
        if (answer is { Shape: null, MediaType: { } type })
        {
            foreach (var one in type.Split(" or "))
                (response.Content ??= new Dictionary<string, OpenApiMediaType>())[one] = new OpenApiMediaType { Schema = Binary() };
        }
    }

    /// <summary>Elsa's answer to what is no JSON at all.</summary>
    private static void AddBindingError(OpenApiResponse response) => response.Content!["application/json"] = new OpenApiMediaType
    {
        Schema = new OpenApiSchema
        {
            Type = JsonSchemaType.Object,
            Required = new HashSet<string> { "modelBindingError" },
            Properties = new Dictionary<string, IOpenApiSchema> { ["modelBindingError"] = new OpenApiSchema { Type = JsonSchemaType.String } },
        },
    };

    private static OpenApiSchema Binary() => new() { Type = JsonSchemaType.String, Format = "binary" };

    private static string Status(int status) => status.ToString(System.Globalization.CultureInfo.InvariantCulture);
}

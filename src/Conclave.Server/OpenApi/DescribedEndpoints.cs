using Conclave.Server.Api;
using Conclave.Server.ElsaApi;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Mvc.Abstractions;
using Microsoft.AspNetCore.Mvc.ApiExplorer;
using Microsoft.AspNetCore.Mvc.ModelBinding;

namespace Conclave.Server.OpenApi;

/// <summary>Tells the OpenAPI generator of the endpoints that are described. It sees only handlers with typed parameters by itself.</summary>
internal sealed class DescribedEndpoints(EndpointDataSource endpoints) : IApiDescriptionProvider
{
    private static readonly EmptyModelMetadataProvider Models = new();

    /// <summary>After the framework's own.</summary>
    public int Order => 0;

    public void OnProvidersExecuting(ApiDescriptionProviderContext context)
    {
        context.Results.Clear();
        foreach (var endpoint in endpoints.Endpoints.OfType<RouteEndpoint>())
        {
            if (endpoint.Metadata.GetMetadata<ApiDescriptor>() is not { } descriptor)
                continue;
            var operation = new ApiOperation();
            descriptor.Describe?.Invoke(operation);
            foreach (var method in endpoint.Metadata.GetMetadata<IHttpMethodMetadata>()?.HttpMethods ?? [])
                context.Results.Add(Describe(endpoint, method, descriptor, operation));
        }
    }

    public void OnProvidersExecuted(ApiDescriptionProviderContext context)
    {
    }

    private static ApiDescription Describe(RouteEndpoint endpoint, string method, ApiDescriptor descriptor, ApiOperation operation)
    {
        var description = new ApiDescription
        {
            HttpMethod = method,
            RelativePath = endpoint.RoutePattern.RawText!.Trim('/'),
            ActionDescriptor = new ActionDescriptor
            {
                DisplayName = endpoint.DisplayName,
                EndpointMetadata = [.. endpoint.Metadata],
                // The tag of endpoints that have none of their own.
                RouteValues = new Dictionary<string, string?> { ["controller"] = "Server" },
            },
        };
        description.SetProperty(descriptor);
        description.SetProperty(operation);
        description.SetProperty(endpoint);
        foreach (var parameter in endpoint.RoutePattern.Parameters)
            Add(description, parameter.Name, BindingSource.Path, parameter.ParameterPolicies.Count > 0 ? typeof(long) : typeof(string), isRequired: true);
        foreach (var parameter in operation.Parameters)
            Add(description, parameter.Name, parameter.IsHeader ? BindingSource.Header : BindingSource.Query, parameter.Type, parameter.IsRequired);
        if (operation.Body is { } body && method != HttpMethods.Get)
        {
            Add(description, "body", BindingSource.Body, body, !operation.IsBodyOptional);
            foreach (var type in operation.BodyTypes)
                description.SupportedRequestFormats.Add(new ApiRequestFormat { MediaType = type });
        }

        foreach (var answer in operation.Results)
            description.SupportedResponseTypes.Add(Answer(answer.Status, answer.Shape, answer.Shape is null ? null : answer.MediaType));
        if (operation.Results.Count == 0)
            description.SupportedResponseTypes.Add(Answer(StatusCodes.Status200OK, null, null));
        if (operation.IsAnsweredByWorkflows)
            description.SupportedResponseTypes.Add(new ApiResponseType { IsDefaultResponse = true, Type = typeof(void) });
        foreach (var (status, shape) in RefusalsOf(endpoint, method, operation))
            description.SupportedResponseTypes.Add(Answer(status, shape, shape is null ? null : "application/problem+json"));
        return description;
    }

    /// <summary>How an endpoint may refuse: with a problem in our API, in Elsa's with its own shape and statuses without a body.</summary>
    private static IEnumerable<(int Status, Type? Shape)> RefusalsOf(RouteEndpoint endpoint, string method, ApiOperation operation)
    {
        var path = $"/{endpoint.RoutePattern.RawText!.Trim('/')}/";
        var isElsa = path.StartsWith($"{ElsaApi.ElsaApi.Prefix}/", StringComparison.Ordinal);
        var isOwn = path.StartsWith("/api/", StringComparison.Ordinal);
        var refusals = new SortedDictionary<int, Type?>();
        if (isElsa)
            refusals[StatusCodes.Status400BadRequest] = typeof(RefusalShape);
        if (isOwn)
            refusals[StatusCodes.Status400BadRequest] = typeof(ProblemShape);
        if (IsForAccounts(endpoint))
        {
            refusals[StatusCodes.Status401Unauthorized] = isOwn ? typeof(ProblemShape) : null;
            refusals[StatusCodes.Status403Forbidden] = isOwn ? typeof(ProblemShape) : null;
        }

        if (endpoint.RoutePattern.Parameters.Count > 0)
            refusals[StatusCodes.Status404NotFound] = isElsa ? null : typeof(ProblemShape);
        if (isOwn && method == HttpMethods.Post)
        {
            // See IdempotencyMiddleware.
            refusals[StatusCodes.Status409Conflict] = typeof(ProblemShape);
            refusals[StatusCodes.Status422UnprocessableEntity] = typeof(ProblemShape);
        }

        foreach (var status in operation.Refusals)
            refusals[status] = isElsa && status is StatusCodes.Status404NotFound or StatusCodes.Status403Forbidden ? null : typeof(ProblemShape);
        if (isElsa || isOwn)
        {
            refusals[StatusCodes.Status413PayloadTooLarge] = typeof(ProblemShape);
            refusals[StatusCodes.Status500InternalServerError] = typeof(ProblemShape);
            refusals[StatusCodes.Status503ServiceUnavailable] = typeof(ProblemShape);
            if (method == HttpMethods.Get || !HasBody(operation))
                refusals.Remove(StatusCodes.Status413PayloadTooLarge);
        }

        return refusals.Where(r => operation.Results.All(a => a.Status != r.Key)).Select(r => (r.Key, r.Value));
    }

    /// <summary>Whether only those with an account may call an endpoint.</summary>
    internal static bool IsForAccounts(Endpoint endpoint) =>
        endpoint.Metadata.GetMetadata<IAuthorizeData>() is not null && endpoint.Metadata.GetMetadata<IAllowAnonymous>() is null;

    private static bool HasBody(ApiOperation operation) => operation.Body is not null || operation.TakesForm;

    private static void Add(ApiDescription description, string name, BindingSource source, Type type, bool isRequired) => description.ParameterDescriptions.Add(new ApiParameterDescription
    {
        Name = name,
        Source = source,
        Type = type,
        IsRequired = isRequired,
        ModelMetadata = Models.GetMetadataForType(type),
        ParameterDescriptor = new ParameterDescriptor { Name = name, ParameterType = type },
    });

    private static ApiResponseType Answer(int status, Type? shape, string? mediaType)
    {
        var answer = new ApiResponseType { StatusCode = status, Type = shape ?? typeof(void) };
        if (mediaType is not null)
            answer.ApiResponseFormats.Add(new ApiResponseFormat { MediaType = mediaType });
        return answer;
    }
}

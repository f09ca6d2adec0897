using Conclave.Server.Accounts;
using Conclave.Server.Api;
using Conclave.Server.Inference.Ollama;
using Conclave.Server.Inference.OpenAI;
using Conclave.Server.Inference.OpenAI.Responses;

namespace Conclave.Server.Inference;

/// <summary>
/// The APIs that other programs know: OpenAI's below <c>/v1</c>, Ollama's below <c>/api</c>. Described in <c>docs/inference-api.md</c>, and by those whose
/// they are: our OpenAPI document leaves them out.
/// </summary>
internal static class ModelApis
{
    /// <summary>Adds what they need.</summary>
    public static IServiceCollection AddModelApis(this IServiceCollection services, IConfiguration configuration) => services
        .AddSingleton(provider => new RateLimits(configuration.GetSection(RateLimitOptions.Section).Get<RateLimitOptions>() ?? new(), provider.GetRequiredService<TimeProvider>()))
        .AddSingleton<StoredResponses>()
        .AddSingleton<PassThrough>();

    /// <summary>Maps them.</summary>
    public static void MapModelApis(this IEndpointRouteBuilder app)
    {
        MapOpenAI(app);
        MapOllama(app);
    }

    private static void MapOpenAI(IEndpointRouteBuilder app)
    {
        var group = app.MapGroup("/v1").WithMetadata(new ModelApi(ModelApiShape.OpenAI)).ExcludeFromDescription().RequirePermission(Permissions.CallModels);
        group.AddEndpointFilter(OpenAIErrors.HandleAsync);
        group.MapPost("/chat/completions", ChatEndpoint.HandleAsync);
        group.MapPost("/completions", CompletionEndpoint.HandleAsync);
        group.MapPost("/embeddings", EmbeddingEndpoint.HandleAsync);
        ModelListEndpoints.Map(group);
        ResponseEndpoints.Map(group);
        group.MapFallback("{**path}", (HttpContext context) => OpenAIErrors.WriteAsync(context, new OpenAIError(
            404, "invalid_request_error", "unknown_url", $"Unknown request URL: {context.Request.Method} {context.Request.Path}. docs/inference-api.md lists what there is.")));
    }

    private static void MapOllama(IEndpointRouteBuilder app)
    {
        var group = app.MapGroup("/api").WithMetadata(new ModelApi(ModelApiShape.Ollama)).ExcludeFromDescription().RequirePermission(Permissions.CallModels);
        group.AddEndpointFilter(OllamaErrors.HandleAsync);
        group.MapPost("/chat", OllamaChatEndpoints.ChatAsync);
        group.MapPost("/generate", OllamaChatEndpoints.GenerateAsync);
        group.MapPost("/embed", OllamaEmbedEndpoints.EmbedAsync);
        group.MapPost("/embeddings", OllamaEmbedEndpoints.EmbedOneAsync);
        group.MapGet("/tags", OllamaModelEndpoints.TagsAsync);
        group.MapGet("/ps", OllamaModelEndpoints.RunningAsync);
        group.MapPost("/show", OllamaModelEndpoints.ShowAsync);
        group.MapGet("/version", (HttpContext context) => context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            writer.WriteString("version", typeof(ModelApis).Assembly.GetName().Version!.ToString(3));
            writer.WriteEndObject();
        }));
        var manage = group.MapGroup("").RequirePermission(Permissions.ManageInference);
        manage.MapPost("/pull", OllamaModelEndpoints.PullAsync);
        manage.MapDelete("/delete", OllamaModelEndpoints.DeleteAsync);
        foreach (var path in (ReadOnlySpan<string>)["/create", "/copy", "/push"])
            manage.MapPost(path, (HttpContext context, PassThrough pass, InferenceRole role) => pass.HandleAsync(context, role));
        manage.MapMethods("/blobs/{digest}", ["HEAD", "POST"], (HttpContext context, PassThrough pass, InferenceRole role) => pass.HandleAsync(context, role));
    }
}

/// <summary>Whose shape the errors of an endpoint have.</summary>
internal enum ModelApiShape
{
    /// <summary><c>{"error": {"message", "type", "param", "code"}}</c>.</summary>
    OpenAI,

    /// <summary><c>{"error": "…"}</c>.</summary>
    Ollama,
}

/// <summary>Marks an endpoint of another's API: it answers for itself, errors and repeated requests too.</summary>
internal sealed record ModelApi(ModelApiShape Shape)
{
    /// <summary>Refuses a request in the API's own shape.</summary>
    public Task RefuseAsync(HttpContext context, int status, string message)
    {
        if (status == StatusCodes.Status401Unauthorized)
            context.Response.Headers.WWWAuthenticate = "Bearer";
        if (Shape == ModelApiShape.Ollama)
            return context.WriteJsonAsync(writer => OllamaErrors.Write(writer, message), status);
        // OpenAI's own words for a wrong key.
        return OpenAIErrors.WriteAsync(context, status == StatusCodes.Status401Unauthorized
            ? new OpenAIError(status, "invalid_request_error", "invalid_api_key", message)
            : new OpenAIError(status, "permission_error", "request.forbidden", message));
    }
}

/// <summary>Finds out about the API of a request.</summary>
internal static class ModelApiRequests
{
    /// <summary>Whose API a request is to; null when it is one of ours.</summary>
    public static ModelApi? ModelApi(this HttpContext context) => context.GetEndpoint()?.Metadata.GetMetadata<ModelApi>();

    /// <summary>Answers <c>/</c> as Ollama does, to programs that look whether there is one; people get the web app.</summary>
    public static Task AnswerRootAsync(HttpContext context, RequestDelegate next)
    {
        var request = context.Request;
        if (request.Path != "/" || !(HttpMethods.IsGet(request.Method) || HttpMethods.IsHead(request.Method)) || request.Headers.Accept.ToString().Contains("text/html", StringComparison.OrdinalIgnoreCase))
            return next(context);
        context.Response.ContentType = "text/plain; charset=utf-8";
        return HttpMethods.IsHead(request.Method) ? Task.CompletedTask : context.Response.WriteAsync("Ollama is running", context.RequestAborted);
    }
}

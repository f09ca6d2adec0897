using Conclave.Server.Webhooks;
using Microsoft.Extensions.Primitives;

namespace Conclave.Server.Api;

/// <summary>Gives a POST of the API that shows an <c>Idempotency-Key</c> the answer of the first one with that key.</summary>
internal sealed class IdempotencyMiddleware(RequestDelegate next, IdempotentReplies replies)
{
    public async Task InvokeAsync(HttpContext context)
    {
        var key = context.Request.Headers["Idempotency-Key"].ToString();
        if (!HttpMethods.IsPost(context.Request.Method) || key.Length == 0)
        {
            await next(context);
            return;
        }

        if (key.Length > IdempotentReplies.LongestKey)
            throw ApiException.Bad($"The Idempotency-Key is longer than {IdempotentReplies.LongestKey} characters.");
        var body = await context.ReadBodyAsync();
        context.Request.Body = new MemoryStream(body);
        var tenant = context.Tenant();
        // Nobody gets the answer that somebody else got.
        var scope = $"api {context.Actor()}";
        var hash = IdempotentReplies.HashOf(context.Request.Method, context.Request.Path, context.Request.QueryString.ToString(), body);
        var request = await replies.BeginAsync(tenant, scope, key, hash, null, context.RequestAborted);
        switch (request.State)
        {
            case IdempotencyState.Answered:
                context.Response.Headers["Idempotent-Replayed"] = "true";
                await HttpReply.Deserialize(request.Reply!).WriteToAsync(context.Response, context.RequestAborted);
                return;
            case IdempotencyState.Running:
                throw new ApiException(409, "idempotency.running", "A request with this Idempotency-Key still runs. Wait, and repeat the request with the same key.") { RetryAfter = "1" };
            case IdempotencyState.Different:
                throw new ApiException(422, "idempotency.different", "This Idempotency-Key belongs to another request. Use a new key for a new request.");
        }

        context.Features.Set(request);
        await RunAsync(context, tenant, scope, key);
    }

    private async Task RunAsync(HttpContext context, string tenant, string scope, string key)
    {
        var response = context.Response;
        var original = response.Body;
        using var buffer = new MemoryStream();
        response.Body = buffer;
        // Who hangs up and asks again gets the answer: it must not be lost half-way.
        var aborted = context.RequestAborted;
        context.RequestAborted = CancellationToken.None;
        var isKept = false;
        await using var hold = replies.Hold(tenant, scope, key);
        try
        {
            await Problems.HandleAsync(context, next);
            // A failure of the server says nothing about the request, nor does "later": both may be repeated.
            if (response.StatusCode < 500 && StringValues.IsNullOrEmpty(response.Headers.RetryAfter))
            {
                await replies.EndAsync(tenant, scope, key, Capture(response, buffer.ToArray()), CancellationToken.None);
                isKept = true;
            }
        }
        finally
        {
            response.Body = original;
            context.RequestAborted = aborted;
            if (!isKept)
                await replies.ReleaseAsync(tenant, scope, key);
        }

        await original.WriteAsync(buffer.GetBuffer().AsMemory(0, (int)buffer.Length), context.RequestAborted);
    }

    private static byte[] Capture(HttpResponse response, byte[] content)
    {
        var headers = new Dictionary<string, string[]>(StringComparer.OrdinalIgnoreCase);
        foreach (var (name, values) in response.Headers)
        {
            if (name is "Location" or "ETag" && !StringValues.IsNullOrEmpty(values))
                headers[name] = [.. values.OfType<string>()];
        }

        return HttpReply.Of(response.StatusCode, response.ContentType, headers, content).Serialize();
    }
}

using System.Text.Json.Nodes;
using Conclave.Inference;
using Conclave.Server.Api;
using Microsoft.Extensions.AI;

namespace Conclave.Server.Inference.OpenAI.Responses;

/// <summary><c>/v1/responses</c>.</summary>
internal static class ResponseEndpoints
{
    public static void Map(IEndpointRouteBuilder group)
    {
        group.MapPost("/responses", CreateAsync);
        group.MapGet("/responses/{id}", GetAsync);
        group.MapDelete("/responses/{id}", DeleteAsync);
    }

    private static async Task CreateAsync(HttpContext context)
    {
        var request = ResponseRequest.Read(await context.ReadObjectAsync());
        var store = context.RequestServices.GetRequiredService<StoredResponses>();
        var earlier = request.PreviousId is { } previous
            ? await store.ReadConversationAsync(context.Tenant(), context.Actor(), previous, context.RequestAborted)
            : [];
        var caller = CallContexts.Read(context, request.Body.Text("prompt_cache_key") ?? request.PreviousId);
        var limit = context.RequestServices.GetRequiredService<RateLimits>().Enter(context, caller);
        var watch = new QueueWatch();
        var report = new CallReport { Changed = watch.Take };
        var call = new ChatCall(caller, request.Model, request.Messages(earlier), request.Options);
        var answer = new ResponseAnswer(report, request, context.Clock().GetUtcNow());
        try
        {
            if (request.IsStream)
                await StreamAsync(context, call, answer, report, watch, store, request);
            else
                await AnswerAsync(context, call, answer, report, watch, store, request);
        }
        finally
        {
            limit.Spend(answer.Usage?.TotalTokenCount ?? 0);
        }
    }

    private static async Task AnswerAsync(HttpContext context, ChatCall call, ResponseAnswer answer, CallReport report, QueueWatch watch, StoredResponses store, ResponseRequest request)
    {
        foreach (var update in (await context.AnswerAsync(call, report, context.RequestAborted)).ToChatResponseUpdates())
            Drain(answer.Take(update));
        Drain(answer.End());
        if (request.IsStored)
            await store.AddAsync(context.Tenant(), context.Actor(), answer, request, context.RequestAborted);
        CallHeaders.Write(context.Response, report, watch);
        await context.WriteJsonAsync(writer => answer.Describe().WriteTo(writer));
    }

    private static async Task StreamAsync(HttpContext context, ChatCall call, ResponseAnswer answer, CallReport report, QueueWatch watch, StoredResponses store, ResponseRequest request)
    {
        using var stream = EventStream.Events(context.Response);
        try
        {
            var hasBegun = false;
            await foreach (var update in context.StreamAsync(call, report, context.RequestAborted))
            {
                if (!hasBegun)
                {
                    hasBegun = true;
                    CallHeaders.Write(context.Response, report, watch);
                    await SendAsync(answer.Begin());
                }

                await SendAsync(answer.Take(update));
            }

            if (!hasBegun)
                await SendAsync(answer.Begin());
            var end = answer.End().ToList();
            // Stored first: who has seen the end may follow it at once.
            if (request.IsStored)
                await store.AddAsync(context.Tenant(), context.Actor(), answer, request, context.RequestAborted);
            await SendAsync(end);
        }
        catch (Exception exception) when (context.Response.HasStarted && !context.RequestAborted.IsCancellationRequested)
        {
            await SendAsync([answer.Fail(OpenAIErrors.Describe(context, exception))]);
        }

        async Task SendAsync(IEnumerable<JsonObject> events)
        {
            foreach (var happened in events)
                await stream.WriteAsync((writer, node) => node.WriteTo(writer), happened, context.RequestAborted, (string)happened["type"]!);
        }
    }

    private static async Task GetAsync(HttpContext context, string id)
    {
        var found = await context.RequestServices.GetRequiredService<StoredResponses>().FindAsync(context.Tenant(), context.Actor(), id, context.RequestAborted) ?? throw None(id);
        await context.WriteJsonAsync(writer => writer.WriteRawValue(found));
    }

    private static async Task DeleteAsync(HttpContext context, string id)
    {
        if (!await context.RequestServices.GetRequiredService<StoredResponses>().DeleteAsync(context.Tenant(), context.Actor(), id, context.RequestAborted))
            throw None(id);
        await context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            writer.WriteString("id", id);
            writer.WriteString("object", "response");
            writer.WriteBoolean("deleted", true);
            writer.WriteEndObject();
        });
    }

    private static ApiException None(string id) => new(404, "inference.no_response", $"There is no response '{id}' of yours. It was not stored, was deleted, or is older than {StoredResponses.Lifetime.TotalDays:0} days.");

    private static void Drain(IEnumerable<JsonObject> events)
    {
        foreach (var happened in events)
            _ = happened;
    }
}

using System.Globalization;
using System.Text.Json;
using Conclave.Server.Accounts;
using Conclave.Server.Api;
using Conclave.Server.OpenApi;
using Conclave.Workflows.Runtime.Queue;

namespace Conclave.Server.ElsaApi.Instances;

/// <summary>Work that failed too often: Elsa's dead letters of the bookmark queue.</summary>
internal static class DeadLetterEndpoints
{
    private const int DefaultSize = 100;
    private const int LargestSize = 1_000;

    public static void Map(RouteGroupBuilder group)
    {
        var letters = group.MapGroup("/bookmark-queue/dead-letters");
        letters.MapGet("/", ListAsync).RequirePermission("read:queue")
            .Describe("ElsaListDeadLetters", "List work that failed too often", o => o
                .ElsaPages().Query("workflowInstanceId", "Of this instance.").Answers<PageShape<DeadLetterShape>>());
        letters.MapPost("/", ListAsync).RequirePermission("read:queue")
            .Describe("ElsaFilterDeadLetters", "List work that failed too often", o => o.Takes<DeadLetterRequest>(isOptional: true).Answers<PageShape<DeadLetterShape>>());
        letters.MapGet("/{id}", GetAsync).RequirePermission("read:queue").Describe("ElsaGetDeadLetter", "Get a dead letter", o => o.Answers<DeadLetterShape>());
        letters.MapDelete("/{id}", DeleteAsync).RequirePermission("write:queue").Describe("ElsaDeleteDeadLetter", "Delete a dead letter", o => o.Answers(204));
        letters.MapPost("/{id}/replay", ReplayAsync).RequirePermission("write:queue").Describe("ElsaReplayDeadLetter", "Put a dead letter back", o => o.Answers(200));
    }

    private static async Task ListAsync(HttpContext context)
    {
        var body = HttpMethods.IsPost(context.Request.Method) ? await context.ReadObjectAsync() : default;
        int? Number(string name) => context.Number(name) ?? (ElsaQuery.TextOf(body, name) is { } text
            ? int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) ? number : throw ApiException.Bad($"'{name}' must be a whole number.")
            : null);
        var page = ElsaQuery.ReadPage(Number("page") ?? 0, Math.Min(Number("pageSize") ?? DefaultSize, LargestSize))!.Value;
        var instanceId = context.Query("workflowInstanceId") ?? ElsaQuery.TextOf(body, "workflowInstanceId");
        var (letters, total) = await context.Runtime().Queue.ReadDeadPageAsync(context.Tenant(), instanceId, page.Offset, page.Size, context.RequestAborted);
        await context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            writer.WriteStartArray("items");
            foreach (var letter in letters)
                Write(writer, letter);
            writer.WriteEndArray();
            writer.WriteNumber("totalCount", total);
            writer.WriteEndObject();
        });
    }

    private static async Task GetAsync(HttpContext context, string id)
    {
        var letter = await context.Runtime().Queue.FindDeadAsync(context.Tenant(), ReadId(id), context.RequestAborted) ?? throw NotFound(id);
        await context.WriteJsonAsync(writer => Write(writer, letter));
    }

    private static async Task DeleteAsync(HttpContext context, string id)
    {
        if (!await context.Runtime().Queue.DeleteDeadAsync(context.Tenant(), ReadId(id), context.RequestAborted))
            throw NotFound(id);
        context.Response.StatusCode = StatusCodes.Status204NoContent;
    }

    private static async Task ReplayAsync(HttpContext context, string id)
    {
        if (!await context.Runtime().Queue.RequeueAsync(context.Tenant(), ReadId(id), context.RequestAborted))
            throw NotFound(id);
    }

    private static void Write(Utf8JsonWriter writer, DeadWork letter)
    {
        writer.WriteStartObject();
        writer.WriteString("id", letter.Id.ToString(CultureInfo.InvariantCulture));
        if (letter.InstanceId.Length > 0)
            writer.WriteString("workflowInstanceId", letter.InstanceId);
        writer.WriteString("kind", letter.Kind.ToString());
        writer.WriteNumber("attempts", letter.Attempt);
        writer.WriteString("error", letter.Error);
        writer.WriteString("createdAt", letter.CreatedAt);
        writer.WriteString("deadLetteredAt", letter.DiedAt);
        writer.WriteEndObject();
    }

    private static long ReadId(string id) => long.TryParse(id, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : throw NotFound(id);

    private static ApiException NotFound(string id) => new(404, "queue.no_dead_letter", $"There is no dead letter '{id}'. It was replayed or deleted already.");
}

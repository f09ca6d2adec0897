using System.Text.Json;
using Conclave.Agents.Approvals;
using Conclave.Server.Accounts;
using Conclave.Server.Api;
using Conclave.Server.OpenApi;
using static Conclave.Server.Api.JsonText;

namespace Conclave.Server.Approvals;

/// <summary>What waits for people, and what they say.</summary>
internal static class ApprovalEndpoints
{
    private static readonly string[] Verdicts = ["approve", "reject", "complete"];

    public static void Map(RouteGroupBuilder approvals)
    {
        var group = approvals.WithTags("Approvals");
        group.MapGet("/", ListAsync).RequirePermission(Permissions.ReadApprovals)
            .Describe("ListApprovals", "List approvals and tasks, newest first", o => o
                .Query<ApprovalStatus>("status", "Only those that stand so.").Query<bool>("mine", "Only those that wait for the caller.")
                .Query("agent", "Only those of this agent.").Query("instance", "Only those of this instance.").Pages().Answers<PageShape<ApprovalShape>>());
        group.MapGet("/{id}", GetAsync).RequirePermission(Permissions.ReadApprovals)
            .Describe("GetApproval", "See an approval with its votes; changes nothing", o => o.Answers<ApprovalShape>());
        group.MapGet("/{id}/history", HistoryAsync).RequirePermission(Permissions.ReadApprovals)
            .Describe("GetApprovalHistory", "See what happened to an approval, oldest first", o => o.Answers<PageShape<ApprovalEventShape>>());
        group.MapPost("/{id}/decision", DecideAsync).RequirePermission(Permissions.DecideApprovals)
            .Describe("DecideApproval", "Approve or reject an action, or complete a task", o => o
                .Takes<ApprovalDecisionRequest>().Answers<ApprovalShape>()
                .Note("Only accounts decide. actionHash is that of the action that the person saw; it is refused when the action is another one by now."));
        group.MapPost("/{id}/comments", CommentAsync).RequirePermission(Permissions.DecideApprovals, Permissions.ManageApprovals)
            .Describe("CommentApproval", "Add a comment", o => o.Takes<ApprovalCommentRequest>().Answers(204));
        group.MapPost("/{id}/delegate", DelegateAsync).RequirePermission(Permissions.DecideApprovals)
            .Describe("DelegateApproval", "Let another account decide in one's place", o => o.Takes<ApprovalDelegationRequest>().Answers<ApprovalShape>());
        group.MapPost("/{id}/reassign", ReassignAsync).RequirePermission(Permissions.ManageApprovals)
            .Describe("ReassignApproval", "Ask other accounts or roles instead", o => o.Takes<ApprovalAssignmentRequest>().Answers<ApprovalShape>());
    }

    /// <summary>The account that makes a request.</summary>
    /// <exception cref="ApiException">It is made with the machine's key.</exception>
    internal static Person Person(this HttpContext context) =>
        context.User.FindFirst(System.Security.Claims.ClaimTypes.NameIdentifier) is { Value: var id }
            ? new Person(id, context.Actor())
            : throw new ApiException(403, ApprovalCodes.NotAPerson, "The machine's key is no person. Show the key of an account, or sign in.");

    /// <summary>Completes a task of a person, with what is filled in; false when there is none of that id.</summary>
    /// <exception cref="ApiException">The caller is not the one to do it, or what is filled in does not fit the form.</exception>
    internal static async Task<bool> TryCompleteTaskAsync(HttpContext context, string id, JsonElement? formData)
    {
        if (await Store(context).FindAsync(context.Tenant(), id, context.RequestAborted) is not { Kind: ApprovalKind.Task })
            return false;
        context.Demand(Permissions.DecideApprovals);
        await DoAsync(() => Store(context).DecideAsync(
            context.Tenant(), id, context.Person(), new ApprovalDecision(ApprovalVerdict.Complete) { FormData = formData is { ValueKind: not JsonValueKind.Null } data ? data : null }, context.RequestAborted));
        return true;
    }

    /// <summary>The HTTP status of a refusal.</summary>
    internal static int StatusOf(string code) => code switch
    {
        ApprovalCodes.NotFound => 404,
        ApprovalCodes.NotAllowed or ApprovalCodes.NotAssigned or ApprovalCodes.OwnRequest or ApprovalCodes.NotAPerson => 403,
        ApprovalCodes.BadForm or ApprovalCodes.BadDecision or ApprovalCodes.NotEditable or ApprovalCodes.UnknownPerson => 422,
        _ => 409,
    };

    private static ApprovalStore Store(HttpContext context) => context.RequestServices.GetRequiredService<ApprovalStore>();

    private static async Task ListAsync(HttpContext context)
    {
        var limit = context.Limit();
        var filter = new ApprovalFilter
        {
            Status = context.Query("status") is not { } status ? null
                : Enum.TryParse<ApprovalStatus>(status, ignoreCase: true, out var parsed) && Enum.IsDefined(parsed) && !char.IsAsciiDigit(status[0]) ? parsed
                : throw ApiException.Bad($"'status' must be one of: {string.Join(", ", Enum.GetNames<ApprovalStatus>()).ToLowerInvariant()}."),
            WaitsFor = context.Query("mine") switch
            {
                null or "false" => null,
                "true" => context.Person().Id,
                _ => throw ApiException.Bad("'mine' must be true or false."),
            },
            AgentId = context.Query("agent"),
            InstanceId = context.Query("instance"),
        };
        var isForOthers = filter.WaitsFor is not null && !context.User.Has(Permissions.DecideApprovals);
        var found = isForOthers ? [] : await Store(context).ListAsync(context.Tenant(), filter, Cursor.Read(context.Query("cursor")), limit, context.RequestAborted);
        await context.WritePageAsync(found, found.Count == limit ? Cursor.Of(found[^1].CreatedAt, found[^1].Id) : null, ApprovalJson.Write);
    }

    private static async Task GetAsync(HttpContext context, string id) => await WriteAsync(context, await FindAsync(context, id));

    private static async Task HistoryAsync(HttpContext context, string id)
    {
        var events = await Store(context).HistoryAsync(context.Tenant(), id, context.RequestAborted) ?? throw NotFound(id);
        await context.WritePageAsync(events, null, ApprovalJson.Write);
    }

    private static async Task DecideAsync(HttpContext context, string id)
    {
        var person = context.Person();
        var body = await ReadAsync(context, "decision", "actionHash", "comment", "arguments", "formData");
        var index = Array.IndexOf(Verdicts, Text(body, "decision"));
        if (index < 0)
            throw ApiException.Bad($"'decision' must be one of: {string.Join(", ", Verdicts)}.");
        var decision = new ApprovalDecision((ApprovalVerdict)index)
        {
            ActionHash = Text(body, "actionHash"),
            Comment = Comment(body, "comment"),
            Arguments = Json(body, "arguments"),
            FormData = Json(body, "formData"),
            IdempotencyKey = context.Request.Headers["Idempotency-Key"].ToString() is { Length: > 0 } key ? key : null,
        };
        await WriteAsync(context, await DoAsync(() => Store(context).DecideAsync(context.Tenant(), id, person, decision, context.RequestAborted)));
    }

    private static async Task CommentAsync(HttpContext context, string id)
    {
        var person = context.Person();
        var body = await ReadAsync(context, "text");
        var text = Comment(body, "text") ?? throw ApiException.Bad("'text' is missing.");
        await DoAsync(async () =>
        {
            await Store(context).CommentAsync(context.Tenant(), id, person, text, context.RequestAborted);
            return true;
        });
        context.Response.StatusCode = 204;
    }

    private static async Task DelegateAsync(HttpContext context, string id)
    {
        var person = context.Person();
        var body = await ReadAsync(context, "to", "comment");
        var to = Text(body, "to") is { Length: > 0 } name ? JsonText.CheckName("to", name)! : throw ApiException.Bad("'to' must be the name or id of an account.");
        var comment = Comment(body, "comment");
        await WriteAsync(context, await DoAsync(async () =>
        {
            await Store(context).DelegateAsync(context.Tenant(), id, person, to, comment, context.RequestAborted);
            return await FindAsync(context, id);
        }));
    }

    private static async Task ReassignAsync(HttpContext context, string id)
    {
        var person = context.Person();
        var body = await ReadAsync(context, "assignees", "groups", "comment");
        var (assignees, groups) = (Names(body, "assignees"), Names(body, "groups"));
        var comment = Comment(body, "comment");
        await WriteAsync(context, await DoAsync(async () =>
        {
            await Store(context).ReassignAsync(context.Tenant(), id, person, assignees, groups, comment, context.RequestAborted);
            return await FindAsync(context, id);
        }));
    }

    private static async Task<Approval> FindAsync(HttpContext context, string id) =>
        await Store(context).FindAsync(context.Tenant(), id, context.RequestAborted) ?? throw NotFound(id);

    private static async Task<T> DoAsync<T>(Func<Task<T>> act)
    {
        try
        {
            return await act();
        }
        catch (ApprovalException refused)
        {
            throw new ApiException(StatusOf(refused.Code), refused.Code, refused.Message);
        }
    }

    private static Task WriteAsync(HttpContext context, Approval approval)
    {
        var link = Store(context).Link?.Invoke(approval.Tenant, approval.Id);
        return context.WriteJsonAsync(writer => ApprovalJson.Write(writer, approval, link));
    }

    private static async Task<JsonElement> ReadAsync(HttpContext context, params string[] members)
    {
        var body = await context.ReadObjectAsync();
        foreach (var member in body.EnumerateObject())
        {
            if (!members.Contains(member.Name))
                throw ApiException.Bad($"'{member.Name}' is not a member here: {string.Join(", ", members)}.");
        }

        return body;
    }

    private static string? Comment(JsonElement body, string name) => Text(body, name) switch
    {
        null or "" => null,
        { Length: > ApprovalStore.LongestComment } => throw ApiException.Bad($"'{name}' may have at most {ApprovalStore.LongestComment} characters."),
        var text when text.Contains('\0', StringComparison.Ordinal) => throw ApiException.Bad($"'{name}' must not have NUL characters."),
        var text => text,
    };

    private static JsonElement? Json(JsonElement body, string name) =>
        !body.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null ? null
        : value.ValueKind == JsonValueKind.Object ? value
        : throw ApiException.Bad($"'{name}' must be an object.");

    private static List<string> Names(JsonElement body, string name)
    {
        if (!body.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null)
            return [];
        if (value.ValueKind != JsonValueKind.Array || value.GetArrayLength() > 100 || value.EnumerateArray().Any(v => v.ValueKind != JsonValueKind.String))
            throw ApiException.Bad($"'{name}' must be a list of at most 100 names.");
        return [.. value.EnumerateArray().Select(v => JsonText.CheckName(name, v.GetString())!).Where(n => n.Length > 0)];
    }

    private static ApiException NotFound(string id) => new(404, ApprovalCodes.NotFound, $"There is no approval '{id}'.");
}

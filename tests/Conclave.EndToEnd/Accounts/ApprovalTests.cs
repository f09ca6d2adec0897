using System.Text.Json;

namespace Conclave.EndToEnd.Accounts;

/// <summary>Approvals over HTTP: who may do what, and what is refused.</summary>
[Collection(AccountServer.Name)]
public sealed class ApprovalTests(AccountServer shared)
{
    private readonly ServerProcess _server = shared.Server;

    [Fact]
    public async Task Approval_DecidedByAPerson_LetsTheWorkflowGoOn()
    {
        var (id, hash) = await AskAsync("");
        var operators = await TokenAsync("operator");
        var seen = (await CallAsync($"GET /api/approvals/{id}", operators)).Is(200);
        Assert.Equal(("pending", "approval", "P2", 120), (seen["status"].GetString(), seen["kind"].GetString(), seen["priority"].GetString(), seen["action"].GetProperty("arguments").GetProperty("amount").GetInt32()));
        Assert.Contains("/app/open?t=", seen["link"].GetString(), StringComparison.Ordinal);
        Assert.Contains(id, await IdsAsync("GET /api/approvals?mine=true", operators));

        (await CallAsync($"POST /api/approvals/{id}/comments", operators, """{"text":"Looks right."}""")).Is(204);
        var decided = (await CallAsync(
            $"POST /api/approvals/{id}/decision", operators, $$$"""{"decision":"approve","actionHash":"{{{hash}}}","comment":"Less.","arguments":{"amount":99.5,"order":"A-7"}}""", "Idempotency-Key: one")).Is(200);

        Assert.Equal(("approved", true, 99.5, 120), (decided["status"].GetString(), decided["isEdited"].GetBoolean(),
            decided["action"].GetProperty("arguments").GetProperty("amount").GetDouble(), decided["requestedAction"].GetProperty("arguments").GetProperty("amount").GetInt32()));
        Assert.Equal(("operator", "approve", "Less."), (decided["votes"][0].GetProperty("by").GetString(), decided["votes"][0].GetProperty("decision").GetString(), decided["votes"][0].GetProperty("comment").GetString()));
        var again = (await CallAsync(
            $"POST /api/approvals/{id}/decision", operators, $$$"""{"decision":"approve","actionHash":"{{{hash}}}","comment":"Less.","arguments":{"amount":99.5,"order":"A-7"}}""", "Idempotency-Key: one")).Is(200);
        Assert.Equal(decided.Text, again.Text);
        var history = (await CallAsync($"GET /api/approvals/{id}/history", operators)).Is(200)["items"].EnumerateArray().Select(e => e.GetProperty("kind").GetString());
        Assert.Equal(["requested", "commented", "edited", "approved"], history);
        await ServerProcess.UntilAsync(
            async () => (await _server.GetAsync($"/api/instances/{decided["instanceId"].GetString()}")).GetProperty("subStatus").GetString() == "Finished", "the workflow goes on");
        Assert.DoesNotContain(id, await IdsAsync("GET /api/approvals?status=pending", operators));
    }

    [Fact]
    public async Task Decision_OfWhoMayNot_IsRefused()
    {
        var (id, hash) = await AskAsync(""" "onBehalfOf": "operator", """);
        var (operators, viewer, root) = (await TokenAsync("operator"), await TokenAsync("viewer"), await TokenAsync("root"));
        var body = $$"""{"decision":"approve","actionHash":"{{hash}}"}""";

        // Nobody, the machine, other roles, the one for whom it is asked, and those who were not asked.
        (await _server.CallAsync($"POST /api/approvals/{id}/decision", body, "Authorization: Bearer none")).IsProblem(401, "request.unauthorized");
        (await _server.CallAsync($"POST /api/approvals/{id}/decision", body)).IsProblem(403, "approval.not_a_person");
        (await CallAsync($"POST /api/approvals/{id}/decision", viewer, body)).IsProblem(403, "request.forbidden");
        (await CallAsync($"POST /api/approvals/{id}/decision", await TokenAsync("author"), body)).IsProblem(403, "request.forbidden");
        (await CallAsync($"POST /api/approvals/{id}/decision", operators, body)).IsProblem(403, "approval.own_request");
        (await CallAsync($"POST /api/approvals/{id}/reassign", operators, """{"assignees":["root"]}""")).IsProblem(403, "request.forbidden");
        (await CallAsync($"POST /api/approvals/{id}/reassign", root, """{"assignees":["operator"]}""")).IsProblem(403, "approval.own_request");
        var other = await shared.MakeAccountAsync("operator");
        (await CallAsync($"POST /api/approvals/{id}/reassign", root, $$"""{"assignees":["{{other}}"]}""")).Is(200);
        (await CallAsync($"POST /api/approvals/{id}/decision", root, body)).IsProblem(403, "approval.not_assigned");

        Assert.Equal("pending", (await _server.GetAsync($"/api/approvals/{id}")).GetProperty("status").GetString());
        (await CallAsync($"POST /api/approvals/{id}/decision", await TokenAsync(other), body)).Is(200);
        (await CallAsync($"POST /api/approvals/{id}/decision", root, body)).IsProblem(409, "approval.already_decided");
    }

    [Fact]
    public async Task Approval_OfAnotherTenant_IsNotThere()
    {
        var (id, hash) = await AskAsync("");
        var root = await TokenAsync("root");
        await shared.ExecuteAsync("update conclave.approval set tenant = 'other' where id = $1", id);

        Assert.DoesNotContain(id, await IdsAsync("GET /api/approvals", root));
        (await CallAsync($"GET /api/approvals/{id}", root)).IsProblem(404, "approval.not_found");
        (await CallAsync($"GET /api/approvals/{id}/history", root)).IsProblem(404, "approval.not_found");
        (await CallAsync($"POST /api/approvals/{id}/decision", root, $$"""{"decision":"approve","actionHash":"{{hash}}"}""")).IsProblem(404, "approval.not_found");
        (await CallAsync($"POST /api/approvals/{id}/comments", root, """{"text":"x"}""")).IsProblem(404, "approval.not_found");
        (await CallAsync($"POST /api/approvals/{id}/delegate", root, """{"to":"operator"}""")).IsProblem(404, "approval.not_found");
        (await CallAsync($"POST /api/approvals/{id}/reassign", root, """{"assignees":["operator"]}""")).IsProblem(404, "approval.not_found");
    }

    [Fact]
    public async Task Decision_ThatMakesNoSense_IsRefusedAndChangesNothing()
    {
        var (id, hash) = await AskAsync(""" "argumentsSchema": { "typeName": "Object", "expression": { "type": "Object", "value": "{\"properties\":{\"amount\":{\"type\":\"number\",\"maximum\":120}}}" } }, """);
        var root = await TokenAsync("root");
        foreach (var (body, status, code) in new[]
        {
            ("[]", 400, "request.invalid"),
            ("{", 400, "request.not_json"),
            ("{}", 400, "request.invalid"),
            ("""{"decision":"maybe"}""", 400, "request.invalid"),
            ("""{"decision":1}""", 400, "request.invalid"),
            ("""{"decision":"approve","extra":1}""", 400, "request.invalid"),
            ("""{"decision":"approve","arguments":[1]}""", 400, "request.invalid"),
            ("""{"decision":"approve","comment":"a\u0000b"}""", 400, "request.invalid"),
            ($$"""{"decision":"approve","comment":"{{new string('x', 4_001)}}"}""", 400, "request.invalid"),
            ("""{"decision":"approve"}""", 409, "approval.action_changed"),
            ("""{"decision":"approve","actionHash":"00"}""", 409, "approval.action_changed"),
            ($$"""{"decision":"complete","actionHash":"{{hash}}"}""", 422, "approval.bad_decision"),
            ($$$"""{"decision":"reject","actionHash":"{{{hash}}}","arguments":{"amount":1}}""", 422, "approval.bad_decision"),
            ($$$"""{"decision":"approve","actionHash":"{{{hash}}}","arguments":{"amount":121}}""", 422, "approval.bad_form"),
            ($$$"""{"decision":"approve","actionHash":"{{{hash}}}","formData":{"a":1}}""", 422, "approval.bad_form"),
        })
            (await CallAsync($"POST /api/approvals/{id}/decision", root, body)).IsProblem(status, code);
        (await CallAsync($"POST /api/approvals/{id}/comments", root, "{}")).IsProblem(400, "request.invalid");
        (await CallAsync($"POST /api/approvals/{id}/delegate", root, """{"to":""}""")).IsProblem(400, "request.invalid");
        (await CallAsync($"POST /api/approvals/{id}/delegate", root, """{"to":"operator"}""")).IsProblem(422, "approval.bad_decision");
        (await CallAsync($"POST /api/approvals/{id}/reassign", root, """{"assignees":"operator"}""")).IsProblem(400, "request.invalid");
        (await CallAsync($"POST /api/approvals/{id}/reassign", root, """{"assignees":["viewer"]}""")).IsProblem(422, "approval.unknown_person");
        (await CallAsync($"POST /api/approvals/{id}/reassign", root, """{"groups":["pirates"]}""")).IsProblem(422, "approval.unknown_person");
        (await CallAsync("GET /api/approvals?status=odd", root)).IsProblem(400, "request.invalid");
        (await CallAsync("GET /api/approvals?mine=odd", root)).IsProblem(400, "request.invalid");
        (await CallAsync("GET /api/approvals?cursor=odd", root)).IsProblem(400, "request.invalid");
        (await CallAsync("GET /api/approvals/none", root)).IsProblem(404, "approval.not_found");

        var history = (await CallAsync($"GET /api/approvals/{id}/history", root)).Is(200)["items"].EnumerateArray().Select(e => e.GetProperty("kind").GetString());
        Assert.Equal(["requested"], history);
    }

    [Fact]
    public async Task Page_WithoutASession_AsksToSignIn_AndAKeyDoesNotOpenIt()
    {
        using var nobody = new HttpClient(new HttpClientHandler { AllowAutoRedirect = false }) { BaseAddress = _server.Http.BaseAddress };
        nobody.DefaultRequestHeaders.Accept.ParseAdd("text/html");
        foreach (var path in (string[])["/", "/app", "/app/inbox", "/app/inbox/x", "/app/agents", "/app/agents/new", "/app/agents/x/configure", "/app/tools"])
        {
            var answer = await nobody.GetAsync(path);
            Assert.Equal((302, true), ((int)answer.StatusCode, answer.Headers.Location!.OriginalString.Contains("/sign-in", StringComparison.Ordinal)));
        }

        var page = await _server.CallAsync("GET /app/inbox");
        Assert.DoesNotContain("card-title", page.Text, StringComparison.Ordinal);
        Assert.Equal(302, (int)(await nobody.PostAsync("/_blazor/negotiate?negotiateVersion=1", null)).StatusCode);
    }

    private Task<Reply> CallAsync(string call, string token, string? body = null, params string[] headers) => _server.CallAsync(call, body, [$"Authorization: Bearer {token}", .. headers]);

    private async Task<string> TokenAsync(string who) => (await shared.LogInAsync(who)).Access;

    private async Task<List<string>> IdsAsync(string call, string token) =>
        [.. (await CallAsync(call, token)).Is(200)["items"].EnumerateArray().Select(a => a.GetProperty("id").GetString()!)];

    private async Task<(string Id, string Hash)> AskAsync(string more)
    {
        var name = SharedServer.NewId();
        await _server.PublishAsync(name, $$"""
            { "root": { "id": "ask", "type": "Conclave.Agents.AwaitApproval", "version": 1, "title": "Refund", {{more}}
              "action": { "typeName": "Object", "expression": { "type": "Object", "value": {{JsonSerializer.Serialize("""{"tool":"refund","arguments":{"order":"A-7","amount":120}}""")}} } } } }
            """);
        var instance = (await _server.PostAsync($"/api/workflows/{name}/start", "{}")).GetProperty("instanceId").GetString()!;
        JsonElement found = default;
        await ServerProcess.UntilAsync(async () => (found = (await _server.GetAsync($"/api/approvals?instance={instance}")).GetProperty("items")).GetArrayLength() == 1, "somebody is asked");
        return (found[0].GetProperty("id").GetString()!, found[0].GetProperty("actionHash").GetString()!);
    }
}

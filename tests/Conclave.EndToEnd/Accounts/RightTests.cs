namespace Conclave.EndToEnd.Accounts;

[Collection(AccountServer.Name)]
public sealed class RightTests(AccountServer shared)
{
    /// <summary>Calls, the right that each needs, and who has it besides administrators. None finds anything to change.</summary>
    private static readonly (string Call, string Right, string Roles)[] Calls =
    [
        ("GET /api/workflows", "read:workflow-definitions", "author operator viewer"),
        ("GET /api/workflows/NONE", "read:workflow-definitions", "author operator viewer"),
        ("GET /api/workflows/NONE/versions", "read:workflow-definitions", "author operator viewer"),
        ("GET /api/workflows/NONE/consumers", "read:workflow-definitions", "author operator viewer"),
        ("GET /api/workflows/export?ids=NONE", "read:workflow-definitions", "author operator viewer"),
        ("PUT /api/workflows/NONE", "write:workflow-definitions", "author"),
        ("POST /api/workflows/import?publish=false", "write:workflow-definitions", "author"),
        ("POST /api/workflows/NONE/publish", "publish:workflow-definitions", "author"),
        ("POST /api/workflows/NONE/revert?version=1", "publish:workflow-definitions", "author"),
        ("POST /api/workflows/NONE/update-references", "publish:workflow-definitions", "author"),
        ("POST /api/workflows/NONE/retract", "retract:workflow-definitions", "author"),
        ("DELETE /api/workflows/NONE", "delete:workflow-definitions", "author"),
        ("DELETE /api/workflows/NONE/versions/1", "delete:workflow-definitions", "author"),
        ("POST /api/workflows/NONE/start", "exec:workflow-definitions", "author operator"),
        ("POST /api/workflows/NONE/start-many", "exec:workflow-definitions", "author operator"),
        ("GET /api/instances", "read:workflow-instances", "author operator viewer"),
        ("GET /api/instances/NONE", "read:workflow-instances", "author operator viewer"),
        ("GET /api/instances/NONE/journal", "read:workflow-instances", "author operator viewer"),
        ("DELETE /api/instances/NONE", "delete:workflow-instances", ""),
        ("POST /api/instances/NONE/cancel", "cancel:workflow-instances", "operator"),
        ("POST /api/instances/NONE/retry", "retry:workflow-instances", "operator"),
        ("POST /api/instances/NONE/resume", "resume:workflow-instances", "operator"),
        ("POST /api/instances/NONE/variables", "write:workflow-instances", "operator"),
        ("POST /api/instances/NONE/migrate", "migrate:workflow-instances", "operator"),
        ("POST /api/instances/bulk cancel", "cancel:workflow-instances", "operator"),
        ("POST /api/instances/bulk retry", "retry:workflow-instances", "operator"),
        ("POST /api/instances/bulk resume", "resume:workflow-instances", "operator"),
        ("POST /api/instances/bulk variables", "write:workflow-instances", "operator"),
        ("POST /api/instances/bulk migrate", "migrate:workflow-instances", "operator"),
        ("POST /api/events/NONE", "trigger:event", "operator"),
        ("GET /api/tasks", "read:tasks", "author operator viewer"),
        ("POST /api/tasks/NONE/complete", "tasks:complete", "operator"),
        ("GET /api/approvals", "read:approvals", "author operator viewer"),
        ("GET /api/approvals/NONE", "read:approvals", "author operator viewer"),
        ("GET /api/approvals/NONE/history", "read:approvals", "author operator viewer"),
        ("POST /api/approvals/NONE/decision", "decide:approvals", "operator"),
        ("POST /api/approvals/NONE/delegate", "decide:approvals", "operator"),
        ("POST /api/approvals/NONE/reassign", "manage:approvals", ""),
        ("GET /api/queue", "read:queue", "operator viewer"),
        ("GET /api/queue/dead", "read:queue", "operator viewer"),
        ("POST /api/queue/dead/1/requeue", "write:queue", "operator"),
        ("DELETE /api/queue/dead/1", "write:queue", "operator"),
        ("GET /api/agent-packages", "read:agents", "author operator viewer"),
        ("GET /api/agent-packages/NONE", "read:agents", "author operator viewer"),
        ("GET /api/agent-packages/NONE/files", "read:agents", "author operator viewer"),
        ("GET /api/agent-packages/schema", "read:agents", "author operator viewer"),
        ("POST /api/agent-packages", "write:agents", "author operator"),
        ("POST /api/agent-packages/validate", "write:agents", "author operator"),
        ("POST /api/agent-packages/NONE/enable", "write:agents", "author operator"),
        ("POST /api/agent-packages/NONE/disable", "write:agents", "author operator"),
        ("DELETE /api/agent-packages/NONE", "write:agents", "author operator"),
        ("GET /api/tools", "read:tools", "author operator viewer"),
        ("GET /api/tools/NONE", "read:tools", "author operator viewer"),
        ("PUT /api/tools/NONE", "manage:tools", "operator"),
        ("DELETE /api/tools/NONE", "manage:tools", "operator"),
        ("POST /api/tools/NONE/enable", "manage:tools", "operator"),
        ("POST /api/tools/NONE/disable", "manage:tools", "operator"),
        ("POST /api/tools/NONE/approve", "manage:tools", "operator"),
        ("POST /api/tools/NONE/call", "exec:tools", "author operator"),
        ("GET /api/tool-permissions", "read:tools", "author operator viewer"),
        ("POST /api/tool-permissions/NONE/check", "read:tools", "author operator viewer"),
        ("PUT /api/tool-permissions/NONE", "manage:tools", "operator"),
        ("GET /api/tool-runs", "read:tools", "author operator viewer"),
        ("GET /api/tool-runs/usage", "read:tools", "author operator viewer"),
        ("GET /api/tool-runs/NONE", "read:tools", "author operator viewer"),
        ("GET /api/tool-servers", "read:tools", "author operator viewer"),
        ("PUT /api/tool-servers/NONE", "manage:tools", "operator"),
        ("DELETE /api/tool-servers/NONE", "manage:tools", "operator"),
        ("POST /api/tool-servers/NONE/refresh", "manage:tools", "operator"),
        ("POST /api/tool-imports/openapi", "manage:tools", "operator"),
        ("GET /api/sandbox", "read:tools", "author operator viewer"),
        ("POST /mcp", "exec:tools", "author operator"),
        ("GET /elsa/api/identity/roles", "manage:accounts", ""),
        ("POST /elsa/api/identity/users", "manage:accounts", ""),
        ("POST /elsa/api/identity/applications", "manage:accounts", ""),
    ];

    private readonly ServerProcess _server = shared.Server;

    public static TheoryData<string> Rights => [.. Calls.Select(c => c.Right).Distinct()];

    /// <summary>A key with one right opens what needs it, and nothing else.</summary>
    [Theory]
    [MemberData(nameof(Rights))]
    public async Task Key_WithOneRight_OpensWhatNeedsIt(string right)
    {
        using var admin = await shared.SignedInAsync("root");
        var key = await admin.MakeKeyAsync("30", right);

        foreach (var (call, needed, _) in Calls)
        {
            var reply = await CallAsync(call, key);
            Assert.True(reply.Status is not 401 and not >= 500, $"{call}: {reply.Status} {reply.Text}");
            Assert.True((reply.Status == 403) == (needed != right), $"{call} with {right}: {reply.Status} {reply.Text}");
            if (reply.Status == 403 && !call.Contains("/elsa", StringComparison.Ordinal))
                Assert.Contains($"'{needed}'", reply.IsProblem(403, "request.forbidden")["detail"].GetString(), StringComparison.Ordinal);
            else if (reply.Status == 403)
                Assert.Empty(reply.Text);
        }
    }

    [Theory]
    [InlineData("root"), InlineData("author"), InlineData("operator"), InlineData("viewer")]
    public async Task Role_OpensWhatItShould(string role)
    {
        var (access, _) = await shared.LogInAsync(role);
        foreach (var (call, _, roles) in Calls)
        {
            var reply = await CallAsync(call, access);
            var may = role == "root" || roles.Split(' ').Contains(role);
            Assert.True((reply.Status == 403) == !may && reply.Status != 401, $"{call} as {role}: {reply.Status} {reply.Text}");
        }
    }

    /// <summary>C# runs with the server's rights: to write workflows is not enough for it, whichever way it comes in.</summary>
    [Fact]
    public async Task CSharp_IsBroughtInOnlyByThoseWhoHaveItsRight()
    {
        const string Root = """{ "id": "run", "type": "Elsa.RunCSharp", "version": 1, "script": { "typeName": "String", "expression": { "type": "Literal", "value": "1" } } }""";
        var id = SharedServer.NewId();
        var model = $$"""{ "definitionId": "{{id}}", "name": "{{id}}", "root": {{Root}} }""";
        var author = $"Authorization: Bearer {(await shared.LogInAsync("author")).Access}";
        var root = $"Authorization: Bearer {(await shared.LogInAsync("root")).Access}";

        (await _server.CallAsync($"PUT /api/workflows/{id}", model, author)).IsProblem(403, "request.forbidden");
        (await _server.CallAsync("POST /api/workflows/import?publish=false", model, author)).IsProblem(403, "request.forbidden");
        Assert.Contains("exec:csharp-expressions", (await _server.CallAsync("POST /elsa/api/workflow-definitions", $$"""{ "model": {{model}} }""", author)).Is(400).Text, StringComparison.Ordinal);
        (await _server.CallAsync("POST /elsa/api/workflow-definitions/import", model, author)).Is(400);
        (await _server.CallAsync($"GET /api/workflows/{id}", (string?)null, root)).Is(404);
        (await _server.CallAsync($"PUT /api/workflows/{id}", model, root)).Is(200);
    }

    [Fact]
    public async Task Publishing_ByTheWay_NeedsItsOwnRight()
    {
        using var admin = await shared.SignedInAsync("root");
        var key = await admin.MakeKeyAsync("30", "write:workflow-definitions", "read:workflow-definitions");
        var id = SharedServer.NewId();
        var definition = Flows.Short();
        definition["definitionId"] = id;
        foreach (var call in (string[])[$"PUT /api/workflows/{id}?publish=true", "POST /api/workflows/import", "POST /api/workflows/import?publish=true"])
            (await _server.CallAsync(call, definition, $"Authorization: Bearer {key}")).IsProblem(403, "request.forbidden");
        (await _server.CallAsync($"GET /api/workflows/{id}")).Is(404);

        (await _server.CallAsync("POST /api/workflows/import?publish=false", definition, $"Authorization: Bearer {key}")).Is(200);
        Assert.False((await _server.CallAsync($"PUT /api/workflows/{id}", Flows.Short("other"), $"Authorization: Bearer {key}")).Is(200)["isPublished"].GetBoolean());
    }

    [Fact]
    public async Task Operations_AreRecordedUnderTheNameOfWhoDidThem()
    {
        var name = await shared.MakeAccountAsync("operator");
        using var browser = await shared.SignedInAsync(name);
        var key = await browser.MakeKeyAsync("30", "cancel:workflow-instances");
        var id = SharedServer.NewId();
        await _server.PublishAsync(id, Flows.Waiting(id));
        foreach (var (authorization, actor) in ((string?, string)[])[($"Authorization: ApiKey {key}", name), (null, "api-key")])
        {
            var instance = await _server.StartAsync(id);
            await _server.UntilAsync(instance, "Suspended");
            (await _server.CallAsync($"POST /api/instances/{instance}/cancel", """{"reason":"test"}""", authorization is null ? [] : [authorization])).Is(200);
            await _server.UntilAsync(instance, "Cancelled");
            var journal = await _server.ItemsAsync($"/api/instances/{instance}/journal");
            Assert.Contains(journal, e => e.TryGetProperty("actor", out var who) && who.GetString() == actor);
        }
    }

    [Fact]
    public async Task IdempotencyKey_OfSomebodyElse_GivesNothingAway()
    {
        var id = SharedServer.NewId();
        await _server.PublishAsync(id, Flows.Short());
        var (access, _) = await shared.LogInAsync("operator");
        var mine = (await _server.CallAsync($"POST /api/workflows/{id}/start", "{}", $"Idempotency-Key: {id}")).Is(202);
        var theirs = (await _server.CallAsync($"POST /api/workflows/{id}/start", "{}", $"Idempotency-Key: {id}", $"Authorization: Bearer {access}")).Is(202);
        var again = (await _server.CallAsync($"POST /api/workflows/{id}/start", "{}", $"Idempotency-Key: {id}", $"Authorization: Bearer {access}")).Is(202);

        Assert.NotEqual(mine["instanceId"].GetString(), theirs["instanceId"].GetString());
        Assert.Equal(theirs["instanceId"].GetString(), again["instanceId"].GetString());
    }

    [Fact]
    public async Task Metrics_AreForThisMachineAndThoseWithTheRight()
    {
        using var stranger = new Browser(_server);
        (await stranger.GetAsync("/metrics")).Is(200);
        (await stranger.CallAsync("GET /metrics", null, "X-Forwarded-For: 10.0.0.1")).Is(401);
        foreach (var (name, status) in ((string, int)[])[("viewer", 200), ("operator", 200), ("author", 403)])
        {
            var (access, _) = await shared.LogInAsync(name);
            (await stranger.CallAsync("GET /metrics", null, "X-Forwarded-For: 10.0.0.1", $"Authorization: Bearer {access}")).Is(status);
        }
    }

    [Fact]
    public async Task Webhook_ThatAsksForAnAccount_GetsOne()
    {
        var id = SharedServer.NewId();
        await _server.PublishAsync(id, Flows.WebEcho(id, "POST", ("authorize", Conclave.Tests.Json.Literal(true)), ("policy", Conclave.Tests.Json.Literal("read:queue"))));
        using var stranger = new Browser(_server);
        (await stranger.CallAsync($"POST /workflows/{id}", "{}")).IsProblem(401, "http_endpoint.unauthorized");
        (await stranger.CallAsync($"POST /workflows/{id}", "{}", "Authorization: Bearer wrong")).IsProblem(401, "http_endpoint.unauthorized");
        var (author, _) = await shared.LogInAsync("author");
        (await stranger.CallAsync($"POST /workflows/{id}", "{}", $"Authorization: Bearer {author}")).IsProblem(403, "http_endpoint.forbidden");
        using var browser = await shared.SignedInAsync("viewer");
        (await browser.CallAsync($"POST /workflows/{id}", "{}", "Origin: https://evil.example")).Is(401);
        Assert.Empty(await _server.ItemsAsync($"/api/instances?definitionId={id}"));

        (await browser.CallAsync($"POST /workflows/{id}", "{}", "Sec-Fetch-Site: same-origin")).Is(200);
        var (viewer, _) = await shared.LogInAsync("viewer");
        (await stranger.CallAsync($"POST /workflows/{id}", "{}", $"Authorization: ApiKey {viewer}")).Is(200);
    }

    [Fact]
    public async Task Webhook_ThatWaitsForSomebodyWithAnAccount_GoesOnWaiting()
    {
        var id = SharedServer.NewId();
        // A path that says what its endpoint does not.
        var trap = $"{id}/, Authorize = True";
        await _server.PublishAsync(id, Flows.Web(
            Flows.Endpoint("wait", Conclave.Tests.Json.Literal($"{id}/wait"), "POST", ("authorize", Conclave.Tests.Json.Literal(true))),
            Flows.Endpoint("open", Conclave.Tests.Json.Literal(trap), "POST"),
            Flows.Respond("getRequest()")));
        var instance = await _server.StartAsync(id);
        await _server.UntilAsync(instance, "Suspended");
        using var stranger = new Browser(_server);
        (await stranger.CallAsync($"POST /workflows/{id}/wait", "{}")).IsProblem(401, "http_endpoint.unauthorized");
        using var browser = await shared.SignedInAsync("viewer");
        (await browser.CallAsync($"POST /workflows/{id}/wait", "{}", "Sec-Fetch-Site: same-origin")).Is(202);

        (await stranger.CallAsync($"POST /workflows/{Uri.EscapeDataString(trap).Replace("%2F", "/", StringComparison.Ordinal)}", "{}")).Is(200);
    }

    private Task<Reply> CallAsync(string call, string credential)
    {
        var parts = call.Split(' ');
        // Empty or wrong bodies: who is let in changes nothing.
        var body = parts[0] == "GET" ? null
            : parts.Length == 3 ? $$"""{"operation":"{{parts[2]}}","ids":[],"values":{},"version":"1"}"""
            : parts[1] is "/api/workflows/NONE" or "/api/workflows/import?publish=false" ? "[" : "{}";
        return _server.CallAsync($"{parts[0]} {parts[1]}", body, $"Authorization: Bearer {credential}");
    }
}

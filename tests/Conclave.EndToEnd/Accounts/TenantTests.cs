namespace Conclave.EndToEnd.Accounts;

/// <summary>What belongs to another tenant is not there.</summary>
[Collection(AccountServer.Name)]
public sealed class TenantTests(AccountServer shared) : IAsyncLifetime
{
    private readonly string _id = $"theirs-{Guid.NewGuid():n}";
    private Browser _browser = null!;

    public async Task InitializeAsync()
    {
        foreach (var sql in (string[])
        [
            """
            insert into conclave.agent (tenant, id, name, configuration, state_at, created_at, created_by, updated_at, updated_by)
            values ('other', $1, $1, '{"model":"smart","systemPrompt":"theirs"}', now(), now(), 'x', now(), 'x')
            """,
            """
            insert into conclave.approval (tenant, id, kind, instance_id, activity_id, agent_id, title, description, is_editable, allow_self, assignees, groups, quorum, denial_is_final, priority,
                escalation_assignees, escalation_groups, valid_for, created_at, updated_at)
            values ('other', $1, 'approval', 'i', 'a', $1, 'theirs', '', true, true, '{}', '{}', 1, true, 2, '{}', '{}', '1 day', now(), now())
            """,
            """
            insert into conclave.tool_definition (tenant, name, source, definition, hash, updated_at, updated_by)
            values ('other', $1, 'api', '{}', 'h', now(), 'x')
            """,
            "insert into conclave.tool_permission (tenant, agent_id, tool, mode, updated_at, updated_by) values ('other', $1, 'calculator', 'allow', now(), 'x')",
        ])
            await shared.ExecuteAsync(sql, _id);
        _browser = await shared.SignedInAsync(await shared.MakeAccountAsync("administrator"));
    }

    public Task DisposeAsync()
    {
        _browser.Dispose();
        return Task.CompletedTask;
    }

    [Theory]
    [InlineData("GET /api/agents/{0}", "")]
    [InlineData("PUT /api/agents/{0}", """{"name":"mine","configuration":{"model":"smart"}}""")]
    [InlineData("DELETE /api/agents/{0}", "")]
    [InlineData("POST /api/agents/{0}/messages", """{"message":"hello"}""")]
    [InlineData("GET /api/agents/{0}/events", "")]
    [InlineData("GET /api/approvals/{0}", "")]
    [InlineData("GET /api/approvals/{0}/history", "")]
    [InlineData("POST /api/approvals/{0}/decision", """{"decision":"approve"}""")]
    [InlineData("POST /api/approvals/{0}/comments", """{"text":"hello"}""")]
    [InlineData("GET /api/tools/{0}", "")]
    [InlineData("DELETE /api/tools/{0}", "")]
    [InlineData("POST /api/tools/{0}/call", """{"arguments":{}}""")]
    public async Task OneOfAnotherTenant_IsNotFound_AndStaysAsItIs(string call, string body)
    {
        var reply = await _browser.CallAsync(
            string.Format(System.Globalization.CultureInfo.InvariantCulture, call, _id), body.Length > 0 ? body : null, $"Origin: {shared.Server.Http.BaseAddress!.GetLeftPart(UriPartial.Authority)}");

        reply.Is(404);
        Assert.Equal("application/problem+json", reply.Message.Content.Headers.ContentType?.MediaType);
        foreach (var table in (string[])["agent", "approval"])
            Assert.Equal(1, await shared.ExecuteAsync($"update conclave.{table} set id = id where tenant = 'other' and id = $1", _id));
        Assert.Equal(1, await shared.ExecuteAsync("update conclave.approval set status = status where tenant = 'other' and id = $1 and status = 'pending'", _id));
    }

    [Theory]
    [InlineData("/api/agents?limit=200")]
    [InlineData("/api/approvals?limit=200")]
    [InlineData("/api/tools?limit=200")]
    [InlineData("/api/tool-permissions")]
    public async Task Lists_LeaveOutOtherTenants(string path) =>
        Assert.DoesNotContain(_id, (await _browser.CallAsync($"GET {path}")).Is(200).Text, StringComparison.Ordinal);
}

namespace Conclave.EndToEnd.Accounts;

/// <summary>Whose syscalls an account may make, see and cancel.</summary>
[Collection(AccountServer.Name)]
public sealed class SyscallRightsTests(AccountServer shared)
{
    private const string Question = """ "query_data": {"messages": [{"role": "user", "content": "x"}]} }""";

    [Fact]
    public async Task Submit_NamesAnAgentOrUsesTools_NeedsTheirRights()
    {
        var key = await KeyAsync("exec:models");

        (await CallAsync(key, "POST /api/scheduler/submit", $$"""{"agent_name": "a", {{Question}}""")).Is(202);
        (await CallAsync(key, "POST /api/scheduler/submit", $$"""{"agent_name": "a", "aid": "somebody", {{Question}}""")).IsProblem(403, "request.forbidden");
        foreach (var action in (string[])["llm_call_tool", "llm_operate_file"])
            (await CallAsync(key, "POST /api/scheduler/submit", $$"""{"agent_name": "a", "query_type": "{{action}}", {{Question}}""")).IsProblem(403, "request.forbidden");
    }

    [Fact]
    public async Task Others_AreNeitherSeenNorCancelled()
    {
        var (mine, theirs) = (await KeyAsync("exec:models"), await KeyAsync("exec:models"));
        var pid = (await CallAsync(theirs, "POST /api/scheduler/submit", $$"""{"agent_name": "a", {{Question}}""")).Is(202)["pid"].GetString();

        (await CallAsync(mine, $"GET /api/scheduler/status/{pid}")).IsProblem(404, "syscall.not_found");
        (await CallAsync(mine, $"POST /api/scheduler/cancel/{pid}", "{}")).IsProblem(404, "syscall.not_found");
        Assert.Empty((await CallAsync(mine, "GET /api/scheduler/status")).Is(200)["items"].EnumerateArray());
        Assert.Single((await CallAsync(theirs, "GET /api/scheduler/status")).Is(200)["items"].EnumerateArray());
        (await CallAsync(theirs, $"GET /api/scheduler/status/{pid}")).Is(200);
        (await shared.Server.CallAsync($"GET /api/scheduler/status/{pid}")).Is(200);
    }

    private async Task<string> KeyAsync(params string[] scopes)
    {
        using var browser = await shared.SignedInAsync(await shared.MakeAccountAsync("operator"));
        return await browser.MakeKeyAsync("1", scopes);
    }

    private async Task<Reply> CallAsync(string key, string call, string? json = null)
    {
        var space = call.IndexOf(' ', StringComparison.Ordinal);
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = shared.Server.Http.BaseAddress };
        using var request = new HttpRequestMessage(new HttpMethod(call[..space]), call[(space + 1)..]) { Content = json is null ? null : new StringContent(json, null, "application/json") };
        request.Headers.Authorization = new("Bearer", key);
        var response = await http.SendAsync(request);
        return new Reply(response, await response.Content.ReadAsByteArrayAsync());
    }
}

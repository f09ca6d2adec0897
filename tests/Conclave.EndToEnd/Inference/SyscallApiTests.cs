using System.Text.Json;
using Conclave.Tests.Inference.Doubles;

namespace Conclave.EndToEnd.Inference;

/// <summary>AIOS's chains of model and tools, through the API.</summary>
[Collection(ModelApiServer.Name)]
public sealed class SyscallApiTests(ModelApiServer fixture) : IAsyncLifetime
{
    private ServerProcess Server => fixture.Server;

    public Task InitializeAsync() => Task.CompletedTask;

    public Task DisposeAsync()
    {
        fixture.OpenAI.Answer = DoubleAnswer.For;
        return Task.CompletedTask;
    }

    [Fact]
    public async Task CallTool_ModelCallsATool_AnswerAndRunsAreGiven()
    {
        Script(("calculator", """{"expression":"6*7"}"""), request => $"It is {ResultOf(request)}.");

        var done = await RunAsync("llm_call_tool", """{"model": "other", "messages": [{"role": "user", "content": "How much is 6*7?"}], "tools": ["calculator"]}""");

        var response = done.GetProperty("response");
        Assert.Contains("42", response.GetProperty("response_message").GetString(), StringComparison.Ordinal);
        var run = Assert.Single(response.GetProperty("tool_results").EnumerateArray());
        Assert.Equal(("calculator", "completed"), (run.GetProperty("name").GetString(), run.GetProperty("status").GetString()));
        // A slice for each call of the model.
        Assert.Equal(2, done.GetProperty("start_times").GetArrayLength());
        Assert.Equal(2, done.GetProperty("turnaround_times").GetArrayLength());
        var audited = (await Server.CallAsync($"GET /api/tool-runs/{run.GetProperty("run_id").GetString()}")).Is(200);
        Assert.StartsWith("user:", audited["agentId"].GetString(), StringComparison.Ordinal);
        Assert.Equal("calculator", audited["tool"].GetString());
    }

    [Fact]
    public async Task OperateFile_WritesAndReads_ThroughTheWorkspace()
    {
        var agent = $"files-{Guid.CreateVersion7():n}";
        (await Server.CallAsync($"PUT /api/tool-permissions/{agent}", """{"permissions": [{"tool": "workspace-write", "mode": "allow"}]}""")).Is(200);
        Script(("workspace-write", """{"path":"note.md","content":"hello"}"""), _ => "Written.");
        await RunAsync("llm_operate_file", """{"model": "other", "messages": [{"role": "user", "content": "Write hello to note.md"}]}""", agent);
        Script(("workspace-read", """{"path":"note.md"}"""), ResultOf);

        var done = await RunAsync("llm_operate_file", """{"model": "other", "messages": [{"role": "user", "content": "What is in note.md?"}]}""", agent);

        Assert.Contains("hello", done.GetProperty("response").GetProperty("response_message").GetString(), StringComparison.Ordinal);
        var offered = fixture.OpenAI.Requests.Last(r => r.IsChat && r.Body.TryGetProperty("tools", out _)).Body.GetProperty("tools").EnumerateArray().Select(t => t.GetProperty("function").GetProperty("name").GetString()!).ToList();
        Assert.All(offered, name => Assert.StartsWith("workspace-", name, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("ask", "tool.approval_required")]
    [InlineData("deny", "tool.denied")]
    public async Task CallTool_NotAllowed_IsRefusedAndTold(string mode, string code)
    {
        var agent = $"{mode}-{Guid.CreateVersion7():n}";
        (await Server.CallAsync($"PUT /api/tool-permissions/{agent}", $$"""{"permissions": [{"tool": "calculator", "mode": "{{mode}}"}]}""")).Is(200);
        Script(("calculator", """{"expression":"1"}"""), ResultOf);

        var done = await RunAsync("llm_call_tool", """{"model": "other", "messages": [{"role": "user", "content": "1?"}], "tools": [{"type": "function", "function": {"name": "calculator"}}]}""", agent);

        var run = Assert.Single(done.GetProperty("response").GetProperty("tool_results").EnumerateArray());
        Assert.Equal(("refused", code), (run.GetProperty("status").GetString(), run.GetProperty("error_code").GetString()));
    }

    [Fact]
    public async Task CallTool_NeverStops_HasToAnswer()
    {
        fixture.OpenAI.Answer = request => request.Body.TryGetProperty("tools", out var tools) && tools.GetArrayLength() > 0
            ? new DoubleAnswer { ToolCalls = [("calculator", """{"expression":"1+1"}""")] } : DoubleAnswer.Say("Enough.");

        var done = await RunAsync("llm_call_tool", """{"model": "other", "messages": [{"role": "user", "content": "again"}], "tools": ["calculator"]}""");

        Assert.Equal("Enough.", done.GetProperty("response").GetProperty("response_message").GetString());
        Assert.Equal(8, done.GetProperty("response").GetProperty("tool_results").GetArrayLength());
    }

    [Fact]
    public async Task OperateFile_ModelWantsAnotherTool_IsRefused()
    {
        Script(("calculator", """{"expression":"1"}"""), ResultOf);

        var done = await RunAsync("llm_operate_file", """{"model": "other", "messages": [{"role": "user", "content": "1?"}]}""");

        Assert.Equal("tool.denied", Assert.Single(done.GetProperty("response").GetProperty("tool_results").EnumerateArray()).GetProperty("error_code").GetString());
    }

    [Theory]
    [InlineData("llm_call_tool", """{"messages": [{"role": "user", "content": "x"}], "tools": ["no-such-tool"]}""", "syscall.unknown_tool")]
    [InlineData("llm_operate_file", """{"messages": [{"role": "user", "content": "x"}], "tools": ["calculator"]}""", "syscall.unknown_tool")]
    [InlineData("llm_call_tool", """{"messages": [{"role": "user", "content": "x"}], "tools": [1]}""", "syscall.bad_query")]
    [InlineData("llm_call_tool", """{"messages": [{"role": "user", "content": "x"}], "tools": "calculator"}""", "syscall.bad_query")]
    [InlineData("llm_dream", """{"messages": [{"role": "user", "content": "x"}]}""", "syscall.unknown")]
    public async Task Submit_CannotBeAnswered_IsRefused(string action, string query, string code) =>
        (await SubmitAsync(action, query, null)).IsProblem(400, code);

    /// <summary>The model calls a tool first, and then says something about the result.</summary>
    private void Script((string Tool, string Arguments) call, Func<DoubleRequest, string> answer) => fixture.OpenAI.Answer = request =>
        request.LastMessage.GetProperty("role").ValueEquals("tool") ? DoubleAnswer.Say(answer(request)) : new DoubleAnswer { ToolCalls = [call] };

    private static string ResultOf(DoubleRequest request) => request.LastText;

    private Task<Reply> SubmitAsync(string action, string query, string? agent) => Server.CallAsync(
        "POST /api/scheduler/submit", $$"""{"agent_name": "tester", "query_type": "{{action}}", "query_data": {{query}}{{(agent is null ? "" : $", \"aid\": \"{agent}\"")}} }""");

    private async Task<JsonElement> RunAsync(string action, string query, string? agent = null)
    {
        var pid = (await SubmitAsync(action, query, agent)).Is(202)["pid"].GetString();
        JsonElement done = default;
        await ServerProcess.UntilAsync(async () => (done = await Server.GetAsync($"/api/scheduler/status/{pid}")).GetProperty("status").GetString() == "Done", "the syscall is done");
        Assert.True(done.GetProperty("error").ValueKind == JsonValueKind.Null, done.GetRawText());
        return done;
    }
}

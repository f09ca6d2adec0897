using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Conclave.Tests.Inference.Doubles;

namespace Conclave.EndToEnd.Agents;

/// <summary>Agents over HTTP, with the behaviours that ship.</summary>
[Collection(AgentServer.Name)]
public sealed class AgentApiTests(AgentServer fixture)
{
    private ServerProcess Server => fixture.Server;

    private OpenAIDouble Model => fixture.Model;

    [Fact]
    public async Task Agent_MadeChangedAndDeleted_IsWhatWasSaid()
    {
        var name = SharedServer.NewId();
        var made = await Server.Http.PostAsync("/api/agents", Json($$"""{"name":"{{name}}","configuration":{"systemPrompt":"Be kind.","model":"brain","limits":{"maxSteps":4} } }"""));
        Assert.Equal(HttpStatusCode.Created, made.StatusCode);
        var agent = await ServerProcess.ReadAsync(made);
        var id = agent.GetProperty("id").GetString()!;
        Assert.Equal(("active", 4, 3), (agent.GetProperty("state").GetString(), Limit(agent, "maxSteps"), Limit(agent, "maxRepeats")));
        // By its name, too, whatever the case.
        Assert.Equal(id, (await Server.GetAsync($"/api/agents/{name.ToUpperInvariant()}")).GetProperty("id").GetString());

        var request = new HttpRequestMessage(HttpMethod.Put, $"/api/agents/{id}") { Content = Json("""{"configuration":{"personality":"dry"}}""") };
        request.Headers.TryAddWithoutValidation("If-Match", made.Headers.ETag!.Tag);
        var changed = await ServerProcess.ReadAsync(await Server.Http.SendAsync(request));
        Assert.Equal(("dry", "Be kind.", 2), (changed.GetProperty("configuration").GetProperty("personality").GetString(), changed.GetProperty("configuration").GetProperty("systemPrompt").GetString(), changed.GetProperty("version").GetInt32()));

        // Whoever changes what was changed meanwhile is told so.
        var late = new HttpRequestMessage(HttpMethod.Put, $"/api/agents/{id}") { Content = Json("""{"configuration":{"personality":"loud"}}""") };
        late.Headers.TryAddWithoutValidation("If-Match", made.Headers.ETag!.Tag);
        await AssertProblemAsync(await Server.Http.SendAsync(late), 412, "agents.changed");

        await AssertProblemAsync(await Server.Http.PostAsync("/api/agents", Json($$"""{"name":"{{name.ToUpperInvariant()}}"}""")), 409, "agents.name_taken");
        Assert.Equal(HttpStatusCode.NoContent, (await Server.Http.DeleteAsync($"/api/agents/{id}")).StatusCode);
        await AssertProblemAsync(await Server.Http.GetAsync($"/api/agents/{id}"), 404, "agents.not_found");
    }

    [Theory]
    [InlineData("""{"name":""}""", "agents.bad_configuration")]
    [InlineData("""{"name":"x/y"}""", "agents.bad_configuration")]
    [InlineData("""{"name":"n","configuration":{"modle":"x"}}""", "agents.bad_configuration")]
    [InlineData("""{"name":"n","configuration":{"temperature":7}}""", "agents.bad_configuration")]
    [InlineData("""{"name":"n","configuration":{"tools":{}}}""", "agents.bad_configuration")]
    [InlineData("""{"name":7}""", "request.invalid")]
    [InlineData("[]", "request.invalid")]
    [InlineData("{", "request.not_json")]
    public async Task Create_WhatMakesNoSense_IsRefused(string body, string code) =>
        await AssertProblemAsync(await Server.Http.PostAsync("/api/agents", Json(body)), 400, code);

    [Fact]
    public async Task Message_Answered_IsInTheConversationWithItsMakeup()
    {
        var agent = await Server.NewAgentAsync("""{"model":"brain","systemPrompt":"You are the desk.","behaviour":"react"}""");
        Model.Answer = request => DoubleAnswer.Say($"You said {request.LastText}");
        var first = await Server.AskAsync(agent, "good morning");
        Assert.Equal(("completed", "You said good morning", 1), (first.GetProperty("status").GetString(), first.GetProperty("answer").GetString(), first.GetProperty("modelCalls").GetInt32()));
        Assert.Equal(11, first.GetProperty("inputTokens").GetInt64());
        var makeup = first.GetProperty("makeup");
        Assert.Equal(("You are the desk.", "react-v1"), (makeup.GetProperty("configuration").GetProperty("systemPrompt").GetString(), makeup.GetProperty("behaviourVersionId").GetString()));

        var conversation = first.GetProperty("conversationId").GetString()!;
        var second = await Server.AskAsync(agent, "and good night", conversation);
        Assert.Equal((2, first.GetProperty("makeupHash").GetString()), (second.GetProperty("number").GetInt32(), second.GetProperty("makeupHash").GetString()));
        var sent = Model.Requests.Where(r => r.IsChat).Last(r => r.LastText == "and good night").Body.GetProperty("messages").EnumerateArray().ToList();
        Assert.Equal(["system", "user", "assistant", "user"], sent.Select(m => m.GetProperty("role").GetString()));
        Assert.StartsWith("You are the desk.", sent[0].GetProperty("content").GetString(), StringComparison.Ordinal);

        var messages = (await Server.GetAsync($"/api/agents/{agent}/conversations/{conversation}/messages")).GetProperty("items").EnumerateArray().ToList();
        Assert.Equal(["user", "assistant", "user", "assistant"], messages.Select(m => m.GetProperty("message").GetProperty("role").GetString()));
        Assert.Equal("You said and good night", messages[3].GetProperty("message").GetProperty("content").GetString());
        Assert.Equal(2, (await Server.GetAsync($"/api/agents/{agent}/turns?conversationId={conversation}")).GetProperty("items").GetArrayLength());
    }

    [Fact]
    public async Task Message_Streamed_TellsTokensAndGoesOnAfterAnyEvent()
    {
        var agent = await Server.NewAgentAsync("""{"model":"brain"}""");
        Model.Answer = _ => DoubleAnswer.Say("one two three four");
        var events = await Server.ReadEventsAsync(AgentCalls.Message(agent, "count"));
        Assert.Equal(["agent.state", "turn.started", "model.completed", "turn.completed"], events.Where(e => e.Event != "token").Select(e => e.Event));
        Assert.Equal("one two three four", string.Concat(events.Where(e => e.Event == "token").Select(e => e.Data.GetProperty("text").GetString())));
        var turn = events[0].Data.GetProperty("turnId").GetString()!;

        // Whatever a client saw last, it hears the rest of the stored events, and nothing twice.
        var stored = events.Where(e => e.Event != "token").ToList();
        for (var seen = 0; seen < stored.Count; seen++)
        {
            var request = new HttpRequestMessage(HttpMethod.Get, $"/api/agents/{agent}/turns/{turn}/events");
            request.Headers.Add("Last-Event-ID", stored[seen].Id);
            if (seen == stored.Count - 1)
                continue;
            Assert.Equal(stored.Skip(seen + 1).Select(e => e.Id), (await Server.ReadEventsAsync(request)).Select(e => e.Id));
        }

        var wrong = new HttpRequestMessage(HttpMethod.Get, $"/api/agents/{agent}/turns/{turn}/events");
        wrong.Headers.Add("Last-Event-ID", "soon");
        await AssertProblemAsync(await Server.Http.SendAsync(wrong), 400, "request.invalid");
    }

    [Fact]
    public async Task Performance_SumsUpTheTurnsOfTheDays()
    {
        var agent = await Server.NewAgentAsync("""{"model":"brain"}""");
        var none = await Server.GetAsync($"/api/agents/{agent}/performance");
        Assert.Equal((7, 0, 0, JsonValueKind.Null), (none.GetProperty("days").GetInt32(), none.GetProperty("total").GetProperty("turns").GetInt32(), none.GetProperty("byDay").GetArrayLength(), none.GetProperty("total").GetProperty("successRate").ValueKind));

        Model.Answer = _ => DoubleAnswer.Say("done");
        for (var i = 0; i < 3; i++)
            await Server.AskAsync(agent, "hello");
        (await Server.CallAsync($"PUT /api/agents/{agent}", """{"configuration":{"model":"nowhere"}}""")).Is(200);
        Assert.Equal("failed", (await Server.AskAsync(agent, "hello")).GetProperty("status").GetString());

        var sum = await Server.GetAsync($"/api/agents/{agent}/performance?days=2");
        var total = sum.GetProperty("total");
        Assert.Equal((4, 3, 1, 0.75), (total.GetProperty("turns").GetInt32(), total.GetProperty("completed").GetInt32(), total.GetProperty("failed").GetInt32(), total.GetProperty("successRate").GetDouble()));
        Assert.Equal((33, 3), (total.GetProperty("inputTokens").GetInt32(), total.GetProperty("modelCalls").GetInt32()));
        Assert.InRange(total.GetProperty("p50Seconds").GetDouble(), double.Epsilon, total.GetProperty("p95Seconds").GetDouble());
        Assert.Equal(4, sum.GetProperty("byDay").EnumerateArray().Sum(d => d.GetProperty("turns").GetInt32()));

        foreach (var days in (string[])["0", "91", "-1", "week"])
            await AssertProblemAsync(await Server.Http.GetAsync($"/api/agents/{agent}/performance?days={days}"), 400, "request.invalid");
        await AssertProblemAsync(await Server.Http.GetAsync("/api/agents/nobody/performance"), 404, "agents.not_found");
    }

    [Fact]
    public async Task Message_SentTwiceWithOneKey_IsOneTurn()
    {
        var agent = await Server.NewAgentAsync("""{"model":"brain"}""");
        Model.Answer = _ => DoubleAnswer.Say("yes");
        var key = SharedServer.NewId();
        var answers = new List<JsonElement>();
        for (var i = 0; i < 2; i++)
        {
            var request = AgentCalls.Message(agent, "once");
            request.Headers.Add("Idempotency-Key", key);
            answers.Add(await ServerProcess.ReadAsync(await Server.Http.SendAsync(request)));
        }

        Assert.Equal(answers[0].GetProperty("turnId").GetString(), answers[1].GetProperty("turnId").GetString());
        await Server.EndOfTurnAsync(agent, answers[0].GetProperty("turnId").GetString()!);
        Assert.Equal(1, (await Server.GetAsync($"/api/agents/{agent}/turns")).GetProperty("items").GetArrayLength());
    }

    [Fact]
    public async Task Lifecycle_PausedAgent_TakesNothingAndItsTurnsStop()
    {
        var agent = await Server.NewAgentAsync("""{"model":"brain"}""");
        Model.Answer = _ => DoubleAnswer.Say("done");
        var paused = await Server.PostAsync($"/api/agents/{agent}/state", """{"state":"paused","reason":"Lunch."}""");
        Assert.Equal(("paused", "Lunch."), (paused.GetProperty("state").GetString(), paused.GetProperty("stateReason").GetString()));
        await AssertProblemAsync(await Server.Http.SendAsync(AgentCalls.Message(agent, "hello")), 409, "agents.paused");
        await AssertProblemAsync(await Server.Http.PostAsync($"/api/agents/{agent}/state", Json("""{"state":"working"}""")), 400, "request.invalid");
        Assert.Equal("active", (await Server.PostAsync($"/api/agents/{agent}/state", """{"state":"active"}""")).GetProperty("state").GetString());
        Assert.Equal("completed", (await Server.AskAsync(agent, "hello")).GetProperty("status").GetString());
        await ServerProcess.UntilAsync(async () => (await Server.GetAsync($"/api/agents/{agent}")).GetProperty("state").GetString() == "active", "it is idle again");
    }

    [Fact]
    public async Task Lifecycle_TooManyFailures_TakesItOutOfUseUntilSomebodyActs()
    {
        var agent = await Server.NewAgentAsync("""{"model":"no-such-model","health":{"maxConsecutiveFailures":2,"recoverAfterSeconds":3600}}""");
        for (var i = 0; i < 2; i++)
        {
            var turn = await Server.AskAsync(agent, "hello");
            Assert.Equal("failed", turn.GetProperty("status").GetString());
            Assert.Contains("no-such-model", turn.GetProperty("error").GetString(), StringComparison.Ordinal);
        }

        await ServerProcess.UntilAsync(async () => (await Server.GetAsync($"/api/agents/{agent}")).GetProperty("state").GetString() == "error", "it is out of use");
        var refused = await Server.Http.SendAsync(AgentCalls.Message(agent, "hello"));
        Assert.NotNull(refused.Headers.RetryAfter);
        await AssertProblemAsync(refused, 409, "agents.error");
        var request = new HttpRequestMessage(HttpMethod.Put, $"/api/agents/{agent}") { Content = Json("""{"configuration":{"model":"brain"}}""") };
        await ServerProcess.ReadAsync(await Server.Http.SendAsync(request));
        await Server.PostAsync($"/api/agents/{agent}/state", """{"state":"active"}""");
        Model.Answer = _ => DoubleAnswer.Say("well");
        Assert.Equal("completed", (await Server.AskAsync(agent, "hello")).GetProperty("status").GetString());
    }

    [Fact]
    public async Task Turn_Cancelled_EndsAndFreesTheConversation()
    {
        var agent = await Server.NewAgentAsync("""{"model":"brain"}""");
        var goOn = new TaskCompletionSource();
        Model.Answer = _ => DoubleAnswer.Say("never heard") with { BeforeToken = _ => goOn.Task };
        var started = await Server.PostAsync($"/api/agents/{agent}/messages", """{"message":"think long"}""");
        var (turn, conversation) = (started.GetProperty("turnId").GetString()!, started.GetProperty("conversationId").GetString()!);
        await Model.WaitForChatAsync();
        Assert.Contains((await Server.GetAsync("/api/agents/ps")).GetProperty("items").EnumerateArray(), p => p.GetProperty("pid").GetString() == turn);
        await AssertProblemAsync(await Server.Http.SendAsync(AgentCalls.Message(agent, "meanwhile", conversation)), 409, "agents.conversation_busy");
        Assert.Equal(HttpStatusCode.Accepted, (await Server.Http.PostAsync($"/api/agents/{agent}/turns/{turn}/cancel", null)).StatusCode);
        Assert.Equal("cancelled", (await Server.EndOfTurnAsync(agent, turn)).GetProperty("status").GetString());
        goOn.SetResult();
        Model.Answer = _ => DoubleAnswer.Say("now");
        Assert.Equal("now", (await Server.AskAsync(agent, "again", conversation)).GetProperty("answer").GetString());
    }

    [Fact]
    public async Task Agent_AskedForLikeAModel_AnswersWithATurn()
    {
        var agent = await Server.NewAgentAsync("""{"model":"brain","systemPrompt":"You are the desk."}""");
        Model.Answer = request => DoubleAnswer.Say($"Heard {request.LastText}");
        var body = $$"""{"model":"agent/{{agent}}","messages":[{"role":"system","content":"Ignored."},{"role":"user","content":"one"},{"role":"assistant","content":"Heard one"},{"role":"user","content":"two"}]""";
        var whole = await Server.PostAsync("/v1/chat/completions", body + "}");
        Assert.Equal("Heard two", whole.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString());
        Assert.Equal("stop", whole.GetProperty("choices")[0].GetProperty("finish_reason").GetString());
        Assert.True(whole.GetProperty("usage").GetProperty("total_tokens").GetInt64() > 0);
        var sent = Model.Requests.Where(r => r.IsChat).Last(r => r.LastText == "two").Body.GetProperty("messages").EnumerateArray().ToList();
        Assert.Equal(["system", "user", "assistant", "user"], sent.Select(m => m.GetProperty("role").GetString()));
        Assert.StartsWith("You are the desk.", sent[0].GetProperty("content").GetString(), StringComparison.Ordinal);

        var stream = await Server.Http.PostAsync("/v1/chat/completions", Json(body + ",\"stream\":true}"));
        var text = await stream.Content.ReadAsStringAsync();
        Assert.Contains("data: [DONE]", text, StringComparison.Ordinal);
        Assert.Equal("Heard two", string.Concat(text.Split('\n').Where(l => l.StartsWith("data: {", StringComparison.Ordinal)).Select(l => JsonElement.Parse(l[6..]).GetProperty("choices"))
            .Where(c => c.GetArrayLength() > 0).Select(c => c[0].GetProperty("delta")).Where(d => d.TryGetProperty("content", out var c) && c.ValueKind == JsonValueKind.String).Select(d => d.GetProperty("content").GetString())));
        Assert.Equal(2, (await Server.GetAsync($"/api/agents/{agent}/turns")).GetProperty("items").GetArrayLength());

        var none = await Server.Http.PostAsync("/v1/chat/completions", Json("""{"model":"agent/nobody","messages":[{"role":"user","content":"hi"}]}"""));
        Assert.Equal(HttpStatusCode.NotFound, none.StatusCode);
    }

    [Fact]
    public async Task Behaviours_ThatShip_DoWhatTheySay()
    {
        // A plan of two steps, each carried out, and a report.
        Model.Answer = request => request.Body.GetProperty("messages").GetRawText() switch
        {
            _ when request.Body.TryGetProperty("response_format", out _) => DoubleAnswer.Say("""{"goal":"Tea","steps":[{"title":"Boil","instruction":"Boil water."},{"title":"Pour","instruction":"Pour it."}]}"""),
            var all when all.Contains("Carry out this step", StringComparison.Ordinal) => DoubleAnswer.Say(all.Contains("Pour it.", StringComparison.Ordinal) ? "Poured." : "Boiled."),
            var all => DoubleAnswer.Say(all.Contains("Boil: Boiled.", StringComparison.Ordinal) && all.Contains("Pour: Poured.", StringComparison.Ordinal) ? "Tea is ready." : "Something is missing."),
        };
        var planner = await Server.NewAgentAsync("""{"model":"brain","behaviour":"plan-and-execute"}""");
        var planned = await Server.AskAsync(planner, "Make tea.");
        Assert.Equal(("completed", "Tea is ready.", 4), (planned.GetProperty("status").GetString(), planned.GetProperty("answer").GetString(), planned.GetProperty("modelCalls").GetInt32()));

        // Parts of a long text, and the whole of the parts.
        Model.Answer = request => DoubleAnswer.Say(request.LastText.StartsWith("Summarise this part", StringComparison.Ordinal) ? $"part of {request.LastText.Length}" : $"{request.LastText.Split("Part ").Length - 1} parts");
        var reader = await Server.NewAgentAsync("""{"model":"brain","behaviour":"summarise-map-reduce"}""");
        var read = await Server.AskAsync(reader, string.Join("\n\n", Enumerable.Repeat(new string('x', 5_000), 6)));
        Assert.Equal(("3 parts", 4), (read.GetProperty("answer").GetString(), read.GetProperty("modelCalls").GetInt32()));

        // Data that fits the schema.
        Model.Answer = _ => DoubleAnswer.Say("""{"summary":"A sale","people":["Ada"],"organisations":[],"dates":["2026-11-26"],"amounts":[{"amount":5,"currency":"EUR"}]}""");
        var extractor = await Server.NewAgentAsync("""{"model":"brain","behaviour":"structured-extract"}""");
        var extracted = await Server.AskAsync(extractor, "Ada sold it for 5 euros today.");
        Assert.Equal("Ada", JsonElement.Parse(extracted.GetProperty("answer").GetString()!).GetProperty("people")[0].GetString());

        // Words say where it belongs; there is no such agent here, so it answers itself.
        Model.Answer = _ => DoubleAnswer.Say("I see to it myself.");
        var router = await Server.NewAgentAsync("""{"model":"brain","behaviour":"classifier-router"}""");
        await Server.Http.PostAsync("/api/agents", Json("""{"name":"apollo","configuration":{"model":"brain","systemPrompt":"You are Apollo."}}"""));
        Model.Answer = request => DoubleAnswer.Say(request.Body.GetProperty("messages")[0].GetProperty("content").GetString()!.StartsWith("You are Apollo", StringComparison.Ordinal) ? "Apollo speaks." : "Not Apollo.");
        var routed = await Server.AskAsync(router, "Our database is slow.");
        Assert.Equal("Apollo speaks.", routed.GetProperty("answer").GetString());
    }

    [Fact]
    public async Task SelfCorrection_FailingScript_IsShownToTheCoderAndRunsTheThirdTime()
    {
        var scripts = new Queue<string>(["echo half; cat /no/such/file", "exit 3", "echo 42"]);
        Model.Answer = request => request.Body.TryGetProperty("response_format", out _)
            ? DoubleAnswer.Say(JsonSerializer.Serialize(new { code = scripts.Dequeue(), explanation = "It prints the answer." }))
            : DoubleAnswer.Say(request.Body.GetProperty("messages").GetRawText().Contains("42", StringComparison.Ordinal) ? "The answer is 42." : "No answer.");
        var agent = await Server.NewAgentAsync("""{"model":"brain","behaviour":"react-self-correct","tools":["shell-script"],"permissions":{"shell-script":"allow"}}""");
        // The coder is asked for as 'code', which is an alias.
        var turn = await Server.AskAsync(agent, "What is the answer?");
        Assert.Equal(("completed", "The answer is 42.", 3), (turn.GetProperty("status").GetString(), turn.GetProperty("answer").GetString(), turn.GetProperty("toolCalls").GetInt32()));
        Assert.Contains(Model.Requests.Where(r => r.IsChat), r => r.Body.GetProperty("messages").GetRawText().Contains("/no/such/file", StringComparison.Ordinal) && r.Body.GetProperty("messages").GetRawText().Contains("What went wrong", StringComparison.Ordinal));
    }

    [Fact]
    public async Task React_CircleOrLimit_EndsWithAWord()
    {
        Model.Answer = _ => new DoubleAnswer { ToolCalls = [("calculator", """{"expression":"1+1"}""")] };
        var circling = await Server.NewAgentAsync("""{"model":"brain","tools":["calculator"],"limits":{"maxRepeats":3,"maxSteps":50} }""");
        var stuck = await Server.AskAsync(circling, "Go on.");
        Assert.Contains("I stop here", stuck.GetProperty("answer").GetString(), StringComparison.Ordinal);
        Assert.Equal((3, 3), (stuck.GetProperty("modelCalls").GetInt32(), stuck.GetProperty("toolCalls").GetInt32()));

        var number = 0;
        Model.Answer = _ => new DoubleAnswer { ToolCalls = [("calculator", $$"""{"expression":"1+{{Interlocked.Increment(ref number)}}"}""")] };
        var busy = await Server.NewAgentAsync("""{"model":"brain","tools":["calculator"],"limits":{"maxSteps":4} }""");
        var limited = await Server.AskAsync(busy, "Go on.");
        Assert.Contains("asked its model 4 times", limited.GetProperty("answer").GetString(), StringComparison.Ordinal);

        // A tool that the agent does not have is not run, and the model is told so.
        Model.Answer = request => request.LastMessage.GetProperty("role").GetString() == "tool" ? DoubleAnswer.Say(request.LastMessage.GetProperty("content").GetString()!) : new DoubleAnswer { ToolCalls = [("shell-script", """{"script":"id"}""")] };
        var limitedTools = await Server.NewAgentAsync("""{"model":"brain","tools":["calculator"]}""");
        var denied = await Server.AskAsync(limitedTools, "Run it.");
        Assert.Contains("not allowed", denied.GetProperty("answer").GetString(), StringComparison.Ordinal);
        Assert.Equal(0, denied.GetProperty("toolCalls").GetInt32());
    }

    [Fact]
    public async Task Budget_UsedUp_EndsTheTurnAndGoesWithTheAgent()
    {
        Model.Answer = _ => DoubleAnswer.Say("three words more");
        var agent = await Server.NewAgentAsync("""{"model":"brain","budget":{"tokens":0,"period":"day"} }""");
        var refused = await Server.AskAsync(agent, "Spend.");
        Assert.Equal("failed", refused.GetProperty("status").GetString());
        Assert.Contains($"agent-{agent}", refused.GetProperty("error").GetString(), StringComparison.Ordinal);
        var request = new HttpRequestMessage(HttpMethod.Put, $"/api/agents/{agent}") { Content = Json("""{"configuration":{"budget":null}}""") };
        await ServerProcess.ReadAsync(await Server.Http.SendAsync(request));
        Assert.Equal("completed", (await Server.AskAsync(agent, "Spend.")).GetProperty("status").GetString());
        Assert.Equal(HttpStatusCode.NotFound, (await Server.Http.GetAsync($"/api/inference/budgets/agent-{agent}")).StatusCode);
    }

    [Fact]
    public async Task Rights_WithoutThem_NothingIsSeenOrDone()
    {
        using var stranger = new HttpClient { BaseAddress = Server.Http.BaseAddress };
        Assert.Equal(HttpStatusCode.Unauthorized, (await stranger.GetAsync("/api/agents")).StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, (await stranger.PostAsJsonAsync("/api/agents/x/messages", new { message = "hi" })).StatusCode);
    }

    private static int Limit(JsonElement agent, string name) => agent.GetProperty("configuration").GetProperty("limits").GetProperty(name).GetInt32();

    private static StringContent Json(string json) => new(json, Encoding.UTF8, "application/json");

    private static async Task AssertProblemAsync(HttpResponseMessage response, int status, string code)
    {
        var text = await response.Content.ReadAsStringAsync();
        Assert.True((int)response.StatusCode == status, $"{(int)response.StatusCode}: {text}");
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
        Assert.Equal(code, JsonElement.Parse(text).GetProperty("code").GetString());
    }
}

using static Conclave.Tests.Json;

namespace Conclave.EndToEnd.Api;

[Collection(SharedServer.Name)]
public sealed class DefinitionTests(SharedServer shared)
{
    private readonly ServerProcess _server = shared.Server;
    private readonly string _id = SharedServer.NewId();

    [Fact]
    public async Task Versions_FromDraftToRetracted_MoveTheirFlags()
    {
        var draft = (await _server.CallAsync($"PUT /api/workflows/{_id}", Flows.Short("1"))).Is(200);
        Assert.Equal((_id, 1, false), (draft["definitionId"].GetString(), draft["version"].GetInt32(), draft["isPublished"].GetBoolean()));
        var read = (await _server.CallAsync($"GET /api/workflows/{_id}")).Is(200);
        Assert.Equal((draft.Header("ETag"), $"\"{draft["hash"].GetString()}\""), (read.Header("ETag"), read.Header("ETag")));
        (await _server.CallAsync($"GET /api/workflows/{_id}?version=published")).IsProblem(404, "workflow.not_found");

        Assert.True((await _server.CallAsync($"POST /api/workflows/{_id}/publish")).Is(200)["isPublished"].GetBoolean());
        var second = (await _server.CallAsync($"PUT /api/workflows/{_id}", Flows.Short("2"))).Is(200);
        Assert.Equal((2, false), (second["version"].GetInt32(), second["isPublished"].GetBoolean()));
        var item = Assert.Single(await _server.ItemsAsync($"/api/workflows?search={_id}"));
        Assert.Equal(("2", "1", "False"), (item.Text("version"), item.Text("publishedVersion"), item.Text("isPublished")));
        Assert.Equal("1", (await _server.GetAsync($"/api/workflows/{_id}?version=published")).Text("version"));
        Assert.Equal("2", (await _server.GetAsync($"/api/workflows/{_id}?version=latest")).Text("version"));
        Assert.Equal("1", (await _server.GetAsync($"/api/workflows/{_id}?version=1")).Text("version"));
        (await _server.CallAsync($"GET /api/workflows/{_id}?version=x")).IsProblem(400, "request.invalid");

        (await _server.CallAsync($"POST /api/workflows/{_id}/publish")).Is(200);
        Assert.Equal(["2 True True", "1 False False"], (await _server.ItemsAsync($"/api/workflows/{_id}/versions")).Select(v => $"{v.Text("version")} {v.Text("isLatest")} {v.Text("isPublished")}"));
        var retracted = (await _server.CallAsync($"POST /api/workflows/{_id}/retract")).Is(200);
        Assert.Equal((2, false), (retracted["version"].GetInt32(), retracted["isPublished"].GetBoolean()));
        (await _server.CallAsync($"POST /api/workflows/{_id}/retract")).IsProblem(404, "workflow.not_found");
        (await _server.CallAsync($"POST /api/workflows/{_id}/start", "{}")).IsProblem(404, "workflow.not_found");
    }

    [Fact]
    public async Task Save_SameContentAgain_ChangesNothing()
    {
        var first = (await _server.CallAsync($"PUT /api/workflows/{_id}?publish=true", Flows.Short())).Is(200);
        var second = (await _server.CallAsync($"PUT /api/workflows/{_id}?publish=true", Flows.Short())).Is(200);

        Assert.Equal((first["id"].GetString(), first["hash"].GetString(), 1), (second["id"].GetString(), second["hash"].GetString(), second["version"].GetInt32()));
        Assert.Single(await _server.ItemsAsync($"/api/workflows/{_id}/versions"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Save_TwelveEditTheSame_OneWins(bool isPublished)
    {
        var tag = (await _server.CallAsync($"PUT /api/workflows/{_id}?publish={isPublished}", Flows.Short("0"))).Is(200).Header("ETag");

        var replies = await Task.WhenAll(Enumerable.Range(1, 12).Select(i => _server.CallAsync($"PUT /api/workflows/{_id}", Flows.Short($"{i}"), $"If-Match: {tag}")));

        var winner = Assert.Single(replies, r => r.Status == 200);
        Assert.All(replies.Where(r => r != winner), r => r.IsProblem(412, "definition.conflict"));
        Assert.Equal(winner.Header("ETag"), (await _server.CallAsync($"GET /api/workflows/{_id}")).Header("ETag"));
    }

    [Fact]
    public async Task Save_IfMatchOfWhatIsGone_IsRefused()
    {
        (await _server.CallAsync($"PUT /api/workflows/{_id}", Flows.Short(), "If-Match: \"deadbeef\"")).IsProblem(412, "definition.conflict");
        (await _server.CallAsync($"GET /api/workflows/{_id}")).IsProblem(404, "workflow.not_found");
        (await _server.CallAsync($"PUT /api/workflows/{_id}", Flows.Short(), "If-Match: *")).IsProblem(412, "definition.conflict");
        var saved = (await _server.CallAsync($"PUT /api/workflows/{_id}", Flows.Short())).Is(200);
        (await _server.CallAsync($"PUT /api/workflows/{_id}", Flows.Short("2"), "If-Match: *")).Is(200);
        (await _server.CallAsync($"PUT /api/workflows/{_id}", Flows.Short("3"), $"If-Match: {saved.Header("ETag")}")).IsProblem(412, "definition.conflict");
    }

    [Fact]
    public async Task Save_WithIdsOfAnotherWorkflow_LeavesThatAlone()
    {
        var other = SharedServer.NewId();
        var original = await _server.PublishAsync(other, Flows.Short("original"));

        var copy = await _server.PublishAsync(_id, Flows.Short("copy").With(("id", original["id"].GetString()), ("definitionId", other)));

        Assert.NotEqual(original["id"].GetString(), copy["id"].GetString());
        Assert.Equal(original.Header("ETag"), (await _server.CallAsync($"GET /api/workflows/{other}")).Header("ETag"));
    }

    [Fact]
    public async Task Versions_ByPages_AreAll()
    {
        for (var i = 1; i <= 7; i++)
            await _server.PublishAsync(_id, Flows.Short($"{i}"));

        var versions = await _server.PagesAsync($"/api/workflows/{_id}/versions?limit=3");

        Assert.Equal([7, 6, 5, 4, 3, 2, 1], versions.Select(v => v.GetProperty("version").GetInt32()));
        (await _server.CallAsync($"GET /api/workflows/{_id}/versions?cursor=x")).IsProblem(400, "request.invalid");
        (await _server.CallAsync("GET /api/workflows/nobody/versions")).IsProblem(404, "workflow.not_found");
    }

    [Fact]
    public async Task List_ByPages_HasEachOnce()
    {
        for (var i = 0; i < 7; i++)
            (await _server.CallAsync($"PUT /api/workflows/{_id}-{i}", Flows.Short())).Is(200);

        var list = await _server.PagesAsync($"/api/workflows?search={_id}&limit=3");

        Assert.Equal(Enumerable.Range(0, 7).Select(i => $"{_id}-{i}"), list.Select(w => w.Text("definitionId")));
    }

    [Fact]
    public async Task Revert_CopiesAnOldVersionIntoANewDraft()
    {
        await _server.PublishAsync(_id, Flows.Short("old text"));
        await _server.PublishAsync(_id, Flows.Short("new text"));

        var draft = (await _server.CallAsync($"POST /api/workflows/{_id}/revert?version=1")).Is(200);

        Assert.Equal((3, false), (draft["version"].GetInt32(), draft["isPublished"].GetBoolean()));
        Assert.Contains("old text", (await _server.GetAsync($"/api/workflows/{_id}")).GetRawText(), StringComparison.Ordinal);
        Assert.Equal("2", (await _server.GetAsync($"/api/workflows/{_id}?version=published")).Text("version"));
        (await _server.CallAsync($"POST /api/workflows/{_id}/revert?version=9")).IsProblem(404, "workflow.not_found");
        (await _server.CallAsync($"POST /api/workflows/{_id}/revert")).IsProblem(400, "request.malformed");
        (await _server.CallAsync($"POST /api/workflows/{_id}/revert?version=x")).IsProblem(400, "request.malformed");
    }

    [Fact]
    public async Task Delete_OneVersion_LeavesTheOthers()
    {
        await _server.PublishAsync(_id, Flows.Short("1"));
        await _server.PublishAsync(_id, Flows.Short("2"));

        (await _server.CallAsync($"DELETE /api/workflows/{_id}/versions/2")).IsProblem(409, "definition.version_in_use");
        (await _server.CallAsync($"DELETE /api/workflows/{_id}/versions/1")).Is(204);

        (await _server.CallAsync($"DELETE /api/workflows/{_id}/versions/1")).IsProblem(404, "workflow.not_found");
        Assert.Equal("2", Assert.Single(await _server.ItemsAsync($"/api/workflows/{_id}/versions")).Text("version"));
    }

    [Fact]
    public async Task Publish_WithErrors_ListsAllAndChangesNothing()
    {
        var broken = Flows.Of("Broken", Sequence("s", Activity("Nothing", "a"), Flows.Endpoint("b", Literal("a/{"), "GET"), Activity("Cron", "c", ("cronExpression", Literal("x")))));

        var refused = (await _server.CallAsync($"PUT /api/workflows/{_id}?publish=true", broken)).IsProblem(400, "definition.invalid");

        var errors = refused["errors"].EnumerateArray().ToList();
        Assert.Equal(["a", "b", "c"], errors.Select(e => e.Text("activityId")).Distinct().Order());
        Assert.All(errors, e => Assert.All((string[])["code", "message", "severity"], m => Assert.NotEqual("", e.Text(m))));
        (await _server.CallAsync($"GET /api/workflows/{_id}")).IsProblem(404, "workflow.not_found");

        var draft = (await _server.CallAsync($"PUT /api/workflows/{_id}", broken)).Is(200);
        Assert.Equal(errors.Select(e => e.Text("code")), draft["errors"].EnumerateArray().Select(e => e.Text("code")));
        (await _server.CallAsync($"POST /api/workflows/{_id}/publish")).IsProblem(400, "definition.invalid");
        Assert.Equal("False", (await _server.ItemsAsync($"/api/workflows/{_id}/versions"))[0].Text("isPublished"));
    }

    [Fact]
    public async Task Publish_RouteOfAnother_IsRefusedNamingIt()
    {
        var other = SharedServer.NewId();
        await _server.PublishAsync(other, Flows.WebEcho($"{_id}/orders/{{id}}"));

        var refused = (await _server.CallAsync($"PUT /api/workflows/{_id}?publish=true", Flows.WebEcho($"{_id}/orders/{{number}}"))).IsProblem(400, "definition.invalid");

        var error = Assert.Single(refused["errors"].EnumerateArray());
        Assert.Equal(("http_endpoint.route_taken", "in"), (error.Text("code"), error.Text("activityId")));
        Assert.Contains(other, error.Text("message"), StringComparison.Ordinal);
        (await _server.CallAsync($"POST /api/workflows/{other}/retract")).Is(200);
        await _server.PublishAsync(_id, Flows.WebEcho($"{_id}/orders/{{number}}"));
    }

    [Fact]
    public async Task Publish_TheSameRouteTwelveTimesAtOnce_OneGetsIt()
    {
        var replies = await Task.WhenAll(Enumerable.Range(0, 12).Select(i => _server.CallAsync($"PUT /api/workflows/{_id}-{i}?publish=true", Flows.WebEcho($"{_id}/one"))));

        var winner = Assert.Single(replies, r => r.Status == 200);
        Assert.All(replies.Where(r => r != winner), r => r.IsProblem(400, "definition.invalid"));
        Assert.Single(await _server.ItemsAsync($"/api/workflows?search={_id}"));
    }

    [Fact]
    public async Task Publish_BodyIsNoDefinition_SaysWhatIsWrong()
    {
        foreach (var (body, code) in ((string, string)[])[("", "definition.malformed_json"), ("{", "definition.malformed_json"), ("[]", "definition.not_an_object"), ("""{"name":"\ud800"}""", "definition.invalid_text")])
        {
            var refused = (await _server.CallAsync($"PUT /api/workflows/{_id}", body)).IsProblem(400, "definition.invalid");
            Assert.Equal(code, refused["errors"][0].Text("code"));
        }

        (await _server.CallAsync($"PUT /api/workflows/{_id}?publish=perhaps", Flows.Short())).IsProblem(400, "request.invalid");
        (await _server.CallAsync($"GET /api/workflows/{_id}")).IsProblem(404, "workflow.not_found");
    }
}

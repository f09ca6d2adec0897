using System.Text;
using System.Text.Json.Nodes;
using static Conclave.Tests.Json;

namespace Conclave.EndToEnd.Elsa;

/// <summary>What no client should send: refused with a reason, and nothing changes.</summary>
[Collection(SharedServer.Name)]
public sealed class HostileInputTests(SharedServer shared)
{
    private const string Path = "/elsa/api/workflow-definitions";

    private readonly ServerProcess _server = shared.Server;
    private readonly string _id = SharedServer.NewId();

    [Fact]
    public async Task Body_ThatIsNoJson_SaysSoInElsasWay()
    {
        foreach (var call in (string[])[$"POST {Path}", $"POST {Path}/import", $"PUT {Path}/{_id}/import", $"POST {Path}/{_id}/execute", $"POST {Path}/{_id}/dispatch", "POST /elsa/api/bulk-actions/delete/workflow-definitions/by-id"])
        {
            foreach (var body in (string[])["{", "nonsense", "{\"a\":\"\\ud800\"}", new string('[', 5000)])
            {
                var refused = (await _server.CallAsync(call, body)).Is(400);
                Assert.NotEqual("", refused["modelBindingError"].GetString());
            }

            foreach (var body in (string[])["[]", "1", "\"x\""])
                DefinitionReadTests.AssertErrors(await _server.CallAsync(call, body), "object");
        }

        (await _server.CallAsync($"POST {Path}", Calls.Bytes([0xff, 0xfe, 0x7b], "application/json"))).Is(400);
    }

    [Fact]
    public async Task Model_OfTheWrongShape_IsRefusedWithEveryReason()
    {
        foreach (var (model, about) in ((string, string)[])[
            ("null", "model"), ("1", "object"), ("[]", "object"), ("""{"root":7}""", "root"), ("""{"root":{}}""", "type"), ("""{"name":7,"version":"x","root":{"type":"Elsa.Flowchart"}}""", "name"),
            ("""{"definitionId":{},"root":{"type":"Elsa.Flowchart"}}""", "definitionId"), ("""{"variables":{},"root":{"type":"Elsa.Flowchart"}}""", "variables"),
            ("""{"inputs":[{}],"root":{"type":"Elsa.Flowchart"}}""", "inputs"), ("""{"customProperties":[],"root":{"type":"Elsa.Flowchart"}}""", "customProperties"),
            ($$"""{"name":"{{new string('n', 501)}}"}""", "name"), ("""{"name":"a\u0000b"}""", "name"), ($$"""{"definitionId":"{{new string('n', 501)}}"}""", "definitionId"), ("""{"definitionId":"a\u0000b"}""", "definitionId"),
            (Nested(110), "deep")])
            DefinitionReadTests.AssertErrors(await _server.CallAsync($"POST {Path}", $$"""{"model":{{model}}}"""), about);
        DefinitionReadTests.AssertErrors(await _server.CallAsync($"POST {Path}", """{"model":{"name":"x"},"publish":"perhaps"}"""), "publish");
        (await _server.CallAsync($"POST {Path}", """{"model":{"name":"x","description":"a\u0000b"}}""")).Is(400);
    }

    [Fact]
    public async Task Texts_ThatLookLikeSomethingElse_StayTexts()
    {
        foreach (var name in (string[])["'; drop table conclave.workflow_definition; --", "<script>alert(1)</script>", "%", "_", "\\", "🦊 ü \u202e", "\"quoted\""])
        {
            var studio = await Studio.CreateAsync(_server, $"{name} {_id}");
            Assert.Equal($"{name} {_id}", studio.Text("name"));
            var found = await _server.ItemsAsync($"{Path}?versionOptions=Latest&SearchTerm={Uri.EscapeDataString($"{name} {_id}")}");
            Assert.Equal(studio.DefinitionId, Assert.Single(found).Text("definitionId"));
            var file = (await _server.CallAsync($"GET {Path}/{studio.DefinitionId}/export")).Is(200).Header("Content-Disposition")!;
            Assert.Matches("^attachment; filename=\"[a-z0-9._-]+\\.json\"$", file);
        }
    }

    [Fact]
    public async Task Queries_WithStrangeCharacters_AreAnswered()
    {
        foreach (var path in (string[])[$"{Path}?SearchTerm=%00", $"{Path}/by-id/%00", $"{Path}?Ids=%ff%fe", $"{Path}/{Uri.EscapeDataString(new string('x', 3000))}", $"{Path}/by-id/{Uri.EscapeDataString("../..")}", $"{Path}?Page=99999999999999999999&PageSize=1", $"{Path}?Page=1000000&PageSize=2147483647"])
            Assert.InRange((await _server.CallAsync($"GET {path}")).Status, 200, 404);
        (await _server.CallAsync($"GET {Path}?versionOptions=Latest&Page=0&PageSize=1")).Is(200);
    }

    [Fact]
    public async Task Placeholder_ThatHoldsNonsense_IsKeptAsItIs()
    {
        foreach (var text in (string[])["{", "7", "[]", "{}", """{"type":7}""", """{"id":"a","id":"b","x":1,"x":2,"type":"Acme.X"}"""])
        {
            var placeholder = Activity("NotFoundActivity", "n", ("originalActivityJson", text), ("missingTypeName", "Acme.X"));
            (await _server.CallAsync($"POST {Path}", new JsonObject { ["model"] = Flows.Of("P", Sequence("s", placeholder)).With(("definitionId", _id)) })).Is(200);
            (await _server.CallAsync($"GET {Path}/{_id}")).Is(200);
        }
    }

    [Fact]
    public async Task Body_OfManyMegabytes_IsRefusedOrSaved()
    {
        var large = Flows.Of("Large", Sequence("s", Write("w", new string('x', 9 * 1024 * 1024)))).ToJsonString();
        var refused = await _server.CallAsync($"POST {Path}", new StringContent($$"""{"model":{{large}}}""", Encoding.UTF8, "application/json"));
        DefinitionReadTests.AssertErrors(refused, "larger");
    }

    private static string Nested(int depth) => $$$"""{"root":{"type":"Elsa.Sequence","x":{{{new string('[', depth * 2)}}}{{{new string(']', depth * 2)}}} } }""";
}

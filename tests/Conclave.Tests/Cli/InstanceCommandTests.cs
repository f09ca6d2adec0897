using System.Text.Json;
using System.Text.Json.Nodes;

namespace Conclave.Tests.Cli;

/// <summary>Commands about instances.</summary>
public sealed class InstanceCommandTests : IAsyncLifetime
{
    private FakeServer _server = null!;

    public async Task InitializeAsync() => _server = await FakeServer.StartAsync();

    public async Task DisposeAsync() => await _server.DisposeAsync();

    [Fact]
    public async Task Start_EveryOption_IsInTheBody()
    {
        _server.On("POST /api/workflows/orders/start", """{"instanceId":"i1","status":"Running","subStatus":"Pending"}""", 202);
        var file = Path.GetTempFileName();
        await File.WriteAllTextAsync(file, """{"sku":"a"}""");

        var (code, output, _) = await _server.RunAsync(
            "start", "orders", "--input", "Total=12.5", "--input", "Name=Ada", "--input", $"Item=@{file}", "--correlation-id", "c1", "--name", "n1", "--priority", "0");
        File.Delete(file);

        Assert.Equal(0, code);
        Assert.Contains("conclave show i1", output, StringComparison.Ordinal);
        Same("""{"input":{"Total":12.5,"Name":"Ada","Item":{"sku":"a"}},"correlationId":"c1","name":"n1","priority":0}""", Assert.Single(_server.Received).Body);
    }

    [Theory]
    [InlineData("Finished", 0)]
    [InlineData("Suspended", 2)]
    [InlineData("Faulted", 3)]
    [InlineData("Cancelled", 3)]
    public async Task Start_Wait_ExitsAsRunDoes(string subStatus, int expected)
    {
        _server.On("POST /api/workflows/orders/start", $$"""{"id":"i1","definitionId":"orders","status":"Finished","subStatus":"{{subStatus}}","output":{"Sum":3} }""");

        var (code, output, _) = await _server.RunAsync("start", "orders", "--wait", "5");

        Assert.Equal(expected, code);
        Assert.Contains("Sum = 3", output, StringComparison.Ordinal);
        Same("""{"wait":5}""", Assert.Single(_server.Received).Body);
    }

    [Fact]
    public async Task Start_WaitBeyondWhatTheServerDoes_AsksOn()
    {
        _server
            .On("POST /api/workflows/orders/start", """{"instanceId":"i1","status":"Running","subStatus":"Executing"}""", 202)
            .On("GET /api/instances/i1", """{"id":"i1","subStatus":"Executing"}""")
            .On("GET /api/instances/i1", """{"id":"i1","subStatus":"Finished"}""");

        var (code, _, _) = await _server.RunAsync("start", "orders", "--wait", "100");

        Assert.Equal(0, code);
        Same("""{"wait":60}""", _server.Received[0].Body);
        Assert.Equal(3, _server.Received.Count);
    }

    [Theory]
    [InlineData(4, "--input", "Total")]
    [InlineData(4, "--input", "Total=@/no/such/file")]
    [InlineData(1, "--priority", "9")]
    [InlineData(1, "--wait", "0")]
    public async Task Start_BadOption_AsksNothing(int expected, params string[] options)
    {
        var (code, _, errors) = await _server.RunAsync(["start", "orders", .. options]);

        Assert.Equal(expected, code);
        Assert.Contains(options[0], errors, StringComparison.Ordinal);
        Assert.Empty(_server.Received);
    }

    [Fact]
    public async Task Instances_Filters_AreInTheQuery()
    {
        _server.On(
            "GET /api/instances?definitionId=orders&status=Running&subStatus=Suspended&correlationId=c%201&hasIncidents=true&limit=7",
            """{"items":[{"id":"i1","definitionId":"orders","subStatus":"Suspended","incidentCount":2,"updatedAt":"2020-01-02T03:04:05Z"}],"next":null}""");

        var (code, output, _) = await _server.RunAsync(
            "instances", "--definition", "orders", "--status", "running", "--sub-status", "Suspended", "--correlation-id", "c 1", "--faulted", "--limit", "7");

        Assert.Equal(0, code);
        Assert.Contains("i1", output, StringComparison.Ordinal);
        Assert.Contains("Suspended", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Instances_None_SaysWhatToDo()
    {
        _server.On("GET /api/instances?limit=50", """{"items":[],"next":null}""");

        Assert.Contains("conclave start", (await _server.RunAsync("instances")).Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Show_PrintsEverythingAndNoControlCharacters()
    {
        _server.On("GET /api/instances/i1", """
            {"id":"i1","definitionId":"orders","version":3,"subStatus":"Faulted","name":"evil\u001b[2J\u202ename\r\nStatus Finished",
             "input":{"Total":5},"output":{},"variables":{"x\u0007y":"[bold]z"},
             "bookmarks":[{"id":"b1","name":"Event","activityId":"e1","payload":{"EventName":"Paid"}}],
             "incidents":[{"activityId":"f1","message":"no \u009b31mstock"}]}
            """);

        var (code, output, _) = await _server.RunAsync("show", "i1");

        Assert.Equal(0, code);
        Assert.Contains("Total = 5", output, StringComparison.Ordinal);
        Assert.Contains("[bold]z", output, StringComparison.Ordinal);
        Assert.Contains("EventName", output, StringComparison.Ordinal);
        Assert.Contains("\\u001b[2J", output, StringComparison.Ordinal);
        Assert.Contains("conclave retry i1", output, StringComparison.Ordinal);
        Assert.DoesNotContain(output, c => char.IsControl(c) && c is not ('\n' or '\r'));
        Assert.DoesNotContain('\u202e', output);
        Assert.DoesNotContain(output.Split('\n'), l => l.StartsWith("Status Finished", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Show_Json_IsWhatTheServerSaidWithoutRawControlCharacters()
    {
        _server.On("GET /api/instances/i1", "{\"id\": \"i1\",\n  \"name\": \"a\u009bb\"}");

        var (_, output, _) = await _server.RunAsync("show", "i1", "--json");

        Assert.Equal("{\"id\": \"i1\",\n  \"name\": \"a\\u009bb\"}", output.TrimEnd());
    }

    [Fact]
    public async Task Show_Journal_FollowsTheSequence()
    {
        _server
            .On("GET /api/instances/i1", """{"id":"i1"}""")
            .On("GET /api/instances/i1/journal?limit=500", """{"items":[{"sequence":1,"timestamp":"2020-01-02T03:04:05Z","activityId":"w1","activityInstance":1,"event":"Completed","outcomes":["Done"]}],"next":"1"}""")
            .On("GET /api/instances/i1/journal?after=1&limit=500", """{"items":[{"sequence":2,"event":"Cancelled","actor":"ada","reason":"wrong \u001b]0;order"}],"next":null}""");

        var (code, output, _) = await _server.RunAsync("show", "i1", "--journal");
        var (_, json, _) = await _server.RunAsync("show", "i1", "--journal", "--json");

        Assert.Equal(0, code);
        Assert.Contains("w1  #1", output, StringComparison.Ordinal);
        Assert.Contains("by ada  wrong \\u001b]0;order", output, StringComparison.Ordinal);
        Assert.Equal(2, JsonElement.Parse(json).GetProperty("items").GetArrayLength());
    }

    [Fact]
    public async Task Show_At_PrintsHowItStood()
    {
        _server.On("GET /api/instances/i1/replay?at=2026-11-25T14%3A30%3A00Z", """
            {"position":7,"timestamp":"2020-01-02T03:04:05Z","version":2,"subStatus":"Suspended",
             "activities":[{"activityId":"e1","activityInstance":4,"status":"Waiting","counts":{"running":0,"waiting":1,"completed":2}}],
             "variables":[{"name":"Total","activityInstance":1,"isKnown":true,"value":5},{"name":"Card","activityInstance":3,"isKnown":false,"value":null}],
             "operations":[{"timestamp":"2020-01-02T03:04:05Z","operation":"retry","actor":"ada","reason":"mended \u001b]0;it"}]}
            """);

        var (code, output, _) = await _server.RunAsync("show", "i1", "--at", "2026-11-25T14:30:00Z");

        Assert.Equal(0, code);
        foreach (var expected in (string[])["event 7", "Suspended", "e1  #4", "Waiting", "Total = 5", "Card (of #3) = not kept in the journal", "operation retry", "by ada  mended \\u001b]0;it"])
            Assert.Contains(expected, output, StringComparison.Ordinal);
        Assert.DoesNotContain(output, c => char.IsControl(c) && c is not ('\n' or '\r'));
    }

    [Fact]
    public async Task Show_Replay_FollowsThePages()
    {
        _server
            .On("GET /api/instances/i1/replay/steps?limit=200", """
                {"items":[{"sequence":0,"timestamp":"2020-01-02T03:04:05Z","activityId":"w1","activityInstance":1,"event":"Started","subStatus":"Executing",
                           "counts":{"running":1,"waiting":0},"changes":[{"name":"Total","activityInstance":1,"isKnown":true,"value":5}]}],"next":"0"}
                """)
            .On("GET /api/instances/i1/replay/steps?after=0&limit=200", """
                {"items":[{"sequence":1,"operation":"cancel","actor":"ada","reason":"late","subStatus":"Cancelled","counts":{"canceled":1},"changes":[]}],"next":null}
                """);

        var (code, output, _) = await _server.RunAsync("show", "i1", "--replay");
        var (_, json, _) = await _server.RunAsync("show", "i1", "--replay", "--json");

        Assert.Equal(0, code);
        foreach (var expected in (string[])["w1 #1 Started", "Total = 5", "→ Executing: 1 running", "operation cancel  by ada  late", "→ Cancelled: 1 canceled"])
            Assert.Contains(expected, output, StringComparison.Ordinal);
        Assert.Equal([0, 1], json.Trim().Split('\n').Select(l => JsonElement.Parse(l).GetProperty("sequence").GetInt32()));
    }

    [Theory]
    [InlineData("cancel", """{"reason":"late"}""", "cancel", "i1", "--reason", "late")]
    [InlineData("retry", """{"activityInstance":7,"reason":"late"}""", "retry", "i1", "--activity", "7", "--reason", "late")]
    [InlineData("resume", """{"bookmark":"b1","input":{"Ok":true} }""", "resume", "i1", "--bookmark", "b1", "--input", "Ok=true")]
    [InlineData("variables", """{"values":{"a":1,"b":null,"c":"x=y"},"reason":"mend"}""", "set", "i1", "a=1", "b=null", "c=x=y", "--reason", "mend")]
    public async Task OneInstance_IsChangedByItsOwnCall(string operation, string body, params string[] arguments)
    {
        _server.On($"POST /api/instances/i1/{operation}", "", 204);

        var (code, output, _) = await _server.RunAsync(arguments);

        Assert.Equal(0, code);
        Assert.NotEmpty(output);
        Same(body, Assert.Single(_server.Received).Body);
    }

    [Theory]
    [InlineData("""{"reason":"r","operation":"cancel","ids":["i1","i2"]}""", "cancel", "i1", "i2", "--reason", "r")]
    [InlineData("""{"operation":"cancel","filter":{"definitionId":"orders","status":"Running"} }""", "cancel", "--definition", "orders", "--all")]
    [InlineData("""{"operation":"retry","ids":["i1","i2"]}""", "retry", "i1", "i2")]
    [InlineData("""{"version":4,"dryRun":false,"operation":"migrate","filter":{"definitionId":"orders","status":"Running"} }""", "migrate", "--definition", "orders", "--to", "4")]
    public async Task SeveralInstances_AreChangedInBulk(string body, params string[] arguments)
    {
        _server.On("POST /api/instances/bulk", """{"done":1,"failed":[{"id":"i2","code":"instance.ended","message":"It has ended."}]}""");

        var (code, output, errors) = await _server.RunAsync(arguments);

        Assert.Equal(3, code);
        Assert.Contains(" 1 instance.", output, StringComparison.Ordinal);
        Assert.Contains("i2: It has ended. (instance.ended)", errors, StringComparison.Ordinal);
        Same(body, Assert.Single(_server.Received).Body);
    }

    [Theory]
    [InlineData("cancel")]
    [InlineData("cancel", "--definition", "orders")]
    [InlineData("cancel", "i1", "--all")]
    [InlineData("cancel", "i1", "--definition", "orders", "--all")]
    [InlineData("retry")]
    [InlineData("migrate", "--to", "4")]
    [InlineData("set", "i1", "novalue")]
    public async Task UnclearTarget_ExitsWith4AndAsksNothing(params string[] arguments)
    {
        Assert.Equal(4, (await _server.RunAsync(arguments)).Code);
        Assert.Empty(_server.Received);
    }

    [Theory]
    [InlineData("""{"from":1,"to":2,"applied":true,"problems":[]}""", 0, "Migrated i1 from version 1 to 2.")]
    [InlineData("""{"from":1,"to":2,"applied":false,"problems":[]}""", 0, "Nothing is in the way of migrating i1 from version 1 to 2.", "--dry-run")]
    [InlineData("""{"from":1,"to":2,"applied":false,"problems":[{"code":"migration.activity_gone","message":"It waits in it.","activityId":"e1"}]}""", 3, "Cannot migrate i1 from version 1 to 2:")]
    public async Task Migrate_SaysHowItWent(string answer, int expected, string said, params string[] options)
    {
        _server.On("POST /api/instances/i1/migrate", answer);

        var (code, output, errors) = await _server.RunAsync(["migrate", "i1", "--to", "2", .. options]);

        Assert.Equal((expected, said), (code, output.Trim()));
        Assert.Equal(expected == 3, errors.Contains("activity 'e1': It waits in it. (migration.activity_gone)", StringComparison.Ordinal));
        Assert.Equal(options.Length > 0, _server.Received[0].Json.GetProperty("dryRun").GetBoolean());
    }

    private static void Same(string expected, string actual) =>
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(expected), JsonNode.Parse(actual)), actual);
}

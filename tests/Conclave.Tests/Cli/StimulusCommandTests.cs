using System.Text.Json;

namespace Conclave.Tests.Cli;

/// <summary>Commands about events, tasks and the queue.</summary>
public sealed class StimulusCommandTests : IAsyncLifetime
{
    private FakeServer _server = null!;

    public async Task InitializeAsync() => _server = await FakeServer.StartAsync();

    public async Task DisposeAsync() => await _server.DisposeAsync();

    [Theory]
    [InlineData("""{"started":1,"resumed":2,"waiting":false,"duplicate":false}""", "Started 1, resumed 2.")]
    [InlineData("""{"started":["i1"],"resumed":[],"waiting":0,"duplicate":false}""", "Started 1, resumed 0.")]
    [InlineData("""{"started":0,"resumed":0,"waiting":true,"duplicate":false}""", "Nobody waits for it yet")]
    [InlineData("""{"started":0,"resumed":0,"waiting":false,"duplicate":true}""", "The server has this event already")]
    public async Task Event_SaysWhomItReached(string answer, string said)
    {
        _server.On("POST /api/events/Order%20Paid", answer);

        var (code, output, _) = await _server.RunAsync(
            "event", "Order Paid", "--payload", """{"sum":5}""", "--correlation-id", "c1", "--instance", "i1", "--id", "e1");

        Assert.Equal(0, code);
        Assert.StartsWith(said, output, StringComparison.Ordinal);
        Assert.Equal("""{"payload":{"sum":5},"correlationId":"c1","instanceId":"i1","id":"e1"}""", Assert.Single(_server.Received).Body);
    }

    [Fact]
    public async Task Tasks_ListsThem()
    {
        _server.On("GET /api/tasks?limit=50", """{"items":[{"taskId":"t1","name":"Approve","instanceId":"i1","payload":{"sum":5}}],"next":null}""");

        var (code, output, _) = await _server.RunAsync("tasks");

        Assert.Equal(0, code);
        Assert.Contains("Approve", output, StringComparison.Ordinal);
        Assert.Contains("""{"sum":5}""", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Complete_TextThatIsNoJson_IsTakenAsItIs()
    {
        _server.On("POST /api/tasks/t1/complete", "", 204);

        var (code, output, _) = await _server.RunAsync("complete", "t1", "--result", "yes, please");

        Assert.Equal((0, "Completed t1."), (code, output.Trim()));
        Assert.Equal("""{"result":"yes, please"}""", Assert.Single(_server.Received).Body);
    }

    [Fact]
    public async Task Queue_ShowsItsNumbers()
    {
        const string statistics = """{"due":3,"claimed":1,"delayed":2,"dead":4,"oldestDueSeconds":90.5,"byPriority":{"2":3}}""";
        _server.On("GET /api/queue", statistics);

        var (code, output, _) = await _server.RunAsync("queue");
        var (_, json, _) = await _server.RunAsync("queue", "--json");

        Assert.Equal(0, code);
        Assert.Contains("Due      3, the oldest for 1 min", output, StringComparison.Ordinal);
        Assert.Contains("conclave queue dead", output, StringComparison.Ordinal);
        Assert.Equal(statistics, json.Trim());
    }

    [Theory]
    [InlineData("queue", "dead", "--json")]
    [InlineData("queue", "--json", "dead")]
    public async Task QueueDead_JsonBeforeOrAfter_IsTheSame(params string[] arguments)
    {
        _server.On("GET /api/queue/dead?limit=50", """{"items":[{"id":7,"instanceId":"i1","attempt":5,"error":"boom"}],"next":null}""");

        var (code, output, _) = await _server.RunAsync(arguments);

        Assert.Equal(0, code);
        Assert.Equal(7, JsonElement.Parse(output).GetProperty("items")[0].GetProperty("id").GetInt32());
    }

    [Theory]
    [InlineData("POST /api/queue/dead/7/requeue", "Requeued 7.", "queue", "requeue", "7")]
    [InlineData("DELETE /api/queue/dead/7", "Deleted 7.", "queue", "delete", "7")]
    public async Task QueueChange_SaysWhatItDid(string call, string said, params string[] arguments)
    {
        _server.On(call, "", 204);

        var (code, output, _) = await _server.RunAsync(arguments);

        Assert.Equal((0, said), (code, output.Trim()));
    }
}

namespace Conclave.EndToEnd.Api;

[Collection(SharedServer.Name)]
public sealed class BudgetTests(SharedServer shared)
{
    private readonly ServerProcess _server = shared.Server;
    private readonly string _name = SharedServer.NewId();

    [Fact]
    public async Task Put_ThenGetListAndDelete_ShowsWhatIsInForce()
    {
        var path = $"/api/inference/budgets/{_name}";

        var made = await _server.CallAsync($"PUT {path}", $$"""{"scope":"agent","subject":"{{_name}}","period":"day","money":12.5,"tokens":1000}""");
        Assert.Equal("12.5", made.Is(201)["money"].GetRawText());
        var changed = await _server.CallAsync($"PUT {path}", $$"""{"scope":"agent","subject":"{{_name}}","period":"month","tokens":2000}""");

        changed.Is(200);
        Assert.Equal("month", changed.Json.Text("period"));
        Assert.Equal("2000", changed.Json.GetProperty("tokens").GetRawText());
        Assert.Equal("null", changed.Json.GetProperty("money").GetRawText());
        Assert.Contains(await _server.ItemsAsync("/api/inference/budgets"), b => b.Text("name") == _name);
        Assert.Empty(await _server.ItemsAsync($"{path}/usage?from=2026-01-01T00:00:00Z"));
        (await _server.CallAsync($"DELETE {path}")).Is(204);
        (await _server.CallAsync($"GET {path}")).IsProblem(404, "inference.budget_not_found");
        (await _server.CallAsync($"DELETE {path}")).IsProblem(404, "inference.budget_not_found");
        (await _server.CallAsync($"GET {path}/usage")).IsProblem(404, "inference.budget_not_found");
    }

    [Theory]
    [InlineData("""{"scope":"world","period":"day","tokens":1}""", "request.invalid")]
    [InlineData("""{"scope":"tenant","period":"week","tokens":1}""", "request.invalid")]
    [InlineData("""{"scope":"tenant","period":"day","tokens":1.5}""", "request.invalid")]
    [InlineData("""{"scope":"tenant","period":"day","limit":1}""", "request.invalid")]
    [InlineData("""{"scope":"tenant","period":"day"}""", "inference.budget_invalid")]
    [InlineData("""{"scope":"agent","period":"day","tokens":1}""", "inference.budget_invalid")]
    [InlineData("""{"scope":"tenant","subject":"x","period":"day","tokens":1}""", "inference.budget_invalid")]
    public async Task Put_Wrong_SaysWhatIsWrongAndChangesNothing(string body, string code)
    {
        (await _server.CallAsync($"PUT /api/inference/budgets/{_name}", body)).IsProblem(400, code);

        (await _server.CallAsync($"GET /api/inference/budgets/{_name}")).IsProblem(404, "inference.budget_not_found");
    }
}

using System.Text.Json;

namespace Conclave.EndToEnd.Accounts;

/// <summary>Tasks of people, completed as workflows' tasks are.</summary>
[Collection(AccountServer.Name)]
public sealed class UserTaskTests(AccountServer shared)
{
    [Theory]
    [InlineData("/api/tasks")]
    [InlineData("/elsa/api/tasks")]
    public async Task Complete_UserTask_GoesOnWithWhatWasFilledIn(string path)
    {
        var id = $"pack{Guid.NewGuid():N}";
        await shared.Server.PublishAsync(id, $$"""
            { "definitionId": "{{id}}",
              "root": { "id": "pack", "type": "Conclave.Agents.UserTask", "version": 1, "title": "{{id}}",
                        "possibleOutcomes": { "typeName": "String[]", "expression": { "type": "Object", "value": "[\"Ship\", \"Refund\"]" } },
                        "outcome": { "typeName": "String", "memoryReference": { "id": "outcome" } } },
              "variables": [ { "id": "outcome", "name": "Outcome", "typeName": "String" } ] }
            """);
        var instance = await shared.Server.StartAsync(id);
        await shared.Server.UntilAsync(instance, "Suspended");
        var task = (await shared.Server.GetAsync($"/api/approvals?instance={instance}")).GetProperty("items")[0].GetProperty("id").GetString();
        using var viewer = await shared.SignedInAsync(await shared.MakeAccountAsync("viewer"));
        using var person = await shared.SignedInAsync(await shared.MakeAccountAsync("administrator"));

        Assert.Equal(403, (await CallAsync(viewer, """{"result": {"outcome": "Ship"}}""")).Status);
        // Elsa's API has one status for everything that cannot be done.
        var (notAPerson, badForm, again) = path.StartsWith("/elsa", StringComparison.Ordinal) ? (400, 400, 400) : (403, 422, 409);
        (await shared.Server.CallAsync($"POST {path}/{task}/complete", """{"result": {"outcome": "Ship"}}""")).Is(notAPerson);
        (await CallAsync(person, """{"result": {"outcome": "Burn"}}""")).Is(badForm);
        Assert.Equal(200, (await CallAsync(person, """{"result": {"outcome": "Ship"}}""")).Status);

        var done = await shared.Server.UntilAsync(instance, "Finished");
        Assert.Contains(done.GetProperty("variables").EnumerateObject(), v => v.Value.ValueKind == JsonValueKind.String && v.Value.GetString() == "Ship");
        (await CallAsync(person, """{"result": {"outcome": "Ship"}}""")).Is(again);

        Task<Reply> CallAsync(Browser browser, string body) => browser.CallAsync($"POST {path}/{task}/complete", body, $"Origin: {shared.Server.Http.BaseAddress!.GetLeftPart(UriPartial.Authority)}");
    }
}

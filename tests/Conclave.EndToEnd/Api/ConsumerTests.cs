using System.Text.Json.Nodes;
using static Conclave.Tests.Json;

namespace Conclave.EndToEnd.Api;

/// <summary>Workflows that others use, and what becomes of both.</summary>
[Collection(SharedServer.Name)]
public sealed class ConsumerTests(SharedServer shared)
{
    private readonly ServerProcess _server = shared.Server;
    private readonly string _used = SharedServer.NewId();
    private readonly string _consumer = SharedServer.NewId();

    [Fact]
    public async Task Delete_WhatIsUsed_IsRefusedNamingWhoUsesIt()
    {
        await PublishUsedAsync("1");
        await _server.PublishAsync(_consumer, Consumer(await VersionIdAsync()));
        var instance = await _server.StartAsync(_used);
        await _server.UntilAsync(instance, "Suspended");

        var refused = (await _server.CallAsync($"DELETE /api/workflows/{_used}")).IsProblem(409, "definition.in_use");

        Assert.StartsWith(
            $"'Used{_used}' ({_used}) is still used: 1 of its instances has not ended (1 waiting), and the workflow 'Consumer' ({_consumer}) uses it. Wait until its instances have ended, or cancel them. Take it out of that workflow",
            refused["detail"].GetString(),
            StringComparison.Ordinal);
        (await _server.CallAsync($"GET /api/workflows/{_used}")).Is(200);
        (await _server.CallAsync($"DELETE /api/workflows/{_used}?force=true")).Is(204);
        (await _server.CallAsync($"GET /api/workflows/{_used}")).IsProblem(404, "workflow.not_found");
        (await _server.CallAsync($"DELETE /api/workflows/{_used}")).IsProblem(404, "workflow.not_found");
        (await _server.CallAsync($"DELETE /api/instances/{instance}?force=true")).Is(204);
    }

    [Fact]
    public async Task Consumers_AreNamed()
    {
        await PublishUsedAsync("1");
        Assert.Empty(await _server.ItemsAsync($"/api/workflows/{_used}/consumers"));
        await _server.PublishAsync(_consumer, Consumer(await VersionIdAsync()));
        var starter = SharedServer.NewId();
        await _server.PublishAsync(starter, Flows.Of("Starter", Activity("ExecuteWorkflow", "x", ("workflowDefinitionId", Literal(_used)))));

        var consumers = await _server.ItemsAsync($"/api/workflows/{_used}/consumers");

        Assert.Equal(new[] { _consumer, starter }.Order(StringComparer.Ordinal), consumers.Select(c => c.Text("definitionId")).Order(StringComparer.Ordinal));
        Assert.All(consumers, c => Assert.Equal(("1", "True"), (c.Text("version"), c.Text("isPublished"))));
        (await _server.CallAsync($"DELETE /api/workflows/{_consumer}")).Is(204);
        Assert.Equal(starter, Assert.Single(await _server.ItemsAsync($"/api/workflows/{_used}/consumers")).Text("definitionId"));
    }

    [Fact]
    public async Task UpdateReferences_MovesPublishedAndDraftsToTheNewVersion()
    {
        var draft = SharedServer.NewId();
        await PublishUsedAsync("1");
        var first = await VersionIdAsync();
        await _server.PublishAsync(_consumer, Consumer(first));
        (await _server.CallAsync($"PUT /api/workflows/{draft}", Consumer(first))).Is(200);
        await PublishUsedAsync("2");

        var updated = (await _server.CallAsync($"POST /api/workflows/{_used}/update-references")).Is(200)["items"].EnumerateArray().ToList();

        Assert.Equal(
            new[] { $"{_consumer} 2 True", $"{draft} 1 False" }.Order(StringComparer.Ordinal),
            updated.Select(u => $"{u.Text("definitionId")} {u.Text("version")} {u.Text("isPublished")}").Order(StringComparer.Ordinal));
        var second = await VersionIdAsync();
        foreach (var id in (string[])[_consumer, draft])
            Assert.Contains(second, (await _server.CallAsync($"GET /api/workflows/{id}")).Text, StringComparison.Ordinal);
        Assert.Empty((await _server.CallAsync($"POST /api/workflows/{_used}/update-references")).Is(200)["items"].EnumerateArray());
    }

    private Task<Reply> PublishUsedAsync(string text) => _server.PublishAsync(_used, Flows.Of($"Used{_used}", Sequence("s", Write("w", text), Event(_used)))
        .With(("options", new JsonObject { ["usableAsActivity"] = true })));

    private async Task<string> VersionIdAsync() => (await _server.GetAsync($"/api/workflows/{_used}?version=published")).Text("id");

    private JsonObject Consumer(string versionId) => Flows.Of("Consumer", Sequence("s", new JsonObject
    {
        ["type"] = $"Used{_used}",
        ["id"] = "u",
        ["version"] = 1,
        ["workflowDefinitionId"] = _used,
        ["workflowDefinitionVersionId"] = versionId,
    }));
}

using System.Text.Json.Nodes;
using Conclave.Tests.Conformance;

namespace Conclave.EndToEnd.Elsa;

/// <summary>Elsa's own definitions, run here and looked at as the viewer does.</summary>
public sealed class ReferenceRunTests
{
    [ElsaFact]
    public async Task View_EveryReferenceRun_IsCompleteAndHasNothingTwice()
    {
        await using var server = await ServerProcess.StartAsync(null, "Scripting:AllowCSharp=true");
        using var form = new MultipartFormDataContent();
        foreach (var file in ElsaData.Files)
            form.Add(new ByteArrayContent(await File.ReadAllBytesAsync(ElsaData.PathOf(file))), "files", file.Replace('/', '_'));
        await ServerProcess.ReadAsync(await server.Http.PostAsync("/api/workflows/import?publish=true", form));
        var checkedInstances = 0;
        foreach (var one in ElsaData.Cases.Where(c => c.Text("mode") == "counter"))
        {
            var definition = JsonNode.Parse(await File.ReadAllTextAsync(ElsaData.PathOf(one.Text("file"))))!;
            var definitionId = Uri.EscapeDataString(definition["definitionId"]!.GetValue<string>());
            await server.PublishAsync(definitionId, definition.ToJsonString());
            var body = new JsonObject { ["wait"] = 30 };
            if (one.TryGetProperty("input", out var input))
                body["input"] = JsonNode.Parse(input.GetRawText());
            var id = (await server.PostAsync($"/api/workflows/{definitionId}/start", body.ToJsonString())).Text("id");
            await CheckAsync(server, id, one.Text("file"));
            checkedInstances++;
        }

        Assert.NotEqual(0, checkedInstances);
    }

    private static async Task CheckAsync(ServerProcess server, string id, string file)
    {
        var path = $"/elsa/api/workflow-instances/{id}";
        var instance = await server.GetAsync(path);
        InstanceTests.AssertNoNulls(instance, file);
        var records = await server.GetAsync($"/elsa/api/activity-executions/list?WorkflowInstanceId={id}");
        var items = records.GetProperty("items").EnumerateArray().ToList();
        var ids = items.ConvertAll(r => r.Text("id"));
        Assert.Equal(items.Count, records.GetProperty("count").GetInt32());
        Assert.Equal(ids.Count, ids.Distinct().Count());
        Assert.All(items, r =>
        {
            Assert.True(r.TryGetProperty("activityState", out _), $"{file}: {r}");
            Assert.True(!r.TryGetProperty("schedulingActivityExecutionId", out var parent) ? !r.Text("activityNodeId").Contains(':', StringComparison.Ordinal) : ids.Contains(parent.GetString()!), $"{file}: {r}");
        });
        InstanceTests.AssertNoNulls(records, file);

        var nodeIds = items.Select(r => r.Text("activityNodeId")).Distinct().ToList();
        var report = await server.PostAsync("/elsa/api/activity-executions/report", new JsonObject { ["workflowInstanceId"] = id, ["activityNodeIds"] = new JsonArray([.. nodeIds.Select(n => (JsonNode)n)]) }.ToJsonString());
        var stats = report.GetProperty("stats").EnumerateArray().ToList();
        Assert.Equal(nodeIds, stats.Select(s => s.Text("activityNodeId")));
        Assert.All(stats, s =>
        {
            var own = items.Where(r => r.Text("activityNodeId") == s.Text("activityNodeId")).ToList();
            Assert.Equal((own.Count, own.Count(r => r.TryGetProperty("completedAt", out _))), (s.GetProperty("startedCount").GetInt32(), s.GetProperty("completedCount").GetInt32()));
            Assert.Equal(own.Any(r => r.GetProperty("hasBookmarks").GetBoolean()), s.GetProperty("isBlocked").GetBoolean());
            Assert.Equal(own.Any(r => r.Text("status") == "Faulted"), s.GetProperty("isFaulted").GetBoolean());
            Assert.Equal(own.Sum(r => r.GetProperty("aggregateFaultCount").GetInt32()), s.GetProperty("aggregateFaultCount").GetInt32());
        });

        var journal = await server.PostAsync($"{path}/journal?skip=0&take=5000", "{}");
        var entries = journal.GetProperty("items").EnumerateArray().ToList();
        Assert.Equal(entries.Count, journal.GetProperty("totalCount").GetInt32());
        Assert.Equal(Enumerable.Range(0, entries.Count).Select(i => (long)i), entries.Select(e => e.GetProperty("sequence").GetInt64()));
        Assert.Equal(ids.Order(), entries.Select(e => e.Text("activityInstanceId")).Distinct().Order());
        Assert.All(entries, e => Assert.NotEqual("Elsa.NotFoundActivity", e.Text("activityType")));

        // The context that the viewer begins with, and what runs of it.
        var root = Assert.Single(instance.GetProperty("workflowState").GetProperty("activityExecutionContexts").EnumerateArray(), c => !c.TryGetProperty("parentContextId", out _));
        Assert.Contains(root.Text("id"), ids);
    }
}

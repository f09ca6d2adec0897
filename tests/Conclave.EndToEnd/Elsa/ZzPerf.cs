using System.Diagnostics;
using Conclave.EndToEnd.Faults;
using Xunit.Abstractions;
using static Conclave.Tests.Json;

namespace Conclave.EndToEnd.Elsa;

public sealed class ZzPerf(ITestOutputHelper output)
{
    [Fact]
    public async Task Measure()
    {
        await using var database = await FaultDatabase.NewAsync();
        await using var server = await ServerProcess.StartAsync(null, $"ConnectionStrings:Conclave={database.ConnectionString}");
        await server.PublishAsync("p", Flows.Waiting("p"));
        var id = await server.StartAsync("p");
        await server.UntilAsync(id, "Suspended");
        await using (var c = database.Source.CreateCommand("""
            insert into conclave.workflow_instance (tenant,id,definition_id,definition_version_id,version,status,sub_status,correlation_id,name,parent_id,incident_count,state,created_at,updated_at,finished_at)
            select tenant, md5(g::text), 'def-' || g % 1000, 'ver-' || g % 20000, version, g % 2, case when g % 2 = 0 then 2 else 3 end, 'order-' || g, 'Order number ' || g, null, g % 50 / 49, state || sha512(g::text::bytea) || sha512(g::text::bytea) || sha512(g::text::bytea), now() - g * interval '1 second', now() - g * interval '1 second', case when g%2=1 then now() end
              from conclave.workflow_instance, generate_series(1, 100000) g where id = '
            """.TrimEnd() + id + "'")) await c.ExecuteNonQueryAsync();
        await using (var c = database.Source.CreateCommand("vacuum analyze conclave.workflow_instance")) await c.ExecuteNonQueryAsync();
        foreach (var body in (string[])
            [
                """{ "page":0,"pageSize":10,"orderBy":"Created" }""", """{ "page":0,"pageSize":10,"orderBy":"LastExecuted" }""", """{ "page":0,"pageSize":10,"orderBy":"Name" }""", """{ "page":0,"pageSize":10,"orderBy":"Finished" }""", """{ "page":9000,"pageSize":10,"orderBy":"Created" }""",
                """{ "page":0,"pageSize":10,"searchTerm":"number 4711" }""", """{ "page":0,"pageSize":10,"searchTerm":"zzz" }""", """{ "page":0,"pageSize":10,"searchTerm":"order" }""", """{ "page":0,"pageSize":10,"statuses":["Running"] }""", """{ "page":0,"pageSize":10,"hasIncidents":true }""",
                """{ "page":0,"pageSize":10,"definitionIds":["def-7"] }""", """{ "page":0,"pageSize":10,"timestampFilters":[{"column":"UpdatedAt","operator":"GreaterThan","timestamp":"2020-01-01T00:00:00Z"}] }""",
            ])
            await TimeAsync("list " + body, () => server.PostAsync("/elsa/api/workflow-instances", body));
        var all = Stopwatch.StartNew();
        await server.GetAsync("/elsa/api/workflow-instances");
        output.WriteLine($"all 100,000: {all.ElapsedMilliseconds} ms");
        await server.PublishAsync("loop", Flows.Of("Loop", Sequence("s", Activity("For", "loop", ("start", Literal(1)), ("end", Literal(50000)), ("body", Write("in", "some text to keep in the journal"))))));
        var big = await server.StartAsync("loop");
        await server.UntilAsync(big, "Finished");
        output.WriteLine((await server.GetAsync($"/elsa/api/workflow-instances/{big}/journal?take=1")).GetProperty("totalCount").ToString());
        await TimeAsync("journal filtered", () => server.PostAsync($"/elsa/api/workflow-instances/{big}/journal?skip=50000&take=100", """{ "filter": { "excludedActivityTypes": ["Elsa.Workflow","Elsa.Flowchart"], "activityNodeIds": ["Workflow1:s:loop:in"] } }"""));
        await TimeAsync("report", () => server.PostAsync("/elsa/api/activity-executions/report", $$"""{ "workflowInstanceId": "{{big}}", "activityNodeIds": ["Workflow1:s:loop:in","Workflow1:s:loop"] }"""));
        await TimeAsync("summaries root", () => server.GetAsync($"/elsa/api/activity-execution-summaries/list?WorkflowInstanceId={big}&ActivityNodeId=Workflow1:s:loop"));
        await TimeAsync("records of loop body", () => server.GetAsync($"/elsa/api/activity-executions/list?WorkflowInstanceId={big}&ActivityNodeId=Workflow1:s:loop:in"));
        await TimeAsync("by id", () => server.GetAsync($"/elsa/api/activity-executions/by-id?id={big}-40000"));
        await TimeAsync("instance", () => server.GetAsync($"/elsa/api/workflow-instances/{big}"));
        output.WriteLine($"server memory: {Process.GetProcessById(server.Id).WorkingSet64 / 1024 / 1024} MB");
    }

    private async Task TimeAsync(string what, Func<Task> call)
    {
        var times = new List<double>();
        for (var i = 0; i < 20; i++)
        {
            var watch = Stopwatch.StartNew();
            await call();
            times.Add(watch.Elapsed.TotalMilliseconds);
        }

        times.Sort();
        output.WriteLine($"{what}: median {times[10]:0} ms, p95 {times[18]:0} ms");
    }
}

using System.Text.Json.Nodes;
using Npgsql;

namespace Conclave.Benchmarks.Lists;

/// <summary>1,000 workflows with 20 versions each and 100,000 instances, copied in the database from one of each.</summary>
internal static class ListData
{
    public const int Workflows = 1_000;
    public const int Versions = 20;
    public const int Instances = 100_000;
    private const int Activities = 24;

    // Half of the workflows have a draft after the published version. Names are no texts in order.
    private const string CopyDefinitions = """
        insert into conclave.workflow_definition
            (tenant, id, definition_id, version, name, description, activity_type_name, usable_as_activity, is_latest, is_published,
             is_readonly, is_system, content, content_hash, created_at, updated_at, tool_version)
        select t.tenant, 'w' || n || '-' || v, 'w' || n, v, 'Order ' || n * 7919 % 1009 || ' in region ' || n % 17, t.description, 'Order' || n, false, v = $2,
               v = $2 - n % 2, false, false, replace(t.content, 'Template', 'Order ' || n * 7919 % 1009 || ' in region ' || n % 17),
               sha256((n || '-' || v)::bytea), now() - n * interval '1 hour' - ($2 - v) * interval '1 minute', now() - n * interval '1 hour', t.tool_version
          from conclave.workflow_definition t, generate_series(1, $1) n, generate_series(1, $2) v
         where t.definition_id = 'template' and t.is_latest
        """;

    // A tenth still runs, one in a hundred has an incident.
    private const string CopyInstances = """
        insert into conclave.workflow_instance
            (tenant, id, definition_id, definition_version_id, version, status, sub_status, correlation_id, name, incident_count, state, created_at, updated_at, finished_at)
        select t.tenant, lpad(n::text, 32, '0'), 'w' || 1 + n % $2, 'w' || 1 + n % $2 || '-' || 1 + n % $3, 1 + n % $3,
               case when n % 10 = 0 then 0 else 1 end, case when n % 10 = 0 then 2 when n % 100 = 1 then 5 else 3 end,
               'customer-' || n % 5000, 'Run ' || n * 7919 % 100003, case when n % 100 = 1 then 1 else 0 end, t.state,
               now() - n * interval '20 seconds', now() - n * interval '19 seconds', case when n % 10 > 0 then now() - n * interval '19 seconds' end
          from conclave.workflow_instance t, generate_series(1, $1) n
         where t.definition_id = 'template'
        """;

    public static async Task FillAsync(BenchServer server)
    {
        await server.SendAsync("PUT /api/workflows/template?publish=true", Template().ToJsonString());
        await server.SendAsync("POST /elsa/api/workflow-definitions/template/execute", "{}");
        await ExecuteAsync(server, CopyDefinitions, Workflows, Versions);
        await ExecuteAsync(server, CopyInstances, Instances, Workflows, Versions);
        // As autovacuum leaves it soon after.
        await ExecuteAsync(server, "vacuum analyze");
    }

    private static async Task ExecuteAsync(BenchServer server, string sql, params int[] numbers)
    {
        await using var command = server.Database.CreateCommand(sql);
        foreach (var number in numbers)
            command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = number });
        await command.ExecuteNonQueryAsync();
    }

    /// <summary>A workflow of 8 KB.</summary>
    private static JsonObject Template()
    {
        var activities = new JsonArray();
        var connections = new JsonArray();
        for (var i = 0; i < Activities; i++)
        {
            activities.Add(new JsonObject
            {
                ["id"] = $"line{i}",
                ["name"] = $"WriteLine{i}",
                ["type"] = "Elsa.WriteLine",
                ["version"] = 1,
                ["text"] = new JsonObject { ["typeName"] = "String", ["expression"] = new JsonObject { ["type"] = "Literal", ["value"] = $"Step {i} of the order" } },
                ["customProperties"] = new JsonObject { ["canStartWorkflow"] = i == 0, ["runAsynchronously"] = false },
                ["metadata"] = new JsonObject { ["designer"] = new JsonObject { ["position"] = new JsonObject { ["x"] = i * 220.5, ["y"] = 40 } } },
            });
            if (i > 0)
                connections.Add(new JsonObject { ["source"] = End($"line{i - 1}", "Done"), ["target"] = End($"line{i}", "In"), ["vertices"] = new JsonArray() });
        }

        return new JsonObject
        {
            ["name"] = "Template",
            ["description"] = "Takes an order, checks it and answers.",
            ["root"] = new JsonObject { ["id"] = "flow", ["type"] = "Elsa.Flowchart", ["version"] = 1, ["activities"] = activities, ["connections"] = connections },
        };
    }

    private static JsonObject End(string activity, string port) => new() { ["activity"] = activity, ["port"] = port };
}

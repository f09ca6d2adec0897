using System.Text.Json.Nodes;
using Conclave.Workflows.Execution;

namespace Conclave.Tests.Properties;

/// <summary>
/// Checks a log against the rules of counter mode (elsa/server-api.md section 5.5), written down anew and without
/// counters: a connection is resolved once its source completed, was cancelled or was skipped.
/// </summary>
internal static class FlowchartRules
{
    /// <summary>The rule that a run of an acyclic flowchart broke; null when it broke none.</summary>
    public static string? Broken(JsonNode flowchart, WorkflowInstance instance)
    {
        var nodes = flowchart["activities"]!.AsArray().ToDictionary(a => (string)a!["id"]!, a => a!);
        var connections = flowchart["connections"]!.AsArray().Select(c => new Connection(
            (string)c!["source"]!["activity"]!, (string)c["source"]!["port"]!, (string)c["target"]!["activity"]!)).ToList();
        var inbound = connections.ToLookup(c => c.Target);
        var first = (string)flowchart["activities"]![0]!["id"]!;
        var outcomes = new Dictionary<string, IReadOnlyList<string>>();
        var started = new HashSet<string>();
        var skipped = new HashSet<string>();
        foreach (var entry in instance.Log.Entries)
        {
            var id = instance.Graph.Nodes[entry.NodeIndex].Id;
            if (!nodes.ContainsKey(id))
                continue;
            if (entry.Event == ExecutionEvent.Started)
            {
                if (!started.Add(id))
                    return $"{id} runs twice";
                if (id != first && !MayRun(id))
                    return $"{id} runs too early, or without a reason";
            }
            else if (entry.Event == ExecutionEvent.Completed)
                outcomes[id] = (entry.Details as ActivityDetails)?.Outcomes ?? ["Done"];
            else if (entry.Event == ExecutionEvent.Canceled)
                outcomes[id] = [];
            else
                continue;
            Skip();
        }

        if (instance.SubStatus is not (WorkflowSubStatus.Finished or WorkflowSubStatus.Suspended))
            return $"the workflow is {instance.SubStatus}: {string.Join("; ", instance.Incidents.Select(i => i.Message))}";
        if (instance.Bookmarks.Count > 0 != (instance.SubStatus == WorkflowSubStatus.Suspended))
            return $"the workflow is {instance.SubStatus} and waits in {instance.Bookmarks.Count} places";
        // Also while others wait: whatever may run has run, because nothing is left to run in between.
        return nodes.Keys.Where(id => id != first && !started.Contains(id) && MayRun(id))
            .Select(id => $"{id} never runs").FirstOrDefault();

        bool MayRun(string id)
        {
            var followed = inbound[id].Count(c => IsFollowed(c) == true);
            return Mode(id) switch
            {
                "WaitAny" => followed > 0,
                "WaitAll" => followed == inbound[id].Count(),
                _ => followed > 0 && inbound[id].All(c => IsFollowed(c) is not null),
            };
        }

        // True and false are final, null is still open.
        bool? IsFollowed(Connection connection)
        {
            if (outcomes.TryGetValue(connection.Source, out var ports))
                return ports.Contains(connection.Port);
            return skipped.Contains(connection.Source) ? false : null;
        }

        // Connections lead from earlier activities to later ones, so that one pass finds all.
        void Skip()
        {
            foreach (var id in nodes.Keys)
            {
                if (id == first || started.Contains(id) || skipped.Contains(id) || !inbound[id].All(c => IsFollowed(c) is not null))
                    continue;
                var followed = inbound[id].Count(c => IsFollowed(c) == true);
                if (Mode(id) == "WaitAll" ? followed < inbound[id].Count() : followed == 0)
                    skipped.Add(id);
            }
        }

        string? Mode(string id) => (string)nodes[id]["type"]! == "Elsa.FlowJoin" ? (string?)nodes[id]["mode"]!["expression"]!["value"] : null;
    }

    private sealed record Connection(string Source, string Port, string Target);
}

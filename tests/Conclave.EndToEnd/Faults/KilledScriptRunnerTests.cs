using System.Globalization;
using Conclave.Workflows.Execution;

namespace Conclave.EndToEnd.Faults;

/// <summary>The Node.js processes that evaluate scripts, killed while they do.</summary>
[Collection(ClusterCollection.Name)]
public sealed class KilledScriptRunnerTests(Cluster cluster)
{
    [Fact]
    public async Task ScriptRunner_KilledUnderLoad_LosesNoInstance()
    {
        const int Instances = 400;
        var slow = Json.Expression("JavaScript", "let x = 0; for (let i = 0; i < 20000; i++) x += i % 7; return `sum ${x}`;");
        var steps = string.Join(", ", Enumerable.Range(1, 4).Select(i => $$"""{ "id": "step{{i}}", "type": "Elsa.WriteLine", "version": 1, "text": {{slow}} }"""));
        await cluster.PublishAsync("scripts", Json.Workflow("scripts", steps));
        await cluster.Web.PostAsync("/api/workflows/scripts/start-many", Json.Starts("scripts", 1, Instances));
        var (killed, rounds) = (0, 1);
        await ServerProcess.UntilAsync(
            async () =>
            {
                var ended = await cluster.Database.CountAsync("select count(*) from conclave.workflow_instance where definition_id = 'scripts' and status = 1");
                // Now and then, all of them at once, those that are just starting too.
                if (ended > rounds * 60 && ended < Instances)
                {
                    killed += await KillRunnersAsync(cluster.Worker) + await KillRunnersAsync(cluster.OtherWorker);
                    rounds++;
                }

                return ended == Instances;
            },
            "all end", 180);

        Assert.InRange(killed, 1, int.MaxValue);
        var finished = await cluster.Database.FinishedAsync("scripts");
        // The script that a runner died of has an incident that says so; those behind it move to the next runner.
        foreach (var (id, journal) in await cluster.Database.ReadJournalsAsync("scripts"))
        {
            if (journal.Find(e => e.Event == ExecutionEvent.Faulted) is { } fault)
                Assert.Contains("runner", fault.Exception!.Message, StringComparison.OrdinalIgnoreCase);
            else
                Assert.Empty(JournalRules.Check(id, journal, Json.Steps(4)));
        }

        Assert.Equal(Instances - finished, await cluster.Database.CountAsync(
            "select count(*) from conclave.workflow_instance where definition_id = 'scripts' and sub_status = 5 and incident_count = 1"));
        Assert.InRange(finished, Instances / 2, Instances);
    }

    private static async Task<int> KillRunnersAsync(ServerProcess server)
    {
        var runners = Directory.EnumerateDirectories("/proc").Select(d => Path.GetFileName(d)).Where(n => int.TryParse(n, out _)).Where(n => IsRunnerOf(n, server.Id)).ToList();
        foreach (var runner in runners)
            await ServerProcess.SignalAsync(int.Parse(runner, CultureInfo.InvariantCulture), "KILL");
        return runners.Count;
    }

    private static bool IsRunnerOf(string process, int parent)
    {
        try
        {
            // "123 (node) S 45 …": the fourth field is the parent.
            var stat = File.ReadAllText($"/proc/{process}/stat");
            return stat.Contains("(node", StringComparison.Ordinal) && stat[(stat.LastIndexOf(')') + 4)..].StartsWith($"{parent} ", StringComparison.Ordinal);
        }
        catch (IOException)
        {
            return false;
        }
    }
}

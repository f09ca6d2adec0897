using System.Diagnostics;
using Conclave.Workflows.Execution;
using Xunit.Abstractions;

namespace Conclave.EndToEnd.Faults;

/// <summary>Ten thousand instances while one of two workers dies again and again.</summary>
[Collection(ClusterCollection.Name)]
public sealed class ManyInstancesTests(Cluster cluster, ITestOutputHelper output)
{
    private const int Waves = 10;
    private const int InWave = 1000;

    [Fact]
    public async Task TenThousandInstances_AWorkerKilledAgainAndAgain_EachFinishesOnceAndSoon()
    {
        await cluster.PublishAsync("many", Json.Workflow(
            "many",
            $$"""
            { "id": "set", "type": "Elsa.SetVariable", "version": 1, "variable": { "id": "wave", "name": "Wave", "typeName": "Object" }, "value": {{Json.Expression("Input", "Wave")}} },
            {{Json.Line("wrote")}},
            { "id": "waits", "type": "Elsa.Event", "version": 1, "eventName": {{Json.Expression("Input", "Wave")}} },
            {{Json.Line("went-on")}}
            """,
            """
            "inputs": [ { "name": "Wave", "type": "String" } ],
            "variables": [ { "id": "wave", "name": "Wave", "typeName": "Object" } ],
            """));
        var clock = Stopwatch.StartNew();
        using var stop = new CancellationTokenSource();
        var killing = KillAgainAndAgainAsync(stop.Token);
        var published = new DateTimeOffset[Waves];
        for (var wave = 0; wave < Waves; wave++)
        {
            await cluster.Web.PostAsync("/api/workflows/many/start-many", Json.Starts("many", wave * InWave, InWave, _ => $"\"Wave\": \"wave-{wave}\""));
            // While the next wave starts, this one is told.
            if (wave > 0)
                published[wave - 1] = await PublishAsync(wave - 1);
        }

        published[^1] = await PublishAsync(Waves - 1);
        await cluster.FinishedAsync("many", Waves * InWave);
        var seconds = clock.Elapsed.TotalSeconds;
        await stop.CancelAsync();
        var kills = await killing;

        var journals = await cluster.Database.CheckJournalsAsync("many", Waves * InWave, "set", "wrote", "waits", "went-on");
        var late = TimeSpan.Zero;
        foreach (var (id, journal) in journals)
        {
            var resumed = Assert.Single(journal, e => e.Event == ExecutionEvent.Resumed).Timestamp - published[int.Parse(id.AsSpan(5), null) / InWave];
            Assert.True(resumed < TimeSpan.FromSeconds(30), $"{id} was resumed {resumed} after its event");
            late = resumed > late ? resumed : late;
        }

        output.WriteLine($"{Waves * InWave} instances in {seconds:0.0} s with {kills} kills; the slowest was resumed {late.TotalSeconds:0.0} s after its event.");
        Assert.InRange(kills, 1, int.MaxValue);
        Assert.Equal(0, await cluster.Database.CountAsync("select count(*) from conclave.work_item where instance_id like 'many-%'"));
        Assert.Equal(0, await cluster.Database.CountAsync("select count(*) from conclave.dead_work_item where instance_id like 'many-%'"));
    }

    private async Task<DateTimeOffset> PublishAsync(int wave)
    {
        // A broadcast reaches who waits now.
        await ServerProcess.UntilAsync(
            async () => await cluster.Database.CountAsync($"select count(*) from conclave.bookmark where name = 'Elsa.Event' and payload like '%= wave-{wave} %'") == InWave, $"wave {wave} waits", 120);
        var at = DateTimeOffset.UtcNow;
        Assert.Equal(InWave, (await cluster.OtherWeb.PostAsync($"/api/events/wave-{wave}", "{}")).GetProperty("resumed").GetInt32());
        return at;
    }

    private async Task<int> KillAgainAndAgainAsync(CancellationToken cancellationToken)
    {
        var kills = 0;
        while (true)
        {
            await Task.Delay(TimeSpan.FromSeconds(2), cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (cancellationToken.IsCancellationRequested)
                return kills;
            await cluster.Worker.KillAsync();
            kills++;
            await cluster.RestartAsync(cluster.Worker);
        }
    }
}

using Conclave.EndToEnd.Faults;

namespace Conclave.EndToEnd.Agents;

public sealed class IdleAgentTests
{
    [Fact]
    public async Task TenThousandAgents_NobodyTalksTo_NobodyLooksAt()
    {
        await using var database = await FaultDatabase.NewAsync();
        await using var server = await ServerProcess.StartAsync(null, $"ConnectionStrings:Conclave={database.ConnectionString}", "Inference:DiscoverOllama=false");
        await using (var command = database.Source.CreateCommand("""
            insert into conclave.agent (tenant, id, name, configuration, state_at, created_at, created_by, updated_at, updated_by)
            select 'default', 'idle' || n, 'idle ' || n, '{"model":"smart"}', now(), now(), 'test', now(), 'test' from generate_series(1, 10000) n
            """))
            await command.ExecuteNonQueryAsync();
        // PostgreSQL tells of what was done some seconds later.
        await ServerProcess.UntilAsync(async () => await database.CountAsync("select n_tup_ins from pg_stat_user_tables where relname = 'agent'") >= 10_000, "the insert is counted");
        var before = await LooksAsync();

        await Task.Delay(TimeSpan.FromSeconds(8));

        Assert.Equal(before, await LooksAsync());

        // Reads and writes of whatever agents are made of, without those of the queue, which everything shares.
        Task<long> LooksAsync() => database.CountAsync("""
            select sum(seq_scan + coalesce(idx_scan, 0) + n_tup_ins + n_tup_upd)::bigint from pg_stat_user_tables
             where relname in ('agent', 'agent_turn', 'agent_conversation', 'agent_message', 'agent_content', 'agent_makeup', 'tool_run', 'tool_permission')
            """);
    }
}

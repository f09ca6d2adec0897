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
        // Connections tell of what they did up to ten seconds later: until that of the start is told.
        await Task.Delay(TimeSpan.FromSeconds(13));
        var before = await LooksAsync();

        await Task.Delay(TimeSpan.FromSeconds(13));

        Assert.Equal(before, await LooksAsync());

        // Reads and writes of whatever agents are made of, without those of the queue, which everything shares.
        async Task<string> LooksAsync()
        {
            await using var command = database.Source.CreateCommand("""
                select string_agg(relname || ' ' || (seq_scan + coalesce(idx_scan, 0) + n_tup_ins + n_tup_upd), ', ' order by relname) from pg_stat_user_tables
                 where relname in ('agent', 'agent_turn', 'agent_conversation', 'agent_message', 'agent_content', 'agent_makeup', 'tool_run', 'tool_permission')
                """);
            return (string)(await command.ExecuteScalarAsync())!;
        }
    }
}

using Conclave.Agents;
using Conclave.Tests.Runtime.Postgres;
using Npgsql;

namespace Conclave.Tests.Agents;

/// <summary>How agents go out of use and come back, in the database that guards it.</summary>
public sealed class AgentRecoveryTests : IAsyncLifetime
{
    private static readonly DateTimeOffset Start = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);
    private TestDatabase _database = null!;
    private AgentStore _agents = null!;
    private Agent _agent = null!;

    public async Task InitializeAsync()
    {
        _database = await PostgresServer.NewDatabaseAsync();
        _agents = new AgentStore(_database.DataSource, TimeProvider.System);
        _agent = await _agents.CreateAsync("t", "Rita", null, new AgentConfiguration { Model = "brain" }, "ann", default);
    }

    public async Task DisposeAsync() => await _database.DisposeAsync();

    [Fact]
    public async Task TwoFailures_TakeItOutOfUse_AndAfterAWhileOneTurnMayTry()
    {
        await FailTwiceAsync();
        Assert.Equal(AgentState.Error, (await FindAsync()).State);

        Assert.Equal("error", await BeginAsync("t3", "c3", minute: 4));
        Assert.Null(await BeginAsync("t4", "c4", minute: 7));
        // While it tries, nobody else does.
        Assert.Equal("error", await BeginAsync("t5", "c5", minute: 8));

        await EndAsync("t4", "completed", minute: 8);
        var back = await FindAsync();
        Assert.Equal((AgentState.Active, 0, 0), (back.State, back.RunningTurns, back.ConsecutiveFailures));
        Assert.Null(back.StateReason);
        Assert.Null(await BeginAsync("t6", "c6", minute: 9));
    }

    [Fact]
    public async Task TrialThatFails_WaitsAsLongAgain()
    {
        await FailTwiceAsync();
        Assert.Null(await BeginAsync("t3", "c3", minute: 7));
        await EndAsync("t3", "failed", minute: 8);

        Assert.Equal("error", await BeginAsync("t4", "c4", minute: 12));
        Assert.Null(await BeginAsync("t5", "c5", minute: 14));
    }

    [Fact]
    public async Task ConversationInATurn_TakesNoOther_AndIsCountedRight()
    {
        Assert.Null(await BeginAsync("t1", "c1", minute: 0));
        Assert.Equal("conversation", await BeginAsync("t2", "c1", minute: 0));
        Assert.Equal("exists", await BeginAsync("t1", "c1", minute: 0));
        await EndAsync("t1", "completed", minute: 1);

        Assert.Null(await BeginAsync("t3", "c1", minute: 2));

        Assert.Equal(2, await _database.QueryAsync<int>("select turns from conclave.agent_conversation where id = 'c1'"));
        Assert.Equal(2, await _database.QueryAsync<int>("select number from conclave.agent_turn where id = 't3'"));
        Assert.Equal(
            "agent.state turn.started turn.completed agent.state agent.state turn.started",
            await _database.QueryAsync<string>("select string_agg(type, ' ' order by id) from conclave.agent_event where type <> 'agent.created'"));
    }

    private async Task FailTwiceAsync()
    {
        for (var turn = 1; turn <= 2; turn++)
        {
            Assert.Null(await BeginAsync($"t{turn}", $"c{turn}", turn - 1));
            await EndAsync($"t{turn}", "failed", turn);
        }
    }

    /// <summary>Begins a turn; why not, if not. Two failures take the agent out of use for five minutes.</summary>
    private async Task<string?> BeginAsync(string turn, string conversation, int minute)
    {
        await using var command = _database.DataSource.CreateCommand("select refusal from conclave.begin_turn('t', $1, $2, $3, 'ann', 'makeup', 'Hello', 8, 2, interval '5 minutes', $4)");
        foreach (var value in (object[])[turn, _agent.Id, conversation, Start.AddMinutes(minute)])
            command.Parameters.Add(new NpgsqlParameter { Value = value });
        return await command.ExecuteScalarAsync() as string;
    }

    private async Task EndAsync(string turn, string status, int minute)
    {
        await using var command = _database.DataSource.CreateCommand("select conclave.turn_stored('t', $1, $2, 'It went wrong.', $3)");
        foreach (var value in (object[])[turn, status, Start.AddMinutes(minute)])
            command.Parameters.Add(new NpgsqlParameter { Value = value });
        await command.ExecuteNonQueryAsync();
    }

    private async Task<Agent> FindAsync() => (await _agents.FindAsync("t", _agent.Id, default))!;
}

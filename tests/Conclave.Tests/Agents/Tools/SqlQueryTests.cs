using System.Text.Json;
using Conclave.Agents.Tools;
using Conclave.Tests.Runtime.Postgres;

namespace Conclave.Tests.Agents.Tools;

/// <summary>Databases are read, and never written, whatever the statement says.</summary>
public sealed class SqlQueryTests : IAsyncLifetime
{
    private ToolHost _host = null!;

    public async Task InitializeAsync()
    {
        var database = await PostgresServer.NewDatabaseAsync();
        await database.ExecuteAsync("create table orders (id int primary key, city text, amount numeric); insert into orders select i, 'c' || i, i * 1.5 from generate_series(1, 20) i");
        _host = await ToolHost.StartAsync(on: database, options: new ToolOptions { Sql = { ["default"] = database.ConnectionString } });
    }

    public async Task DisposeAsync() => await _host.DisposeAsync();

    [Fact]
    public async Task Select_GivesRows()
    {
        var output = await _host.OutputAsync("sql-query", """{"query":"select id, city, amount, null as nothing from orders where id > $1 and city like $2 order by id","parameters":[5,"c1%"],"maxRows":2}""");

        Assert.Equal("""{"columns":["id","city","amount","nothing"],"rows":[[10,"c10",15.0,null],[11,"c11",16.5,null]],"isComplete":false}""", output.GetRawText());
        Assert.True((await _host.OutputAsync("sql-query", """{"query":"with n as (select 1 as a) select * from n;"}""")).GetProperty("isComplete").GetBoolean());
    }

    [Theory]
    [InlineData("with gone as (delete from orders returning id) select * from gone")]
    [InlineData("select 1; delete from orders")]
    [InlineData("select 1; commit; delete from orders; begin")]
    [InlineData("select set_config('transaction_read_only', 'off', true) union all select 'x' from (select 1) s where exists (select from orders for update)")]
    [InlineData("explain analyze delete from orders")]
    [InlineData("values (1); drop table orders")]
    [InlineData("select * from orders for update")]
    [InlineData("select nothing from nowhere")]
    public async Task Statement_ThatWrites_OrMakesNoSense_IsRefused(string query)
    {
        await _host.FailAsync("tool.sql_failed", "sql-query", JsonSerializer.Serialize(new Dictionary<string, string> { ["query"] = query }));

        Assert.Equal(20, await _host.Database.QueryAsync<long>("select count(*) from orders"));
    }

    [Theory]
    [InlineData("delete from orders")]
    [InlineData("set transaction read write")]
    [InlineData("/* select */ drop table orders")]
    [InlineData("copy orders to program 'id'")]
    public async Task Statement_ThatDoesNotRead_IsRefusedBeforeItRuns(string query) =>
        await _host.FailAsync("tool.sql_refused", "sql-query", JsonSerializer.Serialize(new Dictionary<string, string> { ["query"] = query }));
}

namespace Conclave.Tests.Runtime.Postgres;

public sealed class PostgresServerTests
{
    [Fact]
    public async Task NewDatabase_ManyAtOnce_EachIsMigratedAndAlone()
    {
        var databases = await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => PostgresServer.NewDatabaseAsync()));

        await Task.WhenAll(databases.Select((d, i) => d.ExecuteAsync(
            $"create table note (number int primary key); insert into note values ({i})")));

        for (var i = 0; i < databases.Length; i++)
        {
            Assert.Equal(i, await databases[i].QueryAsync<int>("select sum(number)::int from note"));
            Assert.True(await databases[i].QueryAsync<long>("select count(*) from conclave.schema_version") > 0);
            await databases[i].DisposeAsync();
        }
    }

    [Fact]
    public async Task Dispose_WithOpenSession_DropsTheDatabase()
    {
        await using var other = await PostgresServer.NewEmptyDatabaseAsync();
        var database = await PostgresServer.NewDatabaseAsync();
        var session = await database.OpenConnectionAsync();

        await database.DisposeAsync();

        Assert.Equal(0, await other.QueryAsync<long>($"select count(*) from pg_database where datname = '{database.Name}'"));
        await session.DisposeAsync();
    }
}

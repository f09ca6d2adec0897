using Npgsql;

namespace Conclave.Tests.Runtime.Postgres;

/// <summary>A database of one test; goes wherever a data source is asked for.</summary>
internal sealed class TestDatabase : IAsyncDisposable
{
    private readonly NpgsqlDataSource _admin;

    internal TestDatabase(NpgsqlDataSource admin, string server, string name, Action<NpgsqlDataSourceBuilder>? configure)
    {
        _admin = admin;
        Name = name;
        var builder = new NpgsqlDataSourceBuilder(server);
        builder.ConnectionStringBuilder.Database = name;
        builder.ConnectionStringBuilder.MaxPoolSize = 20;
        builder.ConnectionStringBuilder.IncludeErrorDetail = true;
        configure?.Invoke(builder);
        ConnectionString = builder.ConnectionString;
        DataSource = builder.Build();
    }

    public string Name { get; }

    /// <summary>Connects to this database, password included.</summary>
    public string ConnectionString { get; }

    public NpgsqlDataSource DataSource { get; }

    public static implicit operator NpgsqlDataSource(TestDatabase database) => database.DataSource;

    public NpgsqlCommand CreateCommand(string sql) => DataSource.CreateCommand(sql);

    public ValueTask<NpgsqlConnection> OpenConnectionAsync() => DataSource.OpenConnectionAsync();

    public Task ExecuteAsync(string sql) => PostgresServer.ExecuteAsync(DataSource, sql);

    /// <summary>The first column of the first row.</summary>
    public async Task<T> QueryAsync<T>(string sql)
    {
#pragma warning disable CA2100    // a test's own text
        await using var command = DataSource.CreateCommand(sql);
#pragma warning restore CA2100
        return (T)(await command.ExecuteScalarAsync())!;
    }

    public async ValueTask DisposeAsync()
    {
        await DataSource.DisposeAsync();
        await PostgresServer.ExecuteAsync(_admin, $"drop database if exists {Name} with (force)");
    }
}

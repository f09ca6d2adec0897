using System.Text.RegularExpressions;
using Conclave.EndToEnd.Faults;
using Npgsql;

namespace Conclave.EndToEnd.Accounts;

/// <summary>One server for the tests of accounts, with an administrator and somebody of each role. Its sessions are checked with every request.</summary>
public sealed partial class AccountServer : IAsyncLifetime
{
    /// <summary>Name of the tests' collection.</summary>
    public const string Name = "account server";

    /// <summary>Everybody's password.</summary>
    public const string Password = "correct horse battery";

    private FaultDatabase _database = null!;

    internal ServerProcess Server { get; private set; } = null!;

    internal NpgsqlDataSource Database => _database.Source;

    internal static string[] Settings(string connectionString) =>
        [$"ConnectionStrings:Conclave={connectionString}", "Accounts:AttemptsPerMinute=100000", "Accounts:SessionCheck=0", "Accounts:LockoutTime=01:00:00", "Scripting:AllowCSharp=true"];

    /// <summary>The token of the set-up link that a server told.</summary>
    internal static async Task<string> SetupTokenAsync(ServerProcess server)
    {
        await ServerProcess.UntilAsync(() => Task.FromResult(server.Output.Any(l => Token().IsMatch(l))), "the server tells its set-up link");
        return Token().Match(server.Output.First(l => Token().IsMatch(l))).Groups[1].Value;
    }

    public async Task InitializeAsync()
    {
        _database = await FaultDatabase.NewAsync();
        Server = await ServerProcess.StartAsync(null, Settings(_database.ConnectionString));
        Server.Document = new ApiDocument(await Server.GetAsync("/openapi/v1.json"));
        using var browser = new Browser(Server);
        var token = await SetupTokenAsync(Server);
        (await browser.SubmitAsync($"/setup?token={token}", "/setup", ("token", token), ("userName", "root"), ("password", Password), ("again", Password))).Is(302);
        foreach (var role in (string[])["author", "operator", "viewer"])
            await MakeAccountAsync(role, role);
    }

    public async Task DisposeAsync()
    {
        var key = (await File.ReadAllTextAsync(Path.Combine(Server.DataFolder, "api-key"))).Trim();
        await Server.DisposeAsync();
        await _database.DisposeAsync();
        SharedServer.AssertCleanLog(Server, key);
        Assert.All(Server.Output, line => Assert.DoesNotContain(Password, line, StringComparison.Ordinal));
    }

    /// <summary>Makes an account with <see cref="Password"/>; gives its name.</summary>
    internal async Task<string> MakeAccountAsync(string role, string? name = null)
    {
        name ??= SharedServer.NewId();
        (await Server.CallAsync("POST /elsa/api/identity/users", $$"""{"name":"{{name}}","password":"{{Password}}","roles":["{{role}}"]}""")).Is(200);
        return name;
    }

    /// <summary>A browser in which somebody is signed in.</summary>
    internal async Task<Browser> SignedInAsync(string userName, string password = Password)
    {
        var browser = new Browser(Server);
        (await browser.SignInAsync(userName, password)).Is(302);
        return browser;
    }

    /// <summary>An access token and a refresh token.</summary>
    internal async Task<(string Access, string Refresh)> LogInAsync(string userName, string password = Password)
    {
        var reply = (await Server.CallAsync("POST /elsa/api/identity/login", $$"""{"username":"{{userName}}","password":"{{password}}"}""")).Is(200);
        return (reply["accessToken"].GetString()!, reply["refreshToken"].GetString()!);
    }

    internal async Task<string> IdOfAsync(string userName)
    {
        await using var command = Database.CreateCommand("select id from conclave.account where user_name = $1");
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = userName });
        return (string)(await command.ExecuteScalarAsync())!;
    }

    /// <summary>Changes rows, for example their times, so that no test has to wait.</summary>
    internal async Task<int> ExecuteAsync(string sql, string value)
    {
#pragma warning disable CA2100    // a test's own text
        await using var command = Database.CreateCommand(sql);
#pragma warning restore CA2100
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = value });
        return await command.ExecuteNonQueryAsync();
    }

    [GeneratedRegex("setup\\?token=([0-9a-f]{64})")]
    private static partial Regex Token();
}

[CollectionDefinition(AccountServer.Name)]
public sealed class AccountServerTests : ICollectionFixture<AccountServer>;

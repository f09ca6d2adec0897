using System.Text.Json;

namespace Conclave.EndToEnd;

/// <summary>One server for all tests of the API and of webhooks. Each test uses ids of its own.</summary>
public sealed class SharedServer : IAsyncLifetime
{
    /// <summary>Name of the tests' collection.</summary>
    public const string Name = "shared server";

    internal ServerProcess Server { get; private set; } = null!;

    /// <summary>An id that nobody else uses.</summary>
    public static string NewId() => $"t{Guid.NewGuid():N}";

    public async Task InitializeAsync()
    {
        Server = await ServerProcess.StartAsync();
        // From here on every answer of every test is held against the document.
        Server.Document = new ApiDocument(await Server.GetAsync("/openapi/v1.json"));
    }

    /// <summary>Whatever the tests did to it: a request must not make the server fail, or give its key away.</summary>
    public async Task DisposeAsync()
    {
        var key = (await File.ReadAllTextAsync(Path.Combine(Server.DataFolder, "api-key"))).Trim();
        await Server.DisposeAsync();
        AssertCleanLog(Server, key);
    }

    internal static void AssertCleanLog(ServerProcess server, string key)
    {
        Assert.NotEmpty(server.Output);
        Assert.All(server.Output, line => Assert.DoesNotContain(key, line, StringComparison.Ordinal));
        var errors = server.Output.Where(IsError).ToList();
        Assert.True(errors.Count == 0, string.Join('\n', errors));
    }

    // Whatever is no JSON was not logged, but written by a crash.
    private static bool IsError(string line)
    {
        if (!line.StartsWith('{'))
            return line.Length > 0;
        var level = JsonElement.Parse(line).GetProperty("level").GetString();
        return level is not ("Verbose" or "Debug" or "Information" or "Warning");
    }
}

[CollectionDefinition(SharedServer.Name)]
public sealed class SharedServerTests : ICollectionFixture<SharedServer>;

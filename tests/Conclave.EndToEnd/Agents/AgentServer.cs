using System.Net;
using System.Text;
using System.Text.Json;
using Conclave.Tests.Inference.Doubles;

namespace Conclave.EndToEnd.Agents;

/// <summary>A server with the behaviours that ship, and a model that says what a test wants.</summary>
public sealed class AgentServer : IAsyncLifetime
{
    public const string Name = "agents";

    internal OpenAIDouble Model { get; } = new();

    internal ServerProcess Server { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        Model.Models.Clear();
        Model.Models.Add(new DoubleModel("brain") { CanCallTools = true });
        await Model.StartAsync();
        Server = await ServerProcess.StartAsync(null, Settings(Model));
        Server.Document = new ApiDocument(await Server.GetAsync("/openapi/v1.json"));
        await UntilModelAsync(Server);
    }

    public async Task DisposeAsync()
    {
        var key = (await File.ReadAllTextAsync(Path.Combine(Server.DataFolder, "api-key"))).Trim();
        await Server.DisposeAsync();
        await Model.DisposeAsync();
        SharedServer.AssertCleanLog(Server, key);
    }

    internal static string[] Settings(OpenAIDouble model) =>
    [
        $"Workflows:Folder={Path.Combine(Repository(), "workflows")}", "Inference:DiscoverOllama=false",
        "Inference:Servers:0:Name=double", "Inference:Servers:0:Provider=openai-compatible", $"Inference:Servers:0:Address={model.Address}",
        "Inference:Servers:0:Models:0:Name=brain", "Inference:Servers:0:Models:0:Capabilities=Chat, Tools, JsonSchema",
    ];

    internal static Task UntilModelAsync(ServerProcess server) =>
        ServerProcess.UntilAsync(async () => (await server.GetAsync("/v1/models")).GetProperty("data").EnumerateArray().Any(m => m.GetProperty("id").GetString()!.Contains("brain", StringComparison.Ordinal)), "the model is known");

    /// <summary>The folder of the repository.</summary>
    internal static string Repository()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "Platform.sln")))
            folder = folder.Parent ?? throw new InvalidOperationException("The tests run outside of the repository.");
        return folder.FullName;
    }
}

[CollectionDefinition(AgentServer.Name)]
public sealed class AgentServerTests : ICollectionFixture<AgentServer>;

/// <summary>What tests do with agents.</summary>
internal static class AgentCalls
{
    /// <summary>Makes an agent and gives its id.</summary>
    public static async Task<string> NewAgentAsync(this ServerProcess server, string configuration) =>
        (await server.PostAsync("/api/agents", $$"""{"name":"{{SharedServer.NewId()}}","configuration":{{configuration}}}""")).GetProperty("id").GetString()!;

    /// <summary>Says something and waits for the end of the turn.</summary>
    public static async Task<JsonElement> AskAsync(this ServerProcess server, string agent, string message, string? conversation = null)
    {
        var started = await server.PostAsync($"/api/agents/{agent}/messages", JsonSerializer.Serialize(new { message, conversationId = conversation }));
        return await server.EndOfTurnAsync(agent, started.GetProperty("turnId").GetString()!);
    }

    /// <summary>Waits for the end of a turn.</summary>
    public static async Task<JsonElement> EndOfTurnAsync(this ServerProcess server, string agent, string turn)
    {
        JsonElement found = default;
        await ServerProcess.UntilAsync(
            async () => (found = await server.GetAsync($"/api/agents/{agent}/turns/{turn}")).GetProperty("status").GetString() is "completed" or "failed" or "cancelled", $"turn {turn} ends");
        return found;
    }

    /// <summary>Reads server-sent events until the stream ends.</summary>
    public static async Task<List<(string? Id, string? Event, JsonElement Data)>> ReadEventsAsync(this ServerProcess server, HttpRequestMessage request, Func<string?, bool>? stop = null)
    {
        request.Headers.Accept.ParseAdd("text/event-stream");
        using var response = await server.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.MediaType);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
        var events = new List<(string?, string?, JsonElement)>();
        string? id = null, name = null;
        while (await reader.ReadLineAsync() is { } line)
        {
            if (line.StartsWith("id: ", StringComparison.Ordinal))
                id = line[4..];
            else if (line.StartsWith("event: ", StringComparison.Ordinal))
                name = line[7..];
            else if (line.StartsWith("data: ", StringComparison.Ordinal))
            {
                events.Add((id, name, JsonElement.Parse(line[6..])));
                if (stop?.Invoke(name) == true)
                    break;
            }
        }

        return events;
    }

    public static HttpRequestMessage Message(string agent, string message, string? conversation = null) => new(HttpMethod.Post, $"/api/agents/{agent}/messages")
    {
        Content = new StringContent(JsonSerializer.Serialize(new { message, conversationId = conversation }), Encoding.UTF8, "application/json"),
    };
}

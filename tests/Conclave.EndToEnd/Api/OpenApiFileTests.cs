using System.Text.Json.Nodes;
using Conclave.EndToEnd.Faults;

namespace Conclave.EndToEnd.Api;

/// <summary>The document is made once, by another process, and kept.</summary>
public sealed class OpenApiFileTests
{
    [Fact]
    public async Task Document_IsMadeOnceAndKeptWithTheData()
    {
        await using var database = await FaultDatabase.NewAsync();
        var folder = ServerProcess.NewFolder();
        string[] settings = [$"ConnectionStrings:Conclave={database.ConnectionString}", "Roles=web"];
        string file;
        await using (var first = await ServerProcess.StartAsync(folder, settings))
        {
            var answers = await Task.WhenAll(first.GetAsync("/openapi/v1.json"), first.GetAsync("/openapi/v1.json"));
            file = Assert.Single(Directory.GetFiles(folder, "openapi-*"));
            Assert.All(answers, a => Assert.Equal(File.ReadAllText(file), a.GetRawText()));
            Assert.DoesNotContain(first.Output, line => line.Contains("makes the OpenAPI document failed", StringComparison.Ordinal));
        }

        // Whatever is in the file is what the next server answers.
        var changed = JsonNode.Parse(await File.ReadAllTextAsync(file))!;
        changed["info"]!["title"] = "Kept";
        await File.WriteAllTextAsync(file, changed.ToJsonString());
        await using (var second = await ServerProcess.StartAsync(folder, settings))
            Assert.Equal("Kept", (await second.GetAsync("/openapi/v1.json")).GetProperty("info").GetProperty("title").GetString());
        await ServerProcess.RemoveAsync(folder);
    }
}

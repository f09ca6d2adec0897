using System.Net;
using System.Text;
using System.Text.Json;
using Conclave.Workflows.Runtime.Postgres;

namespace Conclave.EndToEnd.Faults;

/// <summary>Requests that come too early.</summary>
public sealed class StartingTests
{
    [Fact]
    public async Task Webhook_WhileTheServerStarts_IsToldToComeAgainAndIsAnsweredThen()
    {
        await using var database = await FaultDatabase.NewAsync();
        var folder = ServerProcess.NewFolder();
        string[] settings = [$"ConnectionStrings:Conclave={database.ConnectionString}", "Roles=web"];
        await using (var before = await ServerProcess.StartAsync(folder, settings))
            await before.PublishAsync("early", Json.Workflow("early", $"{Json.Webhook("early")}, {Json.Line("say")}"));
        // Start-up waits for this lock, as it would for a slow database.
        await using var holder = await database.Source.OpenConnectionAsync();
        await ExecuteAsync($"select pg_advisory_lock({SchemaMigrator.LockKey})");

        await using (var server = await ServerProcess.ListenAsync(folder, settings))
        {
            using var refused = await SendAsync(server);
            await ExecuteAsync($"select pg_advisory_unlock({SchemaMigrator.LockKey})");
            await server.WaitUntilReadyAsync();
            using var answered = await SendAsync(server);

            Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
            Assert.Equal("application/problem+json", refused.Content.Headers.ContentType?.MediaType);
            Assert.True(refused.Headers.RetryAfter?.Delta > TimeSpan.Zero);
            Assert.Equal("server.starting", JsonElement.Parse(await refused.Content.ReadAsStringAsync()).GetProperty("code").GetString());
            Assert.Equal(HttpStatusCode.OK, answered.StatusCode);
            Assert.False(answered.Headers.Contains("Idempotent-Replayed"));
            Assert.Equal(1, await database.FinishedAsync("early"));
        }

        await ServerProcess.RemoveAsync(folder);

        async Task ExecuteAsync(string sql)
        {
            await using var command = holder.CreateCommand();
#pragma warning disable CA2100    // The test's own texts.
            command.CommandText = sql;
#pragma warning restore CA2100
            await command.ExecuteNonQueryAsync();
        }
    }

    /// <summary>The same request each time: what was refused must not count as handled.</summary>
    private static async Task<HttpResponseMessage> SendAsync(ServerProcess server)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/workflows/early") { Content = new StringContent("{}", Encoding.UTF8, "application/json") };
        request.Headers.Add("Idempotency-Key", "one");
        return await server.Http.SendAsync(request);
    }
}

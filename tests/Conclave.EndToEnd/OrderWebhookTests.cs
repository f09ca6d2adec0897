using System.Net;
using System.Text;
using System.Text.Json;

namespace Conclave.EndToEnd;

/// <summary>The README's story: a real order, a server killed in between, a payment.</summary>
public sealed class OrderWebhookTests
{
    [Fact]
    public async Task Order_ServerKilledWhileItWaits_IsPaidAfterTheRestart()
    {
        var folder = ServerProcess.NewFolder();
        try
        {
            await using var first = await ServerProcess.StartAsync(folder, $"Workflows:Folder={Samples}");
            var answer = await PostAsync(first, "/workflows/orders", await File.ReadAllTextAsync(Path.Combine(Samples, "order-webhook", "order.json")));
            Assert.Equal(HttpStatusCode.Accepted, answer.StatusCode);
            var order = JsonElement.Parse(await answer.Content.ReadAsStringAsync());
            Assert.Equal(("1001", 377.15m), (order.GetProperty("order").GetString(), order.GetProperty("total").GetDecimal()));
            var refused = await PostAsync(first, "/workflows/orders", await File.ReadAllTextAsync(Path.Combine(Samples, "order-intake", "bad-order.json")));
            Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);

            await first.KillAsync();

            await using var second = await ServerProcess.StartAsync(folder, $"Workflows:Folder={Samples}");
            await ServerProcess.ReadAsync(await PostAsync(second, "/workflows/payments", """{ "order": 1001, "method": "card" }"""));
            var status = order.GetProperty("statusUrl").GetString()!;
            await ServerProcess.UntilAsync(async () => (await second.GetAsync(status)).GetProperty("subStatus").GetString() == "Finished", "the order is paid");
            Assert.Equal("Paid by card", (await second.GetAsync(status)).GetProperty("output").GetProperty("Status").GetString());
        }
        finally
        {
            await ServerProcess.RemoveAsync(folder);
        }
    }

    private static string Samples
    {
        get
        {
            var place = new DirectoryInfo(AppContext.BaseDirectory);
            while (!File.Exists(Path.Combine(place.FullName, "Platform.sln")))
                place = place.Parent!;
            return Path.Combine(place.FullName, "workflows", "samples");
        }
    }

    private static Task<HttpResponseMessage> PostAsync(ServerProcess server, string path, string json) =>
        server.Http.PostAsync(path, new StringContent(json, Encoding.UTF8, "application/json"));
}

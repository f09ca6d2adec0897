using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using static Conclave.Tests.Json;

namespace Conclave.EndToEnd.Webhooks;

[Collection(SharedServer.Name)]
public sealed class SignatureTests(SharedServer shared)
{
    private const string Body = """{"a":"ü"}""";
    private const string Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    private readonly ServerProcess _server = shared.Server;
    private readonly string _id = SharedServer.NewId();

    [Theory]
    [InlineData("StandardWebhooks")]
    [InlineData("GitHub")]
    [InlineData("Stripe")]
    [InlineData("Slack")]
    public async Task Request_IsTakenOnlyWithAGoodSignature(string scheme)
    {
        await _server.PublishAsync(_id, Flows.WebEcho(_id, "POST", ("signatureScheme", Literal(scheme)), ("signatureSecret", Literal(Secret))));
        var call = $"POST /workflows/{_id}";

        var unsigned = (await _server.CallAsync(call, Body)).IsProblem(401, "http_endpoint.bad_signature");
        (await _server.CallAsync(call, Body, Sign(scheme, Body + " ", 0))).IsProblem(401, "http_endpoint.bad_signature");
        if (scheme != "GitHub")
            (await _server.CallAsync(call, Body, Sign(scheme, Body, -3600))).IsProblem(401, "http_endpoint.bad_signature");
        Assert.Empty(await _server.ItemsAsync($"/api/instances?definitionId={_id}"));
        (await _server.CallAsync(call, Body, Sign(scheme, Body, 0))).Is(200);

        Assert.Contains(scheme, unsigned.Header("WWW-Authenticate"), StringComparison.Ordinal);
        Assert.DoesNotContain("whsec", unsigned.Text, StringComparison.Ordinal);
        Assert.Single(await _server.ItemsAsync($"/api/instances?definitionId={_id}"));
        if (scheme == "StandardWebhooks")
            Assert.Equal("true", (await _server.CallAsync(call, Body, Sign(scheme, Body, 0))).Is(200).Header("Idempotent-Replayed"));
    }

    private string[] Sign(string scheme, string body, int seconds)
    {
        var time = DateTimeOffset.UtcNow.AddSeconds(seconds).ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
        return scheme switch
        {
            "StandardWebhooks" => [$"webhook-id: {_id}", $"webhook-timestamp: {time}", $"webhook-signature: v1,{Convert.ToBase64String(Hash(Convert.FromBase64String(Secret[6..]), $"{_id}.{time}.{body}"))}"],
            "GitHub" => [$"X-Hub-Signature-256: sha256={Hex(body)}"],
            "Stripe" => [$"Stripe-Signature: t={time},v1={Hex($"{time}.{body}")}"],
            _ => [$"X-Slack-Request-Timestamp: {time}", $"X-Slack-Signature: v0={Hex($"v0:{time}:{body}")}"],
        };
    }

    private static string Hex(string text) => Convert.ToHexStringLower(Hash(Encoding.UTF8.GetBytes(Secret), text));

    private static byte[] Hash(byte[] key, string text) => HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(text));
}

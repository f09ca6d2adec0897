using System.Text;
using Conclave.Workflows.Http;

namespace Conclave.Tests.Http;

/// <summary>Vectors are those of the public documentation of each scheme; Stripe publishes none, so its one was computed with another program.</summary>
public sealed class WebhookSignatureTests
{
    private const string StandardSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    private const string StandardGood = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    private const string GitHubSecret = "It's a Secret to Everybody";
    private const string GitHubGood = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    private const string SlackSecret = "8f742231b10e8888abcd99yyyzzz85a5";
    private const string SlackGood = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
    private const string SlackBody =
        "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA"
        + "&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554"
        + "%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";

    private const string StripeSecret = "whsec_test_secret";
    private const string StripeGood = "v1=STRIPE";

    [Theory]
    [InlineData(StandardGood, null)]
    [InlineData("v1,AAAA " + StandardGood + " v1a,AAAA v2,x", null)]
    [InlineData("v1,AAAA", "does not fit")]
    [InlineData("v1,", "does not fit")]
    [InlineData("v1,%%%", "does not fit")]
    [InlineData("v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", "does not fit")]
    [InlineData("g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", "does not fit")]
    [InlineData("v1a,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", "Ed25519")]
    [InlineData("", "does not fit")]
    [InlineData(null, "webhook-signature")]
    public void Standard_Signature_IsChecked(string? signature, string? refusal) => Check(refusal, Standard(signature));

    [Theory]
    [InlineData(null, "1614265330", "no header webhook-id")]
    [InlineData("", "1614265330", "no header webhook-id")]
    [InlineData("msg_other", "1614265330", "does not fit")]
    [InlineData("msg_p5jXN8AQM9LWM0D4loKWxJek.1", "1614265330", "full stop")]
    [InlineData("msg_p5jXN8AQM9LWM0D4loKWxJek", null, "no header webhook-timestamp")]
    [InlineData("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265331", "does not fit")]
    [InlineData("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330.5", "not a number")]
    [InlineData("msg_p5jXN8AQM9LWM0D4loKWxJek", " 1614265330", "not a number")]
    [InlineData("msg_p5jXN8AQM9LWM0D4loKWxJek", "-1", "not a number")]
    [InlineData("msg_p5jXN8AQM9LWM0D4loKWxJek", "", "not a number")]
    [InlineData("msg_p5jXN8AQM9LWM0D4loKWxJek", "99999999999999999999999", "not a number")]
    [InlineData("msg_p5jXN8AQM9LWM0D4loKWxJek", "999999999999999", "ahead")]
    [InlineData("msg_p5jXN8AQM9LWM0D4loKWxJek", "0", "ago")]
    public void Standard_IdAndTime_AreChecked(string? id, string? timestamp, string refusal) => Check(refusal, Standard(StandardGood, id, timestamp));

    [Theory]
    [InlineData(300, null)]
    [InlineData(-300, null)]
    [InlineData(301, "301 seconds ago; at most 300")]
    [InlineData(-301, "301 seconds ahead")]
    public void Standard_Age_IsWithinTheTolerance(int seconds, string? refusal) =>
        Check(refusal, Standard(StandardGood, now: DateTimeOffset.FromUnixTimeSeconds(1614265330 + seconds)));

    [Theory]
    [InlineData("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", null)]
    [InlineData("whsec_AAAA " + StandardSecret, null)]
    [InlineData("not-base64! " + StandardSecret, null)]
    [InlineData("whsec_AAAA\nwhsec_BBBB", "does not fit")]
    [InlineData("whpk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "does not fit")]
    [InlineData("whsec_", "does not fit")]
    [InlineData(" \n", "no secret")]
    [InlineData(null, "no secret")]
    public void Standard_Secrets_OneMustFit(string? secrets, string? refusal) => Check(refusal, Standard(StandardGood, secrets: secrets));

    [Fact]
    public void Standard_OtherBody_IsRefused() => Check("does not fit", Standard(StandardGood, body: """{"test": 2432232315}"""));

    [Theory]
    [InlineData(GitHubSecret, GitHubGood, "Hello, World!", null)]
    [InlineData("other\n" + GitHubSecret, GitHubGood, "Hello, World!", null)]
    [InlineData(GitHubSecret, "sha256=757107EA0EB2509FC211221CCE984B8A37570B6D7586C22C46F4379C8B043E17", "Hello, World!", null)]
    [InlineData("Everybody", GitHubGood, "Hello, World!", "does not fit")]
    [InlineData(GitHubSecret, GitHubGood, "Hello, World", "does not fit")]
    [InlineData(GitHubSecret, "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17", "Hello, World!", "does not fit")]
    [InlineData(GitHubSecret, "sha256=", "Hello, World!", "does not fit")]
    [InlineData(GitHubSecret, "sha256=757107ea", "Hello, World!", "does not fit")]
    [InlineData(GitHubSecret, GitHubGood + "00", "Hello, World!", "does not fit")]
    [InlineData(GitHubSecret, "sha256=zz7107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17", "Hello, World!", "does not fit")]
    [InlineData(GitHubSecret, null, "Hello, World!", "X-Hub-Signature-256")]
    public void GitHub_Signature_IsChecked(string secrets, string? signature, string body, string? refusal) =>
        Check(refusal, Verify("GitHub", secrets, DateTimeOffset.MaxValue, body, ("X-Hub-Signature-256", signature)));

    [Fact]
    public void SplitSecrets_OfGitHub_KeepsSentencesWhole()
    {
        Assert.Equal([GitHubSecret, "b"], WebhookSignature.SplitSecrets("GitHub", $" {GitHubSecret}\r\n b \n"));
        Assert.Equal(["a", "b", "c"], WebhookSignature.SplitSecrets("Slack", " a b\n\tc "));
    }

    [Theory]
    [InlineData("t=1492774577," + StripeGood, null)]
    [InlineData("t=1492774577, v1=00, v0=xx, " + StripeGood, null)]
    [InlineData(StripeGood + ",t=1492774577", null)]
    [InlineData("t=1492774577,v0=STRIPE", "does not fit")]
    [InlineData("t=1492774577", "does not fit")]
    [InlineData("t=1492774578," + StripeGood, "does not fit")]
    [InlineData(StripeGood, "no time")]
    [InlineData("t=1492774577,t=1492774577," + StripeGood, "more than one")]
    [InlineData("t=x," + StripeGood, "not a number")]
    [InlineData("t=1492774000," + StripeGood, "ago")]
    [InlineData("", "no time")]
    [InlineData(null, "Stripe-Signature")]
    public void Stripe_Signature_IsChecked(string? header, string? refusal) => Check(refusal, Verify(
        "Stripe", StripeSecret, DateTimeOffset.FromUnixTimeSeconds(1492774577), """{"id":"evt_1"}""", ("stripe-signature", header?.Replace("STRIPE", StripeHex, StringComparison.Ordinal))));

    [Theory]
    [InlineData(SlackGood, "1531420618", null)]
    [InlineData(SlackGood, "1531420619", "does not fit")]
    [InlineData(SlackGood, "1531420000", "ago")]
    [InlineData(SlackGood, "x", "not a number")]
    [InlineData(SlackGood, null, "X-Slack-Request-Timestamp")]
    [InlineData("v1=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503", "1531420618", "does not fit")]
    [InlineData(null, "1531420618", "X-Slack-Signature")]
    public void Slack_Signature_IsChecked(string? signature, string? timestamp, string? refusal) => Check(refusal, Verify(
        "Slack", SlackSecret, DateTimeOffset.FromUnixTimeSeconds(1531420618), SlackBody, ("X-Slack-Signature", signature), ("X-Slack-Request-Timestamp", timestamp)));

    [Fact]
    public void Verify_UnknownScheme_IsRefused() => Check("not known", Verify("None", "x", DateTimeOffset.UnixEpoch, ""));

    [Theory]
    [InlineData("StandardWebhooks", StandardSecret, null)]
    [InlineData("StandardWebhooks", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", null)]
    [InlineData("StandardWebhooks", "whpk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "not supported")]
    [InlineData("StandardWebhooks", "whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "not supported")]
    [InlineData("StandardWebhooks", "whsec_!", "base64")]
    [InlineData("Stripe", "anything", null)]
    public void SecretProblem_Secret_IsJudged(string scheme, string secret, string? problem)
    {
        var found = WebhookSignature.SecretProblem(scheme, secret);

        Check(problem, found);
        Assert.DoesNotContain(secret, found ?? "", StringComparison.Ordinal);
    }

    private const string StripeHex = "799c4ba7bb339f3c8601adfd112f0e477c930a268be1243d341abb8286501c2f";

    private static string? Standard(
        string? signature,
        string? id = "msg_p5jXN8AQM9LWM0D4loKWxJek",
        string? timestamp = "1614265330",
        DateTimeOffset? now = null,
        string? secrets = StandardSecret,
        string body = """{"test": 2432232314}""") =>
        Verify("StandardWebhooks", secrets, now ?? DateTimeOffset.FromUnixTimeSeconds(1614265330), body, ("Webhook-Id", id), ("webhook-timestamp", timestamp), ("webhook-signature", signature));

    private static string? Verify(string scheme, string? secrets, DateTimeOffset now, string body, params (string Name, string? Value)[] headers) =>
        WebhookSignature.Verify(
            scheme,
            WebhookSignature.SplitSecrets(scheme, secrets),
            WebhookSignature.DefaultTolerance,
            now,
            name => Array.Find(headers, h => h.Name.Equals(name, StringComparison.OrdinalIgnoreCase)).Value,
            Encoding.UTF8.GetBytes(body));

    private static void Check(string? expected, string? refusal)
    {
        if (expected is null)
            Assert.Null(refusal);
        else
            Assert.Contains(expected, refusal, StringComparison.Ordinal);
    }
}

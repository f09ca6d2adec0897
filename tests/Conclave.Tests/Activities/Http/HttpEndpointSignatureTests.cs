using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Conclave.Workflows.Activities;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;
using Conclave.Workflows.Http;
using static Conclave.Tests.Json;

namespace Conclave.Tests.Activities.Http;

public sealed class HttpEndpointSignatureTests
{
    private const string Secret = "a secret";

    [Fact]
    public async Task Start_Signed_IsTaken() => (await StartAsync(Endpoint(), Signed())).Finished();

    [Fact]
    public async Task Start_NotSigned_IsRefusedBeforeAnythingElse()
    {
        var endpoint = Endpoint(("requestSizeLimit", Literal(1)), ("exposeRequestTooLargeOutcome", true), ("headers", To("headers")));

        var run = await StartAsync(endpoint, Signed() with { Body = "{}"u8.ToArray() });

        run.Faulted("does not fit");
        Assert.False(run.Instance.Output.TryGetValue("headers", out var headers) && headers is not null);
    }

    [Fact]
    public async Task Resume_NotSigned_IsAnsweredAndTheEndpointGoesOnWaiting()
    {
        var waiting = await HttpTest.RunAsync(Sequence("s", Endpoint(), Write("after")));
        var exchange = new FakeExchange();

        await ResumeAsync(waiting, Signed() with { Headers = new Dictionary<string, string[]>() }, exchange);

        Assert.Equal((401, "application/problem+json"), (exchange.StatusCode, exchange.ContentType));
        var problem = JsonElement.Parse(exchange.Body);
        Assert.Equal(("http_endpoint.bad_signature", "Unauthorized"), (problem.GetProperty("code").GetString(), problem.GetProperty("title").GetString()));
        Assert.Contains("X-Hub-Signature-256", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
        Assert.Equal(["Signature scheme=\"GitHub\""], exchange.Headers["WWW-Authenticate"]);
        Assert.Equal(["in"], waiting.Waiting());

        await waiting.ResumeAsync("in", Signed());

        waiting.Finished("after");
    }

    [Fact]
    public async Task Secret_FromAnExpression_IsNotStored()
    {
        var root = Sequence("s", Endpoint(("signatureSecret", Variable("secret"))));
        var workflow = Workflow(root, Variable("secret", "String", "old"));
        var waiting = await HttpTest.Engine().RunAsync(workflow);

        await ResumeAsync(waiting, Signed("old") with { Body = [] }, new FakeExchange());

        Assert.Equal(["in"], waiting.Waiting());
        var context = waiting.Instance.Bookmarks[0].Context;
        Assert.DoesNotContain("old", context.Inputs ?? []);
        await ResumeAsync(waiting, Signed("old"), new FakeExchange());
        waiting.Finished();
    }

    [Fact]
    public async Task Secret_IsEmptyAtRunTime_RefusesAll()
    {
        var run = await HttpTest.Engine().RunAsync(
            Workflow(Endpoint(("signatureSecret", Variable("secret"))), Variable("secret", "String")),
            new WorkflowStart { TriggerActivityId = "in", TriggerInput = Signed("") });

        run.Faulted("no secret");
    }

    [Fact]
    public async Task Multipart_IsCheckedOverItsRawBytes()
    {
        var form = new Dictionary<string, string[]> { ["a"] = ["1"] };
        var raw = Signed();
        var empty = Signed(body: "");

        (await StartAsync(Endpoint(), raw with { Body = [], Form = form, RawBody = raw.Body })).Finished();
        (await StartAsync(Endpoint(), raw with { Body = [], Form = form, RawBody = [1] })).Faulted("does not fit");
        (await StartAsync(Endpoint(), empty with { Form = form })).Faulted("not kept");
        (await StartAsync(Endpoint(), empty with { Files = [new HttpFileData("f", "a", null, [1])] })).Faulted("not kept");
    }

    [Fact]
    public async Task Time_OfAStoredRequest_IsThatOfItsArrival()
    {
        var signed = Slack(DateTimeOffset.FromUnixTimeSeconds(1_000_000));
        var endpoint = Endpoint(("signatureScheme", Literal("slack")));
        var stored = ValueConverter.ToJson(signed with { ReceivedAt = DateTimeOffset.FromUnixTimeSeconds(1_000_010), RawBody = signed.Body });

        (await StartAsync(endpoint.DeepClone(), signed)).Faulted("ago");
        (await StartAsync(endpoint, JsonElement.Parse(stored.GetRawText()))).Finished();
        Assert.Equal(stored.GetRawText(), ValueConverter.ToJson(HttpRequestData.From(stored)).GetRawText());
    }

    [Fact]
    public async Task Tolerance_IsThatOfTheEndpoint()
    {
        var signed = Slack(DateTimeOffset.UtcNow.AddMinutes(-10));

        (await StartAsync(Endpoint(("signatureScheme", Literal("Slack"))), signed)).Faulted("at most 300");
        (await StartAsync(Endpoint(("signatureScheme", Literal("Slack")), ("signatureTolerance", Literal("00:00:00"))), signed)).Faulted("at most 300");
        (await StartAsync(Endpoint(("signatureScheme", Literal("Slack")), ("signatureTolerance", Literal("00:15:00"))), signed)).Finished();
    }

    [Theory]
    [InlineData("", "", null)]
    [InlineData("GitHub", "x", null)]
    [InlineData("github", "x", null)]
    [InlineData("GitHub", "", "http_endpoint.no_secret")]
    [InlineData("GitLab", "x", "http_endpoint.unknown_scheme")]
    [InlineData("StandardWebhooks", "whsec_AAAA whpk_AAAA", "http_endpoint.bad_secret")]
    [InlineData("StandardWebhooks", "whsec_AAAA", null)]
    public async Task Compile_SchemeAndSecret_AreChecked(string scheme, string secret, string? problem)
    {
        var endpoint = Endpoint(("signatureScheme", Literal(scheme)), ("signatureSecret", Literal(secret)));

        Assert.Equal(problem, HttpTest.Engine().Compile(Workflow(endpoint.DeepClone()).Read()).Problems.SingleOrDefault()?.Code);
        Assert.Equal(problem is null, (await HttpTest.RunAsync(endpoint)).Instance.Incidents.Count == 0);
    }

    [Fact]
    public async Task Payload_DoesNotNameTheScheme()
    {
        var signed = await HttpTest.RunAsync(Endpoint());
        var plain = await HttpTest.RunAsync(Activity("HttpEndpoint", "in", ("path", Literal("hook"))));

        Assert.Equal(plain.Instance.Bookmarks[0].Payload.ToString(), signed.Instance.Bookmarks[0].Payload.ToString());
    }

    [Fact]
    public void NeedsRawBody_WithAScheme_IsTrue()
    {
        var graph = HttpTest.Engine().Compile(Workflow(Endpoint()).Read());
        Assert.True(((HttpEndpoint)graph.FindActivity("in")!.Activity).NeedsRawBody);
        Assert.False(new HttpEndpoint().NeedsRawBody);
    }

    [Fact]
    public void Descriptor_Secret_IsSensitive()
    {
        var inputs = ActivityCatalog.BuiltIn.Find("Elsa.HttpEndpoint")!.Descriptor.Inputs;

        Assert.True(inputs.Single(i => i.Name == "SignatureSecret").IsSensitive);
        var scheme = inputs.Single(i => i.Name == "SignatureScheme");
        Assert.Equal(("dropdown", "Security"), (scheme.UIHint, scheme.Category));
        Assert.Equal(["", "StandardWebhooks", "GitHub", "Stripe", "Slack"], scheme.Options.Select(o => o.Value));
        Assert.Equal(TimeSpan.FromMinutes(5), inputs.Single(i => i.Name == "SignatureTolerance").DefaultValue);
    }

    private static JsonObject Endpoint(params (string Name, JsonNode? Value)[] members)
    {
        var endpoint = Activity("HttpEndpoint", "in", ("path", Literal("hook")), ("signatureScheme", Literal("GitHub")), ("signatureSecret", Literal($"secret\n{Secret}")));
        foreach (var (name, value) in members)
            endpoint[name] = value;
        return endpoint;
    }

    private static Task<LocalRun> StartAsync(JsonNode root, object request) => HttpTest.Engine().RunAsync(
        HttpTest.Declare(root, "headers"), new WorkflowStart { TriggerActivityId = "in", TriggerInput = request });

    private static async Task ResumeAsync(LocalRun run, HttpRequestData request, FakeExchange exchange) =>
        await HttpTest.Engine().ResumeAsync(run.Instance, run.Instance.Bookmarks[0], request, new ExchangeHost(exchange), CancellationToken.None);

    private static HttpRequestData Signed(string secret = Secret, string body = """{"a":1}""") =>
        Request(body, ("X-Hub-Signature-256", $"sha256={Hex(secret, body)}"));

    private static HttpRequestData Slack(DateTimeOffset at)
    {
        var time = at.ToUnixTimeSeconds().ToString(System.Globalization.CultureInfo.InvariantCulture);
        return Request("{}", ("X-Slack-Request-Timestamp", time), ("X-Slack-Signature", $"v0={Hex("secret", $"v0:{time}:{{}}")}")) with { Method = "POST" };
    }

    private static string Hex(string secret, string text) =>
        Convert.ToHexStringLower(HMACSHA256.HashData(Encoding.UTF8.GetBytes(secret), Encoding.UTF8.GetBytes(text)));

    private static HttpRequestData Request(string body, params (string Name, string Value)[] headers) => new()
    {
        Method = "GET",
        Path = "hook",
        Headers = headers.ToDictionary(h => h.Name, h => new[] { h.Value }),
        Body = Encoding.UTF8.GetBytes(body),
    };
}

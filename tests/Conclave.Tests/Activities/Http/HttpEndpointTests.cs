using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Conclave.Workflows.Activities;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;
using Conclave.Workflows.Http;
using static Conclave.Tests.Json;

namespace Conclave.Tests.Activities.Http;

public sealed class HttpEndpointTests
{
    private static readonly string[] Outputs = ["result", "parsedContent", "files", "file", "routeData", "queryStringData", "headers"];

    [Fact]
    public async Task Endpoint_InsideAWorkflow_LeavesOneBookmarkForEachMethod()
    {
        var endpoint = Endpoint(
            ("path", Literal("/Orders/{Id}/")), ("supportedMethods", Expression("Object", """["GET","post","POST"]""")),
            ("authorize", Literal("true")), ("policy", Literal("Clerk")), ("requestTimeout", Literal("00:00:10")), ("requestSizeLimit", Literal("100")));

        var run = await HttpTest.RunAsync(Sequence("s", endpoint, Write("after")));

        Assert.Equal(WorkflowSubStatus.Suspended, run.Instance.SubStatus);
        Assert.Equal(["get", "post"], run.Instance.Bookmarks.Select(b => b.Payload["Method"]));
        Assert.All(run.Instance.Bookmarks, b => Assert.Equal("Elsa.HttpEndpoint", b.Name));
        Assert.Equal(
            "HttpEndpointBookmarkPayload { Path = orders/{id}, Method = get, Authorize = True, Policy = Clerk, RequestTimeout = 00:00:10, RequestSizeLimit = 100 }",
            run.Instance.Bookmarks[0].Payload.ToString());
        TestRun.Restore(run.Instance);

        await run.ResumeAsync("in", Request());

        run.Finished("after");
    }

    [Fact]
    public async Task Endpoint_Trigger_SetsEveryOutput()
    {
        var run = await StartAsync(Endpoint(), Request());

        run.Finished();
        var output = run.Instance.Output;
        Assert.Equal("""{"id":7}""", Text(output["parsedContent"]));
        Assert.Equal("""{"id":"12"}""", Text(output["routeData"]));
        Assert.Equal("""{"a":"1","b":["2","3"]}""", Text(output["queryStringData"]));
        Assert.Equal("""{"Content-Type":"application/json","X-A":["1","2"]}""", Text(output["headers"]));
        Assert.Equal("[]", Text(output["files"]));
        Assert.Null(output["file"]);
        var result = (JsonElement)output["result"]!;
        Assert.Equal(("POST", "orders/12", 7), (result.GetProperty("method").GetString(), result.GetProperty("path").GetString(), result.GetProperty("content").GetProperty("id").GetInt32()));
        TestRun.Restore(run.Instance);
    }

    [Fact]
    public async Task Endpoint_RequestWasStored_IsTheSame()
    {
        var stored = ValueConverter.ToJson(Upload() with { RouteData = Request().RouteData });

        var run = await StartAsync(Endpoint(), JsonElement.Parse(stored.GetRawText()));

        run.Finished();
        Assert.Equal("""{"title":"Plan"}""", Text(run.Instance.Output["parsedContent"]));
        Assert.Equal("""{"name":"f","fileName":"a.png","contentType":"image/png","size":3,"content":"AQID"}""", Text(run.Instance.Output["file"]));
        Assert.Equal(stored.GetRawText(), ValueConverter.ToJson(HttpRequestData.From(stored)).GetRawText());
    }

    [Theory]
    [InlineData("application/x-www-form-urlencoded", "a=1&b=x+y&b=%C3%A9", """{"a":"1","b":["x y","é"]}""")]
    [InlineData("text/plain; charset=utf-8", "hello", "hello")]
    [InlineData("application/json", "{broken", "{broken")]
    [InlineData("text/plain; charset=utf-7", "hello", "hello")]
    [InlineData("text/plain; charset=none", "hello", "hello")]
    [InlineData("application/json", "", null)]
    public async Task Endpoint_Content_IsReadByItsType(string contentType, string body, string? expected)
    {
        var run = await StartAsync(Endpoint(), Request(contentType, body));

        Assert.Equal(expected, ValueConverter.ToText(run.Instance.Output["parsedContent"]) is { } text ? System.Text.RegularExpressions.Regex.Unescape(text) : null);
    }

    [Theory]
    [InlineData("requestSizeLimit", "2", "exposeRequestTooLargeOutcome", "Request too large", 413)]
    [InlineData("fileSizeLimit", "2", "exposeFileTooLargeOutcome", "File too large", 413)]
    [InlineData("allowedFileExtensions", """["jpg", ".gif"]""", "exposeInvalidFileExtensionOutcome", "Invalid file extension", 415)]
    [InlineData("blockedFileExtensions", """[".PNG"]""", "exposeInvalidFileExtensionOutcome", "Invalid file extension", 415)]
    [InlineData("allowedMimeTypes", """["text/*"]""", "exposeInvalidFileMimeTypeOutcome", "Invalid file MIME type", 415)]
    public async Task Endpoint_RequestBeyondItsLimits_FollowsTheOutcomeOrIsRefused(string input, string limit, string expose, string outcome, int status)
    {
        var endpoint = Endpoint((input, Expression("Object", limit)));
        JsonNode Flow(bool isExposed) => Flowchart(
            "flow", [endpoint.DeepClone().With((expose, isExposed)), Write(outcome), Write("Done")], $"in:{outcome}->{outcome}", "in:Done->Done");

        (await StartAsync(Flow(true), Upload())).Finished(outcome);
        (await StartAsync(Flow(false), Upload())).Faulted("refused");

        var waiting = await HttpTest.RunAsync(Flow(false));
        var exchange = new FakeExchange();
        await HttpTest.Engine().ResumeAsync(waiting.Instance, waiting.Instance.Bookmarks[0], Upload(), new ExchangeHost(exchange), CancellationToken.None);

        Assert.Equal((status, "application/problem+json"), (exchange.StatusCode, exchange.ContentType));
        var problem = JsonElement.Parse(exchange.Body);
        Assert.Equal(("about:blank", status), (problem.GetProperty("type").GetString(), problem.GetProperty("status").GetInt32()));
        Assert.NotEmpty(problem.GetProperty("title").GetString()!);
        Assert.StartsWith("http_endpoint.", problem.GetProperty("code").GetString(), StringComparison.Ordinal);
        Assert.EndsWith("accepted.", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
        Assert.Equal(["in"], waiting.Waiting());
    }

    [Fact]
    public async Task Endpoint_RequestWithinItsLimits_IsTaken()
    {
        var endpoint = Endpoint(
            ("requestSizeLimit", Literal(3)), ("fileSizeLimit", Literal("")), ("allowedFileExtensions", Expression("Object", """["png"]""")), ("allowedMimeTypes", Expression("Object", """["image/*"]""")));

        (await StartAsync(endpoint, Upload())).Finished();
    }

    [Theory]
    [InlineData("", "http_endpoint.bad_path")]
    [InlineData("/", "http_endpoint.bad_path")]
    [InlineData("a//b", "http_endpoint.bad_path")]
    [InlineData("a?b=1", "http_endpoint.bad_path")]
    [InlineData("a/{b", "http_endpoint.bad_path")]
    [InlineData("a/b}", "http_endpoint.bad_path")]
    [InlineData("a/{}", "http_endpoint.bad_path")]
    [InlineData("{a}/{A}", "http_endpoint.bad_path")]
    [InlineData("a/{b:int}/{c?}", null)]
    [InlineData("files/{**rest}", null)]
    [InlineData("a/{b}.{c}", null)]
    public async Task Compile_Path_IsChecked(string path, string? problem)
    {
        var graph = HttpTest.Engine().Compile(Workflow(Endpoint(("path", Literal(path)))).Read());

        Assert.Equal(problem, graph.Problems.SingleOrDefault()?.Code);
        var run = await HttpTest.RunAsync(Endpoint(("path", Literal(path))));
        Assert.Equal(problem is null ? WorkflowSubStatus.Suspended : WorkflowSubStatus.Faulted, run.Instance.SubStatus);
    }

    [Theory]
    [InlineData("""["GET", "FETCH"]""", "http_endpoint.unknown_method")]
    [InlineData("[]", "http_endpoint.no_method")]
    public void Compile_Methods_AreChecked(string methods, string problem)
    {
        var graph = HttpTest.Engine().Compile(Workflow(Endpoint(("supportedMethods", Expression("Object", methods)))).Read());

        Assert.Equal(problem, Assert.Single(graph.Problems).Code);
    }

    [Fact]
    public void Descriptors_AreWhatStudioExpects()
    {
        var endpoint = ActivityCatalog.BuiltIn.Find("Elsa.HttpEndpoint")!.Descriptor;
        var send = ActivityCatalog.BuiltIn.Find("Elsa.SendHttpRequest")!.Descriptor;
        var flow = ActivityCatalog.BuiltIn.Find("Elsa.FlowSendHttpRequest")!.Descriptor;

        Assert.Equal(("HTTP Endpoint", "HTTP", ActivityKind.Trigger), (endpoint.DisplayName, endpoint.Category, endpoint.Kind));
        Assert.Equal("List<String>", endpoint.Inputs.Single(i => i.Name == "SupportedMethods").TypeName);
        Assert.False(endpoint.Inputs.Single(i => i.Name == "ExposeFileTooLargeOutcome").IsWrapped);
        Assert.Equal("HttpRequest", endpoint.Outputs[0].TypeName);
        Assert.True(send.IsResilient);
        Assert.Equal(
            ["Url", "Method", "Content", "ContentType", "Authorization", "DisableAuthorizationHeaderValidation", "RequestHeaders", "EnableResiliency", "ExpectedStatusCodes"],
            send.Inputs.Select(i => i.Name));
        Assert.Equal(["UnmatchedStatusCode", "FailedToConnect", "Timeout"], send.Ports.Select(p => p.Name));
        Assert.Equal(("http-status-codes", false), (send.Inputs[^1].UIHint, send.Inputs[^1].IsWrapped));
        Assert.Equal(("multitext", true, "List<Int32>"), (flow.Inputs[^1].UIHint, flow.Inputs[^1].IsWrapped, flow.Inputs[^1].TypeName));
        Assert.Equal(["Unmatched status code", "Failed to connect", "Timeout", "Done"], flow.Ports.Select(p => p.Name));
    }

    private static JsonObject Endpoint(params (string Name, JsonNode? Value)[] members) =>
        Activity("HttpEndpoint", "in", [("path", Literal("orders/{id}")), .. Outputs.Select(o => (o, (JsonNode?)To(o))), .. members]);

    private static Task<LocalRun> StartAsync(JsonNode root, object request) => HttpTest.Engine().RunAsync(
        HttpTest.Declare(root, Outputs), new WorkflowStart { TriggerActivityId = "in", TriggerInput = request });

    private static HttpRequestData Request(string contentType = "application/json", string body = """{"id":7}""") => new()
    {
        Method = "POST",
        Path = "orders/12",
        QueryString = "?a=1&b=2&b=3",
        Query = new Dictionary<string, string[]> { ["a"] = ["1"], ["b"] = ["2", "3"] },
        Headers = new Dictionary<string, string[]> { ["Content-Type"] = [contentType], ["X-A"] = ["1", "2"] },
        RouteData = new Dictionary<string, string> { ["id"] = "12" },
        Body = Encoding.UTF8.GetBytes(body),
    };

    private static HttpRequestData Upload() => new()
    {
        Method = "POST",
        Path = "orders/12",
        Form = new Dictionary<string, string[]> { ["title"] = ["Plan"] },
        Files = [new HttpFileData("f", "a.png", "image/png", [1, 2, 3])],
    };

    private static string? Text(object? value) => ValueConverter.ToText(value);
}

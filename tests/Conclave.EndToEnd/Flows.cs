using System.Text.Json.Nodes;
using static Conclave.Tests.Json;

namespace Conclave.EndToEnd;

/// <summary>Workflows of the tests.</summary>
internal static class Flows
{
    public static JsonObject JavaScript(string script) => Expression("JavaScript", script);

    /// <summary>A definition without ids: its place gives it one.</summary>
    public static JsonObject Of(string name, JsonNode root, params JsonObject[] variables) => new()
    {
        ["name"] = name,
        ["root"] = root,
        ["variables"] = new JsonArray([.. variables]),
        ["outputs"] = new JsonArray(new JsonObject { ["name"] = "Result", ["type"] = "Object" }),
        ["inputs"] = new JsonArray(new JsonObject { ["name"] = "Value", ["type"] = "Object" }),
    };

    /// <summary>Ends at once.</summary>
    public static JsonObject Short(string text = "hello") => Of("Short", Sequence("s", Write("w", text)));

    /// <summary>Gives its input back.</summary>
    public static JsonObject Echo() => Of("Echo", Sequence("s", SetOutput("getInput('Value')")));

    /// <summary>Waits for an event.</summary>
    public static JsonObject Waiting(string eventName) =>
        Of("Waiting", Sequence("s", Activity("Event", "e", ("eventName", Literal(eventName)), ("result", To("got"))), SetOutput("getGot()")), Variable("got", "Object"));

    public static JsonObject SetOutput(string script) =>
        Activity("SetOutput", "out", ("outputName", Literal("Result")), ("outputValue", JavaScript(script)));

    /// <summary>An HTTP endpoint that starts the workflow, with the request in the variable <c>request</c>.</summary>
    public static JsonObject Endpoint(string path, string method = "POST", params (string Name, JsonNode? Value)[] more) =>
        Endpoint("in", Literal(path), method, [("customProperties", new JsonObject { ["canStartWorkflow"] = true }), .. more]);

    public static JsonObject Endpoint(string id, JsonNode path, string methods, params (string Name, JsonNode? Value)[] more) => Activity(
        "HttpEndpoint",
        id,
        [
            ("path", path),
            ("supportedMethods", Expression("Object", new JsonArray([.. methods.Split(',').Select(m => (JsonNode)m)]).ToJsonString())),
            ("result", To("request")),
            .. more,
        ]);

    /// <summary>Answers with what a script gives.</summary>
    public static JsonObject Respond(string script, int status = 200, string id = "respond") =>
        Activity("WriteHttpResponse", id, ("statusCode", Literal(status)), ("content", JavaScript(script)));

    /// <summary>A workflow around activities that use the variable <c>request</c>.</summary>
    public static JsonObject Web(params JsonNode[] activities) => Of("Web", Sequence("s", activities), Variable("request", "Object"));

    /// <summary>Answers with the request that it got.</summary>
    public static JsonObject WebEcho(string path, string method = "POST", params (string Name, JsonNode? Value)[] more) =>
        Web(Endpoint(path, method, more), Respond("getRequest()"));
}

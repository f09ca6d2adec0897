using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Conclave.EndToEnd;

/// <summary>What the server answered.</summary>
internal sealed record Reply(HttpResponseMessage Message, byte[] Bytes)
{
    public int Status => (int)Message.StatusCode;

    public string Text => Encoding.UTF8.GetString(Bytes);

    public JsonElement Json => JsonElement.Parse(Text);

    public JsonElement this[string member] => Json.GetProperty(member);

    public string? Code => Json.GetProperty("code").GetString();

    /// <summary>Value of a header; null when it is missing.</summary>
    public string? Header(string name) =>
        Message.Headers.TryGetValues(name, out var values) || Message.Content.Headers.TryGetValues(name, out values) ? string.Join(", ", values) : null;

    /// <summary>Checks the status.</summary>
    public Reply Is(int status)
    {
        Assert.True(status == Status, $"{Message.RequestMessage?.Method} {Message.RequestMessage?.RequestUri} gave {Status} instead of {status}: {Text}");
        return this;
    }

    /// <summary>Checks that it is a complete RFC 9457 problem.</summary>
    public Reply IsProblem(int status, string code)
    {
        Is(status);
        Assert.Equal("application/problem+json", Message.Content.Headers.ContentType?.MediaType);
        Assert.True(code == Code, Text);
        Assert.Equal(status, this["status"].GetInt32());
        Assert.All((string[])["type", "title", "detail"], name => Assert.NotEqual("", this[name].GetString()));
        return this;
    }
}

/// <summary>Calls of the server in few words.</summary>
internal static class Calls
{
    /// <summary>Calls the server.</summary>
    /// <param name="server">The server.</param>
    /// <param name="call">Method and path, such as <c>GET /api/queue</c>.</param>
    /// <param name="json">Body; null for none.</param>
    /// <param name="headers">More headers, <c>name: value</c>.</param>
    public static Task<Reply> CallAsync(this ServerProcess server, string call, string? json = null, params string[] headers) =>
        server.CallAsync(call, json is null ? null : new StringContent(json, Encoding.UTF8, "application/json"), headers);

    public static Task<Reply> CallAsync(this ServerProcess server, string call, JsonNode body, params string[] headers) =>
        server.CallAsync(call, body.ToJsonString(), headers);

    public static async Task<Reply> CallAsync(this ServerProcess server, string call, HttpContent? content, params string[] headers)
    {
        var space = call.IndexOf(' ', StringComparison.Ordinal);
        using var request = new HttpRequestMessage(new HttpMethod(call[..space]), call[(space + 1)..]) { Content = content };
        foreach (var header in headers)
        {
            var colon = header.IndexOf(':', StringComparison.Ordinal);
            Assert.True(request.Headers.TryAddWithoutValidation(header[..colon], header[(colon + 1)..].Trim()), header);
        }

        using var timeout = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        var response = await server.Http.SendAsync(request, timeout.Token);
        var reply = new Reply(response, await response.Content.ReadAsByteArrayAsync(timeout.Token));
        // What is compressed is the same as what is not.
        var problem = response.Content.Headers.ContentEncoding.Count > 0 ? null : server.Document?.FindProblem(
            request.Method.Method, request.RequestUri!.AbsolutePath, reply.Status, response.Content.Headers.ContentType?.MediaType, reply.Bytes);
        Assert.True(problem is null, $"{problem}\n{reply.Text}");
        return reply;
    }

    public static ByteArrayContent Bytes(byte[] bytes, string type) => new(bytes) { Headers = { ContentType = MediaTypeHeaderValue.Parse(type) } };

    /// <summary>Publishes a workflow.</summary>
    public static async Task<Reply> PublishAsync(this ServerProcess server, string id, JsonNode definition) =>
        (await server.CallAsync($"PUT /api/workflows/{id}?publish=true", definition)).Is(200);

    /// <summary>Starts a workflow; gives the id of the instance.</summary>
    public static async Task<string> StartAsync(this ServerProcess server, string id, string body = "{}") =>
        (await server.CallAsync($"POST /api/workflows/{id}/start", body)).Is(202)["instanceId"].GetString()!;

    /// <summary>Waits until an instance is in a state; gives the instance.</summary>
    public static async Task<JsonElement> UntilAsync(this ServerProcess server, string instanceId, string subStatus)
    {
        JsonElement instance = default;
        await ServerProcess.UntilAsync(
            async () => (instance = await server.GetAsync($"/api/instances/{instanceId}")).GetProperty("subStatus").GetString() == subStatus,
            $"{instanceId} is {subStatus}");
        return instance;
    }

    /// <summary>The items of a list.</summary>
    public static async Task<List<JsonElement>> ItemsAsync(this ServerProcess server, string path) =>
        [.. (await server.GetAsync(path)).GetProperty("items").EnumerateArray()];

    /// <summary>All items of a list, page by page.</summary>
    public static async Task<List<JsonElement>> PagesAsync(this ServerProcess server, string path, Func<Task>? between = null)
    {
        var all = new List<JsonElement>();
        string? next = null;
        do
        {
            var page = await server.GetAsync(next is null ? path : $"{path}&cursor={Uri.EscapeDataString(next)}");
            all.AddRange(page.GetProperty("items").EnumerateArray());
            next = page.GetProperty("next").GetString();
            if (between is not null)
                await between();
        }
        while (next is not null);
        return all;
    }

    public static string Text(this JsonElement element, string member) => element.GetProperty(member).ToString();
}

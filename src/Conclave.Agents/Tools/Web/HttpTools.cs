using System.Buffers;
using System.Text;
using System.Text.Json;
using Conclave.Agents.Tools.Command;
using Conclave.Workflows.Http;

namespace Conclave.Agents.Tools.Web;

/// <summary>Tools that are HTTP requests.</summary>
/// <remarks>
/// Settings: <c>method</c>; <c>url</c>, in which <c>{{name}}</c> stands for an argument, encoded; <c>query</c>, names of arguments; <c>headers</c>, texts in which <c>{{name}}</c> stands for an argument and
/// <c>{{key:NAME}}</c> for a key of the setting <c>Tools:Keys</c>; <c>body</c>: the name of the argument that is the body, or <c>arguments</c> for all that are not used elsewhere; <c>contentType</c>.
/// The host must be on <c>permissions.network</c>; redirects are answers.
/// </remarks>
public sealed class HttpTools(OutboundHttp http, IDictionary<string, string> keys) : ToolKind
{
    private static readonly string[] Methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

    /// <inheritdoc/>
    public override string Name => ToolKinds.Http;

    /// <inheritdoc/>
    public override IEnumerable<string> Missing(string tenant, ToolDefinition tool) => KeysOf(tool).Where(k => !keys.ContainsKey(k)).Select(k => $"It needs the setting Tools:Keys:{k}.");

    /// <inheritdoc/>
    public override IEnumerable<string> Check(ToolDefinition tool)
    {
        if (!Methods.Contains(tool.Settings.Text("method")))
            yield return $"settings.method: must be one of {string.Join(", ", Methods)}.";
        var text = tool.Settings.Text("url") ?? "";
        var host = text.IndexOf("://", StringComparison.Ordinal) is var scheme and > 0 && text.IndexOf('/', scheme + 3) is var slash and > 0 ? text[..slash] : text;
        if (host.Contains("{{", StringComparison.Ordinal) || !Uri.TryCreate(text.Replace("{{", "", StringComparison.Ordinal).Replace("}}", "", StringComparison.Ordinal), UriKind.Absolute, out var url)
            || url.Scheme is not ("http" or "https"))
            yield return "settings.url: must be an http or https URL whose host is no argument.";
        else if (tool.Permissions.Network.All(HostList.IsPattern) && !new HostList(tool.Permissions.Network).Allows(url))
            yield return $"permissions.network: must name {url.IdnHost}, where settings.url leads.";
    }

    /// <inheritdoc/>
    public override async Task<ToolOutput> RunAsync(ToolRun run, CancellationToken cancellationToken)
    {
        var (settings, arguments) = (run.Tool.Settings, run.Arguments);
        var used = new HashSet<string>(StringComparer.Ordinal);
        var address = CommandTemplate.Fill(settings.Text("url")!, arguments, Encode)
            ?? throw new ToolException("tool.arguments_invalid", $"The URL '{settings.Text("url")}' needs an argument that is missing.");
        used.UnionWith(NamesIn(settings.Text("url")!));
        var query = new StringBuilder();
        foreach (var name in settings.Texts("query"))
        {
            used.Add(name);
            var value = arguments.Member(name);
            foreach (var item in value.ValueKind == JsonValueKind.Array ? value.EnumerateArray().ToArray() : value.ValueKind is JsonValueKind.Undefined or JsonValueKind.Null ? [] : [value])
                query.Append(query.Length == 0 && !address.Contains('?', StringComparison.Ordinal) ? '?' : '&').Append(Encode(name)).Append('=').Append(Encode(item.Word()));
        }

        var url = new Uri(address + query);
        if (!new HostList(run.Tool.Permissions.Network).Allows(url))
            throw new ToolException("tool.host_refused", $"{url.IdnHost}:{url.Port} is not among the hosts that '{run.Tool.Name}' may reach (permissions.network).");
        var headers = new List<KeyValuePair<string, string>>();
        if (settings.Member("headers") is { ValueKind: JsonValueKind.Object } given)
        {
            foreach (var header in given.EnumerateObject())
            {
                used.UnionWith(NamesIn(header.Value.GetString() ?? ""));
                if (CommandTemplate.Fill(WithKeys(header.Value.GetString() ?? ""), arguments) is { } value)
                    headers.Add(KeyValuePair.Create(header.Name, value));
            }
        }

        if (run.Tool.Idempotency == ToolIdempotency.Key)
            headers.Add(KeyValuePair.Create("Idempotency-Key", run.Call.IdempotencyKey));
        var response = await http.SendAsync(
            new OutboundRequest(settings.Text("method")!, url) { Headers = headers, Body = BodyOf(settings, arguments, used), ContentType = settings.Text("contentType") ?? "application/json" }, cancellationToken);
        var output = Answer(response);
        var usage = new ToolUsage { Requests = 1, OutputBytes = response.Body.Length };
        return response.StatusCode is >= 200 and < 300 ? new ToolOutput(output, usage)
            : throw new ToolException("tool.http_status", $"{settings.Text("method")} {url.GetLeftPart(UriPartial.Path)} answered with {response.StatusCode} {response.ReasonPhrase}.") { Output = output, Usage = usage };
    }

    private static byte[]? BodyOf(JsonElement settings, JsonElement arguments, HashSet<string> used)
    {
        if (settings.Text("body") is not { } body)
            return null;
        if (body != "arguments")
        {
            var value = arguments.Member(body);
            return value.ValueKind is JsonValueKind.Undefined or JsonValueKind.Null ? null : Encoding.UTF8.GetBytes(value.ValueKind == JsonValueKind.String ? value.GetString()! : value.GetRawText());
        }

        var buffer = new ArrayBufferWriter<byte>(256);
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            foreach (var member in arguments.EnumerateObject().Where(m => !used.Contains(m.Name)))
                member.WriteTo(writer);
            writer.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>Status and body: as JSON where it is, else as text.</summary>
    internal static JsonElement Answer(OutboundResponse response)
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            writer.WriteNumber("status"u8, response.StatusCode);
            writer.WriteString("contentType"u8, response.ContentType);
            writer.WritePropertyName("body"u8);
            if (JsonOf(response) is { } json)
                json.WriteTo(writer);
            else
                writer.WriteStringValue(Encoding.UTF8.GetString(response.Body));
            writer.WriteEndObject();
        }

        return JsonElement.Parse(buffer.WrittenSpan);
    }

    private static JsonElement? JsonOf(OutboundResponse response)
    {
        if (response.ContentType?.Contains("json", StringComparison.OrdinalIgnoreCase) != true)
            return null;
        try
        {
            return JsonElement.Parse(response.Body);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    // A part of a path: a dot-dot that is encoded stays a part.
    private static string Encode(string text) => text is "." or ".." ? text.Replace(".", "%2E", StringComparison.Ordinal) : Uri.EscapeDataString(text);

    private string WithKeys(string text)
    {
        foreach (var key in KeysIn(text))
            text = text.Replace($"{{{{key:{key}}}}}", keys.TryGetValue(key, out var value) ? value : "", StringComparison.Ordinal);
        return text;
    }

    private static IEnumerable<string> KeysOf(ToolDefinition tool) => tool.Settings.Member("headers") is { ValueKind: JsonValueKind.Object } headers
        ? headers.EnumerateObject().Where(h => h.Value.ValueKind == JsonValueKind.String).SelectMany(h => KeysIn(h.Value.GetString()!)) : [];

    private static IEnumerable<string> KeysIn(string text) => NamesIn(text).Where(n => n.StartsWith("key:", StringComparison.Ordinal)).Select(n => n[4..]);

    private static IEnumerable<string> NamesIn(string text)
    {
        for (var at = 0; text.IndexOf("{{", at, StringComparison.Ordinal) is var open and >= 0;)
        {
            var close = text.IndexOf("}}", open, StringComparison.Ordinal);
            if (close < 0)
                yield break;
            yield return text[(open + 2)..close].Trim();
            at = close + 2;
        }
    }
}

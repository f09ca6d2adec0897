using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Conclave.Workflows.Http;

namespace Conclave.Agents.Tools.Logic;

/// <summary>Calls Home Assistant's REST API at the address that the operator set, and no other one.</summary>
/// <remarks>Source: Home Assistant developer docs, "REST API".</remarks>
public sealed partial class HomeAssistant : IDisposable
{
    private readonly Uri _url;
    private readonly string _token;
    private readonly OutboundHttp _http;

    /// <param name="url">Its address; internal ones are allowed, since the operator chose it.</param>
    /// <param name="token">A long-lived access token.</param>
    /// <param name="time">The clock of time-outs.</param>
    public HomeAssistant(string url, string token, TimeProvider time)
    {
        _url = new Uri(url.TrimEnd('/') + "/");
        _token = token;
        _http = new OutboundHttp(new OutboundHttpOptions { AllowedHosts = [$"{_url.IdnHost}:{_url.Port}"], MaxRedirects = 0, Timeout = TimeSpan.FromSeconds(20) }, time);
    }

    /// <summary>The state of an entity, such as <c>light.kitchen</c>.</summary>
    public Task<JsonElement> StateAsync(string entity, CancellationToken cancellationToken) => SendAsync("GET", $"api/states/{Name(entity, "entity")}", null, cancellationToken);

    /// <summary>Calls a service, such as <c>light</c>, <c>turn_on</c>.</summary>
    public Task<JsonElement> CallAsync(string domain, string service, JsonElement data, CancellationToken cancellationToken) => SendAsync(
        "POST", $"api/services/{Name(domain, "domain")}/{Name(service, "service")}", data.ValueKind == JsonValueKind.Object ? data.GetRawText() : "{}", cancellationToken);

    /// <inheritdoc/>
    public void Dispose() => _http.Dispose();

    private async Task<JsonElement> SendAsync(string method, string path, string? body, CancellationToken cancellationToken)
    {
        var response = await _http.SendAsync(
            new OutboundRequest(method, new Uri(_url, path))
            {
                Headers = [KeyValuePair.Create("Authorization", $"Bearer {_token}")],
                Body = body is null ? null : Encoding.UTF8.GetBytes(body),
                ContentType = body is null ? null : "application/json",
            },
            cancellationToken);
        if (response.StatusCode is not (>= 200 and < 300))
            throw new ToolException("tool.home_failed", $"Home Assistant answered {method} /{path} with {response.StatusCode}: {Cut(Encoding.UTF8.GetString(response.Body))}");
        try
        {
            return JsonElement.Parse(response.Body);
        }
        catch (JsonException exception)
        {
            throw new ToolException("tool.home_failed", $"Home Assistant's answer is no JSON: {exception.Message}", exception);
        }
    }

    private static string Cut(string text) => text.Length <= 500 ? text : text[..500] + "…";

    private static string Name(string text, string what) => NamePattern().IsMatch(text) ? text
        : throw new ToolException("tool.arguments_invalid", $"'{text}' is no {what} of Home Assistant: lower-case letters, digits, '_' and '.'.");

    [GeneratedRegex("^[a-z0-9_]{1,64}(?:\\.[a-z0-9_]{1,128})?$", RegexOptions.CultureInvariant | RegexOptions.NonBacktracking)]
    private static partial Regex NamePattern();
}

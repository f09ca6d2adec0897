using System.Net;
using System.Text.RegularExpressions;

namespace Conclave.EndToEnd.Accounts;

/// <summary>What a browser does with pages without scripts: keeps cookies, and sends forms with what they hide.</summary>
internal sealed partial class Browser : IDisposable
{
    private readonly HttpClient _http;

    public Browser(ServerProcess server)
    {
        _http = new HttpClient(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false, CookieContainer = Cookies }) { BaseAddress = server.Http.BaseAddress };
    }

    public CookieContainer Cookies { get; } = new();

    public Task<Reply> GetAsync(string path) => SendAsync(new HttpRequestMessage(HttpMethod.Get, path));

    /// <summary>Sends the form of a page.</summary>
    /// <param name="page">Where the form is.</param>
    /// <param name="action">Where it goes.</param>
    /// <param name="fields">What was typed and ticked.</param>
    public async Task<Reply> SubmitAsync(string page, string action, params (string Name, string Value)[] fields)
    {
        var form = (await GetAsync(page)).Is(200);
        return await PostAsync(action, [("__RequestVerificationToken", TokenOf(form)), .. fields]);
    }

    /// <summary>Sends fields without looking at a page first.</summary>
    public Task<Reply> PostAsync(string path, params (string Name, string Value)[] fields) => SendAsync(new HttpRequestMessage(HttpMethod.Post, path)
    {
        Content = new FormUrlEncodedContent(fields.Select(f => KeyValuePair.Create(f.Name, f.Value))),
    });

    /// <summary>Calls an API with the cookie.</summary>
    public Task<Reply> CallAsync(string call, string? json = null, params string[] headers)
    {
        var space = call.IndexOf(' ', StringComparison.Ordinal);
        var request = new HttpRequestMessage(new HttpMethod(call[..space]), call[(space + 1)..]) { Content = json is null ? null : new StringContent(json, null, "application/json") };
        foreach (var header in headers)
        {
            var colon = header.IndexOf(':', StringComparison.Ordinal);
            Assert.True(request.Headers.TryAddWithoutValidation(header[..colon], header[(colon + 1)..].Trim()), header);
        }

        return SendAsync(request);
    }

    public Task<Reply> SignInAsync(string userName, string password, string returnUrl = "") =>
        SubmitAsync("/sign-in", "/sign-in", ("userName", userName), ("password", password), ("returnUrl", returnUrl));

    /// <summary>Makes an API key on the page; gives its secret.</summary>
    public async Task<string> MakeKeyAsync(string days, params string[] scopes)
    {
        var reply = (await SubmitAsync("/account", "/account/keys", [("name", "test"), ("days", days), .. scopes.Select(s => ("scopes", s))])).Is(200);
        return Secret().Match(reply.Text).Groups[1].Value;
    }

    /// <summary>The link that a page shows once.</summary>
    public static string LinkIn(Reply reply) => WebUtility.HtmlDecode(Secret().Match(reply.Text).Groups[1].Value);

    public static string TokenOf(Reply page) => Token().Match(page.Text).Groups[1].Value;

    public void Dispose() => _http.Dispose();

    private async Task<Reply> SendAsync(HttpRequestMessage request)
    {
        using (request)
        {
            var response = await _http.SendAsync(request);
            return new Reply(response, await response.Content.ReadAsByteArrayAsync());
        }
    }

    [GeneratedRegex("name=\"__RequestVerificationToken\" value=\"([^\"]+)\"")]
    private static partial Regex Token();

    [GeneratedRegex("<code class=\"secret\"[^>]*>([^<]+)</code>")]
    private static partial Regex Secret();
}

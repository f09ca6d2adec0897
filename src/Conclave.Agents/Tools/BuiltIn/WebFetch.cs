using System.Net;
using System.Text;
using System.Text.RegularExpressions;
using Conclave.Workflows.Http;

namespace Conclave.Agents.Tools.BuiltIn;

/// <summary>Reads a page of the hosts that the operator allows.</summary>
internal static partial class WebFetch
{
    private const int MostRedirects = 5;
    private const int MostCharacters = 100_000;

    /// <param name="http">Sends requests; must not follow redirects, which could leave the list.</param>
    /// <param name="hosts">The setting <c>Tools:WebHosts</c>.</param>
    public static BuiltInTool Create(OutboundHttp http, IEnumerable<string> hosts)
    {
        var list = new HostList(hosts);
        return new BuiltInTool(
            BuiltInTools.Define("web-fetch", "web", "Reads a web page or a file of an allowed host, as text.", """
                {"type":"object","properties":{"url":{"type":"string","minLength":8,"maxLength":8192,"x-check":"url"},"raw":{"type":"boolean","description":"Whether to keep HTML as it is."}},"required":["url"],"additionalProperties":false}
                """) with
            {
                Annotations = new() { ReadOnly = true, Idempotent = true, OpenWorld = true },
                // The operator's list says already what may be reached.
                Mode = ToolMode.Allow,
                Limits = new ToolLimits { TimeoutSeconds = 60 },
                Concurrency = 8,
            },
            (run, token) => RunAsync(http, list, run, token))
        {
            Missing = () => list.IsEmpty ? "No host is allowed: name some in the setting Tools:WebHosts." : null,
        };
    }

    private static async Task<ToolOutput> RunAsync(OutboundHttp http, HostList hosts, ToolRun run, CancellationToken cancellationToken)
    {
        var usage = new ToolUsage { Requests = 0 };
        var url = new Uri(run.Text("url")!);
        while (true)
        {
            if (!hosts.Allows(url))
            {
                usage.Refused = [$"{url.IdnHost}:{url.Port}"];
                throw new ToolException("tool.host_refused", $"{url.IdnHost}:{url.Port} is not among the hosts that web-fetch may reach (setting Tools:WebHosts).") { Usage = usage };
            }

            if (usage.Requests++ > MostRedirects)
                throw new ToolException("tool.http_status", $"{run.Text("url")} redirects more than {MostRedirects} times.") { Usage = usage };
            var response = await http.SendAsync(new OutboundRequest("GET", url) { Headers = [KeyValuePair.Create("Accept", "text/html, text/*, application/json;q=0.9, */*;q=0.5")] }, cancellationToken);
            if (response.StatusCode is 301 or 302 or 303 or 307 or 308 && response.Headers.TryGetValue("Location", out var location) && Uri.TryCreate(url, location[0], out var next))
            {
                url = next;
                continue;
            }

            var text = Encoding.UTF8.GetString(response.Body);
            if (!run.Flag("raw") && response.ContentType?.Contains("html", StringComparison.OrdinalIgnoreCase) == true)
                text = TextOf(text);
            usage.OutputBytes = response.Body.Length;
            var output = JsonOutput.Object(w =>
            {
                w.WriteString("url", url.AbsoluteUri);
                w.WriteNumber("status", response.StatusCode);
                w.WriteString("contentType", response.ContentType);
                w.WriteString("text", text.Length > MostCharacters ? text[..MostCharacters] + "…" : text);
            }, usage);
            return response.StatusCode is >= 200 and < 300 ? output
                : throw new ToolException("tool.http_status", $"{url.GetLeftPart(UriPartial.Path)} answered with {response.StatusCode}.") { Output = output.Value, Usage = usage };
        }
    }

    /// <summary>What a person would read of HTML.</summary>
    internal static string TextOf(string html)
    {
        html = Unseen().Replace(html, " ");
        html = Blocks().Replace(html, "\n");
        html = Tags().Replace(html, "");
        return Blank().Replace(Space().Replace(WebUtility.HtmlDecode(html), " "), "\n").Trim();
    }

    [GeneratedRegex("<(script|style|noscript|template|svg|head)\\b[^>]*>.*?</\\1\\s*>|<!--.*?-->", RegexOptions.IgnoreCase | RegexOptions.Singleline | RegexOptions.CultureInvariant, 2_000)]
    private static partial Regex Unseen();

    [GeneratedRegex("</?(p|div|br|li|ul|ol|tr|table|h[1-6]|section|article|header|footer|pre|blockquote)\\b[^>]*>", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant, 2_000)]
    private static partial Regex Blocks();

    [GeneratedRegex("<[^>]*>", RegexOptions.CultureInvariant, 2_000)]
    private static partial Regex Tags();

    [GeneratedRegex("[ \\t\\r\\f\\u00a0]+", RegexOptions.CultureInvariant, 2_000)]
    private static partial Regex Space();

    [GeneratedRegex("\\s*\\n\\s*", RegexOptions.CultureInvariant, 2_000)]
    private static partial Regex Blank();
}

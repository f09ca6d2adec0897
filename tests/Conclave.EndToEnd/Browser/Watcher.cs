using System.Collections.Concurrent;
using System.Text.RegularExpressions;
using Microsoft.Playwright;

namespace Conclave.EndToEnd.Browser;

/// <summary>
/// Sees whatever goes wrong in a browser: errors in the console, exceptions, failed requests, the designer's error bar and error messages.
/// </summary>
internal sealed class Watcher
{
    // Tells of error messages and of the error bar as soon as they are shown.
    private const string Observer = """
        new MutationObserver(() => {
          for (const bar of document.querySelectorAll('.mud-snackbar')) {
            if (bar.dataset.told || !/error/.test(bar.outerHTML)) continue;
            bar.dataset.told = 'yes';
            tellProblem('message: ' + bar.textContent.trim());
          }
          const bar = document.getElementById('blazor-error-ui');
          if (bar && !bar.dataset.told && bar.style.display === 'block') {
            bar.dataset.told = 'yes';
            tellProblem('error bar');
          }
        }).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ['style', 'class'] });
        """;

    private readonly ConcurrentQueue<string> _problems = new();
    private readonly List<(Regex Pattern, bool IsNeeded)> _expected = [];

    public static async Task<Watcher> WatchAsync(IBrowserContext context)
    {
        var watcher = new Watcher();
        context.Console += (_, message) =>
        {
            // Responses tell more of themselves than the console does.
            if (message.Type == "error" && !message.Text.StartsWith("Failed to load resource", StringComparison.Ordinal))
                watcher._problems.Enqueue($"console: {message.Text}");
        };
        context.WebError += (_, error) => watcher._problems.Enqueue($"exception: {error.Error}");
        context.Response += (_, response) =>
        {
            if (response.Status >= 400)
                watcher._problems.Enqueue($"{response.Status} {response.Request.Method} {new Uri(response.Url).PathAndQuery}");
        };
        context.RequestFailed += (_, request) =>
        {
            // What was read to its end, or is not wanted any more because the page went on, counts as aborted.
            if (request.Failure != "net::ERR_ABORTED")
                watcher._problems.Enqueue($"{request.Failure} {request.Method} {request.Url}");
        };
        await context.ExposeFunctionAsync("tellProblem", (string text) => watcher._problems.Enqueue(text));
        await context.AddInitScriptAsync(Observer);
        return watcher;
    }

    /// <summary>Problems so far.</summary>
    public IReadOnlyList<string> Problems => [.. _problems];

    /// <summary>What must happen in this test, as a regular expression of the problem.</summary>
    public void Expect(string pattern) => _expected.Add((new Regex(pattern, RegexOptions.None, TimeSpan.FromSeconds(1)), true));

    /// <summary>What may happen in this test.</summary>
    public void Allow(string pattern) => _expected.Add((new Regex(pattern, RegexOptions.None, TimeSpan.FromSeconds(1)), false));

    public void AssertClean()
    {
        var others = Problems.Where(p => !_expected.Any(e => e.Pattern.IsMatch(p))).ToList();
        Assert.True(others.Count == 0, string.Join('\n', others));
        Assert.All(_expected.Where(e => e.IsNeeded), e => Assert.Contains(Problems, p => e.Pattern.IsMatch(p)));
    }
}

using System.Diagnostics;
using System.Text.Json;
using Conclave.EndToEnd.Browser;
using Microsoft.Playwright;

namespace Conclave.Benchmarks.Designer;

/// <summary>How long somebody waits for the editor: with an empty cache, and when the browser has been there before.</summary>
internal static class DesignerBenchmark
{
    private const string Workflow = """{"name":"Bench","root":{"type":"Elsa.Flowchart","id":"f","version":1,"activities":[{"type":"Elsa.WriteLine","id":"w","version":1,"text":"x"}]}}""";

    public static async Task RunAsync(Report report)
    {
        await using var server = await BenchServer.StartAsync();
        await server.SendAsync("PUT /api/workflows/bench", Workflow);
        using var playwright = await Playwright.CreateAsync();
        await using var browser = await Chromium.LaunchAsync(playwright);
        var options = new BrowserNewContextOptions
        {
            BaseURL = server.Http.BaseAddress!.ToString(),
            ExtraHTTPHeaders = [KeyValuePair.Create("Authorization", server.Http.DefaultRequestHeaders.Authorization!.ToString())],
        };
        // The first context warms the server up.
        List<Visit> first = [], second = [];
        for (var round = 0; round < 4; round++)
        {
            await using var context = await browser.NewContextAsync(options);
            var page = await context.NewPageAsync();
            first.Add(await VisitAsync(page));
            second.Add(await VisitAsync(page));
        }

        report.Add(FigureOf("designer-first-visit", first[1..]));
        report.Add(FigureOf("designer-second-visit", second[1..]));
    }

    private static async Task<Visit> VisitAsync(IPage page)
    {
        await page.GotoAsync("about:blank");
        var network = await page.Context.NewCDPSessionAsync(page);
        await network.SendAsync("Network.enable");
        var (bytes, requests, known) = (0.0, 0, 0);
        network.Event("Network.requestWillBeSent").OnEvent += (_, e) => requests += IsFile(e) ? 1 : 0;
        network.Event("Network.requestServedFromCache").OnEvent += (_, _) => known++;
        network.Event("Network.responseReceived").OnEvent += (_, e) => known += e!.Value.GetProperty("response").GetProperty("fromDiskCache").GetBoolean() ? 1 : 0;
        network.Event("Network.loadingFinished").OnEvent += (_, e) => bytes += e!.Value.GetProperty("encodedDataLength").GetDouble();
        var watch = Stopwatch.StartNew();
        await page.GotoAsync("/designer/workflows/bench", new() { WaitUntil = WaitUntilState.Commit });
        await page.Locator("elsa-workflow-definition-editor *").First.WaitForAsync(new() { State = WaitForSelectorState.Attached, Timeout = 120_000 });
        var started = watch.Elapsed.TotalSeconds;
        await page.Locator("[draggable=true]").First.WaitForAsync(new() { State = WaitForSelectorState.Attached, Timeout = 120_000 });
        await page.Locator(".x6-node .activity-label").WaitForAsync(new() { Timeout = 120_000 });
        var seconds = watch.Elapsed.TotalSeconds;
        await page.WaitForLoadStateAsync(LoadState.NetworkIdle);
        await network.DetachAsync();
        return new Visit(started, seconds, bytes, requests, requests - known);
    }

    private static bool IsFile(JsonElement? sent) => sent!.Value.GetProperty("request").GetProperty("url").GetString()!.StartsWith("http", StringComparison.Ordinal);

    private static Figure FigureOf(string name, List<Visit> visits)
    {
        var median = visits.OrderBy(v => v.Seconds).ElementAt(visits.Count / 2);
        return new Figure(name, 0, median.Seconds * 1_000_000, 0)
        {
            More = new Dictionary<string, double>
            {
                ["startedMilliseconds"] = median.Started * 1000,
                ["milliseconds"] = median.Seconds * 1000,
                ["kilobytesOverTheWire"] = median.Bytes / 1000,
                ["requests"] = median.Requests,
                ["requestsOverTheWire"] = median.OverTheWire,
            },
        };
    }

    /// <param name="Started">Seconds until Studio has started and drawn its first element.</param>
    /// <param name="Seconds">Until the toolbox is there and the workflow is drawn.</param>
    /// <param name="Bytes">What came over the wire, headers included.</param>
    /// <param name="Requests">All requests.</param>
    /// <param name="OverTheWire">Those that the cache could not answer by itself.</param>
    private sealed record Visit(double Started, double Seconds, double Bytes, int Requests, int OverTheWire);
}

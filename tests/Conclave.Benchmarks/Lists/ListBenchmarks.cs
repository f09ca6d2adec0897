using System.Diagnostics;
using System.Globalization;

namespace Conclave.Benchmarks.Lists;

/// <summary>What Elsa Studio asks of a server with many workflows and instances, over HTTP, one request after the other.</summary>
internal static class ListBenchmarks
{
    private const int WarmUps = 10;
    private const int Requests = 50;

    /// <summary>Most milliseconds that 95 of 100 requests may take.</summary>
    private const double Target = 200;

    private const double DescriptorTarget = 10;
    private const string Definitions = "GET /elsa/api/workflow-definitions";

    public static async Task RunAsync(Report report, string[] only)
    {
        await using var server = await BenchServer.StartAsync();
        await ListData.FillAsync(server);
        foreach (var (name, call, body) in Calls())
        {
            if (only.Length == 0 || only.Contains(name))
                report.Add(await MeasureAsync(server, name, call, body));
        }
    }

    private static async Task<Figure> MeasureAsync(BenchServer server, string name, string call, string? body)
    {
        var bytes = 0;
        for (var i = 0; i < WarmUps; i++)
            bytes = (await server.SendAsync(call, body)).Length;
        var times = new double[Requests];
        for (var i = 0; i < Requests; i++)
        {
            var watch = Stopwatch.StartNew();
            await server.SendAsync(call, body);
            times[i] = watch.Elapsed.TotalMilliseconds;
        }

        Array.Sort(times);
        return new Figure(name, 1000 / times[Requests / 2], times[Requests / 2] * 1000, 0)
        {
            More = new Dictionary<string, double>
            {
                ["p50Milliseconds"] = times[Requests / 2],
                ["p95Milliseconds"] = times[Requests * 95 / 100],
                ["targetMilliseconds"] = name == "descriptors" ? DescriptorTarget : Target,
                ["bytes"] = bytes,
                ["serverMegabytes"] = server.ResidentMegabytes,
            },
        };
    }

    private static IEnumerable<(string Name, string Call, string? Body)> Calls()
    {
        yield return ("definitions-first-page", $"{Definitions}?versionOptions=Latest&Page=0&PageSize=10&SearchTerm=&IsSystem=False&OrderDirection=Ascending", null);
        yield return ("definitions-page-90", $"{Definitions}?versionOptions=Latest&Page=90&PageSize=10&IsSystem=False&OrderDirection=Ascending", null);
        yield return ("definitions-by-creation", $"{Definitions}?versionOptions=Latest&Page=0&PageSize=10&OrderBy=Created&OrderDirection=Descending", null);
        yield return ("definitions-search", $"{Definitions}?versionOptions=Latest&Page=0&PageSize=10&SearchTerm=region%2013&IsSystem=False", null);
        yield return ("definitions-published-of-page", $"{Definitions}?versionOptions=Published{Ids("DefinitionIds", n => $"w{n}")}", null);
        yield return ("definitions-newest-or-published", $"{Definitions}?versionOptions=LatestOrPublished", null);
        yield return ("definitions-history", $"{Definitions}?versionOptions=AllVersions&DefinitionIds=w77&OrderBy=Version&OrderDirection=Descending&Page=0&PageSize=10", null);
        yield return ("definitions-all-versions-first-page", $"{Definitions}?versionOptions=AllVersions&Page=0&PageSize=10", null);
        yield return ("definitions-all-versions-page-1000", $"{Definitions}?versionOptions=AllVersions&Page=1000&PageSize=10", null);
        yield return ("name-is-unique", $"{Definitions}/validation/is-name-unique?name=Workflow%201", null);
        yield return ("editor-open", $"{Definitions}/by-definition-id/w500?versionOptions=Latest", null);
        yield return ("consumers", $"{Definitions}/w500/consumers", null);
        yield return ("descriptors", "GET /elsa/api/descriptors/activities?Refresh=True", null);
        foreach (var (name, filter) in Filters())
            yield return ($"instances-{name}", "POST /elsa/api/workflow-instances", $$"""{"page":0,"pageSize":10,"orderDirection":"Descending",{{filter}}}""");
        yield return ("instances-page-9000", "POST /elsa/api/workflow-instances", """{"page":9000,"pageSize":10,"orderBy":"Created"}""");
        yield return ("instances-their-versions", $"{Definitions}?versionOptions={Ids("Ids", n => $"w{n}-{n % ListData.Versions + 1}")}", null);
        yield return ("instance-open", $"GET /elsa/api/workflow-instances/{77777:D32}", null);
    }

    /// <summary>What Studio's list of instances offers.</summary>
    private static IEnumerable<(string Name, string Filter)> Filters()
    {
        yield return ("first-page", "\"orderBy\":\"Created\"");
        yield return ("by-last-execution", "\"orderBy\":\"LastExecuted\"");
        yield return ("by-end", "\"orderBy\":\"Finished\"");
        yield return ("by-name", "\"orderBy\":\"Name\"");
        yield return ("of-workflows", "\"definitionIds\":[\"w12\",\"w700\"]");
        yield return ("running", "\"statuses\":[\"Running\"]");
        yield return ("suspended", "\"subStatuses\":[\"Suspended\"]");
        yield return ("faulted", "\"subStatuses\":[\"Faulted\"]");
        yield return ("with-incidents", "\"hasIncidents\":true");
        yield return ("without-incidents", "\"hasIncidents\":false");
        yield return ("created-since", Time("CreatedAt", "GreaterThanOrEqual", 3));
        yield return ("updated-before", Time("UpdatedAt", "LessThan", 20));
        yield return ("finished-on-a-day", Time("FinishedAt", "Is", 2));
        yield return ("search-few", "\"searchTerm\":\"customer-4321\"");
        yield return ("search-all", "\"searchTerm\":\"customer\"");
    }

    private static string Time(string column, string comparison, int daysAgo) => string.Create(
        CultureInfo.InvariantCulture,
        $$"""
        "timestampFilters":[{"column":"{{column}}","operator":"{{comparison}}","timestamp":"{{DateTime.UtcNow.Date.AddDays(-daysAgo):yyyy-MM-dd}}T00:00:00+00:00"}]
        """);

    private static string Ids(string key, Func<int, string> id) => string.Concat(Enumerable.Range(40, 10).Select(n => $"&{key}={id(n)}"));
}

using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Conclave.Cli.Server;

/// <summary>The options of lists, and following their pages.</summary>
internal sealed class Paging
{
    private const int PageSize = 100;

    public Option<int> Limit { get; } = new("--limit")
    {
        Description = "Show at most so many; default 50.",
        DefaultValueFactory = _ => 50,
    };

    public Option<bool> All { get; } = new("--all") { Description = "Show all, however many." };

    public Paging() => Limit.Validators.Add(result =>
    {
        if (result.Tokens.Count > 0 && result.GetValueOrDefault<int>() < 1)
            result.AddError("--limit must be 1 or more.");
    });

    /// <summary>Reads pages until there are enough.</summary>
    /// <param name="session">The client and the options.</param>
    /// <param name="path">The path with its filters, for each page anew.</param>
    /// <param name="cancellationToken">Stops reading.</param>
    public async Task<Listing> ReadAsync(ServerSession session, Func<ApiPath> path, CancellationToken cancellationToken)
    {
        var wanted = session.Get(All) ? int.MaxValue : session.Get(Limit);
        List<JsonElement> items = [];
        string? cursor = null;
        while (true)
        {
            var limit = Math.Min(wanted - items.Count, PageSize).ToString(CultureInfo.InvariantCulture);
            var page = await session.Client.GetAsync(path().With("cursor", cursor).With("limit", limit), cancellationToken);
            items.AddRange(page.Member("items").Items());
            var next = page.TextOrNull("next");
            if (next is not null && next == cursor)
                throw new CommandException(ExitCodes.Unexpected, "The server gives the same page again and again.");
            if (next is null || items.Count >= wanted)
                return new Listing(items, next, cursor is null ? page : default);
            cursor = next;
        }
    }
}

/// <summary>What a list answered.</summary>
/// <param name="Items">The items of every page that was read.</param>
/// <param name="Next">Where the next page begins; null after the last.</param>
/// <param name="Page">The answer as it was, when there was one page.</param>
internal sealed record Listing(List<JsonElement> Items, string? Next, JsonElement Page)
{
    /// <summary>Prints the list: as JSON, as a table, or, empty, what to do about that.</summary>
    public int Show(Screen screen, string empty, params Column[] columns)
    {
        if (screen.IsJson)
        {
            if (Page.ValueKind != JsonValueKind.Undefined)
                Screen.Json(Page);
            else
                Screen.Json(new JsonObject { ["items"] = new JsonArray([.. Items.Select(JsonText.Node)]), ["next"] = Next });
            return ExitCodes.Finished;
        }

        if (Items.Count == 0)
            Screen.Line(empty);
        else
            screen.Table(Items, columns);
        if (Next is not null)
            Screen.Error("There are more: --all shows them, --limit as many as you like.");
        return ExitCodes.Finished;
    }
}

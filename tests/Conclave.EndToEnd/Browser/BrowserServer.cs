using System.Collections.Concurrent;
using Conclave.EndToEnd.Accounts;
using Microsoft.Playwright;

namespace Conclave.EndToEnd.Browser;

/// <summary>One server and one browser for all tests of the designer. Each visit is a context of its own: cookies, cache, storage.</summary>
public sealed class BrowserServer : IAsyncLifetime
{
    /// <summary>Name of the tests' collection.</summary>
    public const string Name = "browser server";

    /// <summary>How long a page may take for a step, milliseconds. Everything else is tested beside it, on two cores.</summary>
    internal const int Patience = 60_000;

    private readonly AccountServer _accounts = new();
    private readonly ConcurrentDictionary<string, string> _sessions = new();
    private IPlaywright _playwright = null!;
    private IBrowser _browser = null!;

    /// <summary>Where the screenshots of all tests are.</summary>
    internal static string ScreenshotFolder { get; } = Path.Combine(AppContext.BaseDirectory, "TestResults", "screenshots");

    internal ServerProcess Server => _accounts.Server;

    public async Task InitializeAsync()
    {
        Assertions.SetDefaultExpectTimeout(Patience);
        _playwright = await Playwright.CreateAsync();
        _browser = await Chromium.LaunchAsync(_playwright);
        await _accounts.InitializeAsync();
    }

    public async Task DisposeAsync()
    {
        if (_browser is not null)
            await _browser.DisposeAsync();
        _playwright?.Dispose();
        if (_accounts.Server is not null)
            await _accounts.DisposeAsync();
    }

    /// <summary>Lets a signed-in person do something, and checks that nothing went wrong meanwhile.</summary>
    /// <param name="who">Name of the account; null for nobody.</param>
    /// <param name="story">What the person does.</param>
    /// <param name="test">The test; names the folder of its screenshots.</param>
    /// <param name="width">Width of the window, pixels.</param>
    /// <param name="height">Height of the window, pixels.</param>
    internal async Task VisitAsync(
        string? who, Func<Visitor, Task> story, [System.Runtime.CompilerServices.CallerMemberName] string test = "", int width = 1600, int height = 1000)
    {
        await using var context = await _browser.NewContextAsync(new()
        {
            BaseURL = Server.Http.BaseAddress!.ToString(),
            ViewportSize = new() { Width = width, Height = height },
            StorageState = who is null ? null : await SessionAsync(who),
            Permissions = ["clipboard-read", "clipboard-write"],
        });
        context.SetDefaultTimeout(Patience);
        var watcher = await Watcher.WatchAsync(context);
        var visitor = new Visitor(await context.NewPageAsync(), watcher, Server, Path.Combine(ScreenshotFolder, test));
        try
        {
            await story(visitor);
            watcher.AssertClean();
        }
        catch (Exception e)
        {
            await visitor.ShootAsync("failed");
            throw new Xunit.Sdk.XunitException($"{e.Message}\nSeen: {string.Join('\n', watcher.Problems)}\nScreenshots: {visitor.Folder}", e);
        }
    }

    private async Task<string> SessionAsync(string who)
    {
        if (_sessions.TryGetValue(who, out var known))
            return known;
        await using var context = await _browser.NewContextAsync(new() { BaseURL = Server.Http.BaseAddress!.ToString() });
        context.SetDefaultTimeout(Patience);
        var page = await context.NewPageAsync();
        await Visitor.SignInAsync(page, who);
        return _sessions[who] = await context.StorageStateAsync();
    }
}

[CollectionDefinition(BrowserServer.Name)]
public sealed class BrowserServerTests : ICollectionFixture<BrowserServer>;

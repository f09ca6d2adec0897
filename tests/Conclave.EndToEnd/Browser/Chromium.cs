using Microsoft.Playwright;

namespace Conclave.EndToEnd.Browser;

/// <summary>The system's Chromium, driven by Playwright.</summary>
internal static class Chromium
{
    private static readonly string[] Places =
    [
        "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome", "/snap/bin/chromium",
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome", "/Applications/Chromium.app/Contents/MacOS/Chromium",
    ];

    public static async Task<IBrowser> LaunchAsync(IPlaywright playwright)
    {
        var path = Environment.GetEnvironmentVariable("CONCLAVE_CHROMIUM") ?? Places.FirstOrDefault(File.Exists)
            ?? throw new InvalidOperationException("This needs Chromium. Install it (Debian: apt-get install chromium), or point CONCLAVE_CHROMIUM at the program.");
        string[] arguments = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
        // Chromium's sandbox does not work for root.
        var isRoot = Environment.UserName == "root";
        return await playwright.Chromium.LaunchAsync(new() { ExecutablePath = path, Headless = true, Args = isRoot ? [.. arguments, "--no-sandbox"] : arguments });
    }
}

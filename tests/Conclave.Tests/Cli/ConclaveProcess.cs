using System.Diagnostics;

namespace Conclave.Tests.Cli;

/// <summary><c>conclave</c> as a process of its own.</summary>
internal static class ConclaveProcess
{
    public static async Task<(int Code, string Output, string Errors)> RunAsync(
        IReadOnlyList<string> arguments, IReadOnlyDictionary<string, string?>? environment = null)
    {
        using var process = Start(arguments, environment);
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.False((await errors).Contains("Unhandled exception", StringComparison.Ordinal), await errors);
        return (process.ExitCode, await output, await errors);
    }

    /// <summary>Starts it; a variable without a value is taken out of the environment.</summary>
    public static Process Start(IReadOnlyList<string> arguments, IReadOnlyDictionary<string, string?>? environment = null)
    {
        var dotnet = Environment.ProcessPath is { } path && Path.GetFileNameWithoutExtension(path) == "dotnet" ? path : "dotnet";
        var start = new ProcessStartInfo(dotnet) { RedirectStandardOutput = true, RedirectStandardError = true };
        if (OperatingSystem.IsLinux())
        {
            // Whoever starts the tests in the background of a script makes all of their processes ignore Ctrl+C; in a terminal nothing does.
            start.FileName = "env";
            start.ArgumentList.Add("--default-signal=INT");
            start.ArgumentList.Add(dotnet);
        }

        foreach (var (name, value) in environment ?? new Dictionary<string, string?>())
            start.Environment[name] = value;
        // The tests' folder holds the assemblies that the tests need, so their list of them counts, not the command's own.
        var tests = Path.ChangeExtension(typeof(ConclaveProcess).Assembly.Location, null);
        string[] host = ["exec", "--runtimeconfig", $"{tests}.runtimeconfig.json", "--depsfile", $"{tests}.deps.json"];
        foreach (var argument in (string[])[.. host, Path.Combine(AppContext.BaseDirectory, "conclave.dll"), .. arguments])
            start.ArgumentList.Add(argument);
        return Process.Start(start)!;
    }
}

using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;

namespace Conclave.Workflows.Expressions.Scripting;

/// <summary>The Node.js program that runners are started with.</summary>
internal sealed record NodeRuntime(string Path, Version Version)
{
    private const int OldestMajor = 20;
    private const int StackKilobytes = 3900;
    private const int HeapMegabytes = 512;

    // Stable since 22.13 and 23.5; experimental under another name before.
    private string PermissionFlag =>
        Version >= new Version(23, 5) || (Version.Major == 22 && Version.Minor >= 13)
            ? "--permission" : "--experimental-permission";

    /// <summary>Asks the configured program for its version.</summary>
    public static async Task<NodeRuntime> FindAsync(
        ScriptRunnerOptions options, CancellationToken cancellationToken)
    {
        var path = options.NodePath ?? "node";
        var start = CreateStartInfo(path, Environment.CurrentDirectory);
        start.ArgumentList.Add("--version");
        string text;
        try
        {
            using var process = Process.Start(start) ?? throw new Win32Exception("The program did not start.");
            process.StandardInput.Close();
            var errors = process.StandardError.ReadToEndAsync(cancellationToken);
            text = (await process.StandardOutput.ReadToEndAsync(cancellationToken)).Trim();
            await process.WaitForExitAsync(cancellationToken);
            await errors;
        }
        catch (Win32Exception exception)
        {
            throw Unavailable($"Node.js was not found: '{path}' could not be started ({exception.Message}).", exception);
        }

        if (!Version.TryParse(text.TrimStart('v').Split('-')[0], out var version))
            throw Unavailable($"'{path}' is not Node.js: it answered '{text}' to --version.");
        if (version.Major < OldestMajor)
            throw Unavailable($"Node.js {version} at '{path}' is too old.");
        return new NodeRuntime(path, version);
    }

    /// <summary>Starts a runner; it may read its own folder and nothing else.</summary>
    public Process StartRunner(ScriptRunnerOptions options)
    {
        var folder = System.IO.Path.GetFullPath(options.RunnerFolder);
        var program = System.IO.Path.Combine(folder, "runner.mjs");
        if (!File.Exists(program))
        {
            throw new ScriptException(ScriptFailure.Unavailable,
                $"The script runner is missing: there is no '{program}'. Build or publish the program again, or set " +
                $"{ScriptRunnerOptions.Section}:{nameof(ScriptRunnerOptions.RunnerPath)} to the folder that holds it.");
        }

        var start = CreateStartInfo(Path, folder);
        foreach (var argument in (ReadOnlySpan<string>)[
            PermissionFlag, $"--allow-fs-read={System.IO.Path.Combine(folder, "*")}", "--no-warnings",
            Number($"--max-old-space-size={HeapMegabytes}"), Number($"--stack-size={StackKilobytes}"), program,
            Number($"{options.TimeLimit.TotalMilliseconds}"), Number($"{options.MemoryLimitMegabytes}"),
            Number($"{options.MaxResultBytes}")])
            start.ArgumentList.Add(argument);
        try
        {
            return Process.Start(start) ?? throw new Win32Exception("The program did not start.");
        }
        catch (Win32Exception exception)
        {
            throw Unavailable($"Node.js at '{Path}' could not be started ({exception.Message}).", exception);
        }

        static string Number(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
    }

    // The child sees nothing of the server's environment, which may hold secrets.
    private static ProcessStartInfo CreateStartInfo(string path, string folder)
    {
        var start = new ProcessStartInfo(path)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
            CreateNoWindow = true,
            WorkingDirectory = folder,
        };
        start.Environment.Clear();
        foreach (var name in (ReadOnlySpan<string>)["PATH", "TZ", "SystemRoot"])
        {
            if (Environment.GetEnvironmentVariable(name) is { } value) start.Environment[name] = value;
        }

        return start;
    }

    private static ScriptException Unavailable(string fact, Exception? innerException = null) => new(
        ScriptFailure.Unavailable,
        $"{fact} JavaScript and Liquid expressions need Node.js {OldestMajor} or newer: install it, " +
        $"or set {ScriptRunnerOptions.Section}:{nameof(ScriptRunnerOptions.NodePath)} to its program.",
        innerException);
}

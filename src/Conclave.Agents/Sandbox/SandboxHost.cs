using System.Collections.Concurrent;
using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using Conclave.Agents.Tools;
using Conclave.Workflows.Runtime.Postgres;
using Microsoft.Extensions.Logging;

namespace Conclave.Agents.Sandbox;

/// <summary>Runs commands where they see, use and keep no more than they may: bubblewrap with namespaces of its own, a filter of system calls and limits.</summary>
/// <remarks><c>docs/tools.md</c> says what there is inside and what is denied. Where bubblewrap is missing nothing runs: see <see cref="Unavailable"/>.</remarks>
public sealed partial class SandboxHost : IDisposable
{
    /// <summary>The agent's workspace, inside.</summary>
    public const string Workspace = "/workspace";

    private static readonly TimeSpan VersionTime = TimeSpan.FromSeconds(5);

    private readonly SandboxOptions _options;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly string _folder;
    private readonly string? _setpriv;
    private readonly Cgroup? _cgroup;
    private readonly IReadOnlyList<string> _root;
    private readonly ConcurrentDictionary<string, ToolVersion?> _versions = new(StringComparer.Ordinal);

    /// <summary>Looks at what is there and writes its files.</summary>
    /// <param name="options">Settings.</param>
    /// <param name="dataFolder">Folder of the server, for the filter and the sandbox's own files.</param>
    /// <param name="logger">Gets what is missing.</param>
    /// <param name="time">The clock.</param>
    /// <exception cref="ArgumentException">The settings are not valid; the message lists every problem.</exception>
    public SandboxHost(SandboxOptions options, string dataFolder, ILogger<SandboxHost> logger, TimeProvider time)
    {
        if (options.Validate() is { Count: > 0 } problems)
            throw new ArgumentException(string.Join(" ", problems), nameof(options));
        _options = options;
        _logger = logger;
        _time = time;
        _folder = Path.Combine(Path.GetFullPath(dataFolder), "sandbox");
        Bubblewrap = options.Bubblewrap ?? OnPath("bwrap");
        _setpriv = Environment.IsPrivilegedProcess ? OnPath("setpriv") : null;
        Unavailable = WhyNot();
        _root = [];
        if (Unavailable is not null)
        {
            LogUnavailable(Unavailable);
            return;
        }

        WriteFiles();
        _root = RootArguments();
        _cgroup = Cgroup.TryOpen(options.Cgroup);
        LogReady(_cgroup is null ? "limits of each process" : $"the cgroup {_cgroup.Folder}");
    }

    /// <summary>Why commands cannot run, and what to do; null when they can.</summary>
    public string? Unavailable { get; }

    /// <summary>How limits are kept: <c>cgroup</c>, or <c>rlimits</c> with a watch over the memory of all processes.</summary>
    public string Limits => _cgroup is null ? "rlimits" : "cgroup";

    /// <summary>Most bytes of a workspace.</summary>
    public long WorkspaceBytes => (long)_options.WorkspaceMegabytes << 20;

    /// <summary>The user that owns workspaces; null when it is the server's own.</summary>
    public int? UserId => Environment.IsPrivilegedProcess && !OperatingSystem.IsWindows() ? _options.UserId : null;

    internal string? Bubblewrap { get; }

    /// <summary>The path of a program that commands find, inside; null when they do not.</summary>
    public string? FindProgram(string name)
    {
        if (name.Contains('/', StringComparison.Ordinal))
            return null;
        return _options.SearchPath.Split(':').Select(folder => $"{folder}/{name}").FirstOrDefault(File.Exists);
    }

    /// <summary>The version that a program said it has; null when it is not known.</summary>
    public ToolVersion? VersionOf(string program) => _versions.GetValueOrDefault(program);

    /// <summary>Asks programs for their versions, where a requirement names one.</summary>
    internal async Task LearnVersionsAsync(IEnumerable<string> requirements, CancellationToken cancellationToken)
    {
        foreach (var text in requirements)
        {
            if (Unavailable is not null || !Requirement.TryParse(text, out var needed) || needed.AtLeast is null
                || _versions.ContainsKey(needed.Name) || FindProgram(needed.Name) is null)
                continue;
            var result = await RunAsync(new SandboxCommand(needed.Name, ["--version"]) { Limits = new SandboxLimits { Time = VersionTime, MemoryBytes = 2L << 30 } }, cancellationToken);
            _versions[needed.Name] = ToolVersion.FindIn(Encoding.UTF8.GetString(result.Output.Span) + "\n" + Encoding.UTF8.GetString(result.Error.Span));
        }
    }

    /// <summary>Runs a command to its end.</summary>
    /// <exception cref="SandboxException">It could not be run at all.</exception>
    public async Task<SandboxResult> RunAsync(SandboxCommand command, CancellationToken cancellationToken)
    {
        await using var process = Start(command);
        return await process.RunAsync(command.Input, cancellationToken);
    }

    /// <summary>Starts a command whose streams the caller uses, such as a server of the Model Context Protocol.</summary>
    /// <exception cref="SandboxException">It could not be started.</exception>
    public SandboxProcess Start(SandboxCommand command)
    {
        if (Unavailable is not null)
            throw new SandboxException("sandbox.unavailable", Unavailable);
        if (command.Program.Contains('\0', StringComparison.Ordinal) || command.Arguments.Any(a => a.Contains('\0', StringComparison.Ordinal)))
            throw new SandboxException("sandbox.failed", "A NUL character cannot be part of a command.");
        if (command.Workspace is { } workspace && command.MayWrite && FolderSize.Exceeds(workspace, WorkspaceBytes))
        {
            throw new SandboxException("sandbox.workspace_full",
                $"The workspace holds more than {_options.WorkspaceMegabytes:N0} MiB. Delete files, or raise {SandboxOptions.Section}:{nameof(SandboxOptions.WorkspaceMegabytes)}.");
        }

        var proxy = command.Network is { } network ? new SandboxProxy(network, Path.Combine(_folder, "run")) : null;
        CgroupRun? group = null;
        try
        {
            group = _cgroup?.Make(command.Limits);
            var start = new ProcessStartInfo("/bin/sh")
            {
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
                UseShellExecute = false,
                WorkingDirectory = "/",
            };
            start.Environment.Clear();
            start.Environment["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin";
            foreach (var argument in Arguments(command, proxy, group))
                start.ArgumentList.Add(argument);
            var process = Process.Start(start) ?? throw new Win32Exception("It did not start.");
            return new SandboxProcess(process, command.Limits, proxy, group, watchesMemory: group is null, _time);
        }
        catch (Exception exception) when (exception is Win32Exception or IOException or UnauthorizedAccessException)
        {
            proxy?.Dispose();
            group?.Dispose();
            throw new SandboxException("sandbox.failed", $"The sandbox could not be started: {exception.Message}");
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _cgroup?.Dispose();

    /// <summary>The whole command line, for <c>sh</c>: the shell opens the filter as descriptor 3 and becomes bubblewrap.</summary>
    private List<string> Arguments(SandboxCommand command, SandboxProxy? proxy, CgroupRun? group)
    {
        var limits = command.Limits;
        var join = group is null ? "" : "echo $$ > \"$1/cgroup.procs\" && ";
        List<string> arguments = ["-c", $"f=$0; {join}shift; exec \"$@\" 3<\"$f\"", FilterPath(command.Network is not null), group?.Folder ?? ""];
        if (_setpriv is not null)
        {
            var user = Number(_options.UserId);
            arguments.AddRange([_setpriv, "--reuid", user, "--regid", user, "--clear-groups", "--no-new-privs", "--"]);
        }

        arguments.AddRange(
        [
            Bubblewrap!, "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-net", "--unshare-cgroup-try", "--disable-userns",
            "--uid", "1000", "--gid", "1000", "--hostname", "sandbox", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv",
        ]);
        arguments.AddRange(_root);
        var temporary = Number((long)_options.TemporaryMegabytes << 20);
        arguments.AddRange(["--proc", "/proc", "--dev", "/dev", "--size", temporary, "--tmpfs", "/dev/shm", "--size", temporary, "--tmpfs", "/tmp"]);
        foreach (var (inside, outside) in command.Files)
            arguments.AddRange(["--ro-bind", outside, inside]);
        if (proxy is not null)
            arguments.AddRange(["--ro-bind", proxy.Path, "/run/proxy.sock", "--ro-bind", BridgePath, "/run/bridge.mjs"]);
        if (command.Workspace is { } workspace)
            arguments.AddRange([command.MayWrite ? "--bind" : "--ro-bind", Path.GetFullPath(workspace), Workspace]);
        arguments.AddRange(["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", command.Workspace is null ? "/tmp" : Workspace]);
        Set("PATH", _options.SearchPath);
        Set("HOME", "/tmp");
        Set("TMPDIR", "/tmp");
        Set("LANG", "C.UTF-8");
        Set("TERM", "dumb");
        foreach (var (name, value) in command.Environment)
            Set(name, value);
        arguments.AddRange(
        [
            "--seccomp", "3", "--", "prlimit", $"--nproc={Number(limits.Processes)}", $"--data={Number(limits.MemoryBytes)}", $"--fsize={Number(limits.FileBytes)}",
            // A signal of its own at the limit, so that it can be told from others; the last one a second later.
            $"--cpu={Number((long)Math.Ceiling(limits.Cpu.TotalSeconds))}:{Number((long)Math.Ceiling(limits.Cpu.TotalSeconds) + 1)}", $"--nofile={Number(limits.OpenFiles)}", "--core=0", "--memlock=0", "--msgqueue=0", "--",
        ]);
        if (proxy is not null)
            arguments.AddRange(["node", "/run/bridge.mjs", "/run/proxy.sock"]);
        arguments.Add(command.Program);
        arguments.AddRange(command.Arguments);
        return arguments;

        void Set(string name, string value) => arguments.AddRange(["--setenv", name, value]);

        static string Number(long value) => value.ToString(CultureInfo.InvariantCulture);
    }

    private string BridgePath => Path.Combine(_folder, "bridge.mjs");

    private string FilterPath(bool hasNetwork) => Path.Combine(_folder, hasNetwork ? "network.bpf" : "no-network.bpf");

    private string? WhyNot()
    {
        if (!OperatingSystem.IsLinux())
            return "Commands of tools run on Linux only: the sandbox is made of its namespaces.";
        if (Bubblewrap is null || !File.Exists(Bubblewrap))
            return "Commands of tools are off: bubblewrap is missing. Install it (on Debian and Ubuntu: apt-get install bubblewrap) and start the server again.";
        if (SeccompFilter.Build(false) is null)
            return "Commands of tools are off: the filter of system calls is made for x86-64 and arm64 only.";
        if (Environment.IsPrivilegedProcess && _setpriv is null)
            return "Commands of tools are off: the server runs as root, and setpriv, which gives root away, is missing. Install util-linux, or run the server as another user.";
        if (Environment.IsPrivilegedProcess && PostgresAccount.ClosedFolderAbove(Path.Combine(_folder, "run")) is { } closed)
            return $"Commands of tools are off: they run as the user {_options.UserId}, who may not pass through '{closed}'. Let others pass (chmod o+x), or put the server's data folder elsewhere.";
        if (!File.Exists("/usr/bin/prlimit"))
            return "Commands of tools are off: prlimit, which limits what they use, is missing. Install util-linux.";
        return null;
    }

    private void WriteFiles()
    {
        Directory.CreateDirectory(_folder);
        Directory.CreateDirectory(Path.Combine(_folder, "run"));
        if (!OperatingSystem.IsWindows())
        {
            // Who runs as another user passes through it, and lists nothing.
            File.SetUnixFileMode(_folder, (UnixFileMode)0b111_001_001);
            File.SetUnixFileMode(Path.Combine(_folder, "run"), (UnixFileMode)0b111_001_001);
        }

        Write("no-network.bpf", SeccompFilter.Build(false)!);
        Write("network.bpf", SeccompFilter.Build(true)!);
        Write("passwd", "agent:x:1000:1000:agent:/tmp:/bin/sh\n"u8);
        Write("group", "agent:x:1000:\n"u8);
        Write("hosts", "127.0.0.1 localhost\n::1 localhost\n"u8);
        Write("bridge.mjs", Encoding.UTF8.GetBytes(SandboxProxy.Bridge));

        void Write(string name, ReadOnlySpan<byte> content)
        {
            var path = Path.Combine(_folder, name);
            var draft = $"{path}.{Environment.ProcessId}";
            File.WriteAllBytes(draft, content.ToArray());
            if (!OperatingSystem.IsWindows())
                File.SetUnixFileMode(draft, (UnixFileMode)0b110_100_100);
            File.Move(draft, path, overwrite: true);
        }
    }

    /// <summary>The root: what is listed, read-only, and nothing else.</summary>
    private List<string> RootArguments()
    {
        List<string> arguments = ["--ro-bind", "/usr", "/usr"];
        foreach (var name in (ReadOnlySpan<string>)["/bin", "/sbin", "/lib", "/lib32", "/lib64"])
        {
            if (new DirectoryInfo(name) is not { Exists: true } folder)
                continue;
            if (folder.LinkTarget is { } target)
                arguments.AddRange(["--symlink", target, name]);
            else
                arguments.AddRange(["--ro-bind", name, name]);
        }

        // What programs of /usr need of /etc, and no more: no accounts, no keys, no names of hosts.
        foreach (var path in (ReadOnlySpan<string>)["/etc/ld.so.cache", "/etc/alternatives", "/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/fonts", "/etc/mime.types"])
        {
            if (Path.Exists(path))
                arguments.AddRange(["--ro-bind", path, path]);
        }

        foreach (var name in (ReadOnlySpan<string>)["passwd", "group", "hosts"])
            arguments.AddRange(["--ro-bind", Path.Combine(_folder, name), $"/etc/{name}"]);
        foreach (var path in _options.Paths)
            arguments.AddRange(["--ro-bind", Path.GetFullPath(path), Path.GetFullPath(path)]);
        return arguments;
    }

    private static string? OnPath(string program) => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
        .Concat(["/usr/bin", "/bin"]).Where(folder => folder.Length > 0).Select(folder => Path.Combine(folder, program)).FirstOrDefault(File.Exists);

    [LoggerMessage(4451, LogLevel.Warning, "{Reason}")]
    private partial void LogUnavailable(string reason);

    [LoggerMessage(4452, LogLevel.Information, "Commands of tools run in the sandbox; their limits are kept by {How}.")]
    private partial void LogReady(string how);
}

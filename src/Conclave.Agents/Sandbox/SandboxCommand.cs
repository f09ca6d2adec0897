namespace Conclave.Agents.Sandbox;

/// <summary>A command to run in the sandbox.</summary>
/// <param name="Program">Name of a program on the search path, or a path in the sandbox.</param>
/// <param name="Arguments">Its arguments, as they are: no shell reads them.</param>
public sealed record SandboxCommand(string Program, IReadOnlyList<string> Arguments)
{
    /// <summary>Folder of this machine that it sees as <c>/workspace</c> and starts in; null for none.</summary>
    public string? Workspace { get; init; }

    /// <summary>Whether it may write there.</summary>
    public bool MayWrite { get; init; } = true;

    /// <summary>Files of this machine that it may read, by their path in the sandbox.</summary>
    public IReadOnlyDictionary<string, string> Files { get; init; } = new Dictionary<string, string>();

    /// <summary>Environment; nothing of the server's is in it.</summary>
    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();

    /// <summary>What it reads from its standard input.</summary>
    public ReadOnlyMemory<byte> Input { get; init; }

    /// <summary>How much it may use.</summary>
    public SandboxLimits Limits { get; init; } = new();

    /// <summary>Hosts that it may reach through the proxy; null for no network at all.</summary>
    public SandboxNetwork? Network { get; init; }
}

/// <summary>How much a command may use.</summary>
public sealed record SandboxLimits
{
    /// <summary>Time from start to end.</summary>
    public TimeSpan Time { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Processor time of one process.</summary>
    public TimeSpan Cpu { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>Memory in bytes: of one process, and of all together.</summary>
    public long MemoryBytes { get; init; } = 512L << 20;

    /// <summary>Processes and threads at once.</summary>
    public int Processes { get; init; } = 64;

    /// <summary>Largest file in bytes.</summary>
    public long FileBytes { get; init; } = 64L << 20;

    /// <summary>Open files of one process.</summary>
    public int OpenFiles { get; init; } = 256;

    /// <summary>What is kept of standard output and of standard error, in bytes each.</summary>
    public int OutputBytes { get; init; } = 256 << 10;
}

/// <summary>What a command may reach.</summary>
/// <param name="Allows">Whether a host and port are on the list.</param>
/// <param name="Connect">Connects to one that is; refuses internal addresses.</param>
public sealed record SandboxNetwork(Func<string, int, bool> Allows, Func<string, int, CancellationToken, Task<Stream>> Connect);

/// <summary>Why a command was ended.</summary>
public enum SandboxEnd
{
    /// <summary>It ended by itself.</summary>
    Exited,

    /// <summary>It took too long.</summary>
    Timeout,

    /// <summary>It used too much processor time.</summary>
    Cpu,

    /// <summary>It used too much memory.</summary>
    Memory,
}

/// <summary>What came of a command.</summary>
/// <param name="End">Why it ended.</param>
/// <param name="ExitCode">Its exit code; 128 and a signal's number where a signal ended it.</param>
/// <param name="Output">What it wrote to its standard output, as far as it was kept.</param>
/// <param name="Error">What it wrote to its standard error, as far as it was kept.</param>
public sealed record SandboxResult(SandboxEnd End, int ExitCode, ReadOnlyMemory<byte> Output, ReadOnlyMemory<byte> Error)
{
    /// <summary>Bytes of output and error before they were cut.</summary>
    public long TotalBytes { get; init; }

    /// <summary>Whether some was cut.</summary>
    public bool IsCut => TotalBytes > Output.Length + Error.Length;

    /// <summary>How long it took.</summary>
    public TimeSpan Duration { get; init; }

    /// <summary>Processor time of all processes, as far as it was measured; null for commands that were too short for that.</summary>
    public TimeSpan? Cpu { get; init; }

    /// <summary>Most memory of all processes together in bytes, as far as it was measured; null for commands that were too short for that.</summary>
    public long? MemoryBytes { get; init; }

    /// <summary>Hosts that it wanted to reach and that are not on its list, as <c>host:port</c>.</summary>
    public IReadOnlyList<string> RefusedHosts { get; init; } = [];

    /// <summary>Requests and tunnels that were let through.</summary>
    public int Connections { get; init; }
}

/// <summary>The sandbox could not run a command at all.</summary>
/// <param name="code">Stable code: <c>sandbox.unavailable</c>, <c>sandbox.failed</c>, <c>sandbox.workspace_full</c>.</param>
/// <param name="message">Why not and what to do.</param>
public sealed class SandboxException(string code, string message) : Exception(message)
{
    /// <summary>Stable code.</summary>
    public string Code { get; } = code;
}

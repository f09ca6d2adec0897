namespace Conclave.Agents.Sandbox;

/// <summary>Where commands of tools run. Bound from <c>Sandbox</c>.</summary>
public sealed class SandboxOptions
{
    /// <summary>Name of the configuration section.</summary>
    public const string Section = "Sandbox";

    /// <summary>The program <c>bwrap</c>.</summary>
    /// <value>Default null: looked for on the search path.</value>
    public string? Bubblewrap { get; set; }

    /// <summary>Folders of this machine that commands may read. Everything else is not there.</summary>
    /// <value>Default none beyond <c>/usr</c>, which is always there, and what belongs to it: the loader's cache, alternatives, certificates.</value>
    public IList<string> Paths { get; set; } = [];

    /// <summary>Where commands are looked for, in the sandbox.</summary>
    /// <value>Default <c>/usr/local/bin:/usr/bin:/bin</c>.</value>
    public string SearchPath { get; set; } = "/usr/local/bin:/usr/bin:/bin";

    /// <summary>The user that commands run as, outside, when the server runs as root: an id that owns nothing else.</summary>
    /// <value>1 to 2,147,483,647; default 64123.</value>
    public int UserId { get; set; } = 64123;

    /// <summary>Most bytes that an agent's workspace may hold, in mebibytes: beyond, commands do not start.</summary>
    /// <value>1 to 1,048,576; default 1,024.</value>
    public int WorkspaceMegabytes { get; set; } = 1_024;

    /// <summary>What <c>/tmp</c> and <c>/dev/shm</c> may hold each, in mebibytes.</summary>
    /// <value>1 to 65,536; default 64.</value>
    public int TemporaryMegabytes { get; set; } = 64;

    /// <summary>A cgroup of version 2 that this process may make groups in, as a folder below <c>/sys/fs/cgroup</c>.</summary>
    /// <value>Default null: one is made where this process may; else limits are those of each process.</value>
    public string? Cgroup { get; set; }

    /// <summary>Lists every setting that is out of range; empty when all are fine.</summary>
    public IReadOnlyList<string> Validate()
    {
        var problems = new List<string>();
        if (UserId < 1)
            problems.Add($"{Section}:{nameof(UserId)} is {UserId}; it must be an id that is not root's.");
        if (WorkspaceMegabytes is < 1 or > 1_048_576)
            problems.Add($"{Section}:{nameof(WorkspaceMegabytes)} is {WorkspaceMegabytes}; it must be 1 to 1,048,576.");
        if (TemporaryMegabytes is < 1 or > 65_536)
            problems.Add($"{Section}:{nameof(TemporaryMegabytes)} is {TemporaryMegabytes}; it must be 1 to 65,536.");
        foreach (var path in Paths.Where(p => !Path.IsPathRooted(p) || Path.GetFullPath(p) is "/" or "/proc" or "/sys" or "/dev"))
            problems.Add($"{Section}:{nameof(Paths)} has '{path}'; it must be the full path of a folder, and none of /, /proc, /sys, /dev.");
        return problems;
    }
}

using System.Globalization;

namespace Conclave.Agents.Sandbox;

/// <summary>A cgroup of version 2 in which each command gets a group of its own.</summary>
/// <remarks>Source: the kernel's <c>Documentation/admin-guide/cgroup-v2.rst</c>.</remarks>
internal sealed class Cgroup : IDisposable
{
    private const string Root = "/sys/fs/cgroup";
    private static readonly string[] Controllers = ["memory", "pids", "cpu"];

    private Cgroup(string folder) => Folder = folder;

    /// <summary>Its folder.</summary>
    public string Folder { get; }

    /// <summary>Opens the named group, or makes one where this process may; null where there is no cgroup of version 2 with what is needed.</summary>
    public static Cgroup? TryOpen(string? named)
    {
        if (!File.Exists($"{Root}/cgroup.controllers"))
            return null;
        try
        {
            var parent = named ?? Root;
            var folder = Path.Combine(parent, $"conclave-{Environment.ProcessId}");
            if (!Has($"{parent}/cgroup.controllers") || !File.Exists($"{parent}/cgroup.subtree_control"))
                return null;
            Enable(parent);
            Directory.CreateDirectory(folder);
            Enable(folder);
            return Has($"{folder}/cgroup.subtree_control") ? new Cgroup(folder) : null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }

        static bool Has(string file) => !Controllers.Except(File.ReadAllText(file).Split([' ', '\n'])).Any();

        static void Enable(string group) => File.WriteAllText($"{group}/cgroup.subtree_control", string.Join(' ', Controllers.Select(c => $"+{c}")));
    }

    /// <summary>Makes the group of a command.</summary>
    public CgroupRun Make(SandboxLimits limits)
    {
        var folder = Path.Combine(Folder, Guid.CreateVersion7().ToString("n"));
        Directory.CreateDirectory(folder);
        Write("memory.max", limits.MemoryBytes);
        if (File.Exists($"{folder}/memory.swap.max"))
            Write("memory.swap.max", 0);
        // Two more than allowed: bubblewrap and the first process of the namespace.
        Write("pids.max", limits.Processes + 2);
        return new CgroupRun(folder);

        void Write(string file, long value) => File.WriteAllText($"{folder}/{file}", value.ToString(CultureInfo.InvariantCulture));
    }

    public void Dispose()
    {
        try
        {
            Directory.Delete(Folder);
        }
        catch (IOException)
        {
            // A command is just ending; the next start takes another folder.
        }
    }
}

/// <summary>The cgroup of a command.</summary>
internal sealed class CgroupRun(string folder) : IDisposable
{
    public string Folder { get; } = folder;

    /// <summary>What all its processes used.</summary>
    public (TimeSpan Cpu, long? PeakBytes, bool WasTooLarge) Usage()
    {
        var microseconds = Value("cpu.stat", "usage_usec") ?? 0;
        var peak = File.Exists($"{Folder}/memory.peak") ? long.Parse(File.ReadAllText($"{Folder}/memory.peak"), CultureInfo.InvariantCulture) : (long?)null;
        return (TimeSpan.FromMicroseconds(microseconds), peak, Value("memory.events", "oom_kill") > 0);
    }

    public void Kill()
    {
        if (File.Exists($"{Folder}/cgroup.kill"))
            File.WriteAllText($"{Folder}/cgroup.kill", "1");
    }

    public void Dispose()
    {
        try
        {
            Directory.Delete(Folder);
        }
        catch (IOException)
        {
            // Its last process is still being cleared away; an empty group costs nothing.
        }
    }

    private long? Value(string file, string name) => File.ReadLines($"{Folder}/{file}")
        .Where(line => line.StartsWith(name, StringComparison.Ordinal) && line.Length > name.Length && line[name.Length] == ' ')
        .Select(line => (long?)long.Parse(line.AsSpan(name.Length + 1), CultureInfo.InvariantCulture)).FirstOrDefault();
}

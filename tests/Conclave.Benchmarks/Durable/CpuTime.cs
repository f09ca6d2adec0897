using System.Globalization;

namespace Conclave.Benchmarks.Durable;

/// <summary>Processor time, which tells the cost of something even while other work makes it slow.</summary>
internal static class CpuTime
{
    // USER_HZ of every Linux that .NET runs on.
    private const double TicksPerSecond = 100;

    /// <summary>Seconds that a process and its children have used so far; 0 where there is no <c>/proc</c>.</summary>
    public static double SecondsOf(int processId)
    {
        if (!Directory.Exists("/proc/self") || Read(processId) is not { } own)
            return 0;
        var ticks = own.Ticks + own.TicksOfGoneChildren;
        foreach (var folder in Directory.GetDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(folder), CultureInfo.InvariantCulture, out var id) && Read(id) is { } child && child.ParentId == processId)
                ticks += child.Ticks;
        }

        return ticks / TicksPerSecond;
    }

    /// <summary>Id of the PostgreSQL server of a data folder of Conclave's.</summary>
    public static int PostgresOf(string folder) =>
        int.Parse(File.ReadLines(Directory.GetFiles(folder, "postmaster.pid", SearchOption.AllDirectories)[0]).First(), CultureInfo.InvariantCulture);

    private static Stat? Read(int processId)
    {
        string text;
        try
        {
            text = File.ReadAllText($"/proc/{processId}/stat");
        }
        catch (IOException)
        {
            return null;
        }

        // The name before it may hold blanks.
        var fields = text[(text.LastIndexOf(')') + 2)..].Split(' ');
        return new Stat(Field(1), Field(11) + Field(12), Field(13) + Field(14));

        long Field(int index) => long.Parse(fields[index], CultureInfo.InvariantCulture);
    }

    private sealed record Stat(long ParentId, long Ticks, long TicksOfGoneChildren);
}

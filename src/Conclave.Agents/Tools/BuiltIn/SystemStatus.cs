using System.Globalization;

namespace Conclave.Agents.Tools.BuiltIn;

/// <summary>How busy the machine of the server is, and what is left of it: for agents that watch over work.</summary>
internal static class SystemStatus
{
    /// <summary>The tool.</summary>
    /// <param name="dataFolder">The folder whose disk is told of.</param>
    /// <param name="time">The clock.</param>
    public static BuiltInTool Create(string dataFolder, TimeProvider time) => new(
        BuiltInTools.Define("system-status", "analysis", "Tells how busy the server's machine is: processors and load, memory, disk, and what the server itself uses. Changes nothing.", """
            {"type":"object","properties":{},"additionalProperties":false}
            """) with { Annotations = new() { ReadOnly = true, Idempotent = true } },
        (_, _) =>
        {
            var memory = GC.GetGCMemoryInfo();
            var disk = new DriveInfo(Path.GetFullPath(dataFolder));
            using var self = System.Diagnostics.Process.GetCurrentProcess();
            return Task.FromResult(JsonOutput.Object(w =>
            {
                w.WriteString("at", time.GetUtcNow());
                w.WriteNumber("processors", Environment.ProcessorCount);
                if (Load() is { } load)
                    w.WriteNumber("loadOfLastMinute", load);
                else
                    w.WriteNull("loadOfLastMinute");
                w.WriteNumber("memoryBytes", memory.TotalAvailableMemoryBytes);
                w.WriteNumber("memoryUsedBytes", memory.MemoryLoadBytes);
                w.WriteNumber("diskBytes", disk.TotalSize);
                w.WriteNumber("diskFreeBytes", disk.AvailableFreeSpace);
                w.WriteStartObject("server");
                w.WriteNumber("memoryBytes", self.WorkingSet64);
                w.WriteNumber("processorSeconds", Math.Round(self.TotalProcessorTime.TotalSeconds, 1));
                w.WriteNumber("upSeconds", Math.Round((time.GetUtcNow() - self.StartTime.ToUniversalTime()).TotalSeconds));
                w.WriteEndObject();
            }));
        });

    /// <summary>Processes that ran or wanted to, on the average of the last minute; null where the system does not tell.</summary>
    private static double? Load() => OperatingSystem.IsLinux() && File.Exists("/proc/loadavg")
        && double.TryParse(File.ReadAllText("/proc/loadavg").Split(' ')[0], NumberStyles.Float, CultureInfo.InvariantCulture, out var load) ? load : null;
}

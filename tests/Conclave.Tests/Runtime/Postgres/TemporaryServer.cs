using System.Diagnostics;

namespace Conclave.Tests.Runtime.Postgres;

/// <summary>Removes servers that run in temporary folders, even when the test process is killed.</summary>
internal static class TemporaryServer
{
    // Waits in the background until the test process is gone, which closes the pipe. It then ends the server and removes
    // its folder. Neither Ctrl+C nor a test runner that kills its host's children reaches it.
    private const string Script = """
        exec 3<&0
        ( trap '' HUP INT TERM
          cat <&3
          file="$1/data/postmaster.pid"
          kill -QUIT "$(head -n 1 "$file")" || rm -f "$file"
          tries=0
          while [ -e "$file" ] && [ $tries -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
          rm -rf -- "$1" ) </dev/null >/dev/null 2>&1 &
        """;

    private static readonly List<Process> Guards = [];

    /// <summary>Ends the server in a folder and removes the folder once this process has ended, however it ends.</summary>
    /// <remarks>On Windows the caller must do so as the process exits.</remarks>
    public static void RemoveWithThisProcess(string folder)
    {
        if (OperatingSystem.IsWindows()) return;
        var start = new ProcessStartInfo("/bin/sh", ["-c", Script, "sh", folder]) { RedirectStandardInput = true };
        var guard = Process.Start(start)!;
        guard.WaitForExit();
        // The pipe stays open as long as this object does.
        lock (Guards) Guards.Add(guard);
    }
}

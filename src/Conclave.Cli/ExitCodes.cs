namespace Conclave.Cli;

/// <summary>What a command's exit code means. Scripts rely on these.</summary>
internal static class ExitCodes
{
    public const int Finished = 0;

    /// <summary>Something nobody foresaw, on this side or on the server's; also a command line that makes no sense.</summary>
    public const int Unexpected = 1;

    /// <summary>The workflow waits for something, or had not ended when the time to wait was over.</summary>
    public const int Suspended = 2;

    public const int Faulted = 3;

    /// <summary>The server understood and refused, for all or for some of what was asked.</summary>
    public const int Refused = 3;

    /// <summary>A file, an input or a setting cannot be used; every problem is on standard error.</summary>
    public const int CannotBeLoaded = 4;

    /// <summary>No server answers.</summary>
    public const int NoServer = 5;

    /// <summary>Ctrl+C, as shells count it.</summary>
    public const int Stopped = 130;
}

namespace Conclave.Cli;

/// <summary>What a command's exit code means. Scripts rely on these.</summary>
internal static class ExitCodes
{
    public const int Finished = 0;

    public const int Suspended = 2;

    public const int Faulted = 3;

    /// <summary>The file cannot be loaded, or it has errors; every problem is on standard error.</summary>
    public const int CannotBeLoaded = 4;
}

namespace Conclave.Cli;

/// <summary>A command cannot go on. The message says why and what to do, and goes to standard error.</summary>
internal class CommandException(int exitCode, string message) : Exception(message)
{
    public int ExitCode { get; } = exitCode;

    public static CommandException BadInput(string message) => new(ExitCodes.CannotBeLoaded, message);
}

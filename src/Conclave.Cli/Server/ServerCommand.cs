using System.CommandLine;
using System.Text.Json;

namespace Conclave.Cli.Server;

/// <summary>What a command that talks to a server has at hand.</summary>
internal sealed record ServerSession(ParseResult Result, ServerClient Client, Screen Screen)
{
    public T? Get<T>(Option<T> option) => Result.GetValue(option);

    /// <summary>The values of an argument that may have none.</summary>
    public string[] Get(Argument<string[]> argument) => Result.GetValue(argument) ?? [];

    public T Get<T>(Argument<T> argument) => Result.GetRequiredValue(argument);
}

/// <summary>Makes commands that talk to a server: their common options, and what their failures say.</summary>
internal static class ServerCommand
{
    /// <summary>Makes a command.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="description">What it does.</param>
    /// <param name="run">Does it; gives the exit code.</param>
    /// <param name="symbols">Its own arguments and options.</param>
    /// <param name="inherited">The common options, when the parent command has them.</param>
    public static Command Create(
        string name,
        string description,
        Func<ServerSession, CancellationToken, Task<int>> run,
        IEnumerable<Symbol>? symbols = null,
        ServerSettings? inherited = null)
    {
        var command = new Command(name, description);
        foreach (var symbol in symbols ?? [])
        {
            if (symbol is Argument argument)
                command.Arguments.Add(argument);
            else
                command.Options.Add((Option)symbol);
        }

        var settings = inherited ?? new ServerSettings();
        if (inherited is null)
            settings.AddTo(command);
        SetAction(command, settings, run);
        return command;
    }

    public static void SetAction(Command command, ServerSettings settings, Func<ServerSession, CancellationToken, Task<int>> run) =>
        command.SetAction((result, cancellationToken) => RunAsync(result, settings, run, cancellationToken));

    private static async Task<int> RunAsync(
        ParseResult result, ServerSettings settings, Func<ServerSession, CancellationToken, Task<int>> run, CancellationToken cancellationToken)
    {
        var screen = new Screen(settings.IsJson(result));
        try
        {
            using var client = new ServerClient(settings.Resolve(result));
            return await run(new ServerSession(result, client, screen), cancellationToken);
        }
        catch (CommandException exception)
        {
            // Programs that asked for JSON get the problem where they read; people on standard error.
            if (exception is ProblemException { Problem.ValueKind: not JsonValueKind.Undefined } problem && screen.IsJson)
                Screen.Json(problem.Problem);
            Screen.Error(exception.Message);
            return exception.ExitCode;
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            Screen.Error("Stopped. What the server has accepted goes on there.");
            return ExitCodes.Stopped;
        }
        catch (UnauthorizedAccessException exception)
        {
            Screen.Error(exception.Message);
            return ExitCodes.CannotBeLoaded;
        }
        catch (IOException exception)
        {
            Screen.Error(exception.Message);
            return exception is HttpIOException ? ExitCodes.NoServer : ExitCodes.CannotBeLoaded;
        }
        catch (HttpRequestException exception)
        {
            Screen.Error($"The connection broke before the answer was complete: {exception.Message}");
            return ExitCodes.NoServer;
        }
    }
}

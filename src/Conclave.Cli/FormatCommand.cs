using System.CommandLine;
using Conclave.Workflows.Definitions;

namespace Conclave.Cli;

/// <summary><c>conclave format</c>: writes a definition in today's form.</summary>
internal static class FormatCommand
{
    public static Command Create()
    {
        var file = new Argument<FileInfo>("file") { Description = "The workflow definition." };
        var write = new Option<bool>("--write", "-w") { Description = "Change the file instead of printing it." };
        var command = new Command("format", "Write a definition in today's form: ids filled in, node ids computed, old shapes brought up to date.") { file, write };
        command.SetAction((result, cancellationToken) => FormatAsync(result.GetRequiredValue(file), result.GetValue(write), cancellationToken));
        return command;
    }

    private static async Task<int> FormatAsync(FileInfo file, bool write, CancellationToken cancellationToken)
    {
        if (await DefinitionFiles.ReadAsync(file, null, cancellationToken) is not { } definition)
            return ExitCodes.CannotBeLoaded;
        byte[] formatted = [.. WorkflowDefinitionWriter.Write(definition), (byte)'\n'];
        if (!write)
        {
            await using var output = Console.OpenStandardOutput();
            await output.WriteAsync(formatted, cancellationToken);
            return ExitCodes.Finished;
        }

        // Through a second file, so that a crash leaves either the old content or the new.
        var temporary = file.FullName + ".tmp";
        await File.WriteAllBytesAsync(temporary, formatted, cancellationToken);
        File.Move(temporary, file.FullName, overwrite: true);
        return ExitCodes.Finished;
    }
}

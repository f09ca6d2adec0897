using System.CommandLine;
using Conclave.Workflows.Definitions;

namespace Conclave.Cli;

/// <summary><c>conclave validate</c>: every problem of a definition at once, each with its place.</summary>
internal static class ValidateCommand
{
    public static Command Create()
    {
        var files = new Argument<FileInfo[]>("files") { Description = "The workflow definitions to check.", Arity = ArgumentArity.OneOrMore };
        var with = new Option<FileSystemInfo[]>("--with") { Description = "A file or folder with definitions that they use." };
        var allowCSharp = new Option<bool>("--allow-csharp") { Description = "Accept C# in the definitions." };
        var command = new Command("validate", "Check workflow definitions as publishing would.") { files, with, allowCSharp };
        command.SetAction((result, cancellationToken) => ValidateAsync(
            result.GetRequiredValue(files), result.GetValue(with) ?? [], result.GetValue(allowCSharp), cancellationToken));
        return command;
    }

    private static async Task<int> ValidateAsync(FileInfo[] files, FileSystemInfo[] with, bool allowCSharp, CancellationToken cancellationToken)
    {
        var library = new WorkflowLibrary();
        var isValid = await DefinitionFiles.AddAsync(library, with, cancellationToken);
        await using var local = new LocalEngine(library, allowCSharp);
        foreach (var file in files)
        {
            if (await DefinitionFiles.ReadAsync(file, local.Engine, cancellationToken) is not { } definition)
            {
                isValid = false;
                continue;
            }

            var problems = DefinitionFiles.Problems(definition, local.Engine);
            DefinitionFiles.Report(file, problems);
            if (problems.Any(p => p.Severity == ProblemSeverity.Error))
                isValid = false;
            else
                Console.WriteLine($"{file}: valid");
        }

        return isValid ? ExitCodes.Finished : ExitCodes.CannotBeLoaded;
    }
}

using System.Text.Json;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;

namespace Conclave.Cli;

/// <summary>Reads definitions from files and folders; problems go to standard error, each with its file.</summary>
internal static class DefinitionFiles
{
    /// <summary>Reads one file; null when it cannot be read, after saying why.</summary>
    /// <param name="file">The file.</param>
    /// <param name="engine">Finds, in a file that cannot be read, what else is wrong with it; null for only what the reader says.</param>
    /// <param name="cancellationToken">Stops reading.</param>
    public static async Task<WorkflowDefinition?> ReadAsync(FileInfo file, WorkflowEngine? engine, CancellationToken cancellationToken)
    {
        try
        {
            await using var stream = file.OpenRead();
            return await WorkflowDefinitionReader.ReadAsync(stream, null, cancellationToken);
        }
        catch (WorkflowDefinitionException exception)
        {
            Report(file, exception.Problems);
            if (engine is not null && exception.Readable is { } readable)
                Report(file, Problems(readable, engine));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            await Console.Error.WriteLineAsync($"{file}: {exception.Message}");
        }

        return null;
    }

    /// <summary>Adds the definitions of files and folders to a library. In folders, JSON files that are no definitions are passed over.</summary>
    /// <returns>Whether all could be read.</returns>
    public static async Task<bool> AddAsync(WorkflowLibrary library, IEnumerable<FileSystemInfo> sources, CancellationToken cancellationToken)
    {
        var isComplete = true;
        foreach (var source in sources)
        {
            if (Directory.Exists(source.FullName))
            {
                foreach (var file in await InFolderAsync(new DirectoryInfo(source.FullName), cancellationToken))
                {
                    if (await ReadAsync(file, null, cancellationToken) is { } definition)
                        library.Add(definition);
                    else
                        isComplete = false;
                }
            }
            else if (await ReadAsync(new FileInfo(source.FullName), null, cancellationToken) is { } definition)
                library.Add(definition);
            else
                isComplete = false;
        }

        return isComplete;
    }

    /// <summary>What publishing would say about a definition.</summary>
    public static IReadOnlyList<DefinitionProblem> Problems(WorkflowDefinition definition, WorkflowEngine engine)
    {
        try
        {
            return engine.Compile(definition).Problems;
        }
        catch (WorkflowDefinitionException exception)
        {
            return exception.Problems;
        }
    }

    /// <summary>Writes problems to standard error, one per line with the file they are in.</summary>
    public static void Report(FileInfo file, IEnumerable<DefinitionProblem> problems)
    {
        foreach (var problem in problems)
        {
            var severity = problem.Severity == ProblemSeverity.Error ? "error" : "warning";
            Console.Error.WriteLine($"{file}: {severity}: {problem}");
        }
    }

    /// <summary>The files of a folder, at any depth, that look like definitions, in the order of their paths.</summary>
    public static async Task<List<FileInfo>> InFolderAsync(DirectoryInfo folder, CancellationToken cancellationToken)
    {
        List<FileInfo> found = [];
        foreach (var file in folder.EnumerateFiles("*.json", SearchOption.AllDirectories).OrderBy(f => f.FullName, StringComparer.Ordinal))
        {
            if (await LooksLikeDefinitionAsync(file, cancellationToken))
                found.Add(file);
        }

        return found;
    }

    private static async Task<bool> LooksLikeDefinitionAsync(FileInfo file, CancellationToken cancellationToken)
    {
        if (file.Length > DefinitionLimits.Default.MaxBytes)
            return false;
        try
        {
            await using var stream = file.OpenRead();
            using var document = await JsonDocument.ParseAsync(stream, default, cancellationToken);
            return document.RootElement.ValueKind == JsonValueKind.Object
                && document.RootElement.TryGetProperty("root", out var root)
                && root.ValueKind == JsonValueKind.Object;
        }
        catch (JsonException)
        {
            // Not JSON, so not a definition; other people's files may lie in the same folder.
            return false;
        }
    }
}

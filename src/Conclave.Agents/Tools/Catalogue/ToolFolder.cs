using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging;

namespace Conclave.Agents.Tools.Catalogue;

/// <summary>Definitions of tools in a folder: every <c>tool.yaml</c> and <c>*.tool.yaml</c> below it, read at start and whenever one changes.</summary>
/// <remarks>
/// <c>settings.script: {file: logic.js}</c> and <c>settings.files: [a.mjs]</c> name files beside the definition, whose contents become part of it, and of its hash. A file that is deleted takes its tool away.
/// A changed definition of a tool that was seen before has to be approved before it runs.
/// </remarks>
public sealed partial class ToolFolder(string folder, string tenant, ToolStore store, ToolRegistry registry, ILogger<ToolFolder> logger, TimeProvider time)
{
    private const string Source = "file";
    private const int MostFiles = 1_000;
    private const long LargestFile = 256 << 10;
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(2);

    private readonly ILogger _logger = logger;
    private string _state = "";

    /// <summary>What was wrong the last time, by file.</summary>
    public IReadOnlyDictionary<string, string> Problems { get; private set; } = new Dictionary<string, string>();

    /// <summary>Reads all files and stores their definitions.</summary>
    /// <returns>The tools.</returns>
    public async Task<IReadOnlyList<ToolDefinition>> ImportAsync(CancellationToken cancellationToken)
    {
        // Taken first: what changes meanwhile is read again.
        _state = State();
        var tools = new List<ToolDefinition>();
        var problems = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var file in Files())
        {
            var name = Path.GetRelativePath(folder, file);
            var tool = await ReadAsync(file, cancellationToken) switch
            {
                (var read, null) => read,
                (_, var problem) => Refused(name, problem),
            };
            if (tool is null)
                continue;
            if (registry.FindKind(tool.Kind)?.Check(tool).ToList() is { Count: > 0 } wrong)
                Refused(name, string.Join(" ", wrong));
            else if (tools.Exists(t => t.Name == tool.Name))
                Refused(name, $"Another file has a tool '{tool.Name}', too.");
            else
                tools.Add(tool);
        }

        var others = await store.ReplaceSourceAsync(tenant, Source, tools, "folder", cancellationToken);
        foreach (var other in others)
            Refused(other, $"The tool '{other}' comes from elsewhere already.");
        Problems = problems;
        await registry.LoadAsync(tenant, cancellationToken);
        LogImported(tools.Count - others.Count, folder);
        return tools;

        ToolDefinition? Refused(string name, string? problem)
        {
            problems[name] = problem ?? "";
            LogRefused(name, problem ?? "");
            return null;
        }
    }

    /// <summary>Imports again whenever something changes, until cancelled.</summary>
    public async Task WatchAsync(CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(Interval, time);
        try
        {
            while (await timer.WaitForNextTickAsync(cancellationToken))
            {
                try
                {
                    if (State() != _state)
                        await ImportAsync(cancellationToken);
                }
                catch (Exception exception) when (exception is Npgsql.NpgsqlException or IOException or UnauthorizedAccessException or TimeoutException)
                {
                    LogFailed(folder, exception);
                }
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The process stops.
        }
    }

    /// <summary>Reads one definition with the files beside it.</summary>
    internal static async Task<(ToolDefinition? Tool, string? Problem)> ReadAsync(string file, CancellationToken cancellationToken)
    {
        try
        {
            if (new FileInfo(file).Length > LargestFile)
                return (null, $"It is larger than {LargestFile:N0} bytes.");
            var json = JsonNode.Parse(YamlJson.Read(await File.ReadAllTextAsync(file, cancellationToken)).GetRawText()) as JsonObject;
            if (json?["settings"] is JsonObject settings)
            {
                if (settings["script"] is JsonObject script)
                    settings["script"] = await ContentAsync(file, (string?)script["file"], cancellationToken);
                if (settings["files"] is JsonArray names)
                {
                    var contents = new JsonObject();
                    foreach (var name in names.Select(n => (string?)n).ToList())
                        contents[name ?? ""] = await ContentAsync(file, name, cancellationToken);
                    settings["files"] = contents;
                }
            }

            var tool = ToolDefinitionReader.Read(JsonElement.Parse(json?.ToJsonString() ?? "null"), out var problems);
            return (tool, tool is null ? string.Join(" ", problems) : null);
        }
        catch (Exception exception) when (exception is FormatException or IOException or InvalidOperationException or JsonException or UnauthorizedAccessException)
        {
            return (null, exception.Message);
        }
    }

    private static async Task<string> ContentAsync(string definition, string? name, CancellationToken cancellationToken)
    {
        if (string.IsNullOrEmpty(name) || name != Path.GetFileName(name))
            throw new FormatException($"'{name}' must be the name of a file beside the definition.");
        var file = new FileInfo(Path.Combine(Path.GetDirectoryName(definition)!, name));
        if (!file.Exists || file.LinkTarget is not null || file.Length > LargestFile)
            throw new FormatException($"'{name}' must be a file beside the definition of at most {LargestFile:N0} bytes.");
        return await File.ReadAllTextAsync(file.FullName, cancellationToken);
    }

    private IEnumerable<string> Files() => !Directory.Exists(folder) ? [] : Directory.EnumerateFiles(folder, "*.yaml", SearchOption.AllDirectories)
        .Where(f => Path.GetFileName(f) == "tool.yaml" || f.EndsWith(".tool.yaml", StringComparison.Ordinal)).Order(StringComparer.Ordinal).Take(MostFiles);

    // Every file: a definition may have parts beside it.
    private string State() => !Directory.Exists(folder) ? "" : string.Join('\n', new DirectoryInfo(folder).EnumerateFiles("*", SearchOption.AllDirectories)
        .OrderBy(f => f.FullName, StringComparer.Ordinal).Take(MostFiles * 4).Select(f => $"{f.FullName}|{f.LastWriteTimeUtc.Ticks}|{f.Length}"));

    [LoggerMessage(4412, LogLevel.Information, "{Count} tools were read from {Folder}.")]
    private partial void LogImported(int count, string folder);

    [LoggerMessage(4413, LogLevel.Warning, "The tool in {File} is not used: {Problem}")]
    private partial void LogRefused(string file, string problem);

    [LoggerMessage(4414, LogLevel.Warning, "The tools in {Folder} could not be read; it is tried again.")]
    private partial void LogFailed(string folder, Exception exception);
}

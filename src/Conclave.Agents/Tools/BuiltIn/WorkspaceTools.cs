using System.Text;
using System.Text.RegularExpressions;
using Conclave.Agents.Tools.Workspace;

namespace Conclave.Agents.Tools.BuiltIn;

/// <summary>Files of the agent's workspace: list, read, write, delete, search, earlier versions.</summary>
internal static class WorkspaceTools
{
    private const int MostEntries = 1_000;
    private const int MostMatches = 200;
    private const int LongestLine = 300;
    private const int LargestSearched = 1 << 20;
    private const string PathParameter = """{"type":"string","minLength":1,"maxLength":1024,"x-check":"path","description":"Path in the workspace, such as notes/today.md."}""";

    public static IEnumerable<BuiltInTool> All(Workspaces workspaces)
    {
        var reads = new ToolAnnotations { ReadOnly = true, Idempotent = true };
        yield return new(
            Define("workspace-list", "Lists the files of your workspace with their sizes.", """{"folder":{"type":"string","maxLength":1024,"x-check":"path","description":"Only what is below this folder."}}""", "", WorkspaceAccess.Read, reads),
            (run, _) =>
            {
                var files = workspaces.List(run.Call.Tenant, run.Call.AgentId, run.Text("folder") ?? "", MostEntries);
                return Task.FromResult(JsonOutput.Object(w =>
                {
                    w.WriteStartArray("files");
                    foreach (var file in files)
                    {
                        w.WriteStartObject();
                        w.WriteString("path", file.Path);
                        w.WriteNumber("bytes", file.Bytes);
                        w.WriteString("changedAt", file.ChangedAt);
                        w.WriteEndObject();
                    }

                    w.WriteEndArray();
                    w.WriteBoolean("isComplete", files.Count < MostEntries);
                }));
            });
        yield return new(
            Define("workspace-read", "Reads a text file of your workspace, as a whole or some lines of it.",
                $$"""{"path":{{PathParameter}},"from":{"type":"integer","minimum":1,"description":"First line."},"lines":{"type":"integer","minimum":1,"maximum":10000,"description":"How many lines."} }""", "path", WorkspaceAccess.Read, reads),
            async (run, token) =>
            {
                var text = await TextAsync(workspaces, run, token);
                var lines = text.Split('\n');
                var from = Math.Min(run.Number("from", 1), lines.Length);
                var count = Math.Min(run.Number("lines", lines.Length), lines.Length - from + 1);
                return JsonOutput.Object(w =>
                {
                    w.WriteString("content", string.Join('\n', lines.AsSpan(from - 1, count)!));
                    w.WriteNumber("from", from);
                    w.WriteNumber("lines", count);
                    w.WriteNumber("totalLines", lines.Length);
                });
            });
        yield return new(
            Define("workspace-write", "Writes a text file of your workspace, or replaces it. What was there before is kept as a version.",
                $$"""{"path":{{PathParameter}},"content":{"type":"string","x-check":"text","description":"The whole new content."},"append":{"type":"boolean","description":"Whether to add it to the end instead."} }""",
                "path\",\"content", WorkspaceAccess.Write, new() { Idempotent = false }),
            async (run, token) =>
            {
                var content = run.Text("content")!;
                if (run.Flag("append") && await workspaces.ReadAsync(run.Call.Tenant, run.Call.AgentId, run.Text("path")!, token) is { } before)
                    content = Encoding.UTF8.GetString(before) + content;
                var version = await workspaces.WriteAsync(run.Call.Tenant, run.Call.AgentId, run.Text("path")!, Encoding.UTF8.GetBytes(content), token);
                return Written(version, Encoding.UTF8.GetByteCount(content));
            });
        yield return new(
            Define("workspace-delete", "Deletes a file of your workspace. It is kept as a version.", $$"""{"path":{{PathParameter}} }""", "path", WorkspaceAccess.Write, new() { Idempotent = true }),
            async (run, token) =>
            {
                var version = await workspaces.DeleteAsync(run.Call.Tenant, run.Call.AgentId, run.Text("path")!, token) ?? throw NoFile(run);
                return JsonOutput.Object(w => w.WriteNumber("keptAsVersion", version));
            });
        yield return new(
            Define("workspace-versions", "Lists earlier versions of a file of your workspace.", $$"""{"path":{{PathParameter}} }""", "path", WorkspaceAccess.Read, reads),
            (run, _) => Task.FromResult(JsonOutput.Object(w =>
            {
                w.WriteStartArray("versions");
                foreach (var version in workspaces.Versions(run.Call.Tenant, run.Call.AgentId, run.Text("path")!))
                {
                    w.WriteStartObject();
                    w.WriteNumber("version", version.Number);
                    w.WriteNumber("bytes", version.Bytes);
                    w.WriteString("keptAt", version.KeptAt);
                    w.WriteEndObject();
                }

                w.WriteEndArray();
            })));
        yield return new(
            Define("workspace-rollback", "Brings back an earlier version of a file of your workspace. What was there is kept as a version in turn.",
                $$"""{"path":{{PathParameter}},"version":{"type":"integer","minimum":1} }""", "path\",\"version", WorkspaceAccess.Write, new()),
            async (run, token) =>
            {
                await workspaces.RollBackAsync(run.Call.Tenant, run.Call.AgentId, run.Text("path")!, run.Number("version", 0), token);
                return JsonOutput.Object(w => w.WriteNumber("broughtBack", run.Number("version", 0)));
            });
        yield return new(
            Define("workspace-search", "Finds lines with a text in the files of your workspace.",
                """{"query":{"type":"string","minLength":1,"maxLength":500,"x-check":"text"},"isPattern":{"type":"boolean","description":"Whether it is a regular expression."},"folder":{"type":"string","maxLength":1024,"x-check":"path"}}""",
                "query", WorkspaceAccess.Read, reads),
            (run, token) => SearchAsync(workspaces, run, token));
    }

    private static async Task<ToolOutput> SearchAsync(Workspaces workspaces, ToolRun run, CancellationToken cancellationToken)
    {
        Regex pattern;
        try
        {
            // Linear in the text, whatever the pattern is.
            pattern = new Regex(run.Flag("isPattern") ? run.Text("query")! : Regex.Escape(run.Text("query")!), RegexOptions.NonBacktracking | RegexOptions.IgnoreCase | RegexOptions.CultureInvariant);
        }
        catch (Exception exception) when (exception is ArgumentException or NotSupportedException)
        {
            throw new ToolException("tool.arguments_invalid", $"The pattern cannot be used: {exception.Message}", exception);
        }

        var matches = new List<(string Path, int Line, string Text)>();
        foreach (var file in workspaces.List(run.Call.Tenant, run.Call.AgentId, run.Text("folder") ?? "", MostEntries * 10))
        {
            if (file.Bytes > LargestSearched || matches.Count >= MostMatches)
                continue;
            if (await workspaces.ReadAsync(run.Call.Tenant, run.Call.AgentId, file.Path, cancellationToken) is not { } content || content.AsSpan().Contains((byte)0))
                continue;
            var lines = Encoding.UTF8.GetString(content).Split('\n');
            for (var i = 0; i < lines.Length && matches.Count < MostMatches; i++)
            {
                if (pattern.IsMatch(lines[i]))
                    matches.Add((file.Path, i + 1, lines[i].Length > LongestLine ? lines[i][..LongestLine] + "…" : lines[i]));
            }
        }

        return JsonOutput.Object(w =>
        {
            w.WriteStartArray("matches");
            foreach (var (path, line, text) in matches)
            {
                w.WriteStartObject();
                w.WriteString("path", path);
                w.WriteNumber("line", line);
                w.WriteString("text", text);
                w.WriteEndObject();
            }

            w.WriteEndArray();
            w.WriteBoolean("isComplete", matches.Count < MostMatches);
        });
    }

    private static async Task<string> TextAsync(Workspaces workspaces, ToolRun run, CancellationToken cancellationToken)
    {
        var content = await workspaces.ReadAsync(run.Call.Tenant, run.Call.AgentId, run.Text("path")!, cancellationToken) ?? throw NoFile(run);
        return content.AsSpan().Contains((byte)0) ? throw new ToolException("workspace.not_text", $"'{run.Text("path")}' is no text.") : Encoding.UTF8.GetString(content);
    }

    private static ToolException NoFile(ToolRun run) => new("workspace.not_found", $"There is no file '{run.Text("path")}' in the workspace. workspace-list shows what there is.");

    private static ToolOutput Written(int? version, int bytes) => JsonOutput.Object(w =>
    {
        w.WriteNumber("bytes", bytes);
        if (version is { } number)
            w.WriteNumber("keptAsVersion", number);
    });

    private static ToolDefinition Define(string name, string description, string properties, string required, WorkspaceAccess access, ToolAnnotations annotations) =>
        BuiltInTools.Define(name, "workspace", description, $$"""{"type":"object","properties":{{properties}},"required":[{{(required.Length > 0 ? $"\"{required}\"" : "")}}],"additionalProperties":false}""") with
        {
            Annotations = annotations,
            Permissions = new ToolAccess { Workspace = access },
            // Two writers of one file would each keep the other's as a version; one after the other is what people expect.
            Concurrency = access == WorkspaceAccess.Write ? 16 : 0,
        };
}

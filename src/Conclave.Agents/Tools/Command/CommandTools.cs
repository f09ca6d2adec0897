using System.Buffers;
using System.Text;
using System.Text.Json;
using Conclave.Agents.Sandbox;
using Conclave.Agents.Tools.Workspace;
using Conclave.Workflows.Http;

namespace Conclave.Agents.Tools.Command;

/// <summary>Tools that are programs: they run in the sandbox.</summary>
/// <remarks>
/// Settings: <c>command</c>, the words (see <see cref="CommandTemplate"/>), of which the first is the program; <c>files</c>, contents by name, found in <c>/run/tool</c>;
/// <c>input</c>: <c>arguments</c> gives the arguments as JSON on standard input, another text an argument of that name; <c>output</c>: <c>json</c> reads standard output as JSON;
/// <c>environment</c>; <c>exitCodes</c>, those that mean success, 0 without it.
/// </remarks>
public sealed class CommandTools(SandboxHost sandbox, Workspaces workspaces, OutboundHttp http, string filesFolder) : ToolKind
{
    /// <summary>Where a tool's own files are, inside.</summary>
    public const string FilesFolder = "/run/tool";

    /// <inheritdoc/>
    public override string Name => ToolKinds.Command;

    /// <inheritdoc/>
    public override bool RunsCommands => true;

    /// <inheritdoc/>
    public override IEnumerable<string> Missing(string tenant, ToolDefinition tool)
    {
        if (sandbox.Unavailable is { } reason)
            yield return reason;
        else if (tool.Permissions.Network.Count > 0 && sandbox.FindProgram("node") is null)
            yield return "Commands with a network need Node.js where commands find it: install nodejs.";
    }

    /// <inheritdoc/>
    public override IEnumerable<string> Check(ToolDefinition tool)
    {
        foreach (var problem in CommandTemplate.Check(tool.Settings.Member("command")))
            yield return problem;
        if (tool.Settings.Member("command") is { ValueKind: JsonValueKind.Array } command && command.GetArrayLength() == 0)
            yield return "settings.command: must name a program.";
        if (tool.Settings.Member("files") is { ValueKind: not JsonValueKind.Undefined } files
            && (files.ValueKind != JsonValueKind.Object || files.EnumerateObject().Any(f => f.Value.ValueKind != JsonValueKind.String || !IsFileName(f.Name))))
            yield return "settings.files: must be an object of contents by file name.";
        if (tool.Settings.Text("output") is not (null or "text" or "json"))
            yield return "settings.output: must be text or json.";
    }

    /// <inheritdoc/>
    public override async Task<ToolOutput> RunAsync(ToolRun run, CancellationToken cancellationToken)
    {
        var (tool, call) = (run.Tool, run.Call);
        var words = CommandTemplate.Words(tool.Settings.Member("command"), run.Arguments);
        if (words.Count == 0)
            throw new ToolException("tool.definition_invalid", "The tool's command has no words for these arguments.");
        var access = tool.Permissions.Workspace;
        var result = await sandbox.RunAsync(
            new SandboxCommand(words[0], words[1..])
            {
                Workspace = access == WorkspaceAccess.None ? null : workspaces.FolderOf(call.Tenant, call.AgentId),
                MayWrite = access == WorkspaceAccess.Write,
                Files = WriteFiles(tool),
                Environment = Environment(tool, call),
                Input = InputOf(tool, run.Arguments),
                Limits = LimitsOf(tool.Limits),
                Network = NetworkOf(tool, http),
            },
            cancellationToken);
        var usage = new ToolUsage
        {
            CpuSeconds = result.Cpu?.TotalSeconds,
            MemoryBytes = result.MemoryBytes,
            OutputBytes = result.TotalBytes,
            Requests = result.Connections > 0 ? result.Connections : null,
            Refused = result.RefusedHosts.Count > 0 ? result.RefusedHosts : null,
        };
        var (output, error) = (Encoding.UTF8.GetString(result.Output.Span), Encoding.UTF8.GetString(result.Error.Span));
        var report = Report(result.ExitCode, output, error);
        switch (result.End)
        {
            case SandboxEnd.Timeout:
                throw new ToolException("tool.timeout", $"The command did not end within {tool.Limits.TimeoutSeconds:0.###} s and was ended.") { Output = report, Usage = usage };
            case SandboxEnd.Cpu:
                throw new ToolException("tool.cpu_limit", $"The command used more than {tool.Limits.CpuSeconds:0.###} s of processor time and was ended.") { Output = report, Usage = usage };
            case SandboxEnd.Memory:
                throw new ToolException("tool.memory_limit", $"The command used more than {tool.Limits.MemoryMegabytes:N0} MiB of memory and was ended.") { Output = report, Usage = usage };
        }

        if (!IsSuccess(tool, result.ExitCode))
            throw new ToolException("tool.exit_code", $"The command ended with {result.ExitCode}.{(error.Length > 0 ? $" It wrote: {LastLine(error)}" : "")}") { Output = report, Usage = usage };
        if (tool.Settings.Text("output") != "json")
            return new ToolOutput(report, usage);
        try
        {
            return new ToolOutput(JsonElement.Parse(result.Output.Span), usage);
        }
        catch (JsonException exception)
        {
            throw new ToolException("tool.output_invalid", $"The command should have written JSON: {exception.Message}", exception) { Output = report, Usage = usage };
        }
    }

    internal static SandboxLimits LimitsOf(ToolLimits limits) => new()
    {
        Time = TimeSpan.FromSeconds(limits.TimeoutSeconds),
        Cpu = TimeSpan.FromSeconds(limits.CpuSeconds),
        MemoryBytes = (long)limits.MemoryMegabytes << 20,
        Processes = limits.Processes,
        FileBytes = (long)limits.FileMegabytes << 20,
        OutputBytes = limits.OutputKilobytes << 10,
    };

    internal static SandboxNetwork? NetworkOf(ToolDefinition tool, OutboundHttp http)
    {
        if (tool.Permissions.Network.Count == 0)
            return null;
        var hosts = new HostList(tool.Permissions.Network);
        return new SandboxNetwork(hosts.Allows, http.ConnectAsync);
    }

    private static Dictionary<string, string> Environment(ToolDefinition tool, ToolCall call)
    {
        var environment = new Dictionary<string, string>(StringComparer.Ordinal) { ["CONCLAVE_IDEMPOTENCY_KEY"] = call.IdempotencyKey };
        if (tool.Settings.Member("environment") is { ValueKind: JsonValueKind.Object } given)
        {
            foreach (var member in given.EnumerateObject().Where(m => m.Value.ValueKind == JsonValueKind.String))
                environment[member.Name] = member.Value.GetString()!;
        }

        return environment;
    }

    private static byte[] InputOf(ToolDefinition tool, JsonElement arguments) => tool.Settings.Text("input") switch
    {
        null => [],
        "arguments" => Encoding.UTF8.GetBytes(arguments.GetRawText()),
        var name => Encoding.UTF8.GetBytes(arguments.Text(name) ?? ""),
    };

    /// <summary>A tool's own files, written once for each definition.</summary>
    private Dictionary<string, string> WriteFiles(ToolDefinition tool)
    {
        var files = new Dictionary<string, string>(StringComparer.Ordinal);
        if (tool.Settings.Member("files") is not { ValueKind: JsonValueKind.Object } given)
            return files;
        var folder = Path.Combine(filesFolder, tool.Hash);
        Directory.CreateDirectory(folder);
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(filesFolder, (UnixFileMode)0b111_001_001);
            File.SetUnixFileMode(folder, (UnixFileMode)0b111_101_101);
        }

        foreach (var file in given.EnumerateObject().Where(f => IsFileName(f.Name)))
        {
            var path = Path.Combine(folder, file.Name);
            if (!File.Exists(path))
            {
                var draft = $"{path}.{Guid.NewGuid():n}";
                File.WriteAllText(draft, file.Value.GetString());
                if (!OperatingSystem.IsWindows())
                    File.SetUnixFileMode(draft, (UnixFileMode)0b110_100_100);
                File.Move(draft, path, overwrite: true);
            }

            files[$"{FilesFolder}/{file.Name}"] = path;
        }

        return files;
    }

    private static bool IsFileName(string name) => name.Length is > 0 and <= 64 && name[0] != '.' && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_');

    private static bool IsSuccess(ToolDefinition tool, int code) => tool.Settings.Member("exitCodes") is { ValueKind: JsonValueKind.Array } codes
        ? codes.EnumerateArray().Any(c => c.TryGetInt32(out var number) && number == code) : code == 0;

    private static string LastLine(string text) => text.TrimEnd().Split('\n') is [.., var last] ? last : "";

    private static JsonElement Report(int exitCode, string output, string error)
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            writer.WriteNumber("exitCode"u8, exitCode);
            writer.WriteString("stdout"u8, output);
            writer.WriteString("stderr"u8, error);
            writer.WriteEndObject();
        }

        return JsonElement.Parse(buffer.WrittenSpan);
    }
}

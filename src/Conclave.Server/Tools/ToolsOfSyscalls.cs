using System.Text.Json;
using Conclave.Agents.Tools;
using Conclave.Inference;
using Conclave.Inference.Syscalls;
using Microsoft.Extensions.AI;

namespace Conclave.Server.Tools;

/// <summary>The registered tools for syscalls, through the executor, which checks permissions, runs each call once and records it.</summary>
internal sealed class ToolsOfSyscalls(ToolServices tools) : ISyscallTools
{
    private const string WorkspacePrefix = "workspace-";
    private const int MostOffered = 128;

    /// <inheritdoc/>
    public async Task<IReadOnlyList<AITool>> OfferAsync(Syscall syscall, IReadOnlyList<string> names, CancellationToken cancellationToken)
    {
        var own = (await tools.Store.ReadConfigurationAsync(syscall.Tenant, syscall.Aid, cancellationToken))?.Tools;
        var usable = tools.Registry.List(syscall.Tenant)
            .Where(t => t.Problem is null && (syscall.Action == SyscallAction.CallTool || IsFile(t.Name)) && (own is null || own.Contains(t.Name) || own.Contains("*")))
            .ToDictionary(t => t.Name, StringComparer.Ordinal);
        if (names.FirstOrDefault(n => !usable.ContainsKey(n)) is { } unknown)
        {
            var kind = syscall.Action == SyscallAction.OperateFile ? "tool for files" : "tool";
            throw new InferenceException(InferenceFailure.BadRequest, "syscall.unknown_tool", $"There is no {kind} '{unknown}' that '{syscall.Aid}' may use. GET /api/tools lists the tools.") { Parameter = "tools" };
        }

        if (usable.Count == 0)
            throw new InferenceException(InferenceFailure.BadRequest, "syscall.unknown_tool", $"'{syscall.Aid}' has no tools for '{syscall.Action}'.") { Parameter = "tools" };
        return [.. (names.Count > 0 ? names.Select(n => usable[n]) : usable.Values).Take(MostOffered).Select(t => new ToolDeclaration(t.Name, t.Definition.Description, t.Definition.Parameters))];
    }

    /// <inheritdoc/>
    public async Task<SyscallToolRun> CallAsync(Syscall syscall, string key, string tool, JsonElement arguments, CancellationToken cancellationToken)
    {
        // A model may ask for what it was not offered.
        if (syscall.Action == SyscallAction.OperateFile && !IsFile(tool))
            return new SyscallToolRun("", tool, arguments, ToolRuns.NameOf(ToolRunStatus.Refused), $"'{tool}' is no tool for files.", "tool.denied");
        var result = await tools.Executor.RunAsync(new ToolCall(syscall.Tenant, syscall.Aid, "", tool, null, arguments, key) { Account = syscall.Caller }, cancellationToken);
        return new SyscallToolRun(result.RunId.ToString("N"), tool, arguments, ToolRuns.NameOf(result.Status), result.Text, result.ErrorCode);
    }

    private static bool IsFile(string tool) => tool.StartsWith(WorkspacePrefix, StringComparison.Ordinal);
}

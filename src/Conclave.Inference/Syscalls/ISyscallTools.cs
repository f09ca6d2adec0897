using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Conclave.Inference.Syscalls;

/// <summary>The tools that syscalls work with. Tools belong to agents, which this library knows nothing of.</summary>
public interface ISyscallTools
{
    /// <summary>Tools as the model is told of them.</summary>
    /// <param name="syscall">Who asks, and for what: <see cref="SyscallAction.CallTool"/>, or <see cref="SyscallAction.OperateFile"/> for those of the workspace.</param>
    /// <param name="names">Which ones; empty for all that the asker may call.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <exception cref="InferenceException"><c>syscall.unknown_tool</c>: one of them is not there, or cannot be used.</exception>
    Task<IReadOnlyList<AITool>> OfferAsync(Syscall syscall, IReadOnlyList<string> names, CancellationToken cancellationToken);

    /// <summary>Calls a tool, with the permissions of who asks. Once for each key: a repeated call gives what the first one gave.</summary>
    /// <param name="syscall">Who asks.</param>
    /// <param name="key">Idempotency key.</param>
    /// <param name="tool">The tool.</param>
    /// <param name="arguments">A JSON object.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <returns>What came of it, refusals too.</returns>
    Task<SyscallToolRun> CallAsync(Syscall syscall, string key, string tool, JsonElement arguments, CancellationToken cancellationToken);
}

/// <summary>A call of a tool that a syscall made.</summary>
/// <param name="Id">Id of its audit row.</param>
/// <param name="Tool">The tool.</param>
/// <param name="Arguments">What it was called with.</param>
/// <param name="Status">How it ended: <c>completed</c>, <c>failed</c>, <c>refused</c> or <c>unknown</c>.</param>
/// <param name="Text">What the model was told: the output, or what went wrong.</param>
/// <param name="ErrorCode">Code of what went wrong, such as <c>tool.approval_required</c>; null for nothing.</param>
public sealed record SyscallToolRun(string Id, string Tool, JsonElement Arguments, string Status, string Text, string? ErrorCode);

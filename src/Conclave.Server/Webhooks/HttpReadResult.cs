using System.Diagnostics.CodeAnalysis;
using Conclave.Workflows.Http;

namespace Conclave.Server.Webhooks;

/// <summary>A request for a workflow, or why it is not taken in.</summary>
/// <param name="Request">The request; null when it is refused.</param>
/// <param name="Refusal">Why it is refused; null when it is not.</param>
public readonly record struct HttpReadResult(HttpRequestData? Request, HttpReadRefusal? Refusal)
{
    /// <summary>Whether there is no request.</summary>
    [MemberNotNullWhen(true, nameof(Refusal))]
    [MemberNotNullWhen(false, nameof(Request))]
    public bool IsRefused => Refusal is not null;
}

/// <summary>Why a request is not taken in; <see cref="HttpReply.Refuse"/> makes the answer of it.</summary>
/// <param name="StatusCode">HTTP status.</param>
/// <param name="Code">Stable code; listed in <c>docs/errors.md</c>.</param>
/// <param name="Detail">What is wrong, for the caller.</param>
public sealed record HttpReadRefusal(int StatusCode, string Code, string Detail)
{
    private static readonly Dictionary<string, string[]> None = [];

    /// <summary>More headers of the answer.</summary>
    public IReadOnlyDictionary<string, string[]> Headers { get; init; } = None;
}

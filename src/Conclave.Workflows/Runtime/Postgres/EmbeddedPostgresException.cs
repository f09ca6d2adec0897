namespace Conclave.Workflows.Runtime.Postgres;

/// <summary>The embedded PostgreSQL server cannot start or stop; the message says what to do.</summary>
/// <param name="code">Stable code, such as <c>postgres.port_taken</c>; listed in <c>docs/errors.md</c>.</param>
/// <param name="message">What happened, where, and what to do.</param>
/// <param name="inner">What caused it.</param>
public sealed class EmbeddedPostgresException(string code, string message, Exception? inner = null)
    : Exception(message, inner)
{
    /// <summary>Stable code; listed in <c>docs/errors.md</c>.</summary>
    public string Code { get; } = code;
}

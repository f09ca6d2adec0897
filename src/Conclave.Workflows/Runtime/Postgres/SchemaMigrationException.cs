namespace Conclave.Workflows.Runtime.Postgres;

/// <summary>The database's tables cannot be brought to the version that this program needs.</summary>
/// <param name="code">
/// Stable code, listed in <c>docs/errors.md</c>: <c>schema.script_changed</c>, <c>schema.database_newer</c> or
/// <c>schema.script_failed</c>.
/// </param>
/// <param name="message">What happened, where, and what to do.</param>
/// <param name="inner">What caused it.</param>
public sealed class SchemaMigrationException(string code, string message, Exception? inner = null)
    : Exception(message, inner)
{
    /// <summary>Stable code; listed in <c>docs/errors.md</c>.</summary>
    public string Code { get; } = code;
}

using Npgsql;

namespace Conclave.Workflows.Runtime.Postgres;

/// <summary>Tells failures of the database itself from those of what was asked of it.</summary>
public static class DatabaseOutage
{
    /// <summary>Whether the database could not be reached, was stopping, or had no room: the same may work later, unchanged.</summary>
    public static bool Is(Exception exception) => exception switch
    {
        // Connections, resources (a full disk, too many connections), a server that stops, and its system.
        PostgresException { SqlState: var state } => state[..2] is "08" or "53" or "58" || state.StartsWith("57P", StringComparison.Ordinal),
        NpgsqlException or TimeoutException => true,
        _ => false,
    };
}

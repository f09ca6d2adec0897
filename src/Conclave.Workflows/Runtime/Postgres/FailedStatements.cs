using System.Data;
using Npgsql;

namespace Conclave.Workflows.Runtime.Postgres;

/// <summary>What to do about connections on which a statement failed.</summary>
internal static class FailedStatements
{
    /// <summary>
    /// Forgets what is prepared. Statements that were being prepared when another failed are not what Npgsql takes them for afterwards (npgsql#6391, open in 10.0.0): a later
    /// command on this connection would read the answer of another.
    /// </summary>
    public static void UnprepareAfterFailure(this NpgsqlConnection connection)
    {
        if (connection.State == ConnectionState.Open)
            connection.UnprepareAll();
    }
}

using Npgsql;

namespace Conclave.Inference.Gateway;

/// <summary>Slices as rows keep them: one array for each member.</summary>
internal static class CallSlices
{
    /// <summary>Reads <c>queued_at, started_at, ended_at, servers, tokens</c> from a column on.</summary>
    public static IReadOnlyList<CallSlice> Read(NpgsqlDataReader reader, int column)
    {
        var queued = reader.GetFieldValue<DateTimeOffset[]>(column);
        var started = reader.GetFieldValue<DateTimeOffset[]>(column + 1);
        var ended = reader.GetFieldValue<DateTimeOffset[]>(column + 2);
        var servers = reader.GetFieldValue<string[]>(column + 3);
        var tokens = reader.GetFieldValue<long[]>(column + 4);
        var slices = new CallSlice[queued.Length];
        for (var i = 0; i < slices.Length; i++)
            slices[i] = new CallSlice(queued[i], started[i], ended[i], servers[i], tokens[i]);
        return slices;
    }
}

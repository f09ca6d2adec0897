using Npgsql;
using NpgsqlTypes;

namespace Conclave.Server.Accounts;

/// <summary>Parameters that say their type, so that one prepared statement serves every value.</summary>
internal static class Parameters
{
    /// <summary>Adds a value.</summary>
    public static void AddValue<T>(this NpgsqlParameterCollection parameters, T value) => parameters.Add(new NpgsqlParameter<T> { TypedValue = value });

    /// <summary>Adds a text that may be missing.</summary>
    public static void AddText(this NpgsqlParameterCollection parameters, string? value) =>
        parameters.Add(new NpgsqlParameter { Value = (object?)value ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Text });

    /// <summary>Adds a time that may be missing.</summary>
    public static void AddTime(this NpgsqlParameterCollection parameters, DateTimeOffset? value) =>
        parameters.Add(new NpgsqlParameter { Value = (object?)value?.UtcDateTime ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.TimestampTz });
}

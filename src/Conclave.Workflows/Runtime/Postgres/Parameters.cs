using Npgsql;
using NpgsqlTypes;

namespace Conclave.Workflows.Runtime.Postgres;

/// <summary>Parameters that say their type, so that one prepared statement serves every value.</summary>
internal static class Parameters
{
    /// <summary>Adds a value that is there.</summary>
    public static void AddValue<T>(this NpgsqlParameterCollection parameters, T value) => parameters.Add(new NpgsqlParameter<T> { TypedValue = value });

    /// <summary>Adds a number that may be missing.</summary>
    public static void AddInteger(this NpgsqlParameterCollection parameters, int? value) =>
        parameters.Add(new NpgsqlParameter { Value = (object?)value ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Integer });

    /// <summary>Adds an id that may be missing.</summary>
    public static void AddUuid(this NpgsqlParameterCollection parameters, Guid? value) =>
        parameters.Add(new NpgsqlParameter { Value = (object?)value ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Uuid });

    /// <summary>Adds a span of time that may be missing.</summary>
    public static void AddInterval(this NpgsqlParameterCollection parameters, TimeSpan? value) =>
        parameters.Add(new NpgsqlParameter { Value = (object?)value ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Interval });

    /// <summary>Adds a time that may be missing.</summary>
    public static void AddTime(this NpgsqlParameterCollection parameters, DateTimeOffset? value) =>
        parameters.Add(new NpgsqlParameter { Value = (object?)value?.UtcDateTime ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.TimestampTz });

    /// <summary>Adds a text that may be missing.</summary>
    public static void AddText(this NpgsqlParameterCollection parameters, string? value) =>
        parameters.Add(new NpgsqlParameter { Value = (object?)value ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Text });

    /// <summary>Adds bytes that may be missing.</summary>
    public static void AddBytes(this NpgsqlParameterCollection parameters, byte[]? value) =>
        parameters.Add(new NpgsqlParameter { Value = (object?)value ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Bytea });

    /// <summary>Adds one column of times, which may be missing.</summary>
    public static void AddTimes<TRow>(this NpgsqlParameterCollection parameters, IReadOnlyList<TRow> rows, Func<TRow, DateTimeOffset?> column)
    {
        var values = new DateTime?[rows.Count];
        for (var i = 0; i < values.Length; i++)
            values[i] = column(rows[i])?.UtcDateTime;
        // A missing time says nothing about its zone, so the type has to.
        parameters.Add(new NpgsqlParameter<DateTime?[]> { TypedValue = values, NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.TimestampTz });
    }

    /// <summary>Adds one column of a list of rows, for <c>unnest</c>.</summary>
    public static void AddArray<TRow, TValue>(this NpgsqlParameterCollection parameters, IReadOnlyList<TRow> rows, Func<TRow, TValue> column)
    {
        var values = new TValue[rows.Count];
        for (var i = 0; i < values.Length; i++)
            values[i] = column(rows[i]);
        parameters.Add(new NpgsqlParameter<TValue[]> { TypedValue = values });
    }
}

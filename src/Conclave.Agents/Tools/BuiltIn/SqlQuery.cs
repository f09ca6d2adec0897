using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Npgsql;

namespace Conclave.Agents.Tools.BuiltIn;

/// <summary>Reads databases that the operator names: one statement, in a transaction that cannot write, with a time limit and a most number of rows.</summary>
/// <remarks>What the account of the connection may read, an agent may read: give it one that reads no more than agents should.</remarks>
internal sealed partial class SqlQuery(IDictionary<string, string> connections) : IAsyncDisposable
{
    private const int MostRows = 1_000;
    private const int StatementSeconds = 15;

    private readonly ConcurrentDictionary<string, NpgsqlDataSource> _sources = new(StringComparer.Ordinal);

    public BuiltInTool Tool => new(
        BuiltInTools.Define("sql-query", "data", "Reads a database with one SELECT statement of PostgreSQL. Use $1, $2 … for values and give them as parameters.", """
            {"type":"object","properties":{"query":{"type":"string","minLength":1,"maxLength":20000,"x-check":"code"},"parameters":{"type":"array","maxItems":50,"items":{"type":["string","number","boolean","null"],"x-check":"text"}},"database":{"type":"string","maxLength":64,"description":"Name of the database; default without it."},"maxRows":{"type":"integer","minimum":1,"maximum":1000}},"required":["query"],"additionalProperties":false}
            """) with
        {
            Annotations = new() { ReadOnly = true, Idempotent = true },
            Risk = ToolRisk.Medium,
            Concurrency = 4,
        },
        RunAsync)
    {
        Missing = () => connections.Count == 0 ? "No database is named: set Tools:Sql:default to a connection string of an account that may only read." : null,
    };

    public async ValueTask DisposeAsync()
    {
        foreach (var source in _sources.Values)
            await source.DisposeAsync();
    }

    private async Task<ToolOutput> RunAsync(ToolRun run, CancellationToken cancellationToken)
    {
        var name = run.Text("database") ?? "default";
        if (!connections.TryGetValue(name, out var connectionString))
            throw new ToolException("tool.arguments_invalid", $"There is no database '{name}'; there are {string.Join(", ", connections.Keys)}.");
        var query = run.Text("query")!;
        if (!Reading().IsMatch(query))
            throw new ToolException("tool.sql_refused", "Only statements that read are run: they begin with select, with, values, table or explain.");
        var most = run.Number("maxRows", MostRows);
        var source = _sources.GetOrAdd(name, static (_, text) => Open(text), connectionString);
        try
        {
            await using var connection = await source.OpenConnectionAsync(cancellationToken);
            await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
            await using (var begin = new NpgsqlCommand("set transaction read only; set local statement_timeout = '15s'", connection, transaction))
                await begin.ExecuteNonQueryAsync(cancellationToken);
            // A batch of one: several statements in it, of which one could end the transaction, are refused.
            await using var batch = new NpgsqlBatch(connection, transaction);
#pragma warning disable CA2100 // It is the caller's own statement, which is the point of the tool.
            var command = new NpgsqlBatchCommand(query);
#pragma warning restore CA2100
            foreach (var value in run.Arguments.Member("parameters") is { ValueKind: JsonValueKind.Array } values ? values.EnumerateArray().ToArray() : [])
                command.Parameters.Add(new NpgsqlParameter { Value = ValueOf(value) });
            batch.BatchCommands.Add(command);
            await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
            return await ReadAsync(reader, most, cancellationToken);
        }
        catch (PostgresException exception)
        {
            throw new ToolException("tool.sql_failed", $"{exception.SqlState}: {exception.MessageText}{(exception.Hint is { } hint ? $" {hint}" : "")}", exception);
        }
        catch (Exception exception) when (exception is NpgsqlException or NotSupportedException or InvalidOperationException or InvalidCastException)
        {
            throw new ToolException("tool.sql_failed", exception.Message, exception);
        }
    }

    private static NpgsqlDataSource Open(string connectionString)
    {
        var builder = new NpgsqlDataSourceBuilder(connectionString);
        var settings = builder.ConnectionStringBuilder;
        settings.MaxPoolSize = Math.Min(settings.MaxPoolSize, 8);
        settings.ApplicationName ??= "conclave-sql-query";
        settings.CommandTimeout = StatementSeconds + 5;
        // What a statement set for its session must not stay for the next one.
        settings.NoResetOnClose = false;
        settings.Options = $"{settings.Options} -c default_transaction_read_only=on".Trim();
        return builder.Build();
    }

    private static async Task<ToolOutput> ReadAsync(NpgsqlDataReader reader, int most, CancellationToken cancellationToken)
    {
        var columns = Enumerable.Range(0, reader.FieldCount).Select(reader.GetName).ToList();
        var rows = new List<object?[]>();
        var isComplete = true;
        while (await reader.ReadAsync(cancellationToken))
        {
            if (rows.Count == most)
            {
                isComplete = false;
                break;
            }

            var row = new object?[columns.Count];
            for (var i = 0; i < row.Length; i++)
                row[i] = await reader.IsDBNullAsync(i, cancellationToken) ? null : reader.GetValue(i);
            rows.Add(row);
        }

        return JsonOutput.Object(w =>
        {
            w.WriteStartArray("columns");
            foreach (var column in columns)
                w.WriteStringValue(column);
            w.WriteEndArray();
            w.WriteStartArray("rows");
            foreach (var row in rows)
            {
                w.WriteStartArray();
                foreach (var value in row)
                    WriteValue(w, value);
                w.WriteEndArray();
            }

            w.WriteEndArray();
            w.WriteBoolean("isComplete", isComplete);
        });
    }

    private static void WriteValue(Utf8JsonWriter writer, object? value)
    {
        switch (value)
        {
            case null: writer.WriteNullValue(); break;
            case string text: writer.WriteStringValue(text); break;
            case bool flag: writer.WriteBooleanValue(flag); break;
            case short or int or long: writer.WriteNumberValue(Convert.ToInt64(value, CultureInfo.InvariantCulture)); break;
            case decimal number: writer.WriteNumberValue(number); break;
            case float or double when double.IsFinite(Convert.ToDouble(value, CultureInfo.InvariantCulture)): writer.WriteNumberValue(Convert.ToDouble(value, CultureInfo.InvariantCulture)); break;
            case DateTime time: writer.WriteStringValue(time); break;
            case byte[] bytes: writer.WriteBase64StringValue(bytes); break;
            case Array array:
                writer.WriteStartArray();
                foreach (var item in array)
                    WriteValue(writer, item);
                writer.WriteEndArray();
                break;
            default: writer.WriteStringValue(Convert.ToString(value, CultureInfo.InvariantCulture)); break;
        }
    }

    private static object ValueOf(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => value.GetString()!,
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        JsonValueKind.Number when value.TryGetInt64(out var whole) => whole,
        JsonValueKind.Number => value.GetDouble(),
        _ => DBNull.Value,
    };

    [GeneratedRegex(@"^\s*(?:select|with|values|table|explain)\b", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex Reading();
}

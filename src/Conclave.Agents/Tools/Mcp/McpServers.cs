using System.Text.Json;
using Conclave.Workflows.Runtime;
using Conclave.Workflows.Runtime.Postgres;
using Npgsql;
using NpgsqlTypes;

namespace Conclave.Agents.Tools.Mcp;

/// <summary>An MCP server whose tools agents may use.</summary>
/// <param name="Name">Its name; its tools are called <c>name-tool</c>.</param>
/// <param name="Settings">
/// <c>transport</c>: <c>stdio</c> with <c>command</c> (array of words), <c>environment</c>, <c>network</c> (hosts) and <c>workspace</c> (none, read, write), run in the sandbox;
/// or <c>http</c> with <c>url</c> and <c>headers</c>. <c>trustsAnnotations</c>: whether its tools' own word on what they do gives their default; else all are asked for.
/// </param>
public sealed record McpServer(string Name, JsonElement Settings)
{
    /// <summary>Headers or environment that are secret, by name; never shown.</summary>
    public IReadOnlyDictionary<string, string> Secrets { get; init; } = new Dictionary<string, string>();

    /// <summary>Why its tools could not be read the last time; null when they could.</summary>
    public string? Problem { get; init; }

    /// <summary>When its tools were read.</summary>
    public DateTimeOffset? CheckedAt { get; init; }

    /// <summary>When it was changed.</summary>
    public DateTimeOffset UpdatedAt { get; init; }

    /// <summary>By whom.</summary>
    public string UpdatedBy { get; init; } = "";

    /// <summary>Whether it runs in the sandbox.</summary>
    public bool IsStdio => Settings.Text("transport") == "stdio";

    /// <summary>What is wrong with the settings, a sentence each.</summary>
    public static IEnumerable<string> Check(string name, JsonElement settings)
    {
        if (!ToolDefinitionReader.NamePattern().IsMatch(name) || name.Length > 32)
            yield return $"The name '{name}' must be 1 to 32 letters, digits, '_' and '-'.";
        switch (settings.Text("transport"))
        {
            case "stdio":
                if (settings.Member("command") is not { ValueKind: JsonValueKind.Array } command || command.GetArrayLength() == 0 || command.EnumerateArray().Any(w => w.ValueKind != JsonValueKind.String))
                    yield return "'command' must be an array of texts, of which the first is the program.";
                if (settings.Text("workspace") is not (null or "none" or "read" or "write"))
                    yield return "'workspace' must be none, read or write.";
                foreach (var host in settings.Texts("network").Where(h => !HostList.IsPattern(h)))
                    yield return $"'network' has '{host}', which is no host.";
                break;
            case "http":
                if (!Uri.TryCreate(settings.Text("url"), UriKind.Absolute, out var url) || url.Scheme is not ("http" or "https") || url.UserInfo.Length > 0)
                    yield return "'url' must be an http or https address without a name or password.";
                break;
            default:
                yield return "'transport' must be stdio or http.";
                break;
        }
    }
}

/// <summary>The MCP servers of tenants, in the database.</summary>
/// <param name="database">The database.</param>
/// <param name="cipher">Encrypts secrets; null where there is no key: servers with secrets are refused then.</param>
/// <param name="time">The clock.</param>
public sealed class McpServerStore(NpgsqlDataSource database, SecretCipher? cipher, TimeProvider time)
{
    /// <summary>All servers, or one.</summary>
    public async Task<IReadOnlyList<McpServer>> ListAsync(string tenant, string? name, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            "select name, settings::text, secrets, problem, checked_at, updated_at, updated_by from conclave.tool_server where tenant = $1 and ($2 is null or name = $2) order by name");
        command.Parameters.AddValue(tenant);
        command.Parameters.AddText(name);
        var servers = new List<McpServer>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            servers.Add(new McpServer(reader.GetString(0), JsonElement.Parse(reader.GetString(1)))
            {
                Secrets = reader.IsDBNull(2) || cipher is null ? new Dictionary<string, string>() : Read(cipher.Decrypt(reader.GetFieldValue<byte[]>(2), BoundTo(tenant, reader.GetString(0)))),
                Problem = reader.IsDBNull(3) ? null : reader.GetString(3),
                CheckedAt = reader.IsDBNull(4) ? null : reader.GetFieldValue<DateTimeOffset>(4),
                UpdatedAt = reader.GetFieldValue<DateTimeOffset>(5),
                UpdatedBy = reader.GetString(6),
            });
        }

        return servers;
    }

    /// <summary>Adds or changes a server.</summary>
    /// <exception cref="ToolException">It has secrets, and there is no key to encrypt them.</exception>
    public async Task PutAsync(string tenant, McpServer server, string actor, CancellationToken cancellationToken)
    {
        if (server.Secrets.Count > 0 && cipher is null)
            throw new ToolException("tool.no_secret_key", "Secrets need a key that is not in the database: set Accounts:KeyEncryptionSecret to at least 32 random characters.");
        await using var command = database.CreateCommand("""
            insert into conclave.tool_server (tenant, name, settings, secrets, updated_at, updated_by) values ($1, $2, $3, $4, $5, $6)
                on conflict (tenant, name) do update set settings = excluded.settings, secrets = excluded.secrets, updated_at = excluded.updated_at, updated_by = excluded.updated_by
            """);
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(server.Name);
        command.Parameters.Add(new NpgsqlParameter { Value = server.Settings.GetRawText(), NpgsqlDbType = NpgsqlDbType.Jsonb });
        command.Parameters.AddBytes(server.Secrets.Count == 0 ? null : cipher!.Encrypt(JsonSerializer.SerializeToUtf8Bytes(server.Secrets, McpJson.Default.IReadOnlyDictionaryStringString), BoundTo(tenant, server.Name)));
        command.Parameters.AddTime(time.GetUtcNow());
        command.Parameters.AddValue(actor);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Remembers how reading its tools went.</summary>
    internal async Task CheckedAsync(string tenant, string name, string? problem, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("update conclave.tool_server set problem = $3, checked_at = $4 where tenant = $1 and name = $2");
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(name);
        command.Parameters.AddText(problem);
        command.Parameters.AddTime(time.GetUtcNow());
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Deletes a server; its tools go with it.</summary>
    /// <returns>Whether it was there.</returns>
    public async Task<bool> DeleteAsync(string tenant, string name, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("delete from conclave.tool_server where tenant = $1 and name = $2");
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(name);
        return await command.ExecuteNonQueryAsync(cancellationToken) > 0;
    }

    private static byte[] BoundTo(string tenant, string name) => System.Text.Encoding.UTF8.GetBytes($"{tenant}/{name}");

    private static IReadOnlyDictionary<string, string> Read(byte[] json) => JsonSerializer.Deserialize(json, McpJson.Default.IReadOnlyDictionaryStringString) ?? new Dictionary<string, string>();
}

[System.Text.Json.Serialization.JsonSerializable(typeof(IReadOnlyDictionary<string, string>))]
internal sealed partial class McpJson : System.Text.Json.Serialization.JsonSerializerContext;

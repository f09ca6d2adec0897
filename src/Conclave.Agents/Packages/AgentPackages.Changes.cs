using System.Text.Json;
using Conclave.Workflows.Runtime.Postgres;
using Npgsql;
using NpgsqlTypes;

namespace Conclave.Agents.Packages;

// What changes packages. Each is one transaction with what becomes of the agents.
public sealed partial class AgentPackages
{
    /// <summary>Uses a content from now on; turns that began before keep theirs.</summary>
    /// <param name="tenant">Whose package it is.</param>
    /// <param name="report">A report that accepts the content.</param>
    /// <param name="source">Where it comes from.</param>
    /// <param name="actor">Who brings it in.</param>
    /// <param name="cancellationToken">Stops it; nothing is changed then.</param>
    public async Task<AgentPackage> AcceptAsync(string tenant, GatekeeperReport report, PackageSource source, string actor, CancellationToken cancellationToken)
    {
        if (!report.IsAccepted || report.Manifest is not { } manifest)
            throw new ArgumentException("The gatekeeper did not accept the content.", nameof(report));
        var now = time.GetUtcNow();
        var before = await FindNewestAsync(tenant, manifest.Name, cancellationToken);
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await using var batch = new NpgsqlBatch(connection, transaction);
        var content = Add(batch, """
            insert into conclave.agent_package_content (tenant, hash, name, manifest, tools, stored_at) values ($1, $2, $3, $4, $5, $6)
            on conflict (tenant, hash) do update set replaced_at = null
            """);
        content.AddValue(tenant);
        content.AddValue(report.Content.Hash);
        content.AddValue(manifest.Name);
        AddJson(content, JsonSerializer.Serialize(manifest, PackageJson.Default.AgentManifest));
        AddJson(content, JsonSerializer.Serialize(report.Tools, PackageJson.Default.IReadOnlyListLogicTool));
        content.AddValue(now);
        var files = Add(batch, """
            insert into conclave.agent_package_file (tenant, hash, path, sha256, content)
            select $1, $2, f.path, f.sha256, f.content from unnest($3, $4, $5) as f (path, sha256, content)
            on conflict do nothing
            """);
        files.AddValue(tenant);
        files.AddValue(report.Content.Hash);
        files.AddArray(report.Content.Files, f => f.Path);
        files.AddArray(report.Content.Files, f => f.Sha256);
        files.AddArray(report.Content.Files, f => f.Content.ToArray());
        var replaced = Add(batch, """
            with old as (update conclave.agent_package_content set replaced_at = $4 where tenant = $1 and name = $2 and hash <> $3 and replaced_at is null)
            delete from conclave.agent_package_content where tenant = $1 and name = $2 and hash <> $3 and replaced_at < $4 - $5
            """);
        replaced.AddValue(tenant);
        replaced.AddValue(manifest.Name);
        replaced.AddValue(report.Content.Hash);
        replaced.AddValue(now);
        replaced.AddValue(KeepsContents);
        var package = Add(batch, """
            insert into conclave.agent_package as p (tenant, name, source, hash, created_at, updated_at, updated_by) values ($1, $2, $3, $4, $5, $5, $6)
            on conflict (tenant, name) do update
               set source = excluded.source, hash = excluded.hash, refused = null, removed_at = null,
                   updated_at = excluded.updated_at, updated_by = excluded.updated_by
            """);
        package.AddValue(tenant);
        package.AddValue(manifest.Name);
        package.AddValue(Text(source));
        package.AddValue(report.Content.Hash);
        package.AddValue(now);
        package.AddValue(actor);
        if (before is not null && before.Hash != report.Content.Hash)
        {
            var agents = Add(batch, "select conclave.package_replaced($1, $2, $3, $4, $5, $6, $7)");
            agents.AddValue(tenant);
            agents.AddValue(manifest.Name);
            AddJson(agents, AgentStore.Write(before.ToConfiguration()));
            AddJson(agents, AgentStore.Write(new PackageVersion(report.Content.Hash, manifest, report.Tools, report.Content.BehaviourNames).ToConfiguration()));
            agents.AddValue(report.Content.Hash);
            agents.AddValue(actor);
            agents.AddValue(now);
        }

        AddAgents(batch, tenant, manifest.Name, actor, now);
        await batch.ExecuteNonQueryAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return (await RefreshAsync(tenant, manifest.Name, cancellationToken))!;
    }

    /// <summary>Notes content that did not pass. What is used stays in use, but for a package that was gone.</summary>
    public async Task<AgentPackage> RefuseAsync(string tenant, string name, GatekeeperReport report, PackageSource source, string actor, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var refused = new RefusedContent { Hash = report.Content.Hash, Version = report.Manifest?.Version, Problems = report.Problems, At = now };
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await using var batch = new NpgsqlBatch(connection, transaction);
        var package = Add(batch, """
            insert into conclave.agent_package as p (tenant, name, source, refused, created_at, updated_at, updated_by) values ($1, $2, $3, $4, $5, $5, $6)
            on conflict (tenant, name) do update
               set source = excluded.source, refused = excluded.refused, removed_at = null,
                   -- What is in use stays in use, unless it is the very content that does not pass any more, or was gone.
                   hash = case when p.removed_at is null and p.hash is distinct from $7 then p.hash end,
                   updated_at = excluded.updated_at, updated_by = excluded.updated_by
            """);
        package.AddValue(tenant);
        package.AddValue(name);
        package.AddValue(Text(source));
        AddJson(package, JsonSerializer.Serialize(refused, PackageJson.Default.RefusedContent));
        package.AddValue(now);
        package.AddValue(actor);
        package.AddValue(report.Content.Hash);
        AddAgents(batch, tenant, name, actor, now);
        await batch.ExecuteNonQueryAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return (await RefreshAsync(tenant, name, cancellationToken))!;
    }

    /// <summary>Takes a package out of use: its agents go to the state <c>error</c>.</summary>
    /// <returns>The package; null when there is none, or it was gone already.</returns>
    public Task<AgentPackage?> RemoveAsync(string tenant, string name, string actor, CancellationToken cancellationToken) => UpdateAsync(
        "update conclave.agent_package set removed_at = $3, updated_at = $3, updated_by = $4 where tenant = $1 and name = $2 and removed_at is null", tenant, name, actor, cancellationToken);

    /// <summary>Turns a package on.</summary>
    /// <returns>The package; null when there is none, or it was on already.</returns>
    public Task<AgentPackage?> EnableAsync(string tenant, string name, string actor, CancellationToken cancellationToken) => UpdateAsync(
        "update conclave.agent_package set enabled = true, updated_at = $3, updated_by = $4 where tenant = $1 and name = $2 and not enabled", tenant, name, actor, cancellationToken);

    /// <summary>Turns a package off: its agents go to the state <c>error</c>.</summary>
    /// <returns>The package; null when there is none, or it was off already.</returns>
    public Task<AgentPackage?> DisableAsync(string tenant, string name, string actor, CancellationToken cancellationToken) => UpdateAsync(
        "update conclave.agent_package set enabled = false, updated_at = $3, updated_by = $4 where tenant = $1 and name = $2 and enabled", tenant, name, actor, cancellationToken);

    private async Task<AgentPackage?> UpdateAsync(string sql, string tenant, string name, string actor, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
#pragma warning disable CA2100 // One of the three above.
        await using (var command = new NpgsqlCommand(sql, connection, transaction))
#pragma warning restore CA2100
        {
            command.Parameters.AddValue(tenant);
            command.Parameters.AddValue(name);
            command.Parameters.AddValue(now);
            command.Parameters.AddValue(actor);
            if (await command.ExecuteNonQueryAsync(cancellationToken) == 0)
                return null;
        }

        await using (var batch = new NpgsqlBatch(connection, transaction))
        {
            AddAgents(batch, tenant, name, actor, now);
            await batch.ExecuteNonQueryAsync(cancellationToken);
        }

        await transaction.CommitAsync(cancellationToken);
        return await RefreshAsync(tenant, name, cancellationToken);
    }

    /// <summary>Tells the agents of a package whether it can be used, as its row says by now, and all processes that it changed.</summary>
    private static void AddAgents(NpgsqlBatch batch, string tenant, string name, string actor, DateTimeOffset now)
    {
        var agents = Add(batch, """
            select conclave.package_lost($1, $2,
                case when removed_at is not null then 'Its package ''' || $2 || ''' is gone. Put it back, or make the agent of another one.'
                     when hash is null then 'Its package ''' || $2 || ''' was refused. Mend it.'
                     when not enabled then 'Its package ''' || $2 || ''' is turned off. Turn it on.' end, $3, $4)
              from conclave.agent_package where tenant = $1 and name = $2
            """);
        agents.AddValue(tenant);
        agents.AddValue(name);
        agents.AddValue(actor);
        agents.AddValue(now);
        var told = Add(batch, $"select pg_notify('{Channel}', $1 || ':' || $2)");
        told.AddValue(tenant);
        told.AddValue(name);
    }

    /// <summary>The content that was used last, though the package may be gone or refused by now.</summary>
    private async Task<PackageVersion?> FindNewestAsync(string tenant, string name, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("""
            select hash from conclave.agent_package_content where tenant = $1 and name = $2 order by replaced_at desc nulls first, stored_at desc limit 1
            """);
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(name);
        return await command.ExecuteScalarAsync(cancellationToken) is string hash ? await FindVersionAsync(tenant, hash, cancellationToken) : null;
    }

    private static NpgsqlParameterCollection Add(NpgsqlBatch batch, string sql)
    {
        var command = new NpgsqlBatchCommand(sql);
        batch.BatchCommands.Add(command);
        return command.Parameters;
    }

    private static void AddJson(NpgsqlParameterCollection parameters, string json) =>
        parameters.Add(new NpgsqlParameter { Value = json, NpgsqlDbType = NpgsqlDbType.Jsonb });

    private static string Text(PackageSource source) => source == PackageSource.Folder ? "folder" : "upload";
}

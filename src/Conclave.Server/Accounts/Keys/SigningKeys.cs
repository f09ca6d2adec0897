using System.Security.Cryptography;
using Conclave.Server.Hosting;
using Microsoft.AspNetCore.DataProtection;

namespace Conclave.Server.Accounts.Keys;

/// <summary>What tokens are signed with.</summary>
internal sealed record SigningKey(string Id, byte[] Value);

/// <summary>The key that signs access tokens, the same in all processes; in the database it is protected by the data-protection keys.</summary>
internal sealed class SigningKeys(ServerRuntime server, IDataProtectionProvider protection, TimeProvider time)
{
    private readonly IDataProtector _protector = protection.CreateProtector("conclave.signing-key");
    private SigningKey? _current;

    /// <summary>The key to sign with.</summary>
    public async ValueTask<SigningKey> CurrentAsync(CancellationToken cancellationToken)
    {
        if (Volatile.Read(ref _current) is { } known)
            return known;
        if (await ReadNewestAsync(cancellationToken) is not { } newest)
        {
            await InsertAsync(cancellationToken);
            newest = await ReadNewestAsync(cancellationToken) ?? throw new InvalidOperationException("The key that was just made cannot be read.");
        }

        Volatile.Write(ref _current, newest);
        return newest;
    }

    /// <summary>The key of an id, if tokens are signed with it now.</summary>
    public async ValueTask<SigningKey?> FindAsync(string id, CancellationToken cancellationToken)
    {
        var current = await CurrentAsync(cancellationToken);
        if (current.Id == id)
            return current;
        // Another process may have made a newer one.
        if (await ReadNewestAsync(cancellationToken) is not { } newest || newest.Id != id)
            return null;
        Volatile.Write(ref _current, newest);
        return newest;
    }

    private async Task<SigningKey?> ReadNewestAsync(CancellationToken cancellationToken)
    {
        await using var command = server.Database.CreateCommand("select id, value from conclave.signing_key where tenant = $1 order by created_at desc, id desc limit 1");
        command.Parameters.AddValue(Tenants.Default);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        if (!await reader.ReadAsync(cancellationToken))
            return null;
        try
        {
            return new SigningKey(reader.GetString(0), _protector.Unprotect(reader.GetFieldValue<byte[]>(1)));
        }
        catch (CryptographicException)
        {
            // The data-protection keys were lost; another signing key takes its place.
            return null;
        }
    }

    private async Task InsertAsync(CancellationToken cancellationToken)
    {
        await using var command = server.Database.CreateCommand("insert into conclave.signing_key (tenant, id, value, created_at) values ($1, $2, $3, $4)");
        command.Parameters.AddValue(Tenants.Default);
        command.Parameters.AddValue(Guid.CreateVersion7().ToString("N"));
        command.Parameters.AddValue(_protector.Protect(RandomNumberGenerator.GetBytes(32)));
        command.Parameters.AddValue(time.GetUtcNow().UtcDateTime);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}

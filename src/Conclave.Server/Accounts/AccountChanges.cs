using Conclave.Server.Hosting;

namespace Conclave.Server.Accounts;

/// <summary>Tells all processes that a key or an account is not what it was.</summary>
internal sealed class AccountChanges(ServerRuntime server)
{
    /// <summary>Where processes tell each other.</summary>
    public const string Channel = "conclave_account";

    /// <summary>Something changed, here or elsewhere.</summary>
    public event Action? Changed;

    /// <summary>Tells of a change that has been stored: when this returns, nothing here remembers how it was.</summary>
    public async Task TellAsync(CancellationToken cancellationToken)
    {
        Changed?.Invoke();
        await using var command = server.Database.CreateCommand($"select pg_notify('{Channel}', '')");
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Another process, or this one, told of a change.</summary>
    public void Hear(string channel, string payload) => Changed?.Invoke();
}

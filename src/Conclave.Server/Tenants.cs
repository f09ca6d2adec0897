namespace Conclave.Server;

/// <summary>Whose workflows a request is about. There is one tenant until accounts say more.</summary>
internal static class Tenants
{
    public const string Default = "default";
}

using Conclave.Server.Api;
using Microsoft.AspNetCore.SignalR;

namespace Conclave.Server.ElsaApi.Hub;

/// <summary>Where clients say which instances they look at. What they are told is in <see cref="InstanceUpdates"/>.</summary>
internal sealed class WorkflowInstanceHub(InstanceUpdates updates) : Microsoft.AspNetCore.SignalR.Hub
{
    /// <summary>Looks at an instance until the connection ends.</summary>
    public Task ObserveInstanceAsync(string instanceId) =>
        updates.ObserveAsync(Context.ConnectionId, Tenant, instanceId, Context.ConnectionAborted);

    /// <inheritdoc/>
    public override Task OnDisconnectedAsync(Exception? exception)
    {
        updates.Leave(Context.ConnectionId);
        return base.OnDisconnectedAsync(exception);
    }

    private string Tenant => Context.GetHttpContext()?.Tenant() ?? throw new HubException("The connection is not one of this server's API.");
}

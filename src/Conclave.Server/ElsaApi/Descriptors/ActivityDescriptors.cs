using System.Collections.Concurrent;
using Conclave.Server.Hosting;
using Conclave.Workflows.Runtime.Definitions;

namespace Conclave.Server.ElsaApi.Descriptors;

/// <summary>What each tenant's authors may put into workflows: the activities of its engine, and workflows marked usable as one.</summary>
/// <remarks>Studio asks after every save, so the answer is kept as bytes until a workflow that is usable as an activity changes.</remarks>
internal sealed class ActivityDescriptors(ServerRuntime server)
{
    private readonly ConcurrentDictionary<string, DescriptorList> _lists = new(StringComparer.Ordinal);
    private UsableWorkflows? _workflows;

    /// <summary>The activities of a tenant, as they are now.</summary>
    public async ValueTask<DescriptorList> ReadAsync(string tenant, CancellationToken cancellationToken)
    {
        // The database is there once requests are let in.
        _workflows ??= new UsableWorkflows(server.Database);
        var workflows = await _workflows.ReadAsync(tenant, cancellationToken);
        if (_lists.TryGetValue(tenant, out var known) && ReferenceEquals(known.Workflows, workflows))
            return known;
        var list = new DescriptorList([.. server.Runtime.Catalog.Of(tenant).Engine.Descriptors], workflows);
        _lists[tenant] = list;
        return list;
    }
}

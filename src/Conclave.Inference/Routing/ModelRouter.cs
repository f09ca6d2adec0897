using Conclave.Inference.Pool;

namespace Conclave.Inference.Routing;

/// <summary>Decides which servers and models may answer a call, in which order, and says why.</summary>
/// <param name="pool">The servers.</param>
/// <param name="affinity">Which server has whose cache.</param>
public sealed class ModelRouter(ServerPool pool, SessionAffinity affinity)
{
    /// <summary>How long a call waits for servers of the house before those elsewhere are asked too.</summary>
    internal static readonly TimeSpan SpillAfter = TimeSpan.FromSeconds(10);

    /// <summary>Which server has whose cache; who makes calls tells it.</summary>
    public SessionAffinity Affinity => affinity;

    /// <summary>Where a question may go.</summary>
    /// <exception cref="InferenceException">Nowhere: there is no such model, none takes the conversation, or no server can answer now.</exception>
    public RoutePlan Plan(ChatCall call) => Plan(call.Context, call.Model, CallNeeds.Of(call));

    /// <summary>Where texts may be embedded.</summary>
    /// <inheritdoc cref="Plan(ChatCall)"/>
    public RoutePlan Plan(EmbedCall call) => Plan(call.Context, call.Model, CallNeeds.Of(call));

    private RoutePlan Plan(CallContext context, string requested, CallNeeds needs)
    {
        var selection = new Selection(context, needs, affinity.Find(context));
        foreach (var server in pool.Servers)
        {
            if (server.FindModel(requested) is { } model)
                selection.Consider(server, model, tier: 0);
        }

        // server/model; but a model's own name may have a slash too, and then comes first.
        var slash = requested.IndexOf('/', StringComparison.Ordinal);
        if (selection.IsEmpty && slash > 0 && pool.FindByName(requested[..slash]) is { } named && named.FindModel(requested[(slash + 1)..]) is { } ofServer)
            selection.Consider(named, ofServer, tier: 0);
        return selection.ToPlan(requested, rule: null, complexity: null, SpillAfter);
    }
}

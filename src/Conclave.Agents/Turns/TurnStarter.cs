using System.Collections.Concurrent;
using System.Security.Cryptography;
using Conclave.Agents.Activities;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime;
using Conclave.Workflows.Runtime.Instances;
using Conclave.Workflows.Runtime.Postgres;
using Conclave.Workflows.Runtime.Queue;
using Npgsql;

namespace Conclave.Agents.Turns;

/// <summary>What somebody says to an agent.</summary>
/// <param name="Message">The message.</param>
/// <param name="Actor">Who says it: an account's or a key's name, or <c>instance:id</c> for a workflow.</param>
public sealed record TurnRequest(string Message, string Actor)
{
    /// <summary>The conversation that it goes on with; null begins one.</summary>
    public string? ConversationId { get; init; }

    /// <summary>Id of the turn, so that a repeated request begins it once; null makes one. See <see cref="TurnStarter.IdOf"/>.</summary>
    public string? TurnId { get; init; }

    /// <summary>The instance that waits for the turn to end; null for none.</summary>
    public string? ParentInstanceId { get; init; }

    /// <summary>The most that the turn may cost, where that is less than the agent's own limit; null for no other limit.</summary>
    public decimal? MaxCost { get; init; }

    /// <summary>Limits of the turns that it is begun in, which it shares with everything else that was begun in them.</summary>
    public IReadOnlyList<SharedLimit> SharedLimits { get; init; } = [];

    /// <summary>What was said before, for a conversation that begins.</summary>
    public IReadOnlyList<TurnMessage> History { get; init; } = [];

    /// <summary>How many agents have handed it on before; 0 for a person's or a workflow's own.</summary>
    public int Depth { get; init; }

    /// <summary>How urgent it is.</summary>
    public WorkPriority Priority { get; init; } = WorkPriority.P1;
}

/// <summary>The most that a turn, and everything that was begun in it, may cost together.</summary>
/// <param name="TurnId">The turn.</param>
/// <param name="Most">In the currency of the prices.</param>
public readonly record struct SharedLimit(string TurnId, decimal Most);

/// <summary>Begins turns: one commit for the turn, its message and the instance of the behaviour. This process runs it if it works and has room, else a worker does.</summary>
/// <param name="agents">The agents.</param>
/// <param name="turns">Their turns.</param>
/// <param name="database">The database.</param>
/// <param name="runtime">Runs behaviours.</param>
/// <param name="time">The clock.</param>
public sealed class TurnStarter(AgentStore agents, TurnStore turns, NpgsqlDataSource database, WorkflowRuntime runtime, TimeProvider time)
{
    /// <summary>What ids of turns begin with.</summary>
    public const string Prefix = "turn-";

    private const int LongestMessage = 1_000_000;
    private const int MostKnownMakeups = 10_000;
    private const int MostWorkflowsBetweenTurns = 32;

    private readonly ConcurrentDictionary<(string Tenant, string Hash), bool> _stored = [];
    private readonly ConcurrentDictionary<(string Tenant, string AgentId, int Version, string Behaviour, string? Mood, string? Package, string Tools), (string Json, string Hash)> _made = [];

    /// <summary>The hash of a tool's definition, by tenant and name; null for a tool that is not there.</summary>
    public Func<string, string, string?> ToolHash { get; init; } = static (_, _) => null;

    /// <summary>The package that an agent of a template stands on, with its hash; null for none.</summary>
    public Func<string, string, string?> PackageOf { get; init; } = static (_, _) => null;

    /// <summary>Why the package that an agent of a template stands on cannot be used, by tenant and template; null when it can.</summary>
    public Func<string, string, string?> LostPackage { get; init; } = static (_, _) => null;

    /// <summary>How an agent feels by now; null leaves it as its configuration says.</summary>
    public Func<Agent, CancellationToken, ValueTask<string?>> MoodOf { get; init; } = static (_, _) => ValueTask.FromResult<string?>(null);

    /// <summary>What agents may spend; null where nobody keeps it.</summary>
    public AgentBudgets? Budgets { get; init; }

    /// <summary>Begins a turn.</summary>
    /// <returns>Id of the turn, and of its conversation.</returns>
    /// <exception cref="AgentException">There is no such agent or conversation, or the agent takes no message now.</exception>
    public async Task<(string TurnId, string ConversationId)> StartAsync(string tenant, string agentId, TurnRequest request, CancellationToken cancellationToken) =>
        await StartAsync(await agents.FindAsync(tenant, agentId, cancellationToken) ?? throw AgentStore.Missing(agentId), request, cancellationToken);

    /// <summary>Begins a turn of an agent that was just read.</summary>
    /// <returns>Id of the turn, and of its conversation.</returns>
    /// <exception cref="AgentException">There is no such conversation, or the agent takes no message now.</exception>
    public async Task<(string TurnId, string ConversationId)> StartAsync(Agent agent, TurnRequest request, CancellationToken cancellationToken)
    {
        var tenant = agent.Tenant;
        if (string.IsNullOrWhiteSpace(request.Message) || request.Message.Length > LongestMessage || request.Message.Contains('\0', StringComparison.Ordinal))
            throw new AgentException(AgentFailure.BadRequest, "agents.bad_message", $"The message must have 1 to {LongestMessage:N0} characters, and no NUL.");
        if (agent.Template is { } template && LostPackage(tenant, template) is { } lost)
            throw new AgentException(AgentFailure.Conflict, "agents.package_lost", $"Agent '{agent.Name}' takes no messages: {lost}");
        if (await MoodOf(agent, cancellationToken) is { } mood)
            agent = agent with { Configuration = agent.Configuration with { Mood = mood } };
        if (request.ConversationId is { } given && await turns.FindConversationAsync(tenant, given, cancellationToken) is { } conversation && conversation.AgentId != agent.Id)
            throw new AgentException(AgentFailure.NotFound, "agents.conversation_not_found", $"Agent '{agent.Name}' has no conversation '{given}'.");
        if (Budgets is not null)
            await Budgets.ApplyAsync(agent, cancellationToken);
        var graph = await BehaviourAsync(tenant, agent, cancellationToken);
        var makeup = Makeup(agent, graph);
        var hash = await StoreAsync(tenant, makeup, cancellationToken);
        var turnId = request.TurnId ?? NewId();
        var conversationId = request.ConversationId ?? "c" + Guid.CreateVersion7().ToString("N");
        var now = time.GetUtcNow();
        var limits = agent.Configuration.Limits;
        var instance = runtime.Catalog.Of(tenant).Engine.CreateInstance(graph, new WorkflowStart
        {
            InstanceId = turnId,
            CorrelationId = conversationId,
            Name = $"{agent.Name}: {(request.Message.Length > 60 ? request.Message[..60] + "…" : request.Message)}",
            ParentInstanceId = request.ParentInstanceId,
            Input = new Dictionary<string, object?>
            {
                [TurnInputs.AgentId] = agent.Id,
                [TurnInputs.ConversationId] = conversationId,
                [TurnInputs.Makeup] = hash,
                [TurnInputs.Actor] = request.Actor,
                [TurnInputs.Message] = request.Message,
                [TurnInputs.Depth] = request.Depth,
                [TurnInputs.MaxCost] = Least(request.MaxCost, limits.MaxTurnCost),
                [TurnInputs.SharedLimits] = TurnCosts.ToInput(request.SharedLimits),
            },
            Effects = [new TurnBegun(agent.Id, conversationId, request.Actor, hash, request.Message, limits, agent.Configuration.Health, now) { History = request.History }],
        });
        var outcome = await runtime.StartInstanceAsync(tenant, instance, request.Priority);
        // An instance of this id is the same turn, asked for once more.
        return outcome is CommitOutcome.Stored or CommitOutcome.Exists ? (turnId, conversationId) : throw await RefusalAsync(agent, turnId, conversationId, cancellationToken);
    }

    /// <summary>The turn that an instance is, or was begun in through any number of workflows in between; null when no agent has to do with it.</summary>
    /// <exception cref="AgentException"><c>agents.too_deep</c>: more than 32 workflows lie between.</exception>
    public async Task<WorkflowInstance?> FindTurnOfAsync(string tenant, WorkflowInstance instance, CancellationToken cancellationToken)
    {
        var found = instance;
        for (var between = 0; between <= MostWorkflowsBetweenTurns; between++)
        {
            // Callers choose ids and inputs of instances as they like, but not what is a turn.
            if (found.Id.StartsWith(Prefix, StringComparison.Ordinal) && await turns.FindAsync(tenant, found.Id, cancellationToken) is not null)
                return found;
            if (found.ParentInstanceId is not { } parent || await runtime.Runner.ReadAsync(tenant, parent, cancellationToken) is not { } next)
                return null;
            found = next;
        }

        throw new AgentException(AgentFailure.BadRequest, "agents.too_deep", $"More than {MostWorkflowsBetweenTurns} workflows have begun each other since an agent's turn.");
    }

    /// <summary>Hash of what an agent is made of now.</summary>
    /// <exception cref="AgentException">Its behaviour is not published, or gone.</exception>
    public async Task<string> MakeupHashAsync(Agent agent, CancellationToken cancellationToken) =>
        await StoreAsync(agent.Tenant, Makeup(agent, await BehaviourAsync(agent.Tenant, agent, cancellationToken)), cancellationToken);

    /// <summary>An id that no turn has.</summary>
    public static string NewId() => Prefix + Guid.CreateVersion7().ToString("N");

    /// <summary>The id of the turn that an execution of a workflow begins: the same whenever it is repeated.</summary>
    public static string IdOf(string instanceId, int execution) =>
        Prefix + Convert.ToHexStringLower(SHA256.HashData(System.Text.Encoding.UTF8.GetBytes($"{instanceId}/{execution}")).AsSpan(0, 16));

    private static decimal? Least(decimal? one, decimal? other) => one is { } a && other is { } b ? Math.Min(a, b) : one ?? other;

    private async ValueTask<WorkflowGraph> BehaviourAsync(string tenant, Agent agent, CancellationToken cancellationToken)
    {
        var (behaviour, version) = (agent.Configuration.Behaviour, agent.Configuration.BehaviourVersion);
        var workflows = runtime.Catalog.Of(tenant);
        if (version is null)
        {
            return await workflows.FindPublishedAsync(behaviour, cancellationToken)
                ?? throw new AgentException(AgentFailure.Conflict, "agents.no_behaviour", $"The behaviour '{behaviour}' of agent '{agent.Name}' is not published. Publish the workflow, or choose another behaviour.");
        }

        var stored = await runtime.Catalog.Store.FindAsync(tenant, behaviour, version.Value, cancellationToken)
            ?? throw new AgentException(AgentFailure.Conflict, "agents.no_behaviour", $"Agent '{agent.Name}' stays on version {version} of the behaviour '{behaviour}', which is not there.");
        return await workflows.GetGraphAsync(stored.Definition.Id, cancellationToken);
    }

    /// <summary>What the agent is made of now. Making and hashing it costs more than seeing that nothing has changed.</summary>
    private (string Json, string Hash) Makeup(Agent agent, WorkflowGraph graph)
    {
        var definition = graph.Definition;
        var package = agent.Template is { } template ? PackageOf(agent.Tenant, template) ?? template : null;
        var tools = agent.Configuration.Tools.Select(name => (Name: name, Hash: ToolHash(agent.Tenant, name))).Where(t => t.Hash is not null).ToArray();
        if (_made.Count > MostKnownMakeups)
            _made.Clear();
        var key = (agent.Tenant, agent.Id, agent.Version, definition.Id, agent.Configuration.Mood, package, string.Join(' ', tools.Select(t => t.Hash)));
        return _made.GetOrAdd(key, _ => new AgentMakeup
        {
            AgentId = agent.Id,
            AgentName = agent.Name,
            Package = package,
            Configuration = agent.Configuration,
            BehaviourVersionId = definition.Id,
            BehaviourHash = Convert.ToHexStringLower(SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(definition.Root.GetRawText()))),
            Tools = tools.DistinctBy(t => t.Name).ToDictionary(t => t.Name, t => t.Hash!),
        }.Canonical());
    }

    private async ValueTask<string> StoreAsync(string tenant, (string Json, string Hash) makeup, CancellationToken cancellationToken)
    {
        var (json, hash) = makeup;
        if (_stored.ContainsKey((tenant, hash)))
            return hash;
        await using var command = database.CreateCommand(
            "insert into conclave.agent_makeup (tenant, hash, body, created_at) values ($1, $2, $3::jsonb, $4) on conflict do nothing");
        command.Parameters.AddValue(tenant);
        command.Parameters.AddValue(hash);
        command.Parameters.AddValue(json);
        command.Parameters.AddTime(time.GetUtcNow());
        await command.ExecuteNonQueryAsync(cancellationToken);
        if (_stored.Count > MostKnownMakeups)
            _stored.Clear();
        _stored[(tenant, hash)] = true;
        return hash;
    }

    /// <summary>Why a turn was refused, as things stand now.</summary>
    private async Task<AgentException> RefusalAsync(Agent agent, string turnId, string conversationId, CancellationToken cancellationToken)
    {
        var now = await agents.FindAsync(agent.Tenant, agent.Id, cancellationToken);
        var recover = TimeSpan.FromSeconds(agent.Configuration.Health.RecoverAfterSeconds);
        if (now is null)
            return AgentStore.Missing(agent.Name);
        if (now.State is AgentState.Paused or AgentState.Maintenance)
        {
            var (state, why) = (now.State == AgentState.Paused ? "paused" : "in maintenance", now.StateReason is { } reason ? $" ({reason})" : "");
            return new AgentException(AgentFailure.Conflict, $"agents.{AgentLifecycle.Name(now.State)}", $"Agent '{now.Name}' is {state}{why}. Make it active again, and send the message then.");
        }

        if (now.State == AgentState.Error)
        {
            var message = $"Agent '{now.Name}' is out of use: {now.StateReason ?? "too many turns failed"}. It tries again {recover.TotalSeconds:N0} seconds after the last failure, or when somebody makes it active.";
            return new AgentException(AgentFailure.Conflict, "agents.error", message) { RetryAfter = Positive(now.StateAt + recover - time.GetUtcNow()) };
        }

        if (await turns.FindRunningAsync(agent.Tenant, conversationId, cancellationToken) is { } running && running.Id != turnId)
        {
            var message = $"The conversation '{conversationId}' is in the turn '{running.Id}'. Wait for its end, or cancel it, and send the message then.";
            return new AgentException(AgentFailure.Conflict, "agents.conversation_busy", message) { RetryAfter = TimeSpan.FromSeconds(1) };
        }

        var busy = $"Agent '{now.Name}' has {now.RunningTurns} turns under way, and takes {agent.Configuration.Limits.MaxConcurrentTurns} at once. Try again later.";
        return new AgentException(AgentFailure.Busy, "agents.busy", busy) { RetryAfter = TimeSpan.FromSeconds(1) };

        static TimeSpan Positive(TimeSpan span) => span > TimeSpan.FromSeconds(1) ? span : TimeSpan.FromSeconds(1);
    }
}

/// <summary>Inputs of a behaviour.</summary>
public static class TurnInputs
{
    /// <summary>The agent's id.</summary>
    public const string AgentId = "AgentId";

    /// <summary>The conversation's id.</summary>
    public const string ConversationId = "ConversationId";

    /// <summary>Hash of what the agent is made of.</summary>
    public const string Makeup = "Makeup";

    /// <summary>Who sent the message.</summary>
    public const string Actor = "Actor";

    /// <summary>The message.</summary>
    public const string Message = "Message";

    /// <summary>How many agents have handed it on before.</summary>
    public const string Depth = "Depth";

    /// <summary>The most that the turn may cost; null for no limit.</summary>
    public const string MaxCost = "MaxCost";

    /// <summary>Limits of the turns that it was begun in, by their ids; null for none.</summary>
    public const string SharedLimits = "SharedLimits";
}

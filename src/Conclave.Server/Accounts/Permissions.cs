using System.Security.Claims;

namespace Conclave.Server.Accounts;

/// <summary>A right and what it allows.</summary>
/// <param name="Name">Its name, such as <c>read:workflow-definitions</c>.</param>
/// <param name="Description">What it allows, for people.</param>
public sealed record Permission(string Name, string Description);

/// <summary>Rights, by the names that Elsa's server has for them: <c>read:workflow-definitions</c>, <c>exec:workflow-definitions</c> and so on.</summary>
/// <remarks>
/// An identity has one claim of the type <see cref="ClaimType"/> for each right. A claim may stand for many: <see cref="All"/> for every
/// right, <c>read:*</c> for all that begin with <c>read:</c>.
/// </remarks>
public static class Permissions
{
    /// <summary>Type of the claims.</summary>
    public const string ClaimType = "permissions";

    /// <summary>Stands for every right.</summary>
    public const string All = "*";

    /// <summary>Stands for every right to read.</summary>
    public const string ReadAll = "read:*";

    // Elsa's.
    public const string ReadDefinitions = "read:workflow-definitions";
    public const string WriteDefinitions = "write:workflow-definitions";
    public const string PublishDefinitions = "publish:workflow-definitions";
    public const string RetractDefinitions = "retract:workflow-definitions";
    public const string DeleteDefinitions = "delete:workflow-definitions";
    public const string ExecuteDefinitions = "exec:workflow-definitions";
    public const string ReadInstances = "read:workflow-instances";
    public const string WriteInstances = "write:workflow-instances";
    public const string DeleteInstances = "delete:workflow-instances";
    public const string CancelInstances = "cancel:workflow-instances";
    public const string ReadActivityExecutions = "read:activity-execution";
    public const string ReadActivityDescriptors = "read:activity-descriptors";
    public const string ReadFeatures = "read:installed-features";
    public const string ReadTypeDefinitions = "read:javascript-type-definitions";
    public const string ExecuteTests = "exec:tests";
    public const string CompleteTasks = "tasks:complete";
    public const string TriggerEvents = "trigger:event";
    public const string ExecuteCSharp = "exec:csharp-expressions";
    public const string ExecutePython = "exec:python-expressions";

    // Our own.
    public const string RetryInstances = "retry:workflow-instances";
    public const string ResumeInstances = "resume:workflow-instances";
    public const string MigrateInstances = "migrate:workflow-instances";
    public const string ReadTasks = "read:tasks";
    public const string ReadQueue = "read:queue";
    public const string WriteQueue = "write:queue";
    public const string ReadMetrics = "read:metrics";
    public const string ManageAccounts = "manage:accounts";
    public const string ReadInference = "read:inference";
    public const string ManageInference = "manage:inference";
    public const string CallModels = "exec:models";
    public const string ReadAgents = "read:agents";
    public const string WriteAgents = "write:agents";
    public const string ExecuteAgents = "exec:agents";
    public const string ReadTools = "read:tools";
    public const string ExecuteTools = "exec:tools";
    public const string ManageTools = "manage:tools";
    public const string ReadApprovals = "read:approvals";
    public const string DecideApprovals = "decide:approvals";
    public const string ManageApprovals = "manage:approvals";

    /// <summary>Every right there is.</summary>
    public static IReadOnlyList<Permission> Known { get; } =
    [
        new(ReadDefinitions, "See workflows, their versions and consumers; export them"),
        new(WriteDefinitions, "Save and import drafts"),
        new(PublishDefinitions, "Publish and revert workflows"),
        new(RetractDefinitions, "Take workflows out of use"),
        new(DeleteDefinitions, "Delete workflows and versions"),
        new(ExecuteDefinitions, "Start workflows"),
        new(ReadInstances, "See instances, their journal and variables"),
        new(WriteInstances, "Change variables of instances; import instances"),
        new(DeleteInstances, "Delete instances"),
        new(CancelInstances, "Cancel instances"),
        new(RetryInstances, "Run faulted activities again"),
        new(ResumeInstances, "Resume bookmarks by hand"),
        new(MigrateInstances, "Move instances to another version"),
        new(ReadActivityExecutions, "See what activities did"),
        new(ReadActivityDescriptors, "See the activities that there are"),
        new(ReadFeatures, "See what the server can do"),
        new(ReadTypeDefinitions, "See the types that scripts know"),
        new(ExecuteTests, "Try activities in the designer; make tests of runs, and repeat them"),
        new(ReadTasks, "See tasks that wait"),
        new(CompleteTasks, "Complete tasks"),
        new(TriggerEvents, "Publish events"),
        new(ReadQueue, "See the work queue"),
        new(WriteQueue, "Put dead letters back, or delete them"),
        new(ReadMetrics, "Read metrics"),
        new(CallModels, "Call models through OpenAI's and Ollama's APIs"),
        new(ReadInference, "See model servers, routes, budgets, calls and their queue"),
        new(ManageInference, "Change model servers, models, routes and budgets; make calls for agents"),
        new(ReadAgents, "See agents, their packages, conversations and turns"),
        new(WriteAgents, "Make, change, pause and delete agents; add packages"),
        new(ExecuteAgents, "Talk to agents, and cancel their turns"),
        new(ReadTools, "See tools, their state, permissions and calls"),
        new(ExecuteTools, "Call tools by hand and through MCP"),
        new(ManageTools, "Add, change, approve and turn off tools and MCP servers; change what agents may do with them"),
        new(ReadApprovals, "See what waits for people, and what they decided"),
        new(DecideApprovals, "Approve, reject, delegate and complete what one is asked"),
        new(ManageApprovals, "Ask others instead of those who were asked"),
        new(ExecuteCSharp, "Write C# expressions, where the server runs them"),
        new(ExecutePython, "Write Python expressions, where the server runs them"),
        new(ManageAccounts, "Invite people, change their roles, lock them out"),
    ];

    /// <summary>Whether somebody has a right.</summary>
    public static bool Has(this ClaimsPrincipal user, string permission) =>
        user.HasClaim(claim => claim.Type == ClaimType && Covers(claim.Value, permission));

    /// <summary>Whether a right, which may stand for many, includes another.</summary>
    public static bool Covers(string held, string permission) =>
        held == permission || held == All || (held.EndsWith(":*", StringComparison.Ordinal) && permission.StartsWith(held.AsSpan(0, held.Length - 1), StringComparison.Ordinal));

    /// <summary>Whether one of several rights includes another.</summary>
    public static bool Covers(IEnumerable<string> held, string permission) => held.Any(h => Covers(h, permission));

    /// <summary>What two sets of rights have in common: a key may do what its scopes say and its account may do.</summary>
    public static IReadOnlyList<string> Common(IReadOnlyCollection<string> some, IReadOnlyCollection<string> others) =>
        [.. some.Where(s => Covers(others, s)).Concat(others.Where(o => Covers(some, o))).Distinct()];

    /// <summary>The single rights that others stand for; <see cref="All"/> stays, for it includes those to come.</summary>
    public static IReadOnlyList<string> Expand(IReadOnlyCollection<string> held) => held.Contains(All)
        ? [All]
        : [.. held.Concat(Known.Select(p => p.Name).Where(name => Covers(held, name))).Distinct()];

    /// <summary>Whether a name is a right, or stands for some.</summary>
    public static bool IsKnown(string name) => Known.Any(p => Covers(name, p.Name));

    /// <summary>Lets only those in who have one of the rights: 401 for those who are not known, 403 for those who have none of them.</summary>
    public static TBuilder RequirePermission<TBuilder>(this TBuilder endpoint, params string[] anyOf)
        where TBuilder : IEndpointConventionBuilder => endpoint
        .WithMetadata(new NeededPermission(anyOf))
        .RequireAuthorization(policy => policy.RequireAuthenticatedUser().RequireAssertion(context => anyOf.Any(context.User.Has)));
}

/// <summary>What an endpoint needs, to be read where it refuses somebody.</summary>
/// <param name="AnyOf">Rights of which one is enough.</param>
public sealed record NeededPermission(IReadOnlyList<string> AnyOf);

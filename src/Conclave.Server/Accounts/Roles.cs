namespace Conclave.Server.Accounts;

/// <summary>A set of rights that people get together.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Description">Who it is for.</param>
/// <param name="Permissions">Its rights.</param>
public sealed record Role(string Name, string Description, IReadOnlyList<string> Permissions);

/// <summary>The roles.</summary>
public static class Roles
{
    /// <summary>Who may do everything.</summary>
    public const string Administrator = "administrator";

    /// <summary>Every role.</summary>
    public static IReadOnlyList<Role> Known { get; } =
    [
        new(Administrator, "May do everything", [Permissions.All]),
        new("author", "Draws, publishes and runs workflows",
        [
            Permissions.ReadDefinitions, Permissions.WriteDefinitions, Permissions.PublishDefinitions, Permissions.RetractDefinitions, Permissions.DeleteDefinitions,
            Permissions.ExecuteDefinitions, Permissions.ExecuteTests, Permissions.ReadInstances, Permissions.ReadActivityExecutions,
            Permissions.ReadActivityDescriptors, Permissions.ReadFeatures, Permissions.ReadTypeDefinitions, Permissions.ReadTasks, Permissions.CallModels,
            Permissions.ReadAgents, Permissions.WriteAgents, Permissions.ExecuteAgents, Permissions.ReadApprovals,
            Permissions.ReadTools, Permissions.ExecuteTools,
        ]),
        new("operator", "Keeps workflows running: starts, cancels, retries, completes",
        [
            Permissions.ReadAll, Permissions.ExecuteDefinitions, Permissions.WriteInstances, Permissions.CancelInstances, Permissions.RetryInstances,
            Permissions.ResumeInstances, Permissions.MigrateInstances, Permissions.CompleteTasks, Permissions.TriggerEvents, Permissions.WriteQueue,
            Permissions.CallModels, Permissions.ManageInference, Permissions.ExecuteAgents, Permissions.WriteAgents, Permissions.DecideApprovals,
            Permissions.ExecuteTools, Permissions.ManageTools,
        ]),
        new("viewer", "Sees everything, changes nothing", [Permissions.ReadAll]),
    ];

    /// <summary>The role of a name; null when there is none.</summary>
    public static Role? Find(string name) => Known.FirstOrDefault(r => r.Name == name);

    /// <summary>The rights that roles give together.</summary>
    public static IReadOnlyList<string> PermissionsOf(IEnumerable<string> roles) =>
        [.. roles.Select(Find).OfType<Role>().SelectMany(r => r.Permissions).Distinct()];
}

using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Conclave.Workflows.Runtime.Definitions;
using Quartz;

namespace Conclave.Workflows.Runtime.Timers;

/// <summary>Names of jobs and triggers in Quartz's tables. They are stored: changing one loses what is scheduled.</summary>
internal static class TimerKeys
{
    /// <summary>What the triggers of published workflows begin with; a tenant has no colon in its name.</summary>
    public const string StartPrefix = "start:";

    /// <summary>The scheduled time in the data of a trigger, in UTC ticks.</summary>
    public const string Due = "due";

    /// <summary>Members of a long wait in the data of its trigger.</summary>
    public const string Tenant = "tenant";

    /// <inheritdoc cref="Tenant"/>
    public const string Instance = "instance";

    /// <inheritdoc cref="Tenant"/>
    public const string Bookmark = "bookmark";

    /// <summary>The job of all long waits.</summary>
    public static JobKey Waits { get; } = new("resume", "wait");

    public static TriggerKey Wait(string tenant, string instanceId, int bookmark) =>
        new(string.Create(CultureInfo.InvariantCulture, $"{instanceId}/{bookmark}"), $"wait:{tenant}");

    /// <summary>The group of everything that starts one workflow by the clock.</summary>
    public static string Group(string tenant, string definitionId) => $"{StartPrefix}{tenant}:{definitionId}";

    /// <summary>The job of one trigger of one version; another interval is another job.</summary>
    public static JobKey Start(WorkflowTrigger trigger) => new(
        $"{trigger.VersionId}/{trigger.ActivityId}/{Convert.ToHexStringLower(trigger.Hash.AsSpan(0, Math.Min(8, trigger.Hash.Length)))}",
        Group(trigger.Tenant, trigger.DefinitionId));

    /// <summary>The workflow that a job starts.</summary>
    public static (string Tenant, string DefinitionId) WorkflowOf(JobKey job)
    {
        var text = job.Group.AsSpan(StartPrefix.Length);
        var colon = text.IndexOf(':');
        return (text[..colon].ToString(), text[(colon + 1)..].ToString());
    }

    /// <summary>The instance that a scheduled time starts: always the same one, however often and wherever it fires.</summary>
    public static string InstanceId(string tenant, string versionId, string activityId, DateTimeOffset due) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(
            string.Create(CultureInfo.InvariantCulture, $"{tenant}\n{versionId}\n{activityId}\n{due.UtcTicks}"))).AsSpan(0, 16));
}

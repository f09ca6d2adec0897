namespace Conclave.Server.ElsaApi.Instances;

/// <summary>Elsa's API around instances: lists, journals, executions of activities, operations, stimuli and the workers.</summary>
internal static class InstanceApi
{
    /// <summary>Right to see instances.</summary>
    public const string Read = "read:workflow-instances";

    /// <summary>Right to change instances.</summary>
    public const string Write = "write:workflow-instances";

    /// <summary>Maps the endpoints.</summary>
    public static void Map(RouteGroupBuilder api)
    {
        var group = api.MapGroup("").WithTags("Elsa: instances");
        InstanceEndpoints.Map(group);
        JournalEndpoints.Map(group);
        ExecutionEndpoints.Map(group);
        ResilienceEndpoints.Map(group);
        CancelEndpoints.Map(group);
        TransferEndpoints.Map(group);
        AlterationEndpoints.Map(group);
        StimulusEndpoints.Map(api.MapGroup("").WithTags("Elsa: tasks, events, bookmarks"));
        var server = api.MapGroup("").WithTags("Elsa: server");
        DeadLetterEndpoints.Map(server);
        AdminEndpoints.Map(server);
    }
}

using System.Security.Cryptography;
using System.Text;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Definitions;
using Conclave.Workflows.Runtime.Instances;
using Conclave.Workflows.Runtime.Postgres;
using Conclave.Workflows.Runtime.Queue;
using Npgsql;

namespace Conclave.Workflows.Runtime.Stimuli;

/// <summary>Something that happened outside and that workflows start on or wait for.</summary>
/// <param name="Tenant">Whose workflows.</param>
/// <param name="Name">Name of the stimulus, usually the activity's type.</param>
/// <param name="Key">Its key, see <see cref="BookmarkKey"/>.</param>
public sealed record Stimulus(string Tenant, string Name, byte[] Key)
{
    /// <summary>What it brings.</summary>
    public object? Input { get; init; }

    /// <summary>Only this instance hears it; it waits if the instance does not listen yet.</summary>
    public string? InstanceId { get; init; }

    /// <summary>Only instances with this correlation id hear it, new ones get it; it waits if none listens yet.</summary>
    public string? CorrelationId { get; init; }

    /// <summary>Whether one instance at most is expected to wait for it.</summary>
    public bool IsForOne { get => field || InstanceId is not null || CorrelationId is not null; init; }

    /// <summary>Delivered once under this id; null delivers each time.</summary>
    public string? Id { get; init; }

    /// <summary>How urgent it is.</summary>
    public WorkPriority Priority { get; init; } = WorkPriority.P1;
}

/// <summary>What became of a stimulus.</summary>
/// <param name="Started">Instances that it started.</param>
/// <param name="Resumed">How many bookmarks it resumed.</param>
/// <param name="IsWaiting">Whether it waits for its bookmark.</param>
/// <param name="IsDuplicate">Whether it was delivered before; nothing happened this time.</param>
public sealed record Delivery(IReadOnlyList<string> Started, int Resumed, bool IsWaiting, bool IsDuplicate);

/// <summary>Brings stimuli to the workflows that they start and the instances that wait for them.</summary>
public sealed class StimulusDelivery(NpgsqlDataSource database, InstanceRunner runner, WorkSignal signal)
{
    private readonly WaitingReads _waiting = new(database);

    /// <summary>Resumes at once, in this process, what one stimulus alone is for; null, or the answer false, leaves it to the queue.</summary>
    internal Func<WaitingInstance, object?, WorkPriority, Task<bool>>? ResumeNow { get; set; }

    /// <summary>Delivers a stimulus. Once it returns, nothing of it can be lost.</summary>
    public async Task<Delivery> DeliverAsync(Stimulus stimulus, CancellationToken cancellationToken)
    {
        // Instances that it starts have ids that follow from its own, so that repeating it after a crash starts them once.
        var started = stimulus.InstanceId is null ? await StartAsync(stimulus, cancellationToken) : [];
        if (ResumeNow is { } resume
            && stimulus is { Id: null, IsForOne: true }
            && await _waiting.FindAsync(stimulus, cancellationToken) is { } found
            && await resume(found, stimulus.Input, stimulus.Priority))
            return new Delivery(started, 1, false, false);
        await using var command = database.CreateCommand("select * from conclave.deliver($1, $2, $3, $4, $5, $6, $7, $8, $9)");
        var parameters = command.Parameters;
        parameters.Add(new NpgsqlParameter<string> { TypedValue = stimulus.Tenant });
        parameters.AddText(stimulus.Id);
        parameters.Add(new NpgsqlParameter<string> { TypedValue = stimulus.Name });
        parameters.Add(new NpgsqlParameter<byte[]> { TypedValue = stimulus.Key });
        parameters.AddText(stimulus.InstanceId);
        parameters.AddText(stimulus.InstanceId is null ? stimulus.CorrelationId : null);
        parameters.AddBytes(WorkPayload.Of(stimulus.Input));
        parameters.Add(new NpgsqlParameter<short> { TypedValue = (short)stimulus.Priority });
        parameters.Add(new NpgsqlParameter<TimeSpan> { TypedValue = runner.Options.Keep });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        var delivery = new Delivery(started, reader.GetInt32(0), reader.GetBoolean(1), reader.GetBoolean(2));
        if (delivery.Resumed > 0)
            signal.Wake();
        return delivery;
    }

    /// <summary>Publishes an event.</summary>
    public Task<Delivery> PublishAsync(string tenant, EventPublished published, string? id, WorkPriority priority, CancellationToken cancellationToken) =>
        DeliverAsync(
            new Stimulus(tenant, "Elsa.Event", BookmarkKey.Of("Elsa.Event", published.EventName))
            {
                Input = published.Payload,
                InstanceId = published.WorkflowInstanceId,
                CorrelationId = published.CorrelationId,
                Id = id,
                Priority = priority,
            },
            cancellationToken);

    /// <summary>Reports the result of a task that a workflow asked for.</summary>
    public Task<Delivery> CompleteTaskAsync(string tenant, string taskId, object? result, CancellationToken cancellationToken) =>
        DeliverAsync(new Stimulus(tenant, "Elsa.RunTask", BookmarkKey.Of("Elsa.RunTask", taskId)) { Input = result, IsForOne = true }, cancellationToken);

    /// <summary>Resumes a bookmark through the queue. Nothing happens when it is gone by then.</summary>
    /// <param name="tenant">Owner of the instance.</param>
    /// <param name="instanceId">The instance that waits.</param>
    /// <param name="bookmark">Number of the bookmark.</param>
    /// <param name="input">What the activity is to receive; a workflow value.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    public Task ResumeAsync(string tenant, string instanceId, int bookmark, object? input, CancellationToken cancellationToken) =>
        runner.Queue.EnqueueAsync([new NewWork(tenant, instanceId, WorkKind.Resume, WorkPriority.P1, null, WorkPayload.Of(input), bookmark)], cancellationToken);

    private async Task<IReadOnlyList<string>> StartAsync(Stimulus stimulus, CancellationToken cancellationToken)
    {
        var workflows = runner.Catalog.Of(stimulus.Tenant);
        var triggers = workflows.Triggers.Find(stimulus.Key);
        if (triggers.Count == 0)
            return [];
        var started = new List<string>();
        foreach (var trigger in triggers)
        {
            var graph = await workflows.GetGraphAsync(trigger.VersionId, cancellationToken);
            var instance = workflows.Engine.CreateInstance(graph, new WorkflowStart
            {
                InstanceId = stimulus.Id is null ? null : InstanceId(stimulus, trigger),
                CorrelationId = stimulus.CorrelationId,
                TriggerActivityId = trigger.ActivityId,
                TriggerInput = stimulus.Input,
            });
            if (await runner.EnqueueAsync(stimulus.Tenant, instance, stimulus.Priority) == CommitOutcome.Stored)
                started.Add(instance.Id);
        }

        return started;
    }

    private static string InstanceId(Stimulus stimulus, WorkflowTrigger trigger) => Convert.ToHexStringLower(SHA256.HashData(
        Encoding.UTF8.GetBytes($"{stimulus.Tenant}\n{stimulus.Id}\n{trigger.VersionId}\n{trigger.ActivityId}")).AsSpan(0, 16));
}

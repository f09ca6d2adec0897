using System.Text.Json;
using Conclave.Agents;
using Conclave.Agents.Actions;
using Conclave.Agents.Approvals;
using Conclave.Tests.Runtime;
using Conclave.Tests.Runtime.Postgres;
using Conclave.Workflows.Execution;
using Microsoft.Extensions.DependencyInjection;

namespace Conclave.Tests.Agents.Approvals;

/// <summary>A runtime whose workflows ask people, some people, and what tests need of both.</summary>
internal sealed class ApprovalHost : IAsyncDisposable
{
    public const string Tenant = TestRuntime.Tenant;
    public static readonly Person Ann = new("id-ann", "ann");
    public static readonly Person Bob = new("id-bob", "bob");
    public static readonly Person Cleo = new("id-cleo", "cleo");

    /// <summary>Sees, and may not decide.</summary>
    public static readonly Person Vera = new("id-vera", "vera");

    private TestRuntime? _runtime;

    private ApprovalHost(TestDatabase database)
    {
        Database = database;
        Store = NewStore(TimeProvider.System, () => _runtime?.Runtime.Signal.Wake());
    }

    public TestDatabase Database { get; }

    public ApprovalStore Store { get; }

    public TestRuntime Workflows => _runtime!;

    public static async Task<ApprovalHost> StartAsync(bool isWorker = true)
    {
        var host = new ApprovalHost(await PostgresServer.NewDatabaseAsync());
        foreach (var (person, role) in new[] { (Ann, "operator"), (Bob, "operator"), (Cleo, "administrator"), (Vera, "viewer") })
            await host.AddAccountAsync(Tenant, person, role);
        host._runtime = await TestRuntime.StartAsync(
            host.Database, isWorker: isWorker, catalog: AgentActivities.Catalog, services: new ServiceCollection().AddSingleton(host.Store).BuildServiceProvider());
        return host;
    }

    /// <summary>A store on the same database that believes it is another time.</summary>
    public ApprovalStore At(DateTimeOffset now) => NewStore(new FixedTime(now), null);

    public async Task AddAccountAsync(string tenant, Person person, string role) => await Database.ExecuteAsync($"""
        insert into conclave.account (tenant, id, user_name, normalized_name, security_stamp, roles, created_at)
        values ('{tenant}', '{person.Id}', '{person.Name}', '{person.Name.ToUpperInvariant()}', 's', array['{role}'], now())
        """);

    /// <summary>Publishes and starts a workflow of one activity, with variables for what comes of it.</summary>
    public async Task<string> StartAsync(string root)
    {
        var id = $"w{Guid.NewGuid():N}";
        await Workflows.PublishAsync($$"""
            { "definitionId": "{{id}}", "root": {{root}},
              "variables": [ { "id": "decision", "name": "Decision", "typeName": "String" }, { "id": "args", "name": "Args", "typeName": "Object" },
                             { "id": "form", "name": "Form", "typeName": "Object" }, { "id": "by", "name": "By", "typeName": "Object" },
                             { "id": "comment", "name": "Comment", "typeName": "String" }, { "id": "edited", "name": "Edited", "typeName": "Boolean" } ] }
            """);
        return await Workflows.EnqueueAsync(id);
    }

    /// <summary>An activity that asks for something.</summary>
    public static string Ask(string id = "ask", string more = "", string? action = null) => $$"""
        { "id": "{{id}}", "type": "Conclave.Agents.AwaitApproval", "version": 1, "title": "Refund 120 EUR",
          "action": {{Wrapped(action ?? Action().Canonical)}}, {{more}}
          "decision": { "memoryReference": { "id": "decision" } }, "arguments": { "memoryReference": { "id": "args" } },
          "formData": { "memoryReference": { "id": "form" } }, "decidedBy": { "memoryReference": { "id": "by" } },
          "comment": { "memoryReference": { "id": "comment" } }, "wasEdited": { "memoryReference": { "id": "edited" } } }
        """;

    public static ProposedAction Action(string arguments = """{"amount":120,"order":"A-7"}""", string agent = "refunds", string toolHash = "h1", string tool = "refund") =>
        new(Tenant, agent, tool, toolHash, JsonElement.Parse(arguments));

    /// <summary>A value as an expression.</summary>
    public static string Wrapped(string json) => $$"""{ "typeName": "Object", "expression": { "type": "Object", "value": {{JsonSerializer.Serialize(json)}} } }""";

    /// <summary>Waits until an instance has asked so many people.</summary>
    public async Task<List<Approval>> PendingAsync(string instance, int count = 1)
    {
        List<Approval> found = [];
        await TestRuntime.UntilAsync(
            async () => (found = await Store.ListAsync(Tenant, new ApprovalFilter { InstanceId = instance, Status = ApprovalStatus.Pending }, null, 50, default)).Count == count,
            state: () => $"{found.Count} wait");
        return found;
    }

    public async Task<Approval> PendingOneAsync(string instance) => (await PendingAsync(instance))[0];

    public Task<Approval> SayAsync(Approval approval, Person person, ApprovalVerdict verdict = ApprovalVerdict.Approve, string? arguments = null, string? form = null, string? comment = null) =>
        Store.DecideAsync(Tenant, approval.Id, person, Decision(approval, verdict, arguments, form, comment), default);

    public static ApprovalDecision Decision(Approval approval, ApprovalVerdict verdict = ApprovalVerdict.Approve, string? arguments = null, string? form = null, string? comment = null) => new(verdict)
    {
        ActionHash = approval.CurrentHash,
        Arguments = arguments is null ? null : JsonElement.Parse(arguments),
        FormData = form is null ? null : JsonElement.Parse(form),
        Comment = comment,
    };

    public static async Task RefusedAsync(string code, Func<Task> act) => Assert.Equal(code, (await Assert.ThrowsAsync<ApprovalException>(act)).Code);

    /// <summary>The end of an instance, and a variable of it.</summary>
    public async Task<object?> ResultAsync(string instance, string variable)
    {
        await Workflows.WaitAsync(instance, WorkflowSubStatus.Finished);
        var ended = await Workflows.ReadAsync(instance);
        return ended.GetVariable(ended.Graph.Root.Variables.Single(v => v.Definition.Name == variable));
    }

    public async Task<List<string>> KindsAsync(string id) => [.. (await Store.HistoryAsync(Tenant, id, default))!.Select(e => e.Kind)];

    public async ValueTask DisposeAsync()
    {
        if (_runtime is not null)
            await _runtime.DisposeAsync();
        await Database.DisposeAsync();
    }

    private ApprovalStore NewStore(TimeProvider time, Action? enqueued) => new(Database, time)
    {
        MayDecide = roles => roles.Contains("operator") || roles.Contains("administrator"),
        // What the form of these tests asks for; the real check is tested with the API.
        Validate = (schema, value, _) => ValueTask.FromResult<IReadOnlyList<string>>(
            schema.TryGetProperty("required", out var required)
                ? [.. required.EnumerateArray().Where(r => !value.TryGetProperty(r.GetString()!, out var _)).Select(r => $"{r} is missing")]
                : []),
        Enqueued = enqueued,
    };

    private sealed class FixedTime(DateTimeOffset now) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => now;
    }
}

using System.Text.Json.Nodes;
using Conclave.Workflows.Activities;
using Conclave.Workflows.Runtime.Definitions;
using static Conclave.Tests.Json;

namespace Conclave.Tests.Runtime.Definitions;

public sealed class UsableWorkflowsTests : IAsyncLifetime
{
    private TestRuntime _runtime = null!;
    private UsableWorkflows _usable = null!;

    public async Task InitializeAsync()
    {
        _runtime = await TestRuntime.StartAsync(isWorker: false);
        _usable = new UsableWorkflows(_runtime.Database.DataSource);
    }

    public async Task DisposeAsync() => await _runtime.DisposeAsync();

    [Fact]
    public async Task Read_Workflow_IsAnActivityWithItsInputsOutputsAndOutcomes()
    {
        var stored = await SaveAsync(Usable("order-check", "Order check"), publish: true);

        var descriptor = Assert.Single(await ReadAsync());

        Assert.Equal(("OrderCheck", 1, "Orders", "Order check", true), (descriptor.TypeName, descriptor.Version, descriptor.Category, descriptor.DisplayName, descriptor.IsBrowsable));
        Assert.Equal(new WorkflowReference("order-check", stored.Definition.Id, 1), descriptor.Workflow);
        Assert.Equal([("Order", "ObjectDictionary", "singleline"), ("Lines", "String[]", "multitext"), ("Urgent", "Boolean", "checkbox")], descriptor.Inputs.Select(i => (i.Name, i.TypeName, i.UIHint)));
        Assert.All(descriptor.Inputs, i => Assert.True(i is { IsSynthetic: true, IsWrapped: true, IsBrowsable: true }));
        Assert.Equal(("Approved", "Boolean", true), (descriptor.Outputs[0].Name, descriptor.Outputs[0].TypeName, descriptor.Outputs[0].IsSynthetic));
        Assert.Equal(["Root Embedded False", "Yes Flow True", "No Flow True"], descriptor.Ports.Select(p => $"{p.Name} {p.Type} {p.IsBrowsable}"));
    }

    [Fact]
    public async Task Read_NothingChanged_GivesTheSameList()
    {
        await SaveAsync(Usable("a", "A"), publish: true);
        var first = await ReadAsync();
        await SaveAsync(Workflow(Sequence("s")).With(("definitionId", "other")), publish: true);

        Assert.Same(first, await ReadAsync());
    }

    [Fact]
    public async Task Read_EveryChange_IsSeenAtOnce()
    {
        Assert.Empty(await ReadAsync());
        await SaveAsync(Usable("a", "A"), publish: false);
        Assert.Equal(["A 1 False"], await ListAsync());
        await SaveAsync(Usable("a", "A"), publish: true);
        Assert.Equal(["A 1 True"], await ListAsync());
        await SaveAsync(Usable("a", "A").With(("description", "second")), publish: false);
        Assert.Equal(["A 1 True", "A 2 False"], await ListAsync());
        await _runtime.Runtime.Catalog.PublishAsync(TestRuntime.Tenant, "a", default);
        Assert.Equal(["A 1 False", "A 2 True"], await ListAsync());
        Assert.Equal("second", (await ReadAsync())[1].Description);
        await _runtime.Runtime.Catalog.RetractAsync(TestRuntime.Tenant, "a", default);
        Assert.Equal(["A 1 False", "A 2 False"], await ListAsync());
        await _runtime.Runtime.Catalog.DeleteAsync(TestRuntime.Tenant, "a", default);
        Assert.Empty(await ReadAsync());
    }

    [Fact]
    public async Task Read_AnotherTenant_SeesNothing()
    {
        await SaveAsync(Usable("a", "A"), publish: true);

        Assert.Empty(await _usable.ReadAsync("other", default));
    }

    [Fact]
    public async Task Read_TwoOfOneName_HaveTypesOfTheirOwn()
    {
        await SaveAsync(Usable("b", "Same"), publish: true);
        await SaveAsync(Usable("a", "same"), publish: true);
        await SaveAsync(Usable("a", "same").With(("description", "second")), publish: true);

        Assert.Equal(["Same 1 False", "Same 2 True", "Same-b 1 True"], await ListAsync());
        Assert.Equal(["a", "a", "b"], (await ReadAsync()).Select(d => d.Workflow!.DefinitionId));
        Assert.Equal("Same (b)", (await ReadAsync())[2].DisplayName);
    }

    private static JsonObject Usable(string id, string name) => Workflow(Sequence("s")).With(
        ("id", $"{id}:1"),
        ("definitionId", id),
        ("name", name),
        ("options", new JsonObject { ["usableAsActivity"] = true, ["activityCategory"] = "Orders" }),
        ("outcomes", new JsonArray("Yes", "No")),
        ("inputs", new JsonArray(
            new JsonObject { ["name"] = "Order", ["type"] = "ObjectDictionary", ["displayName"] = "The order" },
            new JsonObject { ["name"] = "Lines", ["type"] = "String", ["isArray"] = true },
            new JsonObject { ["name"] = "Urgent", ["type"] = "Boolean", ["uiHint"] = "checkbox" })),
        ("outputs", new JsonArray(new JsonObject { ["name"] = "Approved", ["type"] = "Boolean" })));

    private Task<StoredDefinition> SaveAsync(JsonObject definition, bool publish) =>
        _runtime.Runtime.Catalog.SaveAsync(TestRuntime.Tenant, definition.Read(), publish, null, default);

    private async Task<IReadOnlyList<ActivityDescriptor>> ReadAsync() => await _usable.ReadAsync(TestRuntime.Tenant, default);

    private async Task<List<string>> ListAsync() => [.. (await ReadAsync()).Select(d => $"{d.TypeName} {d.Version} {d.IsBrowsable}")];
}

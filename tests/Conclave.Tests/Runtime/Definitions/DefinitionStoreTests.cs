using System.Text;
using Conclave.Tests.Runtime.Postgres;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Definitions;

namespace Conclave.Tests.Runtime.Definitions;

public sealed class DefinitionStoreTests : IAsyncLifetime
{
    private const string Tenant = "acme";

    private TestDatabase _database = null!;
    private DefinitionStore _store = null!;

    public async Task InitializeAsync()
    {
        _database = await PostgresServer.NewDatabaseAsync();
        _store = new DefinitionStore(_database.DataSource, TimeProvider.System);
    }

    public async Task DisposeAsync() => await _database.DisposeAsync();

    [Fact]
    public async Task Save_NewWorkflow_IsTheLatestDraftOfVersionOne()
    {
        var saved = await _store.SaveAsync(Tenant, Workflow("one"), publish: false, null, default);

        Assert.Equal((1, true, false), (saved.Definition.Version, saved.Definition.IsLatest, saved.Definition.IsPublished));
        var found = await _store.FindLatestAsync(Tenant, "orders", default);
        Assert.Equal(saved.Definition.Id, found!.Definition.Id);
        Assert.Equal(saved.Hash, found.Hash);
    }

    [Fact]
    public async Task Save_DraftExists_IsOverwrittenInPlace()
    {
        var first = await _store.SaveAsync(Tenant, Workflow("one"), publish: false, null, default);
        var second = await _store.SaveAsync(Tenant, Workflow("two"), publish: false, first.Hash, default);

        Assert.Equal(first.Definition.Id, second.Definition.Id);
        Assert.Equal(1, second.Definition.Version);
        Assert.Single(await _store.HistoryAsync(Tenant, "orders", 10, default));
    }

    [Fact]
    public async Task Save_LatestIsPublished_AddsAVersionAndKeepsThePublishedOne()
    {
        var published = await _store.SaveAsync(Tenant, Workflow("one"), publish: true, null, default);
        var draft = await _store.SaveAsync(Tenant, Workflow("two"), publish: false, published.Hash, default);

        Assert.Equal(2, draft.Definition.Version);
        Assert.NotEqual(published.Definition.Id, draft.Definition.Id);
        var stillPublished = await _store.FindPublishedAsync(Tenant, "orders", default);
        Assert.Equal(published.Definition.Id, stillPublished!.Definition.Id);
        Assert.False(stillPublished.Definition.IsLatest);
    }

    [Fact]
    public async Task Save_SameContentAgain_ChangesNothing()
    {
        var first = await _store.SaveAsync(Tenant, Workflow("one"), publish: true, null, default);
        var again = await _store.SaveAsync(Tenant, Workflow("one"), publish: true, null, default);

        Assert.Equal(first.Definition.Id, again.Definition.Id);
        Assert.Equal(first.UpdatedAt, again.UpdatedAt, TimeSpan.FromMilliseconds(1));
        Assert.Single(await _store.HistoryAsync(Tenant, "orders", 10, default));
    }

    [Fact]
    public async Task Save_SomebodyElseSavedInBetween_IsRefusedAndChangesNothing()
    {
        var mine = await _store.SaveAsync(Tenant, Workflow("one"), publish: false, null, default);
        var theirs = await _store.SaveAsync(Tenant, Workflow("two"), publish: false, mine.Hash, default);

        var conflict = await Assert.ThrowsAsync<DefinitionConflictException>(
            () => _store.SaveAsync(Tenant, Workflow("three"), publish: false, mine.Hash, default));

        Assert.Equal(theirs.Hash, conflict.CurrentHash);
        Assert.Equal(theirs.Hash, (await _store.FindLatestAsync(Tenant, "orders", default))!.Hash);
    }

    [Fact]
    public async Task Save_ManyAtOnceOnTheSameHash_OneWins()
    {
        var start = await _store.SaveAsync(Tenant, Workflow("start"), publish: false, null, default);

        var outcomes = await Task.WhenAll(Enumerable.Range(0, 12).Select(async i =>
        {
            try
            {
                await _store.SaveAsync(Tenant, Workflow($"edit {i}"), publish: i % 2 == 0, start.Hash, default);
                return true;
            }
            catch (DefinitionConflictException)
            {
                return false;
            }
        }));

        Assert.Single(outcomes, won => won);
        var history = await _store.HistoryAsync(Tenant, "orders", 100, default);
        Assert.Single(history, v => v.IsLatest);
    }

    [Fact]
    public async Task Publish_Draft_MovesTheFlag()
    {
        var first = await _store.SaveAsync(Tenant, Workflow("one"), publish: true, null, default);
        await _store.SaveAsync(Tenant, Workflow("two"), publish: false, first.Hash, default);

        var published = await _store.PublishAsync(Tenant, "orders", default);

        Assert.Equal(2, published!.Definition.Version);
        var history = await _store.HistoryAsync(Tenant, "orders", 10, default);
        Assert.Equal([(2, true), (1, false)], history.Select(v => (v.Version, v.IsPublished)));
    }

    [Fact]
    public async Task Retract_Published_StaysLatestAndIsOverwrittenNext()
    {
        var published = await _store.SaveAsync(Tenant, Workflow("one"), publish: true, null, default);
        await _store.RetractAsync(Tenant, "orders", default);

        Assert.Null(await _store.FindPublishedAsync(Tenant, "orders", default));
        var saved = await _store.SaveAsync(Tenant, Workflow("two"), publish: false, published.Hash, default);
        Assert.Equal(published.Definition.Id, saved.Definition.Id);
    }

    [Fact]
    public async Task Revert_OldVersion_IsCopiedAsTheNewestDraft()
    {
        var first = await _store.SaveAsync(Tenant, Workflow("one"), publish: true, null, default);
        await _store.SaveAsync(Tenant, Workflow("two"), publish: true, null, default);

        var reverted = await _store.RevertAsync(Tenant, "orders", 1, default);

        Assert.Equal((3, true, false), (reverted!.Definition.Version, reverted.Definition.IsLatest, reverted.Definition.IsPublished));
        Assert.Equal(first.Hash, reverted.Hash);
        Assert.Equal(2, (await _store.FindPublishedAsync(Tenant, "orders", default))!.Definition.Version);
    }

    [Fact]
    public async Task Find_OtherTenant_SeesNothing()
    {
        var saved = await _store.SaveAsync(Tenant, Workflow("one"), publish: true, null, default);

        Assert.Null(await _store.FindAsync("globex", saved.Definition.Id, default));
        Assert.Null(await _store.FindLatestAsync("globex", "orders", default));
        Assert.Equal(0, await _store.DeleteAsync("globex", "orders", default));
        Assert.Equal(1, await _store.DeleteAsync(Tenant, "orders", default));
    }

    [Fact]
    public async Task Save_NewWorkflowWithTheVersionIdOfAnother_GetsAnIdOfItsOwn()
    {
        var original = await _store.SaveAsync(Tenant, Workflow("one"), publish: true, null, default);

        var copy = await _store.SaveAsync(Tenant, original.Definition with { DefinitionId = "copy" }, publish: false, null, default);

        Assert.NotEqual(original.Definition.Id, copy.Definition.Id);
        Assert.Equal("orders", (await _store.FindAsync(Tenant, original.Definition.Id, default))!.Definition.DefinitionId);
        Assert.Equal("copy", (await _store.FindLatestAsync(Tenant, "copy", default))!.Definition.DefinitionId);
    }

    [Fact]
    public async Task Save_ReadOnlyWorkflow_IsRefused()
    {
        await _store.SaveAsync(Tenant, Workflow("one") with { IsReadonly = true }, publish: true, null, default);

        var refusal = await Assert.ThrowsAsync<WorkflowException>(
            () => _store.SaveAsync(Tenant, Workflow("two"), publish: false, null, default));

        Assert.Equal("definition.read_only", refusal.Code);
    }

    private static WorkflowDefinition Workflow(string text) => WorkflowDefinitionReader.Read(Encoding.UTF8.GetBytes($$"""
        {
          "definitionId": "orders", "name": "Orders",
          "root": { "id": "root", "type": "Elsa.WriteLine", "version": 1, "text": "{{text}}" }
        }
        """));
}

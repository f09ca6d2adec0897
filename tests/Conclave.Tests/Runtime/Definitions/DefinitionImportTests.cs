using System.IO.Compression;
using System.Text;
using Conclave.Tests.Conformance;
using Conclave.Tests.Runtime.Postgres;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Definitions;

namespace Conclave.Tests.Runtime.Definitions;

public sealed class DefinitionImportTests : IAsyncLifetime
{
    private const string Tenant = "acme";

    private readonly WorkflowEngine _engine = new();
    private readonly List<string> _saved = [];
    private TestDatabase _database = null!;
    private DefinitionStore _store = null!;
    private DefinitionImport _import = null!;

    public async Task InitializeAsync()
    {
        _database = await PostgresServer.NewDatabaseAsync();
        _store = new DefinitionStore(_database.DataSource, TimeProvider.System);
        _import = new DefinitionImport(_store, (_, definition, _) => ValueTask.FromResult(_engine.Compile(definition)))
        {
            Saved = (_, stored, _) =>
            {
                _engine.Library.Add(stored.Definition);
                _saved.Add(stored.Definition.DefinitionId);
                return ValueTask.CompletedTask;
            },
        };
    }

    public async Task DisposeAsync() => await _database.DisposeAsync();

    [Theory]
    [InlineData(PublishChoice.AsFile, true, true)]
    [InlineData(PublishChoice.AsFile, false, false)]
    [InlineData(PublishChoice.Always, false, true)]
    [InlineData(PublishChoice.Never, true, false)]
    public async Task Import_New_IsCreatedAndPublishedAsChosen(PublishChoice publish, bool inFile, bool isPublished)
    {
        var result = Assert.Single(await ImportAsync(Zips.Workflow("orders", "1", inFile), publish));

        Assert.Equal((ImportOutcome.Created, "orders", 1), (result.Outcome, result.DefinitionId, result.Version));
        Assert.Equal(isPublished, (await _store.FindLatestAsync(Tenant, "orders", default))!.Definition.IsPublished);
    }

    [Theory]
    [InlineData(PublishChoice.AsFile, true)]
    [InlineData(PublishChoice.AsFile, false)]
    [InlineData(PublishChoice.Always, false)]
    [InlineData(PublishChoice.Never, true)]
    public async Task Import_SameFileAgain_IsUnchanged(PublishChoice publish, bool inFile)
    {
        await ImportAsync(Zips.Workflow("orders", "1", inFile), publish);
        var again = Assert.Single(await ImportAsync(Zips.Workflow("orders", "1", inFile), publish));

        Assert.Equal((ImportOutcome.Unchanged, 1), (again.Outcome, again.Version));
        Assert.Single(_saved);
    }

    [Fact]
    public async Task Import_DraftOfWhatIsPublished_IsUnchanged()
    {
        await ImportAsync(Zips.Workflow("orders", "1"), PublishChoice.Always);

        Assert.Equal(ImportOutcome.Unchanged, (await ImportAsync(Zips.Workflow("orders", "1"), PublishChoice.Never))[0].Outcome);
        Assert.Single(await _store.HistoryAsync(Tenant, "orders", 10, default));
    }

    [Fact]
    public async Task Import_ChangedOrPublishedNow_IsUpdated()
    {
        await ImportAsync(Zips.Workflow("orders", "1"));

        Assert.Equal((ImportOutcome.Updated, 1), Outcome(await ImportAsync(Zips.Workflow("orders", "1"), PublishChoice.Always)));
        Assert.Equal((ImportOutcome.Updated, 2), Outcome(await ImportAsync(Zips.Workflow("orders", "2"), PublishChoice.Always)));
    }

    [Fact]
    public async Task Import_WithoutDefinitionId_GetsANewOne()
    {
        var first = Assert.Single(await ImportAsync(Zips.Workflow(null, "1")));
        var second = Assert.Single(await ImportAsync(Zips.Workflow(null, "1")));

        Assert.Equal(ImportOutcome.Created, second.Outcome);
        Assert.NotEqual(first.DefinitionId, second.DefinitionId);
    }

    [Fact]
    public async Task Import_VersionIdOfAnotherWorkflow_LeavesThatOneAlone()
    {
        await ImportAsync("""{ "id": "v1", "definitionId": "first", "root": { "type": "Elsa.Sequence", "id": "a" } }""");
        var copy = Assert.Single(await ImportAsync("""{ "id": "v1", "definitionId": "copy", "root": { "type": "Elsa.Sequence", "id": "b" } }"""));

        Assert.Equal(ImportOutcome.Created, copy.Outcome);
        Assert.NotEqual("v1", copy.Stored!.Definition.Id);
        Assert.Equal("first", (await _store.FindAsync(Tenant, "v1", default))!.Definition.DefinitionId);
    }

    [Fact]
    public async Task Import_Errors_RefusePublishingButNotADraft()
    {
        const string Broken = """{ "definitionId": "broken", "root": { "type": "Nobody.Knows", "version": 1, "id": "x" } }""";

        var refused = Assert.Single(await ImportAsync(Broken, PublishChoice.Always));
        Assert.Equal(ImportOutcome.Refused, refused.Outcome);
        Assert.Equal("import.not_published", refused.Problems[^1].Code);
        Assert.Null(await _store.FindLatestAsync(Tenant, "broken", default));

        var draft = Assert.Single(await ImportAsync(Broken, PublishChoice.Never));
        Assert.Equal(ImportOutcome.Created, draft.Outcome);
        Assert.Contains(draft.Problems, p => p.Severity == ProblemSeverity.Error);
    }

    [Fact]
    public async Task Import_SomeAreBad_TheOthersAreImported()
    {
        var package = DefinitionPackage.ReadDocument("all.json", Encoding.UTF8.GetBytes($$"""
            [
              {{Zips.Workflow("a", "1")}}, 7,
              { "definitionId": "nul\u0000", "root": { "type": "Elsa.Sequence", "id": "s" } },
              { "definitionId": "long", "name": "{{Noise(60_000)}}", "root": { "type": "Elsa.Sequence", "id": "s" } },
              { "definitionId": "unreadable", "variables": 5, "root": { "type": "Elsa.Sequence", "id": "s" } },
              {{Zips.Workflow("crash", "1")}}, {{Zips.Workflow("b", "1")}}
            ]
            """));
        var import = new DefinitionImport(_store, (_, definition, _) => definition.DefinitionId == "crash"
            ? throw new InvalidCastException("Oops.")
            : ValueTask.FromResult(_engine.Compile(definition)));

        var results = await import.ImportAsync(Tenant, package, PublishChoice.AsFile, default);

        Assert.Equal(
            [null, "package.not_a_definition", "import.not_storable", "import.not_storable", "definition.wrong_type", "import.failed", null],
            results.Select(r => r.Problems.Count == 0 ? null : r.Problems[0].Code));
        Assert.Equal(
            results.Select(r => r.Problems.Count == 0 ? ImportOutcome.Created : ImportOutcome.Refused), results.Select(r => r.Outcome));
    }

    [Fact]
    public async Task Import_ReadOnlyWorkflow_IsRefusedWhenItDiffers()
    {
        const string ReadOnly = """{ "definitionId": "ro", "isReadonly": true, "root": { "type": "Elsa.WriteLine", "id": "x", "text": "1" } }""";
        await ImportAsync(ReadOnly);

        Assert.Equal(ImportOutcome.Unchanged, (await ImportAsync(ReadOnly))[0].Outcome);
        Assert.Equal("definition.read_only", (await ImportAsync(ReadOnly.Replace("\"1\"", "\"2\"", StringComparison.Ordinal)))[0].Problems[0].Code);
    }

    [Fact]
    public async Task Import_SameWorkflowTwice_TakesTheHighestVersion()
    {
        var results = await ImportAsync("""
            [
              { "definitionId": "w", "version": 2, "root": { "type": "Elsa.Sequence", "id": "two" } },
              { "definitionId": "w", "version": 3, "root": { "type": "Elsa.Sequence", "id": "three" } },
              { "definitionId": "w", "version": 1, "root": { "type": "Elsa.Sequence", "id": "one" } }
            ]
            """);

        Assert.Equal([ImportOutcome.Refused, ImportOutcome.Created, ImportOutcome.Refused], results.Select(r => r.Outcome));
        Assert.Equal("import.duplicate_workflow", results[0].Problems[0].Code);
        Assert.Equal("three", (await _store.FindLatestAsync(Tenant, "w", default))!.Definition.Root.GetProperty("id").GetString());
    }

    [Fact]
    public async Task Import_WorkflowsThatUseEachOther_UsedOnesComeFirst()
    {
        var results = await ImportAsync("""
            [
              { "definitionId": "top", "isPublished": true, "root": { "type": "Elsa.Sequence", "id": "s", "activities": [
                  { "type": "MiddleOne", "version": 1, "id": "m" },
                  { "type": "Elsa.ExecuteWorkflow", "version": 1, "id": "e",
                    "workflowDefinitionId": { "typeName": "String", "expression": { "type": "Literal", "value": "started" } } } ] } },
              { "definitionId": "middle", "name": "Middle one", "isPublished": true, "options": { "usableAsActivity": true },
                "root": { "type": "Elsa.Sequence", "id": "s", "activities": [
                  { "type": "Whatever", "version": 1, "id": "b", "workflowDefinitionId": "bottom" },
                  { "type": "Else", "version": 1, "id": "c", "workflowDefinitionVersionId": "other-v1" } ] } },
              { "definitionId": "bottom", "isPublished": true, "options": { "usableAsActivity": true }, "root": { "type": "Elsa.Sequence", "id": "s" } },
              { "id": "other-v1", "definitionId": "other", "isPublished": true, "options": { "usableAsActivity": true }, "root": { "type": "Elsa.Sequence", "id": "s" } },
              { "definitionId": "started", "isPublished": true, "root": { "type": "Elsa.Sequence", "id": "s" } }
            ]
            """);

        Assert.All(results, r => Assert.Equal(ImportOutcome.Created, r.Outcome));
        Assert.Equal(["bottom", "other", "middle", "started", "top"], _saved);
    }

    [Fact]
    public async Task Import_WorkflowsInACircle_AreImportedAsDraftsAtLeast()
    {
        var results = await ImportAsync("""
            [
              { "definitionId": "a", "options": { "usableAsActivity": true }, "root": { "type": "B", "version": 1, "id": "x", "workflowDefinitionId": "b" } },
              { "definitionId": "b", "options": { "usableAsActivity": true }, "root": { "type": "A", "version": 1, "id": "x", "workflowDefinitionId": "a" } }
            ]
            """);

        Assert.All(results, r => Assert.Equal(ImportOutcome.Created, r.Outcome));
        Assert.All(results, r => Assert.Contains(r.Problems, p => p.Severity == ProblemSeverity.Error));
    }

    [Fact]
    public void Order_LongChain_IsReversed()
    {
        var definitions = Enumerable.Range(0, 3_000).Select(i => WorkflowDefinitionReader.Read(Encoding.UTF8.GetBytes($$"""
            { "definitionId": "w{{i}}", "root": { "type": "T", "version": 1, "id": "x", "workflowDefinitionId": "w{{i + 1}}" } }
            """))).ToList();

        Assert.Equal(Enumerable.Range(0, 3_000).Reverse(), ImportOrder.Of(definitions));
    }

    [ElsaFact]
    public async Task ReferenceWorkflows_ImportExportImport_AreUnchanged()
    {
        var bytes = new MemoryStream();
        using (var zip = new ZipArchive(bytes, ZipArchiveMode.Create, leaveOpen: true))
        {
            foreach (var file in ElsaData.Files)
                zip.CreateEntryFromFile(ElsaData.PathOf(file), file);
        }

        bytes.Position = 0;
        var package = await DefinitionPackage.ReadZipAsync("elsa.zip", bytes, null, default);
        var first = await _import.ImportAsync(Tenant, package, PublishChoice.Never, default);

        Assert.Equal(package.Select(e => e.File), first.Select(r => r.File));
        Assert.All(first, r => Assert.True(
            r.Outcome == ImportOutcome.Created || r.Problems[0].Code == "import.duplicate_workflow", $"{r.File}: {string.Join(' ', r.Problems)}"));
        var created = first.Where(r => r.Outcome == ImportOutcome.Created).ToList();
        Assert.Equal(package.Select(e => e.Definition!.DefinitionId).Distinct().Count(), created.Count);

        Assert.All(
            (await _import.ImportAsync(Tenant, package, PublishChoice.Never, default)).Where(r => r.Outcome != ImportOutcome.Refused),
            r => Assert.Equal(ImportOutcome.Unchanged, r.Outcome));

        var exported = new MemoryStream();
        await DefinitionPackage.WriteZipAsync(ExportAsync(created), exported, default);
        exported.Position = 0;
        var again = await _import.ImportAsync(
            Tenant, await DefinitionPackage.ReadZipAsync("export.zip", exported, null, default), PublishChoice.AsFile, default);
        Assert.Equal(created.Count, again.Count);
        Assert.All(again, r => Assert.Equal((r.File, ImportOutcome.Unchanged), (r.File, r.Outcome)));
    }

    private async IAsyncEnumerable<WorkflowDefinition> ExportAsync(IEnumerable<ImportedDefinition> imported)
    {
        foreach (var result in imported)
            yield return (await _store.FindLatestAsync(Tenant, result.DefinitionId!, default))!.Definition;
    }

    private static (ImportOutcome Outcome, int? Version) Outcome(IReadOnlyList<ImportedDefinition> results) =>
        (Assert.Single(results).Outcome, results[0].Version);

    private Task<IReadOnlyList<ImportedDefinition>> ImportAsync(string json, PublishChoice publish = PublishChoice.AsFile) =>
        _import.ImportAsync(Tenant, DefinitionPackage.ReadDocument("upload.json", Encoding.UTF8.GetBytes(json)), publish, default);

    private static string Noise(int length) =>
        string.Create(length, new Random(3), (span, random) => random.GetItems("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", span));
}

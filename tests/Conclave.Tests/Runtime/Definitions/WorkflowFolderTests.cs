using System.Collections.Concurrent;
using System.Text;
using Conclave.Tests.Runtime.Postgres;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Runtime.Definitions;
using Microsoft.Extensions.Logging;

namespace Conclave.Tests.Runtime.Definitions;

public sealed class WorkflowFolderTests : IAsyncLifetime, IDisposable
{
    private const string Tenant = "acme";
    private static readonly TimeSpan Generous = TimeSpan.FromSeconds(60);

    private readonly TemporaryFolder _files = new();
    private readonly RecordingLogger _log = new();
    private TestDatabase _database = null!;
    private DefinitionStore _store = null!;

    public async Task InitializeAsync()
    {
        _database = await PostgresServer.NewDatabaseAsync();
        _store = new DefinitionStore(_database.DataSource, TimeProvider.System);
    }

    public async Task DisposeAsync() => await _database.DisposeAsync();

    public void Dispose() => _files.Dispose();

    [Fact]
    public async Task ImportAll_Files_AreImportedInOrderAndUnchangedNextTime()
    {
        _files.Write("a-parent.json", """{ "definitionId": "parent", "isPublished": true, "root": { "type": "Child", "version": 1, "id": "c" } }""");
        _files.Write("z/child.json", """{ "definitionId": "child", "name": "Child", "isPublished": true, "options": { "usableAsActivity": true }, "root": { "type": "Elsa.Sequence", "id": "s" } }""");
        _files.Write("z/order.json", """{ "id": 1 }""");
        _files.Write("nameless.json", Zips.Workflow(null, "1"));

        using (var folder = Folder())
        {
            var first = await folder.ImportAllAsync(default);
            Assert.Equal(
                [("a-parent.json", ImportOutcome.Created), ("nameless.json", ImportOutcome.Created), ("z/child.json", ImportOutcome.Created)],
                first.Select(r => (r.File, r.Outcome)));
            Assert.All(await folder.ImportAllAsync(default), r => Assert.Equal(ImportOutcome.Unchanged, r.Outcome));
        }

        using var afterRestart = Folder();
        Assert.All(await afterRestart.ImportAllAsync(default), r => Assert.Equal(ImportOutcome.Unchanged, r.Outcome));
        Assert.Empty(_log.Warnings);
    }

    [Fact]
    public async Task ImportAll_FileChanged_Updates()
    {
        using var folder = Folder();
        await ImportAsync(folder, "1");

        Assert.Equal((ImportOutcome.Updated, 2), await ImportAsync(folder, "2"));
        Assert.Equal((ImportOutcome.Updated, 3), await ImportAsync(folder, "3"));
    }

    [Fact]
    public async Task ImportAll_UserEditedAndFileChanged_KeepsTheEditAndSaysSo()
    {
        using var folder = Folder();
        await ImportAsync(folder, "1");
        await EditAsync("mine");
        Assert.Equal((ImportOutcome.Unchanged, 2), await ImportAsync(folder, "1"));

        Assert.Equal((ImportOutcome.Kept, 2), await ImportAsync(folder, "2"));

        Assert.Equal("mine", await TextAsync());
        Assert.Contains(_log.Warnings, w => w.Contains("orders.json", StringComparison.Ordinal) && w.Contains("Orders", StringComparison.Ordinal));

        // What the warning proposes: import it by hand, and the folder goes on from there.
        await EditAsync("2");
        Assert.Equal((ImportOutcome.Unchanged, 3), await ImportAsync(folder, "2"));
        Assert.Equal((ImportOutcome.Updated, 4), await ImportAsync(folder, "3"));
    }

    [Fact]
    public async Task ImportAll_WorkflowWasThereBefore_IsKept()
    {
        await EditAsync("mine");
        using var folder = Folder();

        Assert.Equal((ImportOutcome.Kept, 1), await ImportAsync(folder, "1"));
    }

    [Fact]
    public async Task ImportAll_EditedWhileImporting_IsKept()
    {
        using var first = Folder();
        await ImportAsync(first, "1");
        using var folder = Folder(beforeCompile: () => EditAsync("mine"));

        Assert.Equal(ImportOutcome.Kept, (await ImportAsync(folder, "2")).Outcome);
        Assert.Equal("mine", await TextAsync());
    }

    [Fact]
    public async Task ImportAll_FileDeletedOrRenamed_KeepsTheWorkflow()
    {
        using var folder = Folder();
        await ImportAsync(folder, "1");
        File.Move(_files.Of("orders.json"), _files.Of("renamed.json"));
        Assert.Equal(("renamed.json", ImportOutcome.Unchanged), Only(await folder.ImportAllAsync(default)));

        File.Delete(_files.Of("renamed.json"));
        Assert.Empty(await folder.ImportAllAsync(default));
        Assert.Equal("1", await TextAsync());
    }

    [Fact]
    public async Task ImportAll_WorkflowDeletedByUser_ComesBackOnlyWithAChangedFile()
    {
        using var folder = Folder();
        await ImportAsync(folder, "1");
        await _store.DeleteAsync(Tenant, "orders", default);

        Assert.Equal((ImportOutcome.Unchanged, null), await ImportAsync(folder, "1"));
        Assert.Equal((ImportOutcome.Created, 1), await ImportAsync(folder, "2"));
    }

    [Fact]
    public async Task ImportAll_TwoFilesOfOneWorkflow_TheFirstImportedKeepsIt()
    {
        using var folder = Folder();
        await ImportAsync(folder, "1");
        _files.Write("copy.json", Workflow("other"));

        Assert.Equal(
            [("copy.json", ImportOutcome.Refused), ("orders.json", ImportOutcome.Unchanged)],
            (await folder.ImportAllAsync(default)).Select(r => (r.File, r.Outcome)));
        Assert.Equal("1", await TextAsync());
    }

    [Fact]
    public async Task ImportAll_BrokenFile_IsReportedAndTheOthersImported()
    {
        _files.Write("bad.json", """{ "definitionId": "bad", "root": {""");
        _files.Write("good.json", Zips.Workflow("good", "1"));
        using var folder = Folder();

        var results = await folder.ImportAllAsync(default);

        Assert.Equal([ImportOutcome.Refused, ImportOutcome.Created], results.Select(r => r.Outcome));
        Assert.Contains("bad.json", Assert.Single(_log.Warnings), StringComparison.Ordinal);
        await folder.ImportAllAsync(default);
        Assert.Single(_log.Warnings);
    }

    [Fact]
    public async Task ImportAll_FolderMissing_IsNothing()
    {
        using var folder = Folder(path: _files.Of("nothing"));

        Assert.Empty(await folder.ImportAllAsync(default));
    }

    [Fact]
    public async Task ImportAll_ManyProcessesAtOnce_MakeOneVersionEach()
    {
        for (var i = 0; i < 5; i++)
            _files.Write($"w{i}.json", Zips.Workflow($"w{i}", "1", isPublished: true));
        var folders = Enumerable.Range(0, 4).Select(_ => Folder()).ToList();

        await Task.WhenAll(folders.Select(f => f.ImportAllAsync(default)));
        for (var i = 0; i < 5; i++)
            _files.Write($"w{i}.json", Zips.Workflow($"w{i}", "22", isPublished: true));
        var results = await Task.WhenAll(folders.Select(f => f.ImportAllAsync(default)));

        Assert.Equal(5, results.SelectMany(r => r).Count(r => r.Outcome == ImportOutcome.Updated));
        for (var i = 0; i < 5; i++)
            Assert.Equal([2, 1], (await _store.HistoryAsync(Tenant, $"w{i}", 10, default)).Select(v => v.Version));
        folders.ForEach(f => f.Dispose());
        Assert.Empty(_log.Warnings);
    }

    [Fact]
    public async Task Watch_FilesChange_AreImportedByEvents()
    {
        using var folder = Folder(rescan: TimeSpan.FromHours(1));
        await using var watching = Watch(folder);
        _files.Write("new/orders.json", Workflow("1"));
        await UntilAsync("1");

        _files.Write("new/orders.json", Workflow("second"));
        await UntilAsync("second");

        // As editors save: a new file renamed over the old one.
        _files.Write("new/orders.tmp", Workflow("third"));
        File.Move(_files.Of("new/orders.tmp"), _files.Of("new/orders.json"), overwrite: true);
        await UntilAsync("third");
    }

    [Fact]
    public async Task Watch_FolderComesLater_IsFoundByLookingThrough()
    {
        using var folder = Folder(path: _files.Of("later"), rescan: TimeSpan.FromMilliseconds(50));
        await using var watching = Watch(folder);

        _files.Write("later/orders.json", Workflow("1"));
        await UntilAsync("1");
        Directory.Delete(_files.Of("later"), recursive: true);
        _files.Write("later/orders.json", Workflow("second"));
        await UntilAsync("second");
    }

    [Fact]
    public async Task Watch_FileWrittenInParts_IsImportedWhenComplete()
    {
        using var folder = Folder(rescan: TimeSpan.FromMilliseconds(50));
        await using var watching = Watch(folder);
        var content = Workflow("whole");
        await using (var file = new FileStream(_files.Of("orders.json"), FileMode.Create, FileAccess.Write, FileShare.ReadWrite))
        {
            foreach (var part in content.Chunk(content.Length / 4))
            {
                await file.WriteAsync(Encoding.UTF8.GetBytes(part));
                await file.FlushAsync();
                await Task.Delay(30);
            }
        }

        await UntilAsync("whole");
        Assert.Single(await _store.HistoryAsync(Tenant, "orders", 10, default));
    }

    [Fact]
    public async Task Watch_StaysBroken_IsReportedOnceAndImportedWhenMended()
    {
        using var folder = Folder(rescan: TimeSpan.FromMilliseconds(20));
        await using var watching = Watch(folder);
        _files.Write("orders.json", Workflow("1")[..^4]);
        await UntilAsync(() => Task.FromResult(!_log.Warnings.IsEmpty));

        _files.Write("orders.json", Workflow("mended"));
        await UntilAsync("mended");
        Assert.Single(_log.Warnings);
    }

    [Fact]
    public async Task Watch_RefusedForAMissingWorkflow_IsImportedWhenThatComes()
    {
        using var folder = Folder(rescan: TimeSpan.FromMilliseconds(50));
        await using var watching = Watch(folder);
        _files.Write("parent.json", """{ "definitionId": "parent", "isPublished": true, "root": { "type": "Child", "version": 1, "id": "c" } }""");
        await UntilAsync(() => Task.FromResult(!_log.Warnings.IsEmpty));

        _files.Write("child.json", """{ "definitionId": "child", "name": "Child", "isPublished": true, "options": { "usableAsActivity": true }, "root": { "type": "Elsa.Sequence", "id": "s" } }""");

        await UntilAsync(async () => await _store.FindPublishedAsync(Tenant, "parent", default) is not null);
    }

    [Fact]
    public async Task Watch_TwoProcessesWithDifferentFiles_DoNotUndoEachOther()
    {
        using var other = new TemporaryFolder();
        using var old = Folder(rescan: TimeSpan.FromMilliseconds(20));
        using var updated = Folder(path: other.Path, rescan: TimeSpan.FromMilliseconds(20));
        _files.Write("orders.json", Workflow("old"));
        other.Write("orders.json", Workflow("updated"));
        await old.ImportAllAsync(default);
        await updated.ImportAllAsync(default);
        await using var watchingOld = Watch(old);
        await using var watchingUpdated = Watch(updated);

        // Both have looked through their folder once this is there.
        _files.Write("a.json", Zips.Workflow("a", "1"));
        other.Write("b.json", Zips.Workflow("b", "1"));
        await UntilAsync(async () => await _store.FindLatestAsync(Tenant, "a", default) is not null
            && await _store.FindLatestAsync(Tenant, "b", default) is not null);

        Assert.Equal("updated", await TextAsync());
        Assert.Equal([2, 1], (await _store.HistoryAsync(Tenant, "orders", 10, default)).Select(v => v.Version));
    }

    private static string Workflow(string text) => Zips.Workflow("orders", text, isPublished: true, name: "Orders");

    private WorkflowFolder Folder(string? path = null, TimeSpan? rescan = null, Func<Task>? beforeCompile = null)
    {
        var engine = new WorkflowEngine();
        var import = new DefinitionImport(_store, async (_, definition, _) =>
        {
            if (beforeCompile is not null)
                await beforeCompile();
            return engine.Compile(definition);
        })
        {
            Saved = (_, stored, _) =>
            {
                engine.Library.Add(stored.Definition);
                return ValueTask.CompletedTask;
            },
        };
        var options = new WorkflowFolderOptions
        {
            Folder = path ?? _files.Path,
            Tenant = Tenant,
            Settle = TimeSpan.FromMilliseconds(20),
            Rescan = rescan ?? TimeSpan.FromHours(1),
            RereadDelay = TimeSpan.FromMilliseconds(10),
        };
        return new WorkflowFolder(options, import, _store, _database.DataSource, TimeProvider.System, _log);
    }

    private async Task<(ImportOutcome Outcome, int? Version)> ImportAsync(WorkflowFolder folder, string text)
    {
        _files.Write("orders.json", Workflow(text));
        var result = Assert.Single(await folder.ImportAllAsync(default));
        return (result.Outcome, result.Version);
    }

    private static (string File, ImportOutcome Outcome) Only(IReadOnlyList<ImportedDefinition> results) =>
        (Assert.Single(results).File, results[0].Outcome);

    private Task<StoredDefinition> EditAsync(string text) => _store.SaveAsync(
        Tenant, WorkflowDefinitionReader.Read(Encoding.UTF8.GetBytes(Workflow(text))), publish: true, null, default);

    private async Task<string?> TextAsync() => (await _store.FindLatestAsync(Tenant, "orders", default))?.Definition.Root.GetProperty("text").GetString();

    private Task UntilAsync(string text) => UntilAsync(async () => await TextAsync() == text);

    private static async Task UntilAsync(Func<Task<bool>> condition)
    {
        using var patience = new CancellationTokenSource(Generous);
        while (!await condition())
            await Task.Delay(20, patience.Token);
    }

    private static Watching Watch(WorkflowFolder folder) => new(folder);

    private sealed class Watching : IAsyncDisposable
    {
        private readonly CancellationTokenSource _stop = new();
        private readonly Task _run;

        public Watching(WorkflowFolder folder) => _run = Task.Run(() => folder.WatchAsync(_stop.Token));

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => _run);
            _stop.Dispose();
        }
    }

    private sealed class RecordingLogger : ILogger<WorkflowFolder>
    {
        public ConcurrentQueue<string> Warnings { get; } = [];

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (logLevel >= LogLevel.Warning)
                Warnings.Enqueue(formatter(state, exception));
        }
    }
}

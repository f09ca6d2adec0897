using System.IO.Compression;
using System.Text;
using Conclave.Tests.Conformance;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Runtime.Definitions;

namespace Conclave.Tests.Runtime.Definitions;

public sealed class DefinitionPackageTests
{
    [Fact]
    public void Document_OneDefinition_IsRead()
    {
        var entry = Assert.Single(Document(Zips.Workflow("orders", "one")));

        Assert.Equal(("upload.json", "orders", true), (entry.File, entry.Definition!.DefinitionId, entry.HasDefinitionId));
        Assert.Equal(64, entry.FileHash!.Length);
    }

    [Fact]
    public void Document_WithoutDefinitionId_SaysSo()
    {
        var entry = Assert.Single(Document(Zips.Workflow(null, "one")));

        Assert.False(entry.HasDefinitionId);
        Assert.NotEmpty(entry.Definition!.DefinitionId);
    }

    [Theory]
    [InlineData("[{0}, 5, {1}]")]
    [InlineData("{{\"items\": [{0}, 5, {1}], \"totalCount\": 3}}")]
    [InlineData("{{\"$values\": [{0}, 5, {1}]}}")]
    [InlineData("\uFEFF [{0}, 5, {1}] ")]
    public void Document_List_EachEntryIsReadByItself(string shape)
    {
        var entries = Document(string.Format(
            System.Globalization.CultureInfo.InvariantCulture, shape, Zips.Workflow("a", "1"), Zips.Workflow("b", "2")));

        Assert.Equal(["upload.json[0]", "upload.json[1]", "upload.json[2]"], entries.Select(e => e.File));
        Assert.Equal(["a", null, "b"], entries.Select(e => e.Definition?.DefinitionId));
        Assert.Equal("package.not_a_definition", Assert.Single(entries[1].Problems).Code);
    }

    [Theory]
    [InlineData("""{ "orderId": 7 }""", "package.not_a_definition")]
    [InlineData("""{ "root": "here", "x": 1 }""", "package.not_a_definition")]
    [InlineData("""{ "definitionId": "orders", "name": "Orders", "version": 3 }""", "package.without_root")]
    [InlineData("""{ "definitionId": "orders", "root": {} }""", "definition.root_without_type")]
    [InlineData("[]", "package.empty")]
    [InlineData("12", "package.not_a_definition")]
    [InlineData("", "definition.malformed_json")]
    [InlineData("{", "definition.malformed_json")]
    [InlineData("[{}, ", "definition.malformed_json")]
    [InlineData("[] []", "definition.malformed_json")]
    [InlineData("{} {}", "definition.malformed_json")]
    public void Document_IsNoDefinition_IsReported(string json, string code)
    {
        var entry = Assert.Single(Document(json));

        Assert.Null(entry.Definition);
        Assert.Equal(code, entry.Problems[0].Code);
    }

    [Fact]
    public void Document_ListBeyondTheLimit_IsRefusedWhole()
    {
        var json = "[" + string.Join(',', Enumerable.Repeat("0", 11)) + "]";

        var entry = Assert.Single(DefinitionPackage.ReadDocument("many.json", Bytes(json), new PackageLimits { MaxEntries = 10 }));

        Assert.Equal("package.too_many", entry.Problems[0].Code);
    }

    [Fact]
    public void Document_NestedToTheLimit_IsRefusedByItself()
    {
        var deep = $$"""{ "definitionId": "deep", "root": { "type": "x", "v": {{new string('[', 300)}}{{new string(']', 300)}} } }""";

        Assert.Equal("definition.too_deep", Assert.Single(Document(deep)).Problems[0].Code);
        Assert.All(Document($"[{deep}]"), e => Assert.Null(e.Definition));
    }

    [Fact]
    public async Task Zip_FilesInFolders_ReadsDefinitionsAndReportsTheRest()
    {
        var zip = Zips.Of(
            ("a.json", Zips.Workflow("a", "1")), ("shop/b.JSON", Zips.Workflow("b", "2")), ("shop/", ""), ("readme.md", "hi"),
            ("__MACOSX/._a.json", "\0\0"), ("shop/order.json", """{ "id": 1 }"""), ("bad.json", "{"), ("inner.zip", "PK"));

        var entries = await Zip(zip);

        Assert.Equal(
            [("a.json", null), ("shop/b.JSON", null), ("shop/order.json", "package.not_a_definition"), ("bad.json", "definition.malformed_json"), ("inner.zip", "package.nested_archive")],
            entries.Select(e => (e.File, Code(e))));
    }

    [Theory]
    [InlineData("../a.json")]
    [InlineData("x/../../a.json")]
    [InlineData("x/./a.json")]
    [InlineData("x//a.json")]
    [InlineData("/etc/a.json")]
    [InlineData("C:/a.json")]
    [InlineData("c:a.json")]
    [InlineData("x\\a.json")]
    [InlineData("..\\a.json")]
    [InlineData("a\u0001.json")]
    [InlineData("a\n.json")]
    [InlineData("a\u0085.json")]
    [InlineData("../")]
    public async Task Zip_UnsafeName_IsRefusedAndTheOthersRead(string name)
    {
        var entries = await Zip(Zips.Of((name, Zips.Workflow("evil", "1")), ("good.json", Zips.Workflow("good", "1"))));

        Assert.Equal(["package.unsafe_name", null], entries.Select(e => Code(e)));
        Assert.DoesNotContain(entries[0].File, char.IsControl);
        Assert.DoesNotContain(entries[0].Problems[0].Message, char.IsControl);
    }

    [Fact]
    public async Task Zip_SameNameTwice_ReadsTheFirst()
    {
        var entries = await Zip(Zips.Of(("a.json", Zips.Workflow("first", "1")), ("a.json", Zips.Workflow("second", "1"))));

        Assert.Equal("first", entries[0].Definition!.DefinitionId);
        Assert.Equal("package.duplicate_name", Assert.Single(entries[1].Problems).Code);
    }

    [Fact]
    public async Task Zip_TooManyFiles_IsRefusedWhole()
    {
        var files = Enumerable.Range(0, 11).Select(i => ($"{i}.txt", "")).ToArray();

        Assert.Equal("package.too_many", Assert.Single(await Zip(Zips.Of(files), new PackageLimits { MaxEntries = 10 })).Problems[0].Code);
    }

    [Fact]
    public async Task Zip_FileTooLarge_OnlyThatOneIsRefused()
    {
        var zip = Zips.Of(("big.json", Zips.Workflow("big", Noise(5_000))), ("small.json", Zips.Workflow("small", "1")));

        var entries = await Zip(zip, new PackageLimits { MaxFileBytes = 2_000 });

        Assert.Equal(["package.too_large", null], entries.Select(e => Code(e)));
    }

    [Fact]
    public async Task Zip_AllTogetherTooLarge_IsRefusedWhole()
    {
        var zip = Zips.Of([.. Enumerable.Range(0, 10).Select(i => ($"{i}.json", Zips.Workflow($"w{i}", Noise(1_000))))]);

        var entry = Assert.Single(await Zip(zip, new PackageLimits { MaxTotalBytes = 8_000 }));

        Assert.Equal(("upload.zip", "package.too_large"), (entry.File, entry.Problems[0].Code));
    }

    [Fact]
    public async Task Zip_ArchiveTooLarge_IsRefusedWhole()
    {
        var zip = Zips.Of(("a.json", Zips.Workflow("a", Noise(5_000))));

        Assert.Equal("package.too_large", Assert.Single(await Zip(zip, new PackageLimits { MaxArchiveBytes = 500 })).Problems[0].Code);
    }

    [Fact]
    public async Task Zip_Bomb_StopsEarly()
    {
        var zip = Zips.OfBytes(("bomb.json", new byte[30 * 1024 * 1024]), ("good.json", Encoding.UTF8.GetBytes(Zips.Workflow("good", "1"))));

        var entries = await Zip(zip);

        Assert.Equal(["package.too_compressed", null], entries.Select(e => Code(e)));
    }

    [Theory]
    [InlineData(10)]
    [InlineData(1_000_000)]
    public async Task Zip_LiesAboutTheSize_IsRefused(int declared)
    {
        var zip = Zips.Of(("a.json", Zips.Workflow("a", "1")), ("b.json", Zips.Workflow("b", "1")));
        var lying = Zips.Patch(zip, "PK\u0001\u0002"u8, 24, BitConverter.GetBytes(declared));

        var entries = await Zip(lying);

        Assert.All(entries, e => Assert.Equal("package.corrupt", e.Problems[0].Code));
    }

    [Fact]
    public async Task Zip_SizesOnlyInZip64AndHuge_IsRefused()
    {
        var lying = Zips.Patch(Zips.Of(("a.json", Zips.Workflow("a", "1"))), "PK\u0001\u0002"u8, 20, [255, 255, 255, 255, 255, 255, 255, 255]);

        Assert.Equal("package.corrupt", Assert.Single(await Zip(lying)).Problems[0].Code);
    }

    [Fact]
    public async Task Zip_OtherChecksum_IsRefused()
    {
        var broken = Zips.Patch(Zips.Of(("a.json", Zips.Workflow("a", "1"))), "PK\u0001\u0002"u8, 16, [1, 2, 3, 4]);

        Assert.Equal("package.corrupt", Assert.Single(await Zip(broken)).Problems[0].Code);
    }

    [Fact]
    public async Task Zip_Encrypted_IsRefused()
    {
        var zip = Zips.Patch(Zips.Of(("a.json", Zips.Workflow("a", "1"))), "PK\u0001\u0002"u8, 8, [1]);
        zip = Zips.Patch(zip, "PK\u0003\u0004"u8, 6, [1]);

        Assert.Equal("package.encrypted", Assert.Single(await Zip(zip)).Problems[0].Code);
    }

    [Theory]
    [InlineData("")]
    [InlineData("just text")]
    [InlineData("{}")]
    public async Task Zip_OtherBytes_AreRefused(string content) =>
        Assert.Equal("package.not_a_zip", Assert.Single(await Zip(Bytes(content))).Problems[0].Code);

    [Fact]
    public async Task Zip_DamagedAnywhere_NeverThrows()
    {
        var zip = Zips.Of(("a.json", Zips.Workflow("a", Noise(200))), ("b/c.json", Zips.Workflow("b", "1")));
        var random = new Random(7);
        for (var i = 0; i < 4_000; i++)
        {
            var damaged = zip.ToArray();
            for (var n = random.Next(1, 6); n > 0; n--)
                damaged[random.Next(4, damaged.Length)] = (byte)random.Next(256);
            if (random.Next(4) == 0)
                damaged = damaged[..random.Next(damaged.Length)];

            Assert.NotEmpty(await Zip(damaged));
        }
    }

    [Fact]
    public async Task Read_Upload_TellsZipAndJsonApart()
    {
        Assert.Equal("a.json", Assert.Single(await DefinitionPackage.ReadAsync("x", new MemoryStream(Zips.Of(("a.json", Zips.Workflow("a", "1")))), null, default)).File);
        Assert.Equal("x", Assert.Single(await DefinitionPackage.ReadAsync("x", new MemoryStream(Bytes(Zips.Workflow("a", "1"))), null, default)).File);
    }

    [Fact]
    public async Task Write_ThenRead_IsTheSameAndDeterministic()
    {
        WorkflowDefinition[] definitions =
        [
            Definition("a", "Order intake"), Definition("b", "order  INTAKE"), Definition("b2", "../../etc/passwd"), Definition("c", "CON"),
            Definition("d", "Überprüfung 中文"), Definition("../e", "???"), Definition("f", new string('x', 300)), Definition("***", "***"),
        ];
        var first = await WriteAsync(definitions);

        Assert.Equal(first, await WriteAsync(definitions));
        var entries = await Zip(first);
        Assert.All(entries, e => Assert.Empty(e.Problems));
        Assert.Equal(
            ["order-intake.json", "order-intake-b.json", "etc-passwd.json", "workflow-con.json", "überprüfung-中文.json", "e.json", new string('x', 80) + ".json", "workflow.json"],
            entries.Select(e => e.File));
        Assert.Equal(
            definitions.Select(d => Encoding.UTF8.GetString(WorkflowDefinitionWriter.Write(d))),
            entries.Select(e => Encoding.UTF8.GetString(WorkflowDefinitionWriter.Write(e.Definition!))));
    }

    [Fact]
    public async Task Write_ToAResponse_NeverBlocks()
    {
        var destination = new AsyncOnlyStream();

        Assert.Equal(200, await DefinitionPackage.WriteZipAsync(
            Enumerable.Range(0, 200).Select(i => Definition($"w{i}", $"Workflow {i}")).ToAsyncEnumerable(), destination, default));

        Assert.Equal(200, (await Zip(destination.Written.ToArray())).Count);
    }

    [Fact]
    public async Task Folder_Files_ReadsDefinitionsOnly()
    {
        using var folder = new TemporaryFolder();
        folder.Write("b.json", Zips.Workflow("b", "1"));
        folder.Write("a/a.json", Zips.Workflow("a", "1"));
        folder.Write("a/order.json", """{ "id": 1 }""");
        folder.Write("a/orders.json", """[{ "id": 1 }, 7]""");
        folder.Write("bad.json", "{");
        folder.Write("mixed.json", $$"""[{{Zips.Workflow("m", "1")}}, 7]""");
        folder.Write(".hidden/x.json", Zips.Workflow("x", "1"));
        folder.Write("readme.md", "x");

        var entries = await DefinitionPackage.ReadFolderAsync(folder.Path, null, default);

        Assert.Equal(["a/a.json", "b.json", "bad.json", "mixed.json[0]", "mixed.json[1]"], entries.Select(e => e.File));
        Assert.Equal(["definition.malformed_json", "package.not_a_definition"], entries.SelectMany(e => e.Problems).Select(p => p.Code));
        Assert.Empty(await DefinitionPackage.ReadFolderAsync(folder.Path + "/nothing", null, default));
    }

    [Fact]
    public async Task Folder_Links_AreFollowedInsideOnly()
    {
        using var folder = new TemporaryFolder();
        using var outside = new TemporaryFolder();
        outside.Write("secret.json", Zips.Workflow("secret", "1"));
        // As Kubernetes mounts a ConfigMap.
        folder.Write("..2026/inside.json", Zips.Workflow("inside", "1"));
        Directory.CreateSymbolicLink(folder.Of("..data"), "..2026");
        File.CreateSymbolicLink(folder.Of("inside.json"), "..data/inside.json");
        File.CreateSymbolicLink(folder.Of("outside.json"), outside.Of("secret.json"));
        File.CreateSymbolicLink(folder.Of("climbs.json"), Path.GetRelativePath(folder.Path, outside.Of("secret.json")));
        Directory.CreateSymbolicLink(folder.Of("linked"), outside.Path);
        File.CreateSymbolicLink(folder.Of("through.json"), "linked/secret.json");
        File.CreateSymbolicLink(folder.Of("circle.json"), "circle.json");
        File.CreateSymbolicLink(folder.Of("dangling.json"), "nowhere.json");

        var entries = await DefinitionPackage.ReadFolderAsync(folder.Path, null, default);

        Assert.Equal([("inside.json", "inside")], entries.Select(e => (e.File, e.Definition?.DefinitionId)));
    }

    [ElsaFact]
    public async Task Zip_OfTheReferenceWorkflows_IsReadWhole()
    {
        var bytes = new MemoryStream();
        using (var zip = new ZipArchive(bytes, ZipArchiveMode.Create, leaveOpen: true))
        {
            foreach (var file in ElsaData.Files)
                zip.CreateEntryFromFile(ElsaData.PathOf(file), file);
        }

        var entries = await Zip(bytes.ToArray());

        Assert.Equal(ElsaData.Files, entries.Select(e => e.File));
        Assert.All(entries, e => Assert.Empty(e.Problems));
    }

    private static string? Code(PackagedDefinition entry) => entry.Problems.Count == 0 ? null : entry.Problems[0].Code;

    private static WorkflowDefinition Definition(string id, string name) =>
        WorkflowDefinitionReader.Read(Bytes(Zips.Workflow(id, "hello", name: name)));

    private static async Task<byte[]> WriteAsync(WorkflowDefinition[] definitions)
    {
        var bytes = new MemoryStream();
        await DefinitionPackage.WriteZipAsync(definitions.ToAsyncEnumerable(), bytes, default);
        return bytes.ToArray();
    }

    private static IReadOnlyList<PackagedDefinition> Document(string json) => DefinitionPackage.ReadDocument("upload.json", Bytes(json));

    private static Task<IReadOnlyList<PackagedDefinition>> Zip(byte[] zip, PackageLimits? limits = null) =>
        DefinitionPackage.ReadZipAsync("upload.zip", new MemoryStream(zip), limits, default);

    private static byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text);

    private static string Noise(int length)
    {
        var random = new Random(1);
        return string.Create(length, random, (span, r) => r.GetItems("abcdefghijklmnopqrstuvwxyz0123456789", span));
    }

    /// <summary>A response body of Kestrel: neither seekable nor written synchronously.</summary>
    private sealed class AsyncOnlyStream : Stream
    {
        public MemoryStream Written { get; } = new();

        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override void Flush() => throw new InvalidOperationException("Synchronous.");

        public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new InvalidOperationException("Synchronous.");

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            await Task.Yield();
            Written.Write(buffer.Span);
        }

        public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
            WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();
    }
}

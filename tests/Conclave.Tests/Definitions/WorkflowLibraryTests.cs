using System.Text;
using Conclave.Workflows.Definitions;

namespace Conclave.Tests.Definitions;

public sealed class WorkflowLibraryTests
{
    [Fact]
    public async Task Replace_WhileOthersRead_WorkflowIsNeverMissing()
    {
        var library = new WorkflowLibrary();
        // Each comes once: a version that was found, is gone and is still the published one has never been whole.
        var versions = Enumerable.Range(1, 3_000).Select(n => Version(n)).ToList();
        library.Replace("w", [versions[0]]);
        using var stop = new CancellationTokenSource();
        var missing = 0;
        var reading = Task.Run(() =>
        {
            while (!stop.IsCancellationRequested)
            {
                if (library.FindPublished("w") is not { } found || library.FindVersion(found.Id) is null && library.FindPublished("w")?.Id == found.Id)
                    missing++;
            }
        });

        foreach (var version in versions)
            library.Replace("w", [version]);
        await stop.CancelAsync();
        await reading;

        Assert.Equal(0, missing);
    }

    [Fact]
    public void Replace_LeavesNothingOfBefore()
    {
        var library = new WorkflowLibrary();
        library.Add(Version(1));
        library.Add(Version(2));

        library.Replace("w", [Version(3)]);
        Assert.Equal(["w-3"], library.Definitions.Select(d => d.Id));
        Assert.Equal("w-3", library.FindPublished("w")!.Id);

        library.Replace("w", []);
        Assert.Empty(library.Definitions);
        Assert.Null(library.FindPublished("w"));
    }

    [Fact]
    public void Add_SameVersionOfAnotherWorkflow_Moves()
    {
        var library = new WorkflowLibrary();
        library.Add(Version(1));

        library.Add(Version(1, "other"));

        Assert.Null(library.FindPublished("w"));
        Assert.Equal("w-1", library.FindPublished("other")!.Id);
    }

    private static WorkflowDefinition Version(int number, string workflow = "w") => WorkflowDefinitionReader.Read(Encoding.UTF8.GetBytes($$"""
        { "id": "w-{{number}}", "definitionId": "{{workflow}}", "version": {{number}}, "isPublished": true, "root": { "id": "a", "type": "Elsa.WriteLine", "version": 1, "text": "x" } }
        """));
}

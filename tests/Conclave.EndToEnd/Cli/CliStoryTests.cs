using System.Diagnostics;
using System.Text.Json;
using static Conclave.Tests.Json;

namespace Conclave.EndToEnd.Cli;

/// <summary>The conclave command against the real server.</summary>
[Collection(SharedServer.Name)]
public sealed class CliStoryTests(SharedServer shared) : IDisposable
{
    private static readonly string Program = Path.Combine(AppContext.BaseDirectory, "conclave.dll");

    private readonly ServerProcess _server = shared.Server;
    private readonly string _id = SharedServer.NewId();
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("conclave-cli-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task Story_FromImportToExport()
    {
        var task = Activity("RunTask", "task", ("taskName", Literal("Approve")), ("result", To("got")));
        var definitions = new[]
        {
            Flows.Echo().With(("definitionId", $"{_id}-echo")),
            Flows.Waiting(_id).With(("definitionId", $"{_id}-event")),
            Flows.Of("Asks", Sequence("s", task, Flows.SetOutput("getGot()")), Variable("got", "Object")).With(("definitionId", $"{_id}-task")),
        };
        foreach (var definition in definitions)
            await File.WriteAllTextAsync(Path.Combine(_folder.FullName, $"{definition["definitionId"]}.json"), definition.ToJsonString());

        var imported = await JsonAsync(0, "import", _folder.FullName, "--publish");
        Assert.Equal(3, imported.GetProperty("items").EnumerateArray().Count(i => i.Text("outcome") == "created"));
        Assert.Contains($"{_id}-echo", await RunAsync(0, "workflows", "--search", _id), StringComparison.Ordinal);
        Assert.Contains("1", await RunAsync(0, "versions", $"{_id}-echo"), StringComparison.Ordinal);

        var echoed = await JsonAsync(0, "start", $"{_id}-echo", "--input", "Value=\"said\"", "--wait", "30");
        Assert.Equal("said", echoed.GetProperty("output").Text("Result"));
        Assert.Contains("said", await RunAsync(0, "show", echoed.Text("id"), "--journal"), StringComparison.Ordinal);
        Assert.NotEmpty((await JsonAsync(0, "show", echoed.Text("id"), "--journal")).GetProperty("items").EnumerateArray());

        var waiting = await JsonAsync(2, "start", $"{_id}-event", "--wait", "30");
        Assert.Contains(waiting.Text("id"), await RunAsync(0, "instances", "--definition", $"{_id}-event", "--status", "running"), StringComparison.Ordinal);
        Assert.Contains("resumed 1", await RunAsync(0, "event", _id, "--payload", "{\"a\":1}"), StringComparison.Ordinal);
        Assert.Equal("""{"a":1}""", (await _server.UntilAsync(waiting.Text("id"), "Finished")).GetProperty("output").GetProperty("Result").GetRawText());

        var asking = await JsonAsync(2, "start", $"{_id}-task", "--wait", "30");
        var item = Assert.Single((await JsonAsync(0, "tasks", "--all")).GetProperty("items").EnumerateArray(), t => t.Text("instanceId") == asking.Text("id"));
        Assert.Contains($"{_id}-task", await RunAsync(0, "tasks", "--all"), StringComparison.Ordinal);
        Assert.Contains("Completed", await RunAsync(0, "complete", item.Text("taskId"), "--result", "yes"), StringComparison.Ordinal);
        Assert.Equal("yes", (await _server.UntilAsync(asking.Text("id"), "Finished")).GetProperty("output").Text("Result"));

        // The run becomes a test; a draft that asks for something else fails it.
        Assert.Contains("1 passed, 0 failed", await RunAsync(0, "test", $"{_id}-task", "--make", asking.Text("id")), StringComparison.Ordinal);
        task["taskName"] = Literal("Look at it");
        (await _server.CallAsync($"PUT /api/workflows/{_id}-task?publish=false", Flows.Of("Asks", Sequence("s", task.DeepClone(), Flows.SetOutput("getGot()")), Variable("got", "Object")))).Is(200);
        Assert.Contains("TaskName", await RunAsync(3, "test", $"{_id}-task"), StringComparison.Ordinal);
        Assert.Contains("passed", await RunAsync(0, "test", $"{_id}-task", "--published"), StringComparison.Ordinal);
        Assert.Contains("No such tests", await RunAsync(0, "test", $"{_id}-echo"), StringComparison.Ordinal);
        Assert.NotEmpty(await RunAsync(0, "queue"));
        Assert.True((await JsonAsync(0, "queue")).TryGetProperty("due", out _));

        Assert.Contains("newest version is 1", await RunAsync(0, "retract", $"{_id}-echo"), StringComparison.Ordinal);
        Assert.Contains("Published", await RunAsync(0, "publish", $"{_id}-echo"), StringComparison.Ordinal);
        Assert.Contains("newest version is 2", await RunAsync(0, "revert", $"{_id}-echo", "1"), StringComparison.Ordinal);
        var target = Path.Combine(_folder.FullName, "out");
        await RunAsync(0, "export", $"{_id}-echo", $"{_id}-task", "--out", target);
        Assert.Equal(2, Directory.GetFiles(target, "*.json").Length);
        await RunAsync(0, "delete", $"{_id}-echo");
        Assert.Contains("unchanged", await RunAsync(0, "import", target), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Failures_HaveTheirExitCodes()
    {
        await File.WriteAllTextAsync(Path.Combine(_folder.FullName, "bad.json"), """{"definitionId":"x"}""");

        Assert.Contains("root", await RunAsync(3, "import", Path.Combine(_folder.FullName, "bad.json")), StringComparison.Ordinal);
        Assert.Contains("nobody", await RunAsync(3, "start", "nobody"), StringComparison.Ordinal);
        Assert.Contains("nobody", await RunAsync(3, "show", "nobody"), StringComparison.Ordinal);
    }

    private async Task<JsonElement> JsonAsync(int exitCode, params string[] arguments) => JsonElement.Parse(await RunAsync(exitCode, [.. arguments, "--json"]));

    private async Task<string> RunAsync(int exitCode, params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet") { RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false, WorkingDirectory = _folder.FullName };
        foreach (var argument in (string[])[Program, .. arguments, "--data", _server.DataFolder])
            start.ArgumentList.Add(argument);
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEndAsync();
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.True(exitCode == process.ExitCode, $"{string.Join(' ', arguments)} gave {process.ExitCode}:\n{output}\n{await error}");
        return arguments.Contains("--json") ? output : output + await error;
    }
}

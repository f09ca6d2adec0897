using System.Diagnostics;
using System.Net;
using System.Text;
using Conclave.Workflows.Runtime.Postgres;
using Microsoft.Extensions.Logging.Abstractions;

namespace Conclave.EndToEnd.Faults;

/// <summary>PostgreSQL has no room left.</summary>
public sealed class FullDiskTests
{
    [TmpfsFact]
    public async Task Disk_FullAndFreedAgain_WritesAreRefusedWholeAndGoOn()
    {
        var disk = Path.Combine(Path.GetTempPath(), $"conclave-disk-{Path.GetRandomFileName()}");
        Directory.CreateDirectory(disk);
        await RunAsync("mount", "-t", "tmpfs", "-o", "size=220m,mode=755", "tmpfs", disk);
        try
        {
            await FillAndFreeAsync(disk);
        }
        finally
        {
            await UnmountAsync(disk);
            Directory.Delete(disk);
        }
    }

    /// <summary>PostgreSQL's log writer ends after the server that it writes for, and keeps the disk busy until then.</summary>
    private static async Task UnmountAsync(string disk)
    {
        for (var left = 100; await ExitCodeAsync("umount", disk) != 0; left--)
        {
            Assert.True(left > 0, $"{disk} stays busy.");
            await Task.Delay(TimeSpan.FromMilliseconds(200));
        }
    }

    private static async Task FillAndFreeAsync(string disk)
    {
        var options = new EmbeddedPostgresOptions { DataFolder = FaultDatabase.NewPostgresFolder(disk), SharedBuffersMegabytes = 16, MaxWalSizeMegabytes = 64 };
        var postgres = await EmbeddedPostgres.StartAsync(options, NullLogger.Instance, default);
        await using var database = FaultDatabase.Of(postgres);
        try
        {
            await using var server = await ServerProcess.StartAsync(null, $"ConnectionStrings:Conclave={postgres.ConnectionString}", "Worker:Lease=00:00:02", "Worker:MaxAttempts=3", "Logging:LogLevel:Conclave=Warning");
            await server.PublishAsync("full", Json.Workflow("full", $"{Json.Line("before")}, {Json.Event("go", "full-go")}, {Json.Line("after")}"));
            await server.PostAsync("/api/workflows/full/start", """{ "instanceId": "waits", "wait": 30 }""");

            var ballast = Path.Combine(disk, "ballast");
            var free = new DriveInfo(disk).AvailableFreeSpace;
            await using (var file = File.Create(ballast))
            {
                var block = new byte[1 << 20];
                for (; free > block.Length * 2; free -= block.Length)
                    await file.WriteAsync(block);
            }

            // Large inputs use up what PostgreSQL had in hand.
            var accepted = 1;
            var large = new string('x', 60_000);
            HttpResponseMessage answer;
            for (var i = 0; ; i++)
            {
                Assert.True(i < 3000, "The disk does not get full.");
                answer = await server.Http.PostAsync(
                    "/api/workflows/full/start", new StringContent($$"""{ "instanceId": "full-{{i}}", "input": { "Text": "{{large}}{{i}}" } }""", Encoding.UTF8, "application/json"));
                if (!answer.IsSuccessStatusCode)
                    break;
                accepted++;
            }

            Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
            Assert.Equal("application/problem+json", answer.Content.Headers.ContentType?.MediaType);
            // Long enough for work to be given up if such failures counted as attempts.
            await Task.Delay(TimeSpan.FromSeconds(4));
            File.Delete(ballast);
            if (postgres.ProcessId is null)
            {
                // No room for its log: PostgreSQL stops itself then, and whoever watches it starts it again.
                await postgres.DisposeAsync();
                postgres = await EmbeddedPostgres.StartAsync(options, NullLogger.Instance, default);
            }

            await ServerProcess.UntilAsync(
                async () => await CountOrZeroAsync(database) == accepted, $"the {accepted} that were accepted wait");
            await server.PostAsync("/api/events/full-go", "{}");
            await ServerProcess.UntilAsync(async () => await database.FinishedAsync("full") == accepted, $"the {accepted} that were accepted finish");
            Assert.Equal(accepted, await database.CountAsync("select count(*) from conclave.workflow_instance"));
            await database.CheckJournalsAsync("full", accepted, "before", "go", "after");
            Assert.Equal(0, await database.CountAsync("select (select count(*) from conclave.work_item) + (select count(*) from conclave.dead_work_item)"));
        }
        finally
        {
            await postgres.DisposeAsync();
        }
    }

    private static async Task<long> CountOrZeroAsync(FaultDatabase database)
    {
        try
        {
            return await database.CountAsync("select count(*) from conclave.bookmark where name = 'Elsa.Event'");
        }
        catch (Npgsql.NpgsqlException)
        {
            return 0;
        }
    }

    internal static async Task RunAsync(string program, params string[] arguments) => Assert.Equal(0, await ExitCodeAsync(program, arguments));

    private static async Task<int> ExitCodeAsync(string program, params string[] arguments)
    {
        using var process = Process.Start(program, arguments);
        await process.WaitForExitAsync();
        return process.ExitCode;
    }
}

/// <summary>A test that mounts a small disk; skipped where that is not allowed.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class TmpfsFactAttribute : FactAttribute
{
    private static readonly Lazy<string?> Reason = new(Find);

    public TmpfsFactAttribute() => Skip = Reason.Value;

    private static string? Find()
    {
        if (!OperatingSystem.IsLinux() || !Environment.IsPrivilegedProcess)
            return "Needs root on Linux to mount a small disk.";
        var folder = Directory.CreateTempSubdirectory("conclave-mount-").FullName;
        try
        {
            FullDiskTests.RunAsync("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder).GetAwaiter().GetResult();
            FullDiskTests.RunAsync("umount", folder).GetAwaiter().GetResult();
            return null;
        }
        catch (Exception exception)
        {
            return $"No small disk can be mounted here: {exception.Message}";
        }
        finally
        {
            Directory.Delete(folder);
        }
    }
}

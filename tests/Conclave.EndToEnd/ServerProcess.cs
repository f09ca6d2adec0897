using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;

namespace Conclave.EndToEnd;

/// <summary>The real server as a process of its own, on a free port and a data folder in the temporary folder.</summary>
internal sealed class ServerProcess : IAsyncDisposable
{
    private static readonly string Program = Path.Combine(AppContext.BaseDirectory, "conclave-server.dll");

    private readonly ConcurrentQueue<string> _output;
    private readonly bool _ownsFolder;
    private readonly Process _process;

    private ServerProcess(Process process, string dataFolder, bool ownsFolder, ConcurrentQueue<string> output)
    {
        _process = process;
        _ownsFolder = ownsFolder;
        _output = output;
        DataFolder = dataFolder;
    }

    /// <summary>Folder of its database, key and address.</summary>
    public string DataFolder { get; }

    /// <summary>Talks to it, with the API key.</summary>
    public HttpClient Http { get; private set; } = null!;

    /// <summary>What its answers must be like; null for whatever.</summary>
    public ApiDocument? Document { get; set; }

    /// <summary>Id of the process.</summary>
    public int Id => _process.Id;

    /// <summary>What it logged: lines of JSON.</summary>
    public IEnumerable<string> Output => _output;

    /// <summary>Starts a server and waits until it is ready.</summary>
    /// <param name="dataFolder">Folder of an earlier server to go on from; null for a new one, deleted in the end.</param>
    /// <param name="settings">Settings as <c>Name=Value</c>.</param>
    public static async Task<ServerProcess> StartAsync(string? dataFolder = null, params string[] settings)
    {
        var server = await ListenAsync(dataFolder, settings);
        await server.WaitUntilReadyAsync();
        return server;
    }

    /// <summary>Starts a server and waits until it listens; it goes on starting meanwhile.</summary>
    public static async Task<ServerProcess> ListenAsync(string? dataFolder = null, params string[] settings)
    {
        var folder = dataFolder ?? NewFolder();
        File.Delete(Path.Combine(folder, "server-url"));
        var start = new ProcessStartInfo("dotnet") { RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false };
        // Not the folder of the repository: its workflows would be imported.
        start.WorkingDirectory = folder;
        foreach (var argument in (string[])[Program, "--data", folder, "--urls", "http://127.0.0.1:0", .. settings.SelectMany(s => new[] { "--set", s })])
            start.ArgumentList.Add(argument);
        var output = new ConcurrentQueue<string>();
        var process = Process.Start(start)!;
        process.OutputDataReceived += (_, e) => Keep(e.Data);
        process.ErrorDataReceived += (_, e) => Keep(e.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        var server = new ServerProcess(process, folder, dataFolder is null, output);
        await server.WaitAsync(server.ConnectAsync);
        return server;

        void Keep(string? line)
        {
            if (line is not null)
                output.Enqueue(line);
        }
    }

    /// <summary>A folder that PostgreSQL's account may enter when the tests run as root.</summary>
    public static string NewFolder() => Directory.CreateDirectory(Path.Combine(Path.GetTempPath(), $"conclave-e2e-{Path.GetRandomFileName()}")).FullName;

    /// <summary>Kills it as a crash of the machine would: nothing is stopped in order. Its own PostgreSQL lives on.</summary>
    public async Task KillAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync();
    }

    /// <summary>Asks it to stop, and waits.</summary>
    public async Task StopAsync()
    {
        if (!_process.HasExited)
            await SignalAsync("TERM");
        using var timeout = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        await _process.WaitForExitAsync(timeout.Token);
    }

    /// <summary>Sends a signal, such as <c>STOP</c> or <c>CONT</c>.</summary>
    public Task SignalAsync(string signal) => SignalAsync(Id, signal);

    public static async Task SignalAsync(int process, string signal)
    {
        using var kill = Process.Start("kill", ["-s", signal, $"{process}"]);
        await kill.WaitForExitAsync();
    }

    public async Task<JsonElement> GetAsync(string path) => await ReadAsync(await Http.GetAsync(path));

    public async Task<JsonElement> PostAsync(string path, string json) =>
        await ReadAsync(await Http.PostAsync(path, new StringContent(json, Encoding.UTF8, "application/json")));

    public async Task<JsonElement> PublishAsync(string definitionId, string json) =>
        await ReadAsync(await Http.PutAsync($"/api/workflows/{definitionId}?publish=true", new StringContent(json, Encoding.UTF8, "application/json")));

    /// <summary>The body of a successful answer.</summary>
    public static async Task<JsonElement> ReadAsync(HttpResponseMessage response)
    {
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, $"{(int)response.StatusCode} {response.RequestMessage?.RequestUri}: {text}");
        return text.Length == 0 ? default : JsonElement.Parse(text);
    }

    /// <summary>Waits for a condition.</summary>
    public static async Task UntilAsync(Func<Task<bool>> isReached, string what, int seconds = 60)
    {
        using var timeout = new CancellationTokenSource(TimeSpan.FromSeconds(seconds));
        while (!await isReached())
        {
            Assert.False(timeout.IsCancellationRequested, $"Not within {seconds} s: {what}");
            await Task.Delay(20);
        }
    }

    public async ValueTask DisposeAsync()
    {
        Http?.Dispose();
        if (!_process.HasExited)
        {
            await SignalAsync("CONT");
            await StopAsync();
        }

        _process.Dispose();
        if (_ownsFolder)
            await RemoveAsync(DataFolder);
    }

    /// <summary>Stops what a killed server left in its folder, and deletes it.</summary>
    public static async Task RemoveAsync(string folder)
    {
        var pidFile = Path.Combine(folder, "postgres", "data", "postmaster.pid");
        if (File.Exists(pidFile) && int.TryParse(File.ReadLines(pidFile).FirstOrDefault(), out var id))
        {
            using var kill = Process.Start("kill", ["-s", "QUIT", $"{id}"]);
            await kill.WaitForExitAsync();
            await UntilAsync(() => Task.FromResult(!Directory.Exists($"/proc/{id}")), $"PostgreSQL {id} ends", 10);
        }

        Directory.Delete(folder, recursive: true);
    }

    /// <summary>Waits until it has started.</summary>
    public Task WaitUntilReadyAsync() => WaitAsync(async () => (await Http.GetAsync("/health/ready")).StatusCode == HttpStatusCode.OK);

    private async Task WaitAsync(Func<Task<bool>> isReached)
    {
        using var timeout = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (true)
        {
            if (_process.HasExited || timeout.IsCancellationRequested)
                Assert.Fail($"The server did not start:\n{string.Join('\n', _output.TakeLast(20))}");
            try
            {
                if (await isReached())
                    return;
            }
            catch (HttpRequestException)
            {
                // Not listening yet, or not any more.
            }

            await Task.Delay(20);
        }
    }

    private async Task<bool> ConnectAsync()
    {
        var address = Path.Combine(DataFolder, "server-url");
        if (!File.Exists(address) || (await File.ReadAllTextAsync(address)).Trim() is not { Length: > 0 } url)
            return false;
        Http = NewClient(new Uri(url), (await File.ReadAllTextAsync(Path.Combine(DataFolder, "api-key"))).Trim());
        return true;
    }

    private static HttpClient NewClient(Uri address, string key)
    {
        // As many connections as a test likes, and no proxy on the way to this machine.
        var client = new HttpClient(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false }) { BaseAddress = address, Timeout = TimeSpan.FromSeconds(100) };
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        return client;
    }
}

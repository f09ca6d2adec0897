using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using Conclave.Benchmarks.Durable;
using Conclave.Workflows.Runtime.Postgres;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;

namespace Conclave.Benchmarks;

/// <summary>A server process on a database of its own, which the bench fills by itself.</summary>
internal sealed class BenchServer : IAsyncDisposable
{
    private readonly EmbeddedPostgres _postgres;
    private readonly Process _process;
    private readonly string _folder;

    private BenchServer(EmbeddedPostgres postgres, Process process, string folder)
    {
        _postgres = postgres;
        _process = process;
        _folder = folder;
        Database = NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(postgres.ConnectionString) { CommandTimeout = 300 });
    }

    public NpgsqlDataSource Database { get; }

    /// <summary>Talks to it as a browser does, with the machine's key.</summary>
    public HttpClient Http { get; } = new(new SocketsHttpHandler { UseProxy = false, AutomaticDecompression = DecompressionMethods.None });

    public double ResidentMegabytes
    {
        get
        {
            _process.Refresh();
            return _process.WorkingSet64 / 1024.0 / 1024.0;
        }
    }

    /// <summary>Processor time that it has taken.</summary>
    public TimeSpan ProcessorTime
    {
        get
        {
            _process.Refresh();
            return _process.TotalProcessorTime;
        }
    }

    /// <summary>Processor time so far of the bench itself, of the server with its script runners, and of PostgreSQL.</summary>
    public (double Own, double Server, double Postgres) CpuSeconds() =>
        (Environment.CpuUsage.TotalTime.TotalSeconds, CpuTime.SecondsOf(_process.Id), CpuTime.SecondsOf(CpuTime.PostgresOf(_folder)));

    /// <summary>Starts it.</summary>
    /// <param name="settings">Settings as <c>Name=Value</c>.</param>
    public static async Task<BenchServer> StartAsync(params string[] settings)
    {
        var folder = Path.Combine(Path.GetTempPath(), $"conclave-bench-{Path.GetRandomFileName()}");
        var postgres = await EmbeddedPostgres.StartAsync(new EmbeddedPostgresOptions { DataFolder = Path.Combine(folder, "database") }, NullLogger.Instance, default);
        var data = Directory.CreateDirectory(Path.Combine(folder, "data")).FullName;
        var start = new ProcessStartInfo("dotnet") { WorkingDirectory = data, RedirectStandardOutput = true };
        foreach (var argument in (string[])[Path.Combine(AppContext.BaseDirectory, "conclave-server.dll"), "--data", data, "--urls", "http://127.0.0.1:0", "--set", $"ConnectionStrings:Conclave={postgres.ConnectionString}", .. settings.SelectMany(s => new[] { "--set", s })])
            start.ArgumentList.Add(argument);
        var process = Process.Start(start)!;
        process.OutputDataReceived += (_, _) => { };
        process.BeginOutputReadLine();
        var server = new BenchServer(postgres, process, folder);
        await server.ConnectAsync(data);
        return server;
    }

    /// <summary>Sends a request; gives the whole body.</summary>
    public async Task<byte[]> SendAsync(string call, string? body = null)
    {
        var (method, path) = call.Split(' ', 2) is [var first, var second] ? (first, second) : throw new ArgumentException(call, nameof(call));
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        request.Headers.AcceptEncoding.ParseAdd("br");
        if (body is not null)
            request.Content = new StringContent(body, Encoding.UTF8, "application/json");
        using var response = await Http.SendAsync(request);
        var bytes = await response.Content.ReadAsByteArrayAsync();
        return response.IsSuccessStatusCode ? bytes : throw new InvalidOperationException($"{call}: {(int)response.StatusCode} {Encoding.UTF8.GetString(bytes)}");
    }

    public async ValueTask DisposeAsync()
    {
        using (var kill = Process.Start("kill", ["-s", "TERM", $"{_process.Id}"]))
            await kill.WaitForExitAsync();
        await _process.WaitForExitAsync();
        _process.Dispose();
        Http.Dispose();
        await Database.DisposeAsync();
        await _postgres.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    private async Task ConnectAsync(string data)
    {
        var (address, key) = (Path.Combine(data, "server-url"), Path.Combine(data, "api-key"));
        for (var watch = Stopwatch.StartNew(); watch.Elapsed < TimeSpan.FromSeconds(60); await Task.Delay(50))
        {
            if (!File.Exists(address) || !File.Exists(key) || (await File.ReadAllTextAsync(address)).Trim() is not { Length: > 0 } url)
                continue;
            // An address can only be set before the first request.
            Http.BaseAddress ??= new Uri($"{url}/");
            using var ready = await Http.GetAsync(new Uri("health/ready", UriKind.Relative));
            if (!ready.IsSuccessStatusCode)
                continue;
            Http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("ApiKey", (await File.ReadAllTextAsync(key)).Trim());
            return;
        }

        throw new InvalidOperationException("The server did not start.");
    }
}

using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Conclave.Agents.Tools;
using Conclave.Tests.Agents.Tools;

namespace Conclave.Tests.Agents.Sandbox;

/// <summary>What escapes are tried from, and what they want: a secret file, a variable, servers on this machine that count who comes.</summary>
public sealed class EscapeHost : IAsyncLifetime, IDisposable
{
    private readonly TcpListener _tcp = new(IPAddress.Loopback, 0);
    private readonly Socket _abstract = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly CancellationTokenSource _stop = new();
    private int _visitors;

    internal ToolHost Host { get; private set; } = null!;

    /// <summary>Nobody in a sandbox may know it.</summary>
    public string Secret { get; } = $"canary{Guid.NewGuid():n}";

    public string SecretFile => Path.Combine(Host.Folder, "secret.txt");

    public string AbstractName { get; } = $"conclave-{Guid.NewGuid():n}";

    public int Port => ((IPEndPoint)_tcp.LocalEndpoint).Port;

    /// <summary>How many came to the servers.</summary>
    public int Visitors => Volatile.Read(ref _visitors);

    public async Task InitializeAsync()
    {
        Environment.SetEnvironmentVariable("CONCLAVE_TEST_CANARY", Secret);
        _tcp.Start();
        _abstract.Bind(new UnixDomainSocketEndPoint($"\0{AbstractName}"));
        _abstract.Listen(8);
        _ = AcceptAsync(() => _tcp.AcceptSocketAsync(_stop.Token).AsTask());
        _ = AcceptAsync(() => _abstract.AcceptAsync(_stop.Token).AsTask());
        Host = await ToolHost.StartAsync(
            options: new ToolOptions { WebHosts = ["example.com"], Sql = { ["default"] = "Host=127.0.0.1;Port=1;Username=nobody;Password=nothing12" } }, scriptTime: TimeSpan.FromSeconds(1));
        Assert.True(Host.Services.Sandbox.Unavailable is null, Host.Services.Sandbox.Unavailable);
        await File.WriteAllTextAsync(SecretFile, Secret);
        await Host.AddAsync("""
            { "name": "shell", "description": "Runs a script of the shell.", "kind": "command", "mode": "allow", "concurrency": 0,
              "settings": { "command": ["sh", "-c", "{{script}}"] }, "permissions": { "workspace": "write" },
              "limits": { "timeoutSeconds": 5, "cpuSeconds": 1, "memoryMegabytes": 128, "processes": 24, "fileMegabytes": 8, "outputKilobytes": 16 },
              "parameters": { "type": "object", "properties": { "script": { "type": "string", "x-check": "code" } }, "required": ["script"], "additionalProperties": false } }
            """);
        await Host.AddAsync($$"""
            { "name": "networked", "description": "Runs a script of the shell with a network.", "kind": "command", "mode": "allow", "concurrency": 0,
              "settings": { "command": ["sh", "-c", "{{"{{script}}"}}"] }, "permissions": { "network": ["allowed.example", "127.0.0.1:{{Port}}"] }, "limits": { "timeoutSeconds": 10, "memoryMegabytes": 512 },
              "parameters": { "type": "object", "properties": { "script": { "type": "string", "x-check": "code" } }, "required": ["script"], "additionalProperties": false } }
            """);
        await Host.AddAsync("""
            { "name": "print", "description": "Prints a word.", "kind": "command", "mode": "allow", "concurrency": 0, "settings": { "command": ["printf", "%s", "{{word}}"] },
              "parameters": { "type": "object", "properties": { "word": { "type": "string" }, "file": { "type": "string" } }, "required": ["word"], "additionalProperties": false } }
            """);
        await Host.AddAsync("""
            { "name": "forbidden", "description": "Nobody may use it.", "kind": "command", "mode": "deny", "settings": { "command": ["true"] } }
            """);
    }

    public async Task DisposeAsync()
    {
        await _stop.CancelAsync();
        await Host.DisposeAsync();
    }

    public void Dispose()
    {
        _tcp.Dispose();
        _abstract.Dispose();
        _stop.Dispose();
    }

    internal Task<ToolResult> ShellAsync(string script) => Host.CallAsync("shell", Arguments("script", script));

    /// <summary>Runs a call of the kernel with Perl, which every Debian has.</summary>
    internal Task<ToolResult> SystemCallAsync(string name, params string[] arguments)
    {
        var (_, x64, arm64) = Conclave.Agents.Sandbox.SeccompFilter.Denied.Single(d => d.Name == name);
        var number = System.Runtime.InteropServices.RuntimeInformation.ProcessArchitecture == System.Runtime.InteropServices.Architecture.Arm64 ? arm64 : x64;
        return PerlAsync($"$r = syscall({string.Join(", ", arguments.Prepend($"{number}"))}); print $r == -1 && $!{{EPERM}} ? 'REFUSED' : \"ESCAPED $r $!\"");
    }

    internal Task<ToolResult> PerlAsync(string program) => ShellAsync($"perl -MErrno -MSocket -e '{program.Replace("'", "'\\''", StringComparison.Ordinal)}'");

    /// <summary>Runs a script of a tool that has no permissions, unless some are named.</summary>
    internal async Task<ToolResult> ScriptAsync(string body, string permissions = "{}", string arguments = "{}")
    {
        var name = $"script{Guid.NewGuid():n}"[..20];
        await Host.AddAsync($$"""
            { "name": "{{name}}", "description": "A script.", "kind": "logic", "mode": "allow", "concurrency": 0, "permissions": {{permissions}}, "parameters": { "type": "object" },
              "settings": { "script": {{JsonSerializer.Serialize($"async function run(args, ctx) {{ {body} }}")}} } }
            """);
        return await Host.CallAsync(name, arguments);
    }

    internal static string Arguments(string name, string value) => JsonSerializer.Serialize(new Dictionary<string, string> { [name] = value });

    private async Task AcceptAsync(Func<Task<Socket>> accept)
    {
        try
        {
            while (true)
            {
                using var visitor = await accept();
                Interlocked.Increment(ref _visitors);
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // The tests are over.
        }
    }
}

using System.Net;
using System.Net.Sockets;
using System.Text;
using Conclave.Agents.Sandbox;
using Conclave.Tests.Agents.Tools;
using Conclave.Workflows.Http;

namespace Conclave.Tests.Agents.Sandbox;

/// <summary>What commands may do in the sandbox, and what becomes of them without one.</summary>
public sealed class SandboxTests
{
    [Fact]
    public async Task Command_WithAnAllowedHost_ReachesItThroughTheProxy()
    {
        using var server = new TcpListener(IPAddress.Loopback, 0);
        server.Start();
        var port = ((IPEndPoint)server.LocalEndpoint).Port;
#pragma warning disable CA2025    // It is waited for at the end.
        var serving = ServeAsync(server);
#pragma warning restore CA2025
        await using var host = await ToolHost.StartAsync(http: new OutboundHttpOptions { AllowedHosts = [$"127.0.0.1:{port}"] });
        await host.AddAsync($$"""
            { "name": "fetch", "description": "Reads.", "kind": "command", "mode": "allow", "permissions": { "network": ["127.0.0.1:{{port}}"] },
              "settings": { "command": ["node", "-e", "const u = new URL(process.env.http_proxy); require('http').get({ host: u.hostname, port: u.port, path: 'http://127.0.0.1:{{port}}/hello' }, r => r.pipe(process.stdout))"] } }
            """);

        var result = await host.CallAsync("fetch");

        Assert.True(result.IsSuccess, result.Text);
        Assert.Equal("GET /hello HTTP/1.1", result.Output.GetProperty("stdout").GetString());
        Assert.Equal(1, result.Usage.Requests);
        await serving;
    }

    [Fact]
    public async Task Command_SeesWhatItIsGiven_AndNothingElse()
    {
        await using var host = await ToolHost.StartAsync();
        await host.AddAsync("""
            { "name": "look", "description": "Looks around.", "kind": "command", "mode": "allow", "permissions": { "workspace": "read" },
              "settings": { "command": ["sh", "-c", "env | sort; ls /; cat /run/tool/more.txt; cat; touch x || echo read-only; id -u"], "environment": { "GIVEN": "yes" }, "files": { "more.txt": "a file\n" }, "input": "arguments" },
              "parameters": { "type": "object", "properties": { "a": { "type": "integer" } } } }
            """);

        var output = (await host.OutputAsync("look", """{"a":1}""")).GetProperty("stdout").GetString()!.Split('\n');

        Assert.Equal(
            ["CONCLAVE_IDEMPOTENCY_KEY", "GIVEN", "HOME", "LANG", "PATH", "PWD", "TERM", "TMPDIR"], output.TakeWhile(l => l.Contains('=', StringComparison.Ordinal)).Select(l => l.Split('=')[0]).Order());
        Assert.DoesNotContain("root", output);
        Assert.DoesNotContain("home", output);
        Assert.Contains("a file", output);
        Assert.Contains("""{"a":1}read-only""", output);
        Assert.Contains("1000", output);
    }

    [Fact]
    public async Task Command_WithoutBubblewrap_IsOff_AndSaysHowToGetIt()
    {
        await using var host = await ToolHost.StartAsync(sandbox: new SandboxOptions { Bubblewrap = "/nowhere/bwrap" });
        await host.AddAsync("""{ "name": "any", "description": "Any.", "kind": "command", "settings": { "command": ["true"] } }""");

        var result = await host.FailAsync("tool.unavailable", "any");

        Assert.Contains("apt-get install bubblewrap", result.Error, StringComparison.Ordinal);
        // What needs no sandbox works.
        Assert.Equal(2, (await host.OutputAsync("calculator", """{"expression":"1+1"}""")).GetProperty("value").GetInt32());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Filter_IsAProgramThatEndsByAllowing(bool hasNetwork)
    {
        var program = SeccompFilter.Build(hasNetwork)!;

        Assert.Equal(0, program.Length % 8);
        Assert.True(program.Length / 8 is > 100 and < 4096);
        Assert.Equal([0x06, 0, 0, 0, 0, 0, 0xff, 0x7f], program[^8..]);
        Assert.Equal(SeccompFilter.Denied.Length, SeccompFilter.Denied.Select(d => d.X64).Distinct().Count());
    }

    private static async Task ServeAsync(TcpListener server)
    {
        using var client = await server.AcceptTcpClientAsync();
        using var reader = new StreamReader(client.GetStream());
        var line = await reader.ReadLineAsync();
        while (await reader.ReadLineAsync() is { Length: > 0 })
        {
        }

        await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\nContent-Length: {line!.Length}\r\nConnection: close\r\n\r\n{line}"));
    }
}

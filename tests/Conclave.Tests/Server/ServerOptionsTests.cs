using Conclave.Server;
using Microsoft.Extensions.Configuration;

namespace Conclave.Tests.Server;

public sealed class ServerOptionsTests
{
    [Fact]
    public void Read_NothingSet_HasTheDefaults()
    {
        var options = Read();
        Assert.Equal(ServerRoles.All, options.Roles);
        Assert.Equal("http://127.0.0.1:5080", options.Urls);
        Assert.Equal(TimeSpan.FromSeconds(30), options.DrainTimeout);
        Assert.EndsWith("conclave", options.DataFolder, StringComparison.Ordinal);
        Assert.True(Path.IsPathFullyQualified(options.DataFolder));
        Assert.Null(options.ConnectionString);
    }

    [Fact]
    public void Read_EverythingSet_HasWhatWasSet()
    {
        var folder = Path.GetTempPath();
        var options = Read(
            ("Roles", "Worker"), ("DataFolder", folder), ("Urls", "http://*:80;https://[::1]:443"),
            ("ConnectionStrings:Conclave", "Host=db;Password=x"), ("Workflows:Folder", folder), ("Drain:Timeout", "00:01:30"),
            ("Drain:Delay", "5"), ("Worker:Concurrency", "3"), ("Worker:PollInterval", "0.25"),
            ("Cors:AllowedOrigins", "https://studio.example.com/, http://localhost:5001;*"), ("Cors:AllowedOrigins:0", "https://more.example.com"));
        Assert.Equal(["https://studio.example.com", "http://localhost:5001", "*", "https://more.example.com"], options.CorsOrigins);
        Assert.True(options is { IsWorker: true, IsWeb: false, WorkerConcurrency: 3, ConnectionString: "Host=db;Password=x" });
        Assert.Equal(TimeSpan.FromSeconds(90), options.DrainTimeout);
        Assert.Equal(TimeSpan.FromSeconds(5), options.DrainDelay);
        Assert.Equal(TimeSpan.FromSeconds(0.25), options.WorkerPollInterval);
        Assert.Equal(Path.GetFullPath(folder), options.DataFolder);
    }

    [Fact]
    public void Proxies_AddressesAndNetworks_AreRead()
    {
        var options = Read(("Proxy:Known", "127.0.0.1, 10.0.0.0/8;::1"), ("Proxy:Known:0", "fd00::/8"));

        Assert.Equal(["127.0.0.1/32", "10.0.0.0/8", "::1/128", "fd00::/8"], options.KnownProxies.Select(n => n.ToString()));
        var exception = Assert.Throws<ServerOptionsException>(() => Read(("Proxy:Known", "proxy.example.com 10.0.0.0/99")));
        Assert.Equal(2, exception.Problems.Count);
        Assert.All(exception.Problems, p => Assert.StartsWith("Proxy:Known: '", p, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("studio.example.com")]
    [InlineData("https://studio.example.com/elsa")]
    [InlineData("https://somebody@studio.example.com")]
    [InlineData("ftp://studio.example.com")]
    public void Read_WhatIsNoOrigin_IsNamed(string origin)
    {
        var exception = Assert.Throws<ServerOptionsException>(() => Read(("Cors:AllowedOrigins", origin)));
        Assert.Contains($"Cors:AllowedOrigins: '{origin}'", Assert.Single(exception.Problems), StringComparison.Ordinal);
    }

    [Fact]
    public void Read_ManyWrong_NamesEachAndNoSecret()
    {
        var exception = Assert.Throws<ServerOptionsException>(() => Read(
            ("Roles", "web,wroker"), ("Urls", "127.0.0.1:80"), ("ConnectionStrings:Conclave", "Host=db;Password=hunter2;Nonsense=1"),
            ("Workflows:Folder", "/nowhere/at/all"), ("Drain:Timeout", "soon"), ("Worker:Concurrency", "0"),
            ("Worker:Lease", "00:00:01"), ("Logging:Format", "xml"), ("Telemetry:DatabaseSpans", "maybe")));
        Assert.Equal(9, exception.Problems.Count);
        Assert.Contains("'wroker' is no role. The roles are web, worker and inference", exception.Message, StringComparison.Ordinal);
        Assert.Contains("Worker:Concurrency must be a whole number from 1 to 10000; it is '0'", exception.Message, StringComparison.Ordinal);
        Assert.Contains("Worker:Lease must be a time from 00:00:02 to 00:10:00", exception.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("hunter2", exception.ToString(), StringComparison.Ordinal);
        Assert.Equal("server.settings_invalid", exception.Code);
    }

    [Theory]
    [InlineData("Urls", "ftp://x:1"), InlineData("Urls", "http://x:99999"), InlineData("Roles", ","), InlineData("Drain:Timeout", "-00:00:05")]
    [InlineData("Drain:Timeout", "1e400"), InlineData("Drain:Timeout", "99999999999999999999"), InlineData("Worker:Concurrency", "1.5")]
    [InlineData("Metrics:Access", "nobody"), InlineData("Accounts:KeyEncryptionSecret", "too short"), InlineData("Accounts:AttemptsPerMinute", "0")]
    [InlineData("Accounts:LockoutTime", "0"), InlineData("Accounts:SessionCheck", "2:00:00"), InlineData("Accounts:LockoutAttempts", "many")]
    [InlineData("DataFolder", "a\0b"), InlineData("ConnectionStrings:Conclave", "Database=x"), InlineData("ConnectionStrings:Conclave", "gibberish")]
    public void Read_OneWrong_SaysSo(string key, string value)
    {
        var exception = Assert.Throws<ServerOptionsException>(() => Read((key, value)));
        Assert.Contains(key, Assert.Single(exception.Problems), StringComparison.Ordinal);
    }

    [Fact]
    public void Read_PortsOfAnImage_ListensOnAllAddresses() =>
        Assert.Equal("http://*:8080;http://*:9090", Read(("HTTP_PORTS", "8080;9090")).Urls);

    [Fact]
    public void Parse_Arguments_WinOverTheConfiguration()
    {
        var code = ServerCommandLine.Parse(
            ["--roles", "web", "--data", "/tmp/x", "--urls=http://127.0.0.1:1", "--set", "Worker:Concurrency=8", "--set", "A=b=c", "--environment=Test"],
            out var settings);
        Assert.Null(code);
        var configuration = new ConfigurationBuilder()
            .AddInMemoryCollection([new("Roles", "worker"), new("Worker:Concurrency", "2")]).AddInMemoryCollection(settings).Build();
        var options = ServerOptions.Read(configuration);
        Assert.True(options is { IsWeb: true, IsWorker: false, WorkerConcurrency: 8, Urls: "http://127.0.0.1:1" });
        Assert.Equal(Path.GetFullPath("/tmp/x"), options.DataFolder);
        Assert.Equal("b=c", settings["A"]);
    }

    [Fact]
    public void Parse_Help_ShowsItAndExits()
    {
        using var output = new StringWriter();
        Assert.Equal(0, ServerCommandLine.Parse(["--help"], out var settings, output));
        Assert.Contains("--roles <ROLES>", output.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("contentRoot", output.ToString(), StringComparison.Ordinal);
        Assert.Empty(settings);
    }

    [Theory, InlineData("--rolls"), InlineData("--set", "novalue"), InlineData("--data"), InlineData("stray")]
    public void Parse_WrongArguments_ComplainsAndExits(params string[] args)
    {
        using var error = new StringWriter();
        Assert.Equal(1, ServerCommandLine.Parse(args, out _, TextWriter.Null, error));
        Assert.NotEmpty(error.ToString());
    }

    [Fact]
    public void ModelServers_TwoOfOneName_AreRefused()
    {
        var exception = Assert.Throws<ServerOptionsException>(() => Read(
            ("Inference:Servers:0:Name", "a"), ("Inference:Servers:0:Provider", "vllm"), ("Inference:Servers:0:Address", "http://127.0.0.1:8000"),
            ("Inference:Servers:1:Name", "A"), ("Inference:Servers:1:Provider", "ollama"), ("Inference:Servers:1:Address", "http://127.0.0.1:11434")));

        Assert.Contains("more than one server of the name 'a'", Assert.Single(exception.Problems), StringComparison.Ordinal);
    }

    private static ServerOptions Read(params (string Key, string Value)[] settings) => ServerOptions.Read(
        new ConfigurationBuilder().AddInMemoryCollection(settings.Select(s => KeyValuePair.Create(s.Key, (string?)s.Value))).Build());
}

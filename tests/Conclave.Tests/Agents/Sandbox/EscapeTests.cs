using System.Text.Json;
using Conclave.Agents.Tools;

namespace Conclave.Tests.Agents.Sandbox;

/// <summary>Nothing that a tool runs gets out, and whatever it tried is in the audit.</summary>
public sealed class EscapeTests(EscapeHost host) : IClassFixture<EscapeHost>
{
    public static TheoryData<string> Names => [.. EscapeAttempts.All.Keys];

    [Fact]
    public void Attempts_AreSixty() => Assert.Equal(60, EscapeAttempts.All.Count);

    [Theory]
    [MemberData(nameof(Names))]
    public async Task Attempt_IsRefusedAndAudited(string name)
    {
        var (code, attempt) = EscapeAttempts.All[name];

        var result = await attempt(host);

        Assert.DoesNotContain("ESCAPED", result.Text, StringComparison.Ordinal);
        Assert.DoesNotContain(host.Secret, result.Text, StringComparison.Ordinal);
        Assert.Equal(0, host.Visitors);
        if (code is not null)
            Assert.True(result.ErrorCode == code, $"{result.Status} {result.ErrorCode}: {result.Text}");
        else if (result.IsSuccess)
            Assert.True(result.Text.Contains("REFUSED", StringComparison.Ordinal), result.Text);
        else
        {
            // Ended or failed while it tried, and not because it could not even begin to.
            Assert.True(result.ErrorCode is "tool.exit_code" or "tool.timeout" or "tool.memory_limit" or "tool.cpu_limit", $"{result.ErrorCode}: {result.Text}");
            Assert.DoesNotContain("not found", result.Text, StringComparison.Ordinal);
            Assert.DoesNotContain("syntax error", result.Text, StringComparison.Ordinal);
        }

        var run = await host.Host.Services.Runs.FindAsync(ToolHostTenant, result.RunId, default);
        Assert.NotNull(run);
        Assert.Equal(result.Status, run.Status);
        Assert.Equal(result.ErrorCode, run.ErrorCode);
        Assert.Equal(64, run.ToolHash.Length);
        Assert.Equal(64, run.ActionHash.Length);
        using var arguments = JsonDocument.Parse(run.Arguments);
        if (run.Status == ToolRunStatus.Refused)
            Assert.Null(run.StartedAt);
        else
            Assert.NotNull(run.Limits);
    }

    [Fact]
    public async Task Arguments_WithNul_AreRefusedAndAuditedAsTheyCame()
    {
        var result = await host.Host.CallAsync("workspace-read", """{"path":"notes.txt\u0000.png"}""");

        Assert.Equal(ToolRunStatus.Refused, result.Status);
        Assert.Equal("tool.input_nul", result.ErrorCode);
        Assert.Contains("\\u0000", (await host.Host.Services.Runs.FindAsync(ToolHostTenant, result.RunId, default))!.Arguments, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("print", """{"word":"file:///etc/passwd"}""", "tool.input_inclusion")]
    [InlineData("print", """{"word":"ext::sh -c id"}""", "tool.input_inclusion")]
    [InlineData("print", """{"word":"x","file":"https://evil.example/x"}""", "tool.input_inclusion")]
    [InlineData("print", """{"word":"x","file":"..\\..\\secret.txt"}""", "tool.input_path")]
    [InlineData("print", """{"word":"x","file":"/etc/passwd"}""", "tool.input_path")]
    [InlineData("print", """{"word":"x","more":"y"}""", "tool.arguments_invalid")]
    [InlineData("print", """{"word":"x","__proto__":{"a":1}}""", "tool.arguments_invalid")]
    [InlineData("print", """{"word":"\ud800"}""", "tool.arguments_invalid")]
    [InlineData("forbidden", "{}", "tool.denied")]
    [InlineData("nothing-of-the-kind", "{}", "tool.not_found")]
    [InlineData("sql-query", """{"query":"drop table orders"}""", "tool.sql_refused")]
    public async Task Arguments_ThatNoHonestCallHas_AreRefused(string tool, string arguments, string code) => await host.Host.FailAsync(code, tool, arguments);

    [Fact]
    public async Task Arguments_ReachACommandAsOneWord()
    {
        var output = await host.Host.OutputAsync("print", """{"word":"$(id) `id` ; id | id > x & 'a' \"b\""}""");

        Assert.Equal("$(id) `id` ; id | id > x & 'a' \"b\"", output.GetProperty("stdout").GetString());
    }

    private const string ToolHostTenant = Tools.ToolHost.Tenant;
}

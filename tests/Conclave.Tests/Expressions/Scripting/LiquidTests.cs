using Conclave.Workflows.Expressions.Scripting;

namespace Conclave.Tests.Expressions.Scripting;

[Collection(ScriptTests.Name)]
public sealed class LiquidTests(ScriptPool scripts)
{
    private const string Scope = """
        {
          "workflow": { "definitionId": "d1", "definitionVersionId": "dv1", "version": 3, "instanceId": "i1", "correlationId": "c1" },
          "variables": { "name": { "v": "Ann" }, "list": { "v": [3, 1] }, "order": { "v": { "a": 1, "b": { "c": "deep" } } },
                         "due": { "v": "2026-01-31T12:00:00Z", "t": "DateTime" }, "__proto__": { "v": 1 } },
          "input": { "message": { "v": "hello" } }
        }
        """;

    [Theory]
    [InlineData("Hello {{ Variables.name }}!", "Hello Ann!")]
    [InlineData("{{ Variables.order.b.c }}{{ Variables['name'] }}", "deepAnn")]
    [InlineData("{{ Input.message | upcase }}", "HELLO")]
    [InlineData("{{ CorrelationId }} {{ WorkflowInstanceId }} {{ WorkflowDefinitionId }}", "c1 i1 d1")]
    [InlineData("{{ WorkflowDefinitionVersionId }} {{ WorkflowDefinitionVersion }}", "dv1 3")]
    [InlineData("{% for x in Variables.list %}{{ x }},{% endfor %}", "3,1,")]
    [InlineData("{{ Variables.list | sort | join: '-' }}{{ Variables.list.size }}", "1-32")]
    [InlineData("{% if Variables.order.a == 1 %}yes{% else %}no{% endif %}", "yes")]
    [InlineData("{% assign x = 'a' %}{% capture y %}{{ x }}b{% endcapture %}{{ y }}", "ab")]
    [InlineData("{{ 'hällo' | base64 }}", "aMOkbGxv")]
    [InlineData("{{ Variables.order | keys | join: ',' }}", "a,b")]
    [InlineData("{{ Variables.order | json }}", "{\"a\":1,\"b\":{\"c\":\"deep\"}}")]
    [InlineData("{{ Variables.due | date: '%Y-%m-%d' }}", "2026-01-31")]
    [InlineData("{{ Variables.missing }}{{ Nowhere.at.all }}|", "|")]
    [InlineData("{{ Variables.order.constructor }}{{ Variables.name.constructor.constructor }}{{ Variables.toString }}|", "|")]
    [InlineData("{{ Configuration.Key }}|", "|")]
    [InlineData("", "")]
    public async Task Template_Rendered_GivesText(string template, string expected) =>
        Assert.Equal(expected, await scripts.Pool.RenderAsync(template, Scope));

    [Fact]
    public async Task Template_ConfigurationSent_CanReadIt() => Assert.Equal(
        "v", await scripts.Pool.RenderAsync("{{ Configuration.Key.Sub }}", """{ "config": { "Key": { "v": { "Sub": "v" } } } }"""));

    [Theory]
    [InlineData("{% if %}", "invalid value expression")]
    [InlineData("{{ 'open }}", "output")]
    [InlineData("{% nope %}", "tag \"nope\" not found")]
    [InlineData("{% include 'a' %}", "'include' reads other templates")]
    [InlineData("{% render 'a' %}", "'render' reads other templates")]
    [InlineData("{% layout 'a' %}", "'layout' reads other templates")]
    public async Task Template_DoesNotParse_RendersTheError(string template, string expected)
    {
        Assert.Contains(expected, await scripts.Pool.RenderAsync(template, Scope), StringComparison.Ordinal);
        Assert.Contains(expected, await scripts.Pool.RenderAsync(template, Scope), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Template_UsesTooMuchMemory_FailsAndNextOneWorks()
    {
        var error = await Assert.ThrowsAsync<ScriptException>(
            () => scripts.Pool.RenderAsync("{% for i in (1..1000000000) %}x{% endfor %}"));

        Assert.Equal(ScriptFailure.Memory, error.Kind);
        Assert.Equal("Ann", await scripts.Pool.RenderAsync("{{ Variables.name }}", Scope));
    }

    [Fact]
    public async Task Template_RunsTooLong_FailsWithTimeout()
    {
        await using var pool = ScriptPool.Create(new ScriptRunnerOptions { Runners = 1, TimeLimit = TimeSpan.FromMilliseconds(200) });

        var error = await Assert.ThrowsAsync<ScriptException>(() => pool.RenderAsync(
            "{% for i in (1..100000) %}{% for j in (1..100000) %}{% endfor %}{% endfor %}"));

        Assert.Equal(ScriptFailure.Timeout, error.Kind);
    }

    [Fact]
    public async Task Templates_ManyDifferentOnes_CacheKeepsThemApart()
    {
        var texts = await Task.WhenAll(Enumerable.Range(0, 1_500).Select(i => scripts.Pool.RenderAsync($"{i}{{{{ Variables.name }}}}", Scope)));

        Assert.Equal(Enumerable.Range(0, 1_500).Select(i => $"{i}Ann"), texts);
    }
}

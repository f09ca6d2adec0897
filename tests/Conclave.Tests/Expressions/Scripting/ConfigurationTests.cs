using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;

namespace Conclave.Tests.Expressions.Scripting;

/// <summary>Settings of the host that scripts and templates may read.</summary>
[Collection(ScriptTests.Name)]
public sealed class ConfigurationTests(ScriptPool scripts)
{
    [Theory]
    [InlineData("JavaScript", "getConfig('Region') + ' ' + getConfig('Mail:From') + ' ' + getConfig('none')", "Region! Mail:From! null")]
    [InlineData("Liquid", "{{ Configuration.Region }} {{ Configuration[\"Mail:From\"] }} {{ Configuration.none }}", "Region! Mail:From! ")]
    public async Task Evaluate_HostHasConfiguration_ReadsIt(string syntax, string text, string expected)
    {
        var instance = await RunAsync(syntax, text, new Host());

        Assert.Empty(instance.Incidents);
        Assert.Equal(expected, instance.GetVariable(instance.Graph.Root.Variables[0]));
    }

    [Theory]
    [InlineData("JavaScript", "getConfig('Region')")]
    [InlineData("Liquid", "{{ Configuration.Region }}")]
    public async Task Evaluate_HostHasNone_SaysSo(string syntax, string text) =>
        Assert.Contains("cannot read configuration", Assert.Single((await RunAsync(syntax, text, new WorkflowHost())).Incidents).Message, StringComparison.Ordinal);

    private async Task<WorkflowInstance> RunAsync(string syntax, string text, WorkflowHost host)
    {
        var engine = new WorkflowEngine(expressions: ExpressionSyntaxes.BuiltIn.With(new JavaScriptSyntax(scripts.Pool), new LiquidSyntax(scripts.Pool)));
        var instance = engine.CreateInstance(engine.Compile(Json.Workflow(Json.Set("set", "v", Json.Expression(syntax, text)), Json.Variable("v", "String")).Read()));
        await engine.RunAsync(instance, host, default);
        return instance;
    }

    private sealed class Host : WorkflowHost
    {
        public override string? GetConfiguration(string name) => name == "none" ? null : $"{name}!";
    }
}
